"""Spikes that several encoders share, and their derivatives, which are defined by a rule."""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from .._surrogate import AbstractSurrogate


@ft.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def clip_range(x: Array, low: float, high: float) -> Array:
    """`x` clipped to [low, high]; the derivative is 1 there, both ends included, else 0."""
    return jnp.clip(x, low, high)


@clip_range.defjvp
def _clip_range_jvp(low, high, primals, tangents):
    (x,), (x_dot,) = primals, tangents
    inside = ((x >= low) & (x <= high)).astype(x.dtype)
    return clip_range(x, low, high), jnp.where(jnp.isnan(x), x, inside) * x_dot


def clip_unit(x: Array) -> Array:
    """`x` clipped to [0, 1], with the derivative of `clip_range`."""
    return clip_range(x, 0.0, 1.0)


@ft.partial(jax.custom_jvp, nondiff_argnums=(0,))
def spike_at(seq_length: int, position: Array, t: Array) -> Array:
    """1 at step `t = round(position)`, clipped to the window; NaN for NaN.

    The derivative is the one-sided derivative, from the right, of the hat
    `max(0, 1 − |t − position|)`: −1 at bin b and +1 at b + 1 with b = floor(position), so that
    a later spike always has the same sign. In the last bin b is one less; outside the window
    the derivative is zero.
    """
    bin_ = jnp.clip(jnp.round(position), 0, seq_length - 1)
    spikes = (bin_ == t.astype(position.dtype)).astype(position.dtype)
    return jnp.where(jnp.isnan(position), position, spikes)


@spike_at.defjvp
def _spike_at_jvp(seq_length, primals, tangents):
    (position, t), (position_dot, _) = primals, tangents
    past = t.astype(position.dtype) - jnp.minimum(jnp.floor(position), seq_length - 2)
    slope = (past == 1).astype(position.dtype) - (past == 0).astype(position.dtype)
    outside = (position < 0) | (position > seq_length - 1) | (seq_length == 1)
    slope = jnp.where(outside, 0, slope) + 0 * position  # NaN stays NaN
    return spike_at(seq_length, position, t), slope * position_dot


@jax.custom_jvp
def straight_through(spikes: Array, x: Array) -> Array:
    """`spikes`, with the derivative of `x`; NaN where `x` is NaN."""
    return jnp.where(jnp.isnan(x), x, spikes)


@straight_through.defjvp
def _straight_through_jvp(primals, tangents):
    return straight_through(*primals), tangents[1]


def at_least(surrogate: AbstractSurrogate, distance: Array) -> Array:
    """1 where `distance >= 0`, with the surrogate's derivative (which is even)."""
    return 1 - surrogate(-distance)


def met(threshold: Array, sample: Array, change: Array) -> Array:
    """`threshold`, lowered so that a `change` that is equal to it in decimals reaches it.

    Samples such as 0.1 and 0.2 are rounded, and so is their difference: the threshold is lower
    by 4 units in the last place of the larger sample, and by a thousandth of itself at most.
    """
    sample, change = map(lax.stop_gradient, (sample, change))
    # of the two samples, the sum of which is `2 * sample - change`: to read the second one as
    # well would take half as long again
    twice_larger = jnp.abs(2 * sample - change) + jnp.abs(change)
    lower = threshold - 2 * jnp.finfo(twice_larger.dtype).eps * twice_larger
    least = threshold * 0.999
    return jnp.where(lower > least, lower, least)  # faster than a maximum


def signed_spikes(surrogate: AbstractSurrogate, change: Array, threshold: Any) -> Array:
    """1 where `change >= threshold`, −1 where `change <= −threshold`, else 0."""
    return at_least(surrogate, change - threshold) - at_least(surrogate, -change - threshold)
