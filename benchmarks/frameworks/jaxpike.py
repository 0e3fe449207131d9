"""jaxpike (JAX, Equinox), in both of its forms: its usual loop, and that with checkpoints.

Its synapse is a leaky integrator, which takes an input one step earlier than the others here.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxpike as jp
import numpy as np

from common import yin_yang
from common.calls import Call, version_of
from common.case import DECAY, DT, LAYERS, LEAK, SLOPE, V_TH, Case
from common.jax_calls import (
    jax_spikes_or_gradient,
    jax_training_step,
    jax_yin_yang_epoch,
)

VERSION, DEVICE = version_of("jaxpike"), jax.devices()[0].device_kind
FORMS = {"jaxpike": jp.unroll, "jaxpike, checkpointed": jp.unroll_checkpointed}


def prepare(case: Case, data) -> dict[str, Call]:
    if case.dtype != "float32":
        return {}
    if case.kind == "lif":
        return {name: _encoder(unroll, case, data) for name, unroll in FORMS.items()}
    if case.kind in LAYERS:
        return {name: _layer(unroll, case, data) for name, unroll in FORMS.items()}
    if case.kind == "yin yang":
        epochs = case.epochs
        return {
            name: _yin_yang(unroll, data["yin yang"], epochs) for name, unroll in FORMS.items()
        }
    return {}


def _time_constant(share: float) -> float:
    """That of a decay by `share` in each step, which jaxpike computes by `exp`."""
    return float(-1 / np.log1p(-share))


def _neurons(leak: float = LEAK) -> jp.LIF:
    surrogate = jp.FastSigmoid(slope=SLOPE)
    tau = _time_constant(leak)
    return jp.LIF(tau, threshold=V_TH, dt=1.0, reset="zero", surrogate=surrogate)


def _dense(weight) -> jp.Dense:
    dense = jp.Dense(weight.shape[1], weight.shape[0], use_bias=False, key=jax.random.key(0))
    return eqx.tree_at(lambda dense: dense.weight, dense, jnp.asarray(weight))


def _encoder(unroll, case: Case, data) -> Call:
    model = jp.Sequential(_neurons())

    def spikes(x):
        return unroll(model, jnp.broadcast_to(x, (case.steps, *x.shape)))[0]

    return jax_spikes_or_gradient(spikes, case, data)


def _layer(unroll, case: Case, data) -> Call:
    synapse = case.kind == "CubaLIF layer"
    # its integrator multiplies its input by 1 - exp(-dt / tau)
    weight = data["weight"] / DECAY if synapse else data["weight"]
    integrators = (jp.LeakyIntegrator(_time_constant(DECAY)),) if synapse else ()
    model = jp.Sequential(_dense(weight), *integrators, _neurons())

    def spikes(weight, x):
        return unroll(eqx.tree_at(lambda m: m.layers[0].weight, model, weight), x)[0]

    call = jax_training_step(spikes, weight, data, note="products hoisted")
    if synapse:

        def a_step_later(_):
            out = np.asarray(jax.jit(spikes)(weight, data["x"]))
            return np.concatenate([np.zeros_like(out[:1]), out[:-1]])

        call.result = a_step_later
    return call


class _OneStep(eqx.Module):
    """A delay by one step."""

    def init_state(self, input_shape):
        return jnp.zeros(input_shape)

    def out_shape(self, input_shape):
        return input_shape

    def __call__(self, state, x):
        return x, state


def _yin_yang(unroll, data: yin_yang.Data, epochs: int) -> Call:
    leak, decay = yin_yang.DT / (DT / LEAK), yin_yang.DT / (DT / DECAY)
    # its integrator multiplies its input by 1 - exp(-dt / tau)
    weights = {name: jnp.asarray(value.T) for name, value in data.weights.items()}
    first = {name: _dense(weight) for name, weight in weights.items()}

    def integrator(share):
        return jp.LeakyIntegrator(_time_constant(share))

    hidden = jp.Graph(
        {
            "in": first["in"],
            "synapse": integrator(decay),
            "neurons": _neurons(leak),
            "lateral": first["lateral"],
            "delay": _OneStep(),
        },
        [
            ("input", "in"),
            ("in", "synapse"),
            ("synapse", "neurons"),
            ("neurons", "lateral"),
            ("lateral", "delay"),
            ("delay", "synapse"),
        ],
        "neurons",
    )
    out = jp.Sequential(first["out"], integrator(decay), integrator(leak))

    def apply(weights, x):
        own = [weights[name] / decay for name in ("in", "lateral", "out")]
        hidden_, out_ = eqx.tree_at(
            lambda m: (
                m[0].nodes["in"].weight,
                m[0].nodes["lateral"].weight,
                m[1].layers[0].weight,
            ),
            (hidden, out),
            own,
        )
        # its neurons fire a step earlier, so that the last input comes too late to count
        spikes, _ = unroll(hidden_, jnp.moveaxis(x, 1, 0)[:-1])
        potentials, _ = unroll(out_, spikes)
        return jnp.maximum(potentials.max(axis=0), 0.0), spikes.sum(axis=0)

    return jax_yin_yang_epoch(apply, weights, data, epochs)
