"""Events to averaged time surfaces of cells of pixels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._types import checked, positive_int, positive_number
from ._common import (
    channel,
    channels,
    count_leading,
    is_before,
    kept,
    on_sensor,
    put,
    rank,
    since,
    sizes,
    taken,
)
from ._events import Events
from ._times import rounded


@checked
def to_averaged_time_surface(
    events: Events,
    sensor_size: tuple[int, int] | list[int],
    *,
    cell_size: int,
    surface_size: int,
    time_window: float,
    tau: float,
    polarities: int = 2,
) -> Float[Array, "cells {polarities} {surface_size} {surface_size}"]:
    r"""A histogram of averaged time surfaces (HATS): a descriptor of a whole recording.

    The sensor is divided into square cells. The surface of event $i$ is what the events of its
    cell and polarity before it, within `time_window`, left around its pixel: event $j$ left

    $$
    \exp \left( -\frac{t_i - t_j}{\tau} \right)
    $$

    and the event itself 1, in the middle. A cell's surface is the mean of its events'.

    ```python
    >>> from jaxsnn_eqx.events import Events, to_averaged_time_surface
    >>> events = Events(x=[0, 1], y=[1, 1], t=[0.0, 1e-3], p=[1, 1])
    >>> to_averaged_time_surface(
    ...     events, (3, 3), cell_size=3, surface_size=3, time_window=0.1, tau=1e-3
    ... )[0, 1]
    Array([[0.        , 0.        , 0.        ],
           [0.18393973, 1.        , 0.        ],
           [0.        , 0.        , 0.        ]], dtype=float32)

    ```

    **Arguments:**

    - `events`: an `Events`, in any order.
    - `sensor_size`: `(height, width)` in pixels. Python ints.
    - `cell_size`: pixels along the side of a cell; the last cells may be smaller. (Keyword
        only.)
    - `surface_size`: pixels along the side of a surface, odd. (Keyword only.)
    - `time_window`, `tau`: in seconds, positive. (Keyword only.)
    - `polarities`: 1, 2 or 3, as for `to_frames`. (Keyword only.)

    **Returns:**

    Surfaces of shape `"cells polarities surface surface"`, cells from row to row, in the dtype
    of `events.t`; zeros for a cell without events. Events that `to_frames` leaves out for their
    place, polarity or mask are left out here too.

    Differentiable with respect to `t`, except where an event enters or leaves a window.

    **Raises:** `ValueError` for sizes that are not ints of at least 1, an even `surface_size`,
    a `time_window` or `tau` that is not positive, or other `polarities`.

    Source: Sironi, Brambilla, Bourdis, Lagorce & Benosman, "HATS: Histograms of Averaged Time
    Surfaces for Robust Event-based Object Classification", CVPR (2018).
    """
    cell_size, size = sizes("cell_size", cell_size, sensor_size)
    surface_size = positive_int("surface_size")(surface_size)
    if surface_size % 2 == 0:
        raise ValueError(f"`surface_size` must be odd, got {surface_size}.")
    time_window = positive_number("time_window")(time_window)
    tau = positive_number("tau")(tau)
    return _averaged(
        events, size, cell_size, surface_size, time_window, tau, channels(polarities)
    )


@eqx.filter_jit
def _averaged(
    events: Events,
    size: tuple[int, int],
    cell_size: int,
    surface_size: int,
    time_window: float,
    tau: float,
    polarities: int,
) -> Array:
    number = events.t.size
    rows, columns = (-(-side // cell_size) for side in size)
    keep = kept(events, size, polarities)
    # in order of time, what is left out behind
    place = rank(events, keep)
    events = eqx.tree_at(lambda e: e.t, events, jnp.where(keep, events.t, 0))
    events = put(events, place, number)
    keep = jnp.arange(number) < jnp.sum(keep)
    layer = channel(events, polarities)

    def pixel(y: Array, x: Array) -> Array:
        return jnp.where(keep & on_sensor(y, x, size), (layer * size[0] + y) * size[1] + x, -1)

    def cell(y: Array, x: Array) -> Array:
        return (y // cell_size) * columns + x // cell_size

    # and, of these, by pixel
    own = pixel(events.y, events.x)
    order = jnp.argsort(jnp.where(keep, own, polarities * size[0] * size[1]), stable=True)
    sorted_pixel, sorted_place = own[order], order.astype(jnp.int32)
    by_pixel = taken(events, order)
    trace = _trace_of_pixels(by_pixel, sorted_pixel, tau)
    start = _first_within(events, keep, time_window)

    def left_by(where: Array, until: Array) -> Array:
        """What the events at pixel `where`, of places before `until`, left for each event."""

        def earlier(i: Array) -> Array:
            same = (sorted_pixel[i] == where) & (sorted_place[i] < until)
            return (sorted_pixel[i] >= 0) & ((sorted_pixel[i] < where) | same)

        last = jnp.maximum(count_leading(earlier, number, events.t) - 1, 0)
        found = (where >= 0) & (sorted_pixel[last] == where) & (sorted_place[last] < until)
        latest = taken(by_pixel, last)
        age = jnp.where(found, since(events, latest.t, latest.rest), 0)
        return jnp.where(found, trace[last] * jnp.exp(-age / tau), 0)

    here = jnp.where(keep, cell(events.y, events.x), rows * columns)
    radius = surface_size // 2

    def at_offset(offset: Array) -> Array:
        y, x = events.y + offset[0], events.x + offset[1]
        where = jnp.where(cell(y, x) == here, pixel(y, x), -1)
        left = left_by(where, jnp.arange(number, dtype=jnp.int32)) - left_by(where, start)
        left += (offset == 0).all().astype(left.dtype)  # itself
        sums = jnp.zeros((rows * columns, polarities), left.dtype)
        return sums.at[here, layer].add(jnp.where(keep, left, 0), mode="drop")

    span = np.arange(-radius, radius + 1, dtype=np.int32)
    offsets = np.stack(np.meshgrid(span, span, indexing="ij"), -1).reshape(-1, 2)
    sums = jnp.moveaxis(jax.lax.map(at_offset, jnp.asarray(offsets)), 0, -1)
    counts = jnp.zeros((rows * columns, polarities), jnp.int32)
    counts = counts.at[here, layer].add(1, mode="drop")
    means = sums / jnp.maximum(counts, 1).astype(sums.dtype)[..., None]
    return means.reshape(rows * columns, polarities, surface_size, surface_size)


def _trace_of_pixels(events: Events, pixel: Array, tau: float) -> Array:
    """What each event and those before it at its pixel have left by its time."""
    previous = jax.tree.map(lambda leaf: jnp.roll(leaf, 1), events)
    again = (pixel == jnp.roll(pixel, 1)) & (jnp.arange(pixel.size) > 0)
    age = jnp.where(again, since(events, previous.t, previous.rest), 0)
    decay = jnp.where(again, jnp.exp(-age / tau), 0)

    def both(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
        return one[0] * other[0], one[1] * other[0] + other[1]

    return jax.lax.associative_scan(both, (decay, jnp.ones_like(decay)))[1]


def _first_within(events: Events, keep: Array, time_window: float) -> Array:
    """The place of the first event within `time_window` before each event."""
    rest = jnp.zeros_like(events.t) if events.rest is None else events.rest
    near, near_rest = rounded(np.asarray(time_window), events.t.dtype)
    # `t - time_window`, with what its rounding leaves (Knuth's two-sum)
    start = events.t - near
    back = start - events.t
    error = (events.t - (start - back)) - (near + back)
    error += rest - near_rest
    finer = start + error
    error -= finer - start

    def before(i: Array) -> Array:
        return keep[i] & is_before(events.t[i], rest[i], finer, error, or_at=False)

    return count_leading(before, events.t.size, events.t)
