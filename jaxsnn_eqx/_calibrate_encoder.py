"""Encoders that spend a given number of spikes on data."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array

from ._adjust import Adjustment, DataRange
from ._bisect import Options, RateNotReachedError, bisect, check_reached, mean_rates
from ._encoder.base import AbstractUnitEncoder
from ._encoder.preprocessed import Preprocessed
from ._encoder.scale import Scale
from ._layer import AbstractEncoder, AbstractLayer, AbstractTimed
from ._network import Network
from ._over_time import OverTime
from ._walk import over_data, split_scale


def clips(encoder: AbstractEncoder) -> bool:
    """Whether it clips its values to [0, 1] or [−1, 1]."""
    return isinstance(encoder, AbstractUnitEncoder)


def _in_front(scale: Scale, encoder: AbstractLayer) -> AbstractLayer:
    """The encoder with a `Scale` in front of it; one that it has is merged with it."""
    own, rest = split_scale(encoder)
    scale = scale if own is None else own.after(scale)
    if rest.seq_length is None:
        return Network([OverTime(scale), rest])
    assert isinstance(rest, AbstractEncoder)
    return Preprocessed(scale, rest)


def calibrate_encoder(
    encoder: AbstractLayer, xs: Array, keys: Any, rate: float | None, options: Options
) -> AbstractLayer:
    """The encoder at its rate, behind the functions that are in front of it.

    Without a rate, data out of its range are moved into it, and nothing else.
    """
    scale, rest = split_scale(encoder)
    if scale is not None:
        inner = over_data(scale, rest, xs)
        return _in_front(scale, calibrate_encoder(rest, inner, keys, rate, options))
    if isinstance(encoder, Preprocessed):
        inner = jax.vmap(encoder.preprocess)(xs)
        found = calibrate_encoder(encoder.encoder, inner, keys, rate, options)
        assert isinstance(found, AbstractEncoder)
        return Preprocessed(encoder.fn, found)
    assert isinstance(encoder, AbstractEncoder)
    range_, live = _range_of(encoder, xs, options)
    first = _into_range(encoder, range_, live, options)
    if first is None:
        return _adjusted(encoder, xs, keys, rate, range_, live, options)
    inner = over_data(first, encoder, xs)
    range_, _ = _range_of(encoder, inner, options)
    return _in_front(first, _adjusted(encoder, inner, keys, rate, range_, live, options))


def _scale(scale: Array, offset: Array, options: Options) -> Scale:
    """Trained, or fixed; traced numbers stay arrays."""
    fixed = not options.trained and not isinstance(scale, Tracer)
    return Scale(*(np.asarray(x) if fixed else x for x in (scale, offset)))


def _feature_axes(encoder: AbstractEncoder, xs: Array, options: Options) -> int | None:
    """How many axes of the data are features with a scale of their own; `None`: all alike."""
    return xs.ndim - _sample_axes(encoder) if options.per_feature else None


def _sample_axes(encoder: AbstractEncoder) -> int:
    """Samples, and for signals time."""
    return 1 if encoder.seq_length is not None else 2


def _range_of(encoder: AbstractEncoder, xs: Array, options: Options):
    """The range of all data, or of each feature, and which features are not dead."""
    over = tuple(range(_sample_axes(encoder))) if options.per_feature else None
    wide = xs.astype(jnp.promote_types(xs.dtype, jnp.float32))
    range_ = DataRange(wide.min(over), jnp.median(wide, over), wide.max(over))
    live = range_.span > options.floor
    if not isinstance(live, Tracer) and not bool(live.any()):
        raise ValueError(
            "`data` must not be constant, got the range "
            f"[{float(jnp.min(range_.low)) + 0.0:g}, {float(jnp.max(range_.high)) + 0.0:g}]"
            + (f" and floor={options.floor}." if options.floor else ".")
        )
    return range_, live


def _into_range(
    encoder: AbstractEncoder, range_: DataRange, live: Array, options: Options
) -> Scale | None:
    """The `Scale` that moves the data into the range of the encoder, if they are not in it.

    Into the range to which it clips, or else above its lower end.
    """
    if not encoder.needs_range:
        return None
    low, high = encoder.input_range
    inside = jnp.min(range_.low) >= low
    scale, offset = jnp.ones_like(range_.low), jnp.zeros_like(range_.low)
    if clips(encoder):
        inside &= jnp.max(range_.high) <= high
        size = range_.span if low == 0 else range_.size
        scale = jnp.where(live, 1 / jnp.where(live, size, 1), 0)
    if low != -high:  # else 0 stays 0
        offset = low - scale * range_.low
    if isinstance(inside, Tracer):
        scale, offset = jnp.where(inside, 1, scale), jnp.where(inside, 0, offset)
    elif bool(inside):
        return None
    return _scale(lax.stop_gradient(scale), lax.stop_gradient(offset), options)


def _adjusted(
    encoder: AbstractEncoder,
    xs: Array,
    keys: Any,
    rate: float | None,
    range_: DataRange,
    live: Array,
    options: Options,
) -> AbstractLayer:
    if rate is None:
        return encoder
    dt = _dt_of(encoder, options)
    name = f"`{type(encoder).__name__}`"
    if rate * dt > 1:
        raise RateNotReachedError(
            f"`rate` must be at most 1/dt = {1 / dt:g} Hz, one spike a step, got {rate:g}.",
            f"at most one spike a step, {1 / dt:g} Hz",
        )
    found = encoder.at_rate(rate, dt, range_)
    if found is not None:
        reached = mean_rates(found, xs, keys, dt, None)
        check_reached(name, rate, reached, reached, reached, options, all_rates=False)
        return found
    adjustment = _adjustment(encoder, range_, options)
    if options.per_feature and adjustment.shared:
        raise ValueError(
            f"`per_feature` must be False for {name}, whose `{adjustment.name}` all "
            "features share."
        )
    value, less, more = _search(encoder, xs, keys, jnp.asarray(rate), range_, live, dt, options)
    # with known numbers, where the search had traced ones
    found = _adjustment(encoder, range_, options).apply(value)
    reached = mean_rates(found, xs, keys, dt, _feature_axes(encoder, xs, options))
    if not isinstance(reached, Tracer):
        reached, less, more = (r[live] for r in (reached, less, more))
    check_reached(name, rate, reached, less, more, options)
    return found


def _dt_of(encoder: AbstractEncoder, options: Options) -> float:
    if not isinstance(encoder, AbstractTimed):
        return options.dt or 1e-3
    if options.dt not in (None, encoder.dt):
        raise ValueError(
            f"`dt` must be that of the encoder, {encoder.dt}, got {options.dt}: leave it out."
        )
    return encoder.dt


def _adjustment(encoder: AbstractEncoder, range_: DataRange, options: Options) -> Adjustment:
    """That of the encoder, or else of a `Scale` in front of it."""
    own = encoder.adjustment(range_)
    if own is not None:
        return own
    shift = -jnp.minimum(range_.low, 0)

    def apply(gain: Array) -> AbstractLayer:
        return _in_front(_scale(gain, gain * shift, options), encoder)

    size = jnp.maximum(range_.high + shift, jnp.finfo(shift.dtype).tiny)
    return Adjustment("scale", 1e-6 / size, 1e6 / size, True, apply)


@eqx.filter_jit
def _search(encoder, xs, keys, rate, range_, live, dt: float, options: Options):
    """The number that gives the rate, and the rates on both sides of it."""
    features = _feature_axes(encoder, xs, options)
    if options.per_feature:
        # a dead feature gets the number of a live one that gives the fewest spikes
        widest = DataRange(range_.low.min(), jnp.median(range_.middle), range_.high.max())
        range_ = jax.tree.map(lambda x, y: jnp.where(live, x, y), range_, widest)
    adjustment = _adjustment(encoder, range_, options)
    low, high = (
        jnp.broadcast_to(jnp.asarray(x, jnp.float32), live.shape) for x in adjustment[1:3]
    )

    def rates(value: Array) -> Array:
        return mean_rates(adjustment.apply(value), xs, keys, dt, features)

    return bisect(rates, rate, low, high, live, rising=adjustment.rising)
