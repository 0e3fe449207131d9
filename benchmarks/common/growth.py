"""How time, memory and compilation grow with the number of steps and of neurons.

A process of its own; prints JSON. `python -m common.growth [--short]`
"""

import json
import sys
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import jaxsnn_eqx as snn

from .calls import peak_growth

LENGTHS = [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000]
WIDTHS = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]


def main(short: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    lengths = LENGTHS[:4] if short else LENGTHS
    widths = WIDTHS[:4] if short else WIDTHS
    training = _long_training(1_000 if short else 100_000)
    answer = {
        "steps": [_encoder(1_000, length) for length in lengths],
        "neurons": [_encoder(n, 10) for n in widths],
        "training": training,
    }
    print(json.dumps(answer))


def _encoder(n: int, length: int) -> dict:
    """Time and temporary memory of the encoder, forward and for its gradient."""
    encoder = snn.ConstantCurrentLIFEncoder(length)
    x = 2 * jr.uniform(jr.key(0), (n,))
    w = jnp.full((length, n), 0.5)

    def weighted(x, w):
        return jnp.vdot(w, encoder(x))

    row: dict[str, Any] = {"n": n, "steps": length}
    functions = {"forward": (encoder, (x,)), "gradient": (jax.grad(weighted), (x, w))}
    for name, (function, arguments) in functions.items():
        start = time.perf_counter()
        compiled = jax.jit(function).lower(*arguments).compile()
        row[f"{name} compile s"] = time.perf_counter() - start
        analysis = compiled.memory_analysis()
        row[f"{name} bytes"] = None if analysis is None else analysis.temp_size_in_bytes
        jax.block_until_ready(compiled(*arguments))
        times = []
        while len(times) < 5 or (sum(times) < 0.2 and len(times) < 50):
            start = time.perf_counter()
            jax.block_until_ready(compiled(*arguments))
            times.append(time.perf_counter() - start)
        row[f"{name} ms"] = 1e3 * float(np.median(times))
    return row


def small_network(length: int) -> snn.Network:
    """A 64-128-10 network of neurons with synapses, behind an encoder."""
    k1, k2 = jr.split(jr.key(0))
    return snn.Network(
        [
            snn.ConstantCurrentLIFEncoder(length),
            snn.OverTime(eqx.nn.Linear(64, 128, key=k1)),
            snn.Synapse(snn.LIF(), immediate=False),
            snn.OverTime(eqx.nn.Linear(128, 10, use_bias=False, key=k2)),
            snn.Synapse(snn.LI()),
            snn.MaxOverTime(),
        ]
    )


def _long_training(length: int) -> dict:
    """A 64-128-10 network, batch 16: one training step."""
    model = small_network(length)
    images, labels = 4 * jr.uniform(jr.key(1), (16, 64)), jnp.arange(16) % 10
    optimizer = optax.adam(1e-3)
    opt_state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))

    def loss(model, images, labels):
        logits = jax.vmap(model)(images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @eqx.filter_jit
    def update(model, opt_state, images, labels):
        value, grads = eqx.filter_value_and_grad(loss)(model, images, labels)
        updates, opt_state = optimizer.update(grads, opt_state)
        return eqx.apply_updates(model, updates), opt_state, value

    arguments = (model, opt_state, images, labels)
    start = time.perf_counter()
    jitted: Any = update
    compiled = jitted.lower(*arguments).compile()
    compile_seconds = time.perf_counter() - start
    analysis = compiled.compiled.memory_analysis()
    start = time.perf_counter()
    (_, _, value), peak = peak_growth(
        lambda: jax.block_until_ready(eqx.filter(compiled(*arguments), eqx.is_array))
    )
    return {
        "steps": length,
        "seconds": time.perf_counter() - start,
        "compile s": compile_seconds,
        "temporary bytes": None if analysis is None else analysis.temp_size_in_bytes,
        "peak bytes": peak,
        "loss": float(value),
    }


if __name__ == "__main__":
    main("--short" in sys.argv)
