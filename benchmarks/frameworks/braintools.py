"""braintools (JAX, brainstate)."""

import brainstate
import braintools
import brainunit as u
import jax
import numpy as np

from common.calls import Call, version_of
from common.case import DELTA_THRESHOLD, DT, MAX_RATE, Case
from common.jax_calls import jax_call

VERSION, DEVICE = version_of("braintools"), jax.devices()[0].device_kind


def prepare(case: Case, data) -> dict[str, Call]:
    if case.dtype != "float32":
        return {}
    brainstate.environ.set(dt=1.0 * u.ms)
    if case.kind == "poisson":
        encoder = braintools.BernoulliEncoder(scale=MAX_RATE * DT)
        draw = brainstate.transform.jit(lambda x: encoder(x, case.steps))
        x = jax.device_put(data["x"])
        return {"braintools": Call(lambda: jax.block_until_ready(draw(x)))}
    if case.kind == "latency":
        encoder = braintools.LatencyEncoder(method="linear", tau=case.steps * u.ms)
        x = jax.device_put(data["x"])
        # it evaluates at compile time what it is given, and cannot be compiled
        return {"braintools": Call(lambda: jax.block_until_ready(encoder(x)), note="eager")}
    if case.kind == "delta":
        encoder = braintools.DeltaEncoder(DELTA_THRESHOLD, normalize=False)
        x = data["x"]
        sign = np.sign(np.diff(x, axis=0, prepend=x[:1]))
        return {
            "braintools": jax_call(
                encoder, x, result=lambda out: sign * np.asarray(out), note="unsigned"
            )
        }
    return {}
