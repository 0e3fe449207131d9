"""Calls of frameworks on JAX: compiled once, with the data as arguments."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import yin_yang
from .calls import Call
from .case import Case


def jax_call(function: Callable, *arguments, result: Callable = np.asarray, note="") -> Call:
    """`function` under `jax.jit`; XLA would fold data that it closes over."""

    arguments = jax.device_put(arguments)
    jitted = jax.jit(function)

    def temporary_bytes():
        analysis = jitted.lower(*arguments).compile().memory_analysis()
        return None if analysis is None else analysis.temp_size_in_bytes

    return Call(
        run=lambda: jax.block_until_ready(jitted(*arguments)),
        result=lambda out: np.asarray(result(out)),
        note=note,
        temporary_bytes=temporary_bytes,
        function=function,
        arguments=arguments,
    )


def jax_spikes_or_gradient(encode: Callable, case: Case, data, note="") -> Call:
    """The forward row of an encoder of values, or its gradient of <w, spikes>."""
    if case.mode == "forward":
        return jax_call(encode, data["x"], note=note)

    def weighted(x, w):
        return jnp.vdot(w, encode(x))

    if case.mode == "gradient":
        return jax_call(jax.grad(weighted), data["x"], data["w"], note=note)
    both = jax.value_and_grad(weighted)
    return jax_call(both, data["x"], data["w"], result=lambda out: out[1], note=note)


def jax_training_step(spikes: Callable, weight, data, *, batch_axis=1, note="") -> Call:
    """The value of <w, spikes(weight, x)> and a step of gradient descent on it.

    Its result are the spikes. `spikes` takes and returns the batch on `batch_axis`, 0 or 1,
    and time on the other.
    """

    def step(weight, x, w):
        loss, grads = jax.value_and_grad(lambda *a: jnp.vdot(w, spikes(*a)))(weight, x)
        return loss, jax.tree.map(lambda p, g: p - 1e-3 * g, weight, grads)

    x, w = (np.moveaxis(data[name], 1, batch_axis) for name in ("x", "w"))
    call = jax_call(step, weight, x, w, note=note)
    call.result = lambda _: np.moveaxis(jax.jit(spikes)(weight, x), batch_axis, 1)
    return call


def jax_yin_yang_epoch(
    apply: Callable[[Any, Any], tuple], weights, data: yin_yang.Data, epochs: int
) -> Call:
    """One epoch in one compiled scan, as jaxsnn's example does, for any framework's `apply`.

    `apply(weights, x)` gives the highest potentials and each hidden neuron's spikes. The
    result is that of the first batch; the note, the accuracy after `epochs`.
    """
    import optax

    learning_rate = optax.exponential_decay(1e-4, len(data.x), 0.98)
    optimizer = optax.adam(learning_rate)

    def loss(weights, x, y):
        logits, spikes = apply(weights, x)
        wrong = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
        penalty = jnp.sum((spikes - yin_yang.TARGET_SPIKES) ** 2)
        return wrong + yin_yang.PENALTY * penalty

    def update(carry, batch):
        weights, state = carry
        grads = jax.grad(loss)(weights, *batch)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(weights, updates), state), None

    def epoch(carry, x, y):
        return jax.lax.scan(update, carry, (x, y))[0]

    def accuracy(weights):
        logits = jax.jit(apply)(weights, data.x_test)[0]
        return float(jnp.mean(logits.argmax(axis=1) == data.y_test))

    first = (weights, optimizer.init(weights))
    carry, train = first, jax.jit(epoch)
    for _ in range(epochs):
        carry = train(carry, data.x, data.y)
    note = f"{accuracy(carry[0]):.2%} after {epochs} epochs"
    call = jax_call(epoch, first, data.x, data.y, note=note)
    call.result = lambda _: np.asarray(jax.jit(apply)(weights, data.x[0])[0])
    return call
