"""Events to frames, by time and by number; which events are left out."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._types import at_least_zero, checked, positive_int
from ._common import (
    Windows,
    channel,
    channels,
    count_at_or_before,
    has_polarity,
    inside,
    kept,
    on_sensor,
    rank,
    sizes,
    window_of,
)
from ._events import Events


@checked
def to_frames(
    events: Events,
    seq_length: int,
    sensor_size: tuple[int, int] | list[int],
    dt: float = 1e-3,
    *,
    overlap: float = 0.0,
    polarities: int = 2,
) -> Float[Array, "{seq_length} {polarities} height width"]:
    """Counts events per pixel and polarity, in windows of `dt` seconds.

    Frame k counts the events with `k·s ≤ t < k·s + dt`, where `s = dt - overlap`. An event
    exactly on an edge belongs to the later frame, also for times that were integer ticks.

    ```python
    >>> from jaxsnn_eqx.events import Events, to_frames
    >>> events = Events(x=[1, 0, 1], y=[0, 0, 0], t=[0.0, 1e-3, 1.5e-3], p=[1, -1, 1])
    >>> to_frames(events, 2, sensor_size=(1, 2))
    Array([[[[0., 0.]],
            [[0., 1.]]],
           [[[1., 0.]],
            [[0., 1.]]]], dtype=float32)

    ```

    **Arguments:**

    - `events`: an `Events`.
    - `seq_length`: number of frames, at least 1. A Python int.
    - `sensor_size`: `(height, width)` in pixels, such as `events.sensor_size`. Python ints.
    - `dt`: length of a frame in seconds.
    - `overlap`: seconds that a frame shares with the next, less than `dt`. (Keyword only.)
    - `polarities`: 2 for off and on, 1 for both in one channel, or 3 for off, zero and on.
        (Keyword only.)

    **Returns:**

    Counts of shape `"time polarities height width"`, in the dtype of `events.t`. Events are
    left out if they are before 0 or after the last frame, off the sensor, masked, at a NaN or
    infinite time, of polarity NaN or, of two polarities, 0. `count_left_out` counts them;
    without overlap, `frames.sum()` is the number of the others. The derivative is zero.
    `jnp.minimum(frames, 1)` turns counts into spikes.

    **Raises:** `ValueError` for sizes that are not ints of at least 1, `dt ≤ 0`, an `overlap`
    outside of `[0, dt)`, or other `polarities`.
    """
    seq_length, size = sizes("seq_length", seq_length, sensor_size)
    windows = Windows.of(seq_length, dt, overlap)
    return _frames(events, windows, size, channels(polarities))


@checked
def to_frames_by_count(
    events: Events,
    seq_length: int,
    sensor_size: tuple[int, int] | list[int],
    event_count: int,
    *,
    overlap: int = 0,
    polarities: int = 2,
) -> Float[Array, "{seq_length} {polarities} height width"]:
    """Counts events per pixel and polarity, with `event_count` events in each frame.

    Frame k counts `event_count` events from number `k·(event_count - overlap)` on, in order of
    time (events at the same time in order of the array).

    ```python
    >>> from jaxsnn_eqx.events import Events, to_frames_by_count
    >>> events = Events(x=[1, 0, 1], y=[0, 0, 0], t=[0.0, 1e-3, 1.5e-3], p=[1, -1, 1])
    >>> to_frames_by_count(events, 2, sensor_size=(1, 2), event_count=2).sum(1)
    Array([[[1., 1.]],
           [[0., 1.]]], dtype=float32)

    ```

    **Arguments:**

    - `events`: an `Events`.
    - `seq_length`: number of frames, at least 1. A Python int.
    - `sensor_size`: `(height, width)` in pixels. Python ints.
    - `event_count`: events in a frame, at least 1. A Python int.
    - `overlap`: events that a frame shares with the next, fewer than `event_count`. (Keyword
        only.)
    - `polarities`: 1, 2 or 3, as for `to_frames`. (Keyword only.)

    **Returns:**

    Counts as `to_frames` returns them. Events that it leaves out for their place, polarity or
    mask are left out here too, and so are events after the last frame. A frame for which there
    are too few events counts fewer. The derivative is zero.

    **Raises:** `ValueError` for sizes that are not ints of at least 1, an `overlap` outside of
    `[0, event_count)`, or other `polarities`.
    """
    seq_length, size = sizes("seq_length", seq_length, sensor_size)
    event_count = positive_int("event_count")(event_count)
    overlap = at_least_zero("overlap")(overlap)
    if overlap >= event_count:
        raise ValueError(
            f"`overlap` must be less than `event_count`, {event_count}, got {overlap}."
        )
    stride = event_count - overlap
    return _frames_by_count(events, seq_length, size, event_count, stride, channels(polarities))


class LeftOut(NamedTuple):
    """How many events `to_frames` leaves out, each counted under the first that applies."""

    off_sensor: Int[Array, ""]
    no_time: Int[Array, ""]
    no_polarity: Int[Array, ""]
    before: Int[Array, ""]
    after: Int[Array, ""]


@checked
def count_left_out(
    events: Events,
    seq_length: int,
    sensor_size: tuple[int, int] | list[int],
    dt: float = 1e-3,
    *,
    overlap: float = 0.0,
    polarities: int = 2,
) -> LeftOut:
    """Counts the events that `to_frames`, called with the same arguments, leaves out.

    ```python
    >>> from jaxsnn_eqx.events import Events, count_left_out
    >>> events = Events(x=[0, 9, 0], y=[0, 0, 0], t=[0.0, 0.0, 3e-3], p=[1, 1, 1])
    >>> {name: int(n) for name, n in count_left_out(events, 2, (1, 2))._asdict().items()}
    {'off_sensor': 1, 'no_time': 0, 'no_polarity': 0, 'before': 0, 'after': 1}

    ```

    **Arguments:** those of `to_frames`.

    **Returns:**

    A named tuple of whole numbers: off the sensor, at a NaN or infinite time, of polarity NaN
    or 0, before 0, and after the last frame. Masked events, the padding, are not counted.

    **Raises:** as `to_frames`.
    """
    seq_length, size = sizes("seq_length", seq_length, sensor_size)
    return _left_out(events, Windows.of(seq_length, dt, overlap), size, channels(polarities))


@eqx.filter_jit
def _frames(events: Events, windows: Windows, size: tuple[int, int], polarities: int) -> Array:
    shape = (windows.length, polarities, *size)
    if windows.together == 1:
        return _count(events, shape, 1, lambda _: window_of(events, windows))
    first = count_at_or_before(events, windows.ends())
    last = count_at_or_before(events, windows.starts()) - 1

    def frame(back: Array | int) -> Array:
        return jnp.where(last - back >= first, last - back, windows.length)

    return _count(events, shape, windows.together, frame)


@eqx.filter_jit
def _frames_by_count(
    events: Events,
    seq_length: int,
    size: tuple[int, int],
    event_count: int,
    stride: int,
    polarities: int,
) -> Array:
    place = rank(events, kept(events, size, polarities))

    def frame(back: Array | int) -> Array:
        found = place // stride - back
        return jnp.where(place - found * stride < event_count, found, seq_length)

    shape = (seq_length, polarities, *size)
    return _count(events, shape, -(-event_count // stride), frame)


def _count(
    events: Events,
    shape: tuple[int, int, int, int],
    together: int,
    frame: Callable[[Array | int], Array],
) -> Array:
    """Counts each event in `frame(0)` up to `frame(together - 1)`, where there are such."""
    length, polarities, *size = shape
    keep = kept(events, (size[0], size[1]), polarities)
    of_pixel = channel(events, polarities), events.y, events.x

    def add(back: Array | int, frames: Array) -> Array:
        where = inside(jnp.where(keep, frame(back), length), length)
        return frames.at[where, *of_pixel].add(1, mode="drop")

    frames = add(0, jnp.zeros(shape, jnp.int32))
    if together > 1:
        frames = jax.lax.fori_loop(1, together, add, frames)
    return frames.astype(events.t.dtype)


@eqx.filter_jit
def _left_out(
    events: Events, windows: Windows, size: tuple[int, int], polarities: int
) -> LeftOut:
    reasons = {
        "off_sensor": ~on_sensor(events.y, events.x, size),
        "no_time": ~jnp.isfinite(events.t),
        "no_polarity": ~has_polarity(events, polarities),
        "before": count_at_or_before(events, windows.starts()) == 0,
        "after": count_at_or_before(events, windows.ends()) == windows.length,
    }
    left, counts = events.mask, {}
    for name, applies in reasons.items():
        counts[name] = jnp.sum(left & applies, dtype=jnp.int32)
        left &= ~applies
    return LeftOut(**counts)
