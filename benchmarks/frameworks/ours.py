"""This package, as its README uses it."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import jaxsnn_eqx as snn
from common import yin_yang
from common.calls import Call, version_of
from common.case import DELTA_THRESHOLD, DT, MAX_RATE, PHASE_BITS, Case
from common.jax_calls import (
    jax_call,
    jax_spikes_or_gradient,
    jax_training_step,
    jax_yin_yang_epoch,
)

VERSION, DEVICE = version_of("jaxsnn_eqx"), jax.devices()[0].device_kind


def prepare(case: Case, data) -> dict[str, Call]:
    length, dtype = case.steps, case.dtype
    if dtype == "bfloat16":
        data["x"] = jnp.asarray(data["x"], dtype)
    if case.kind == "lif":

        def encoder(every=None):
            return snn.ConstantCurrentLIFEncoder(length, checkpoint_every=every, dtype=dtype)

        calls = {"ours": jax_spikes_or_gradient(encoder(), case, data)}
        if case.mode != "forward":
            calls["ours, one chunk"] = jax_spikes_or_gradient(encoder(length), case, data)
        return calls
    if case.kind == "poisson":
        poisson = snn.PoissonEncoder(length, max_rate=MAX_RATE, dtype=dtype)
        return {
            "ours": jax_call(lambda x, key: poisson(x, key=key), data["x"], jax.random.key(0))
        }
    if case.kind == "latency":
        encode = ft.partial(snn.LatencyEncoder, length, t_late=(length - 1) * DT)
        return {
            "ours": jax_call(encode(), data["x"]),
            "ours, uint8": jax_call(encode(dtype="uint8"), data["x"], note="uint8"),
        }
    if case.kind == "phase":
        return {"ours": jax_call(snn.PhaseEncoder(length, bits=PHASE_BITS), data["x"])}
    if case.kind == "delta":
        return {"ours": jax_call(snn.DeltaEncoder(DELTA_THRESHOLD), data["x"])}
    if case.kind == "LIF layer":
        return _layer(snn.LIF(), data)
    if case.kind == "CubaLIF layer":
        return _layer(snn.Synapse(snn.LIF(), immediate=False), data)
    if case.kind == "README":
        return {"ours": _readme(case, data)}
    if case.kind == "yin yang":
        return {"ours": _yin_yang(data["yin yang"], case.epochs)}
    return {}


def _layer(neuron, data) -> dict[str, Call]:
    n = len(data["weight"])
    linear = eqx.nn.Linear(n, n, use_bias=False, key=jax.random.key(0))

    def call(axis):
        def spikes(weight, x):
            layer = eqx.tree_at(lambda linear: linear.weight, linear, weight)
            network = snn.Network([snn.OverTime(layer), neuron])
            return jax.vmap(network, in_axes=axis, out_axes=axis)(x)

        note = f"`vmap` over axis {axis}"
        return jax_training_step(spikes, data["weight"], data, batch_axis=axis, note=note)

    def in_chunks(weight, x):
        network = snn.Network([snn.OverTime(lambda x: x @ weight.T), neuron])
        chunks = x.reshape(-1, 25, *x.shape[1:])
        spikes = jax.lax.scan(network.run, network.init(x[0]), chunks)[1]
        return spikes.reshape(x.shape)

    note = "`run`, scanned over chunks of 25 steps"
    chunked = jax_training_step(in_chunks, data["weight"], data, note=note)
    return {"ours": call(1), "ours, batch first": call(0), "ours, in chunks": chunked}


def _yin_yang(data: yin_yang.Data, epochs: int) -> Call:
    def linear(weight):
        layer = eqx.nn.Linear(*weight.shape, use_bias=False, key=jax.random.key(0))
        return eqx.tree_at(lambda layer: layer.weight, layer, jnp.asarray(weight.T))

    neurons = snn.Synapse(snn.LIF(dt=yin_yang.DT), immediate=False)
    model = snn.Network(
        [
            snn.OverTime(linear(data.weights["in"])),
            snn.Recurrent(neurons, linear(data.weights["lateral"])),
            snn.OverTime(linear(data.weights["out"])),
            snn.Synapse(snn.LI(dt=yin_yang.DT)),
            snn.MaxOverTime(),
        ]
    )
    weights, static = eqx.partition(model, eqx.is_inexact_array)

    def apply(weights, x):
        model = eqx.combine(weights, static)
        hidden = jax.vmap(model[:2], in_axes=1, out_axes=1)(x.swapaxes(0, 1))
        return jax.vmap(model[2:], in_axes=1)(hidden), hidden.sum(axis=0)

    return jax_yin_yang_epoch(apply, weights, data, epochs)


def _readme(case: Case, data) -> Call:
    """The loss and the gradient of the model in the README, here with `n`-256-10 neurons."""
    k1, k2 = jax.random.split(jax.random.key(0))
    model = snn.Network(
        [
            snn.ConstantCurrentLIFEncoder(case.steps),
            snn.OverTime(eqx.nn.Linear(case.n, 256, key=k1)),
            snn.LIF(),
            snn.OverTime(eqx.nn.Linear(256, 10, key=k2)),
            snn.LI(),
            snn.MeanOverTime(),
        ]
    )
    model = snn.calibrate(model, data["x"][:16], rate=[100.0, 10.0])
    weights, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(weights, x, y):
        logits = jax.vmap(eqx.combine(weights, static))(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    return jax_call(jax.value_and_grad(loss), weights, data["x"], data["y"])
