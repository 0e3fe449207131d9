"""The same work in JAX without any library: `lax.scan` over a `custom_jvp` threshold."""

import jax
import jax.numpy as jnp
from jax import lax

from common.calls import Call, version_of
from common.case import (
    DECAY,
    DELTA_THRESHOLD,
    DT,
    LAYERS,
    LEAK,
    MAX_RATE,
    PHASE_BITS,
    SLOPE,
    V_TH,
    Case,
)
from common.jax_calls import jax_call, jax_spikes_or_gradient, jax_training_step

VERSION, DEVICE = version_of("jax"), jax.devices()[0].device_kind


@jax.custom_jvp
def spike(x):
    return (x > 0).astype(x.dtype)


@spike.defjvp
def _spike_jvp(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    return spike(x), x_dot / (SLOPE * jnp.abs(x) + 1) ** 2


def membrane(v, current):
    v = v + LEAK * ((0.0 - v) + current)
    z = spike(v - V_TH)
    return v - z * (v - 0.0), z


def neuron(state, current):
    v, i = state
    v, z = membrane(v, i)
    return (v, i - DECAY * i + current), z


def prepare(case: Case, data) -> dict[str, Call]:
    steps = case.steps
    ts = jnp.arange(steps)[:, None]
    if case.kind == "lif":

        def scan(x):
            def step(v, _):
                v, z = membrane(v, x)
                return v, z.astype(case.dtype)

            return lax.scan(step, jnp.zeros_like(x), None, steps)[1]

        return {"plain JAX": jax_spikes_or_gradient(scan, case, data)}
    if case.kind == "poisson":

        def draw(x, key):
            p = jnp.broadcast_to(x * (MAX_RATE * DT), (steps, *x.shape))
            return jax.random.bernoulli(key, p).astype(case.dtype)

        return {"plain JAX": jax_call(draw, data["x"], jax.random.key(0))}
    if case.kind == "latency":

        def one_hot(x):
            return (jnp.round((1 - x) * (steps - 1)) == ts).astype(x.dtype)

        return {"plain JAX": jax_call(one_hot, data["x"])}
    if case.kind == "phase":

        def bits(x):
            whole = (x * 2**PHASE_BITS).astype(jnp.int32)
            return ((whole >> (PHASE_BITS - 1 - ts % PHASE_BITS)) & 1).astype(x.dtype)

        return {"plain JAX": jax_call(bits, data["x"])}
    if case.kind == "delta":

        def delta(x):
            change = jnp.diff(x, axis=0, prepend=x[:1])
            return jnp.sign(change) * (jnp.abs(change) >= DELTA_THRESHOLD)

        return {"plain JAX": jax_call(delta, data["x"])}
    if case.kind in LAYERS:
        return {"plain JAX": _layer(case, data)}
    return {}


def _layer(case: Case, data) -> Call:
    def spikes(weight, x):
        zeros = jnp.zeros(x.shape[1:])
        if case.kind == "CubaLIF layer":
            return lax.scan(neuron, (zeros, zeros), x @ weight.T)[1]
        return lax.scan(membrane, zeros, x @ weight.T)[1]

    return jax_training_step(spikes, data["weight"], data, note="products hoisted")
