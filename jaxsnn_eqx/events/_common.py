"""What all transforms share: sizes, the events that count, windows, and the order of time."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from .._types import number_of_at_least_zero, positive_int, positive_number
from ._events import Events
from ._times import exactly, multiples, rounded


def sizes(name: str, length: Any, sensor_size: Any) -> tuple[int, tuple[int, int]]:
    """A length by its name, and `(height, width)`, as ints of at least 1."""
    if len(sensor_size) != 2:
        raise ValueError(f"`sensor_size` must be (height, width), got {sensor_size}.")
    height, width = (positive_int("sensor_size")(n) for n in sensor_size)
    return positive_int(name)(length), (height, width)


def channels(polarities: Any) -> int:
    """The number of channels, from what a user gives."""
    if isinstance(polarities, bool) or polarities not in (1, 2, 3):
        raise ValueError(
            "`polarities` must be 1 (all in one), 2 (off, on) or 3 (off, zero, on), got "
            f"{polarities!r}."
        )
    return int(polarities)


def kept(events: Events, size: tuple[int, int], polarities: int | None = None) -> Array:
    """Which events count: by mask, place and time and, for so many polarities, by `p`."""
    keep = events.mask & on_sensor(events.y, events.x, size) & jnp.isfinite(events.t)
    return keep if polarities is None else keep & has_polarity(events, polarities)


def on_sensor(y: Array, x: Array, size: tuple[int, int]) -> Array:
    """Whether there is a pixel in this row and column."""
    return (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])


def has_polarity(events: Events, polarities: int) -> Array:
    """Whether an event has a channel: not if NaN, nor, of two channels, if 0."""
    has = ~jnp.isnan(events.p)
    return has & (events.p != 0) if polarities == 2 else has


def channel(events: Events, polarities: int) -> Array:
    """The channel of each event that has one."""
    if polarities == 1:
        return jnp.zeros(events.p.shape, jnp.int32)
    if polarities == 2:
        return (events.p > 0).astype(jnp.int32)
    return 1 + (events.p > 0).astype(jnp.int32) - (events.p < 0).astype(jnp.int32)


class Windows(NamedTuple):
    """`length` windows of `dt` seconds, one every `stride` seconds from 0."""

    length: int
    dt: Fraction
    stride: Fraction

    @staticmethod
    def of(length: int, dt: Any, overlap: Any = 0.0) -> "Windows":
        width = exactly(positive_number("dt")(dt))
        shared = exactly(number_of_at_least_zero("overlap")(overlap))
        if shared >= width:
            raise ValueError(f"`overlap` must be less than `dt`, {dt}, got {overlap}.")
        return Windows(length, width, width - shared)

    @property
    def together(self) -> int:
        """The largest number of windows that one event is in."""
        return -int(-self.dt // self.stride)

    def starts(self) -> np.ndarray:
        return multiples(np.arange(self.length), self.stride)

    def ends(self) -> np.ndarray:
        return multiples(np.arange(self.length), self.stride, self.dt)


def window_of(events: Events, windows: Windows) -> Array:
    """The window of each event, of windows that share none; `length` if it is in none."""
    last = count_at_or_before(events, np.append(windows.starts(), windows.ends()[-1])) - 1
    return inside(last, windows.length)


def count_at_or_before(events: Events, edges: np.ndarray) -> Array:
    """How many of the increasing `edges` are at or before the time of each event."""
    edge, rest = map(jnp.asarray, rounded(edges, events.t.dtype))
    if events.rest is None:
        return jnp.searchsorted(edge, events.t, side="right").astype(jnp.int32)

    def at_or_before(i: Array) -> Array:
        return is_before(edge[i], rest[i], events.t, events.rest, or_at=True)

    return count_leading(at_or_before, edges.size, events.t)


def is_before(t: Array, rest: Any, other: Array, other_rest: Any, *, or_at: bool) -> Array:
    """Compares times with what they round off, which decides where the rounded are equal."""
    equal = rest <= other_rest if or_at else rest < other_rest
    return (t < other) | ((t == other) & equal)


def count_leading(holds: Callable[[Array], Array], size: int, like: Array) -> Array:
    """The first index at which `holds`, true up to there, is false; for each of `like`."""

    def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        lower, upper = bounds
        middle = (lower + upper) // 2
        further = (lower < upper) & holds(jnp.minimum(middle, size - 1))
        stays = further | (lower >= upper)
        return jnp.where(further, middle + 1, lower), jnp.where(stays, upper, middle)

    lower = jnp.zeros_like(like, jnp.int32)
    upper = jnp.full_like(like, size, jnp.int32)
    return jax.lax.fori_loop(0, size.bit_length(), halve, (lower, upper))[0]


def rank(events: Events, keep: Array) -> Array:
    """The place of each event in the order of time; those left out come last."""
    # XLA would sort events that it knows, since `jit` closes over them, at compile time, slowly
    times = jax.lax.optimization_barrier(jnp.where(keep, events.t, jnp.inf))
    keys = (times,) if events.rest is None else (events.rest, times)
    order = jnp.lexsort(keys)  # stable
    places = jnp.arange(order.size, dtype=jnp.int32)
    return jnp.zeros_like(places).at[order].set(places, unique_indices=True)


def put(events: Events, places: Array, size: int) -> Events:
    """Events at their new places; those whose place is beyond `size` are dropped."""

    def one(leaf: Array) -> Array:
        return jnp.zeros_like(leaf, shape=(size,)).at[places].set(leaf, mode="drop")

    return jax.tree.map(one, events)


def taken(events: Events, places: Array) -> Events:
    """The events at these places, of any shape."""
    return jax.tree.map(lambda leaf: leaf[places], events)


def inside(index: Array, length: int) -> Array:
    """`index`, or `length` for one that is not below it; there, a scatter drops it."""
    # a negative index would wrap around
    return jnp.where((index >= 0) & (index < length), index, length)


def since(events: Events, t: ArrayLike, rest: Any) -> Array:
    """Seconds from `t` to each event; the derivative is that of the rounded times."""
    seconds = events.t - t
    if events.rest is None:
        return seconds
    return seconds + jax.lax.stop_gradient(events.rest - rest)
