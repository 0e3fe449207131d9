"""What cannot be avoided: filling the output, or the matrix products alone.

Nothing here computes the answer, so nothing here is checked.
"""

import jax
import jax.numpy as jnp

from common import yin_yang
from common.calls import Call, version_of
from common.case import LAYERS, Case
from common.jax_calls import jax_call

VERSION, DEVICE = version_of("jax"), jax.devices()[0].device_kind


def prepare(case: Case, data) -> dict[str, Call]:
    if case.kind in LAYERS:

        def products(weight, x, w):
            # forward, and back to the weight: flat over time and batch
            flat = x.reshape(-1, x.shape[-1])
            currents = flat @ weight.T
            return currents, w.reshape(-1, w.shape[-1]).T @ flat

        arguments = data["weight"], data["x"], data["w"]
        return {"floor": jax_call(products, *arguments, result=lambda out: out[1])}
    if case.kind == "yin yang":
        return {"floor": _epoch(data["yin yang"])}
    if case.mode == "forward":

        def fill(x):
            value = (x.ravel()[0] > 2).astype(case.dtype)
            return jnp.full((case.steps, case.n), value)

        return {"floor": jax_call(fill, data["x"])}
    return {}


def _epoch(data: yin_yang.Data) -> Call:
    """The matrix products of an epoch, forward and back, those of the recurrence in order."""

    def lateral(weight, start):
        def step(spikes, _):
            spikes = spikes @ weight
            return spikes, spikes

        return jax.lax.scan(step, start, None, yin_yang.STEPS)[1]

    def batch(total, x):
        flat = x.swapaxes(0, 1).reshape(-1, yin_yang.INPUTS)
        currents = flat @ data.weights["in"]
        start = currents[: yin_yang.BATCH]
        spikes = lateral(data.weights["lateral"], start).reshape(currents.shape)
        grads = lateral(data.weights["lateral"].T, start).reshape(currents.shape)
        out = spikes @ data.weights["out"]
        products = (
            flat.T @ grads,
            spikes.T @ grads,
            spikes.T @ out,
            out @ data.weights["out"].T,
        )
        return total + sum(p.sum() for p in products), None

    def products(x):
        return jax.lax.scan(batch, 0.0, x)[0]

    return jax_call(products, data.x, note="matrix products alone")
