"""The search for a number at which a layer spends a given rate."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array

from ._layer import AbstractEncoder, AbstractLayer
from ._walk import run_on

_STEPS = 36  # more than float32 tells apart


class Options(NamedTuple):
    """What stays the same for all layers of a network."""

    dt: float | None = None
    per_feature: bool = False
    floor: float = 0.0
    trained: bool = False
    tolerance: float = 0.05


class RateNotReachedError(ValueError):
    """With the rates that are reached, in words."""

    def __init__(self, message: str, reached: str):
        super().__init__(message)
        self.reached = reached


def bisect(
    rates: Callable, target: Array, low: Array, high: Array, live: Array, *, rising: bool
):
    """Where `rates`, which rise or fall, come closest to `target`; and both rates there.

    Elements that are not `live` get the end with the lower rates. In logarithmic steps where
    `low` is positive.
    """
    logs = (low > 0).all()
    tiny = jnp.finfo(low.dtype).tiny
    less, more = (low, high) if rising else (high, low)
    ends = (jnp.where(logs, jnp.log(jnp.maximum(x, tiny)), x) for x in (less, more))

    def value(position: Array) -> Array:
        return jnp.where(logs, jnp.exp(position), position)

    def halve(_, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        less, more = ends
        middle = (less + more) / 2
        enough = (rates(value(middle)) >= target) | ~live
        return jnp.where(enough, less, middle), jnp.where(enough, middle, more)

    less, more = (value(x) for x in lax.fori_loop(0, _STEPS, halve, tuple(ends)))
    fewer, others = rates(less), rates(more)
    closer = (jnp.abs(fewer - target) <= jnp.abs(others - target)) | ~live
    return lax.stop_gradient(jnp.where(closer, less, more)), fewer, others


@eqx.filter_jit
def mean_rates(
    layer: AbstractLayer, xs: Array, keys: Any, dt: float, features: int | None
) -> Array:
    """The mean rate in hertz, of all outputs or of each of the first `features` axes."""
    fired = _expected_spikes(layer, xs)
    if fired is None:
        fired = run_on(layer, xs, keys) != 0
    # whole numbers over time first: XLA takes seven times as long for a mean over all axes
    counts = fired.sum(axis=1, dtype=jnp.int32 if fired.dtype == bool else jnp.float32)
    axes = range(counts.ndim)
    over = None if features is None else tuple(i for i in axes if not 1 <= i < 1 + features)
    return jnp.mean(counts, axis=over, dtype=jnp.float32) / (fired.shape[1] * dt)


def _expected_spikes(layer: AbstractLayer, xs: Array) -> Array | None:
    """Of an encoder that draws, so that the rate is not that of one draw."""
    if not isinstance(layer, AbstractEncoder):
        return None
    expected = layer.expected_spikes(xs)
    if expected is None or layer.seq_length is None:
        return expected
    return expected[:, None]  # the same at each step


def check_reached(
    name: str,
    rate: float,
    reached: Array,
    less: Array,
    more: Array,
    options: Options,
    all_rates: bool = True,
) -> None:
    """Refuses a rate that is off by more than the tolerance, with those that are reached."""
    if isinstance(reached, Tracer):
        return
    off = np.abs(np.asarray(reached) - rate) > options.tolerance * rate
    if not off.any():
        return
    at = np.flatnonzero(off.ravel())[0]
    got, low, high = (float(np.ravel(x)[at]) for x in (reached, less, more))
    if not all_rates:
        can = f"the nearest is {got:g} Hz"
    elif max(low, high) < rate:
        can = f"the most that it can spend on these data is {max(low, high):.4g} Hz"
    elif min(low, high) > rate:
        can = f"the least that it can spend on these data is {min(low, high):.4g} Hz"
    else:
        can = f"the nearest are {low:.4g} and {high:.4g} Hz"
    feature = f" for feature {at}" if options.per_feature else ""
    raise RateNotReachedError(
        f"`rate`={rate:g} Hz is not reached by {name}{feature} within "
        f"{options.tolerance:.0%}: {can}. A larger `tolerance` takes the nearest.",
        can,
    )
