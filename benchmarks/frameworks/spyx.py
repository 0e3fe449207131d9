"""spyx (JAX, Flax): its neurons reset by subtraction."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from spyx import axn, nn
from spyx import data as codes

from common.calls import Call, version_of
from common.case import DECAY, DT, LAYERS, LEAK, MAX_RATE, SLOPE, V_TH, Case
from common.jax_calls import jax_call

VERSION, DEVICE = version_of("spyx"), jax.devices()[0].device_kind


def prepare(case: Case, data) -> dict[str, Call]:
    if case.dtype != "float32":
        return {}
    steps = case.steps
    if case.kind == "poisson":
        encode = codes.rate_code(steps, MAX_RATE * DT)
        note = "uint8; rates in float16; time on axis 1"
        return {
            "spyx": jax_call(
                encode,
                data["x"][:, None],
                jax.random.key(0),
                result=lambda out: np.asarray(out).T,
                note=note,
            )
        }
    if case.kind == "latency":
        return {"spyx": jax_call(codes.latency_code(steps), data["x"], note="uint8")}
    if case.kind in LAYERS:
        return _layers(case, data)
    return {}


def _layers(case: Case, data) -> dict[str, Call]:
    rngs, n, spike = nnx.Rngs(0), case.n, axn.superspike(SLOPE)
    options = {"threshold": V_TH, "activation": spike, "rngs": rngs}
    if case.kind == "CubaLIF layer":
        neurons = nn.CuBaLIF((n,), alpha=1 - DECAY, beta=1 - LEAK, **options)
        reset = "subtracted"
    else:
        neurons = nn.LIF((n,), beta=1 - LEAK, **options)
        reset = "subtracted after the leak"
    linear = nnx.Linear(n, n, use_bias=False, rngs=rngs)
    linear.kernel[...] = LEAK * jnp.asarray(data["weight"].T)

    def hoisted(linear, x):
        return nn.run(neurons, linear(x))[0]

    def as_documented(linear, x):
        return nn.run(nn.Sequential(linear, neurons), x)[0]

    def call(spikes, note):
        graph, state = nnx.split(linear)

        def loss(state, x, w):
            return jnp.vdot(w, spikes(nnx.merge(graph, state), x))

        def step(state, x, w):
            value, grads = jax.value_and_grad(loss)(state, x, w)
            return value, jax.tree.map(lambda p, g: p - 1e-3 * g, state, grads)

        out = jax_call(step, state, data["x"], data["w"], note=note)
        late = case.kind == "LIF layer"  # its spikes come a step later
        longer = np.concatenate([data["x"], np.zeros_like(data["x"][:1])])

        def result(_):
            found = np.asarray(jax.jit(hoisted)(linear, longer))
            return found[1:] if late else found[:-1]

        out.result, out.reset = result, reset
        return out

    return {
        "spyx": call(as_documented, "reset by subtraction"),
        "spyx, hoisted": call(hoisted, "reset by subtraction; products hoisted"),
    }
