"""Events to voxel grids."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import checked
from ._common import kept, since, sizes
from ._events import Events


@checked
def to_voxel_grid(
    events: Events,
    n_bins: int,
    sensor_size: tuple[int, int] | list[int],
    *,
    scaling: str = "zhu",
) -> Float[Array, "{n_bins} height width"]:
    r"""Polarities per pixel, divided between the two nearest of `n_bins` points in time.

    An event of polarity $p$ at time $t$ adds $p \max(0, 1 - \left|b - s\right|)$ to bin $b$,
    with its position

    $$
    s = (n_\text{bins} - 1) \frac{t - t_\text{first}}{t_\text{last} - t_\text{first}}
    $$

    The first event is completely in the first bin and the last one in the last, and the sum of
    the grid is the sum of the polarities.

    ```python
    >>> from jaxsnn_eqx.events import Events, to_voxel_grid
    >>> events = Events(x=[0, 0, 1], y=[0, 0, 0], t=[0.0, 0.25, 1.0], p=[1, -1, 1])
    >>> to_voxel_grid(events, 3, sensor_size=(1, 2))
    Array([[[ 0.5,  0. ]],
           [[-0.5,  0. ]],
           [[ 0. ,  1. ]]], dtype=float32)

    ```

    **Arguments:**

    - `events`: an `Events`. Floating `p` are weights of their events.
    - `n_bins`: number of bins, at least 1. A Python int.
    - `sensor_size`: `(height, width)` in pixels. Python ints.
    - `scaling`: `"zhu"`, as above, or `"tonic"`, which has $n_\text{bins}$ in place of
        $n_\text{bins} - 1$: what then belongs to a bin after the last one is left out, the last
        event among it. (Keyword only.)

    **Returns:**

    The grid, of shape `"bins height width"`, in the dtype of `events.t`. `t_first` and `t_last`
    are the first and last time of the events that are not left out. If they are equal, or with
    one bin, all events are in the first bin. A NaN polarity gives NaN in the event's two bins.

    Differentiable with respect to `p` and `t`, also through `t_first` and `t_last` (several
    events at that time share the derivative). At the time of a bin, the derivative is that of
    the interval after it; at the last bin, that of the interval before it.

    **Raises:** `ValueError` for sizes that are not ints of at least 1, or another `scaling`.

    Source: Zhu, Yuan, Chaney & Daniilidis, "Unsupervised Event-based Learning of Optical
    Flow, Depth, and Egomotion", CVPR (2019).
    """
    n_bins, size = sizes("n_bins", n_bins, sensor_size)
    if scaling not in ("zhu", "tonic"):
        raise ValueError(f'`scaling` must be "zhu" or "tonic", got {scaling!r}.')
    if scaling == "tonic":
        return _voxel_grid(events, n_bins + 1, size)[:-1]
    return _voxel_grid(events, n_bins, size)


@eqx.filter_jit
def _voxel_grid(events: Events, n_bins: int, size: tuple[int, int]) -> Array:
    keep = kept(events, size)
    # `where` before and after the arithmetic: with the second alone, a NaN in an event that is
    # left out would still be in the derivative
    events = eqx.tree_at(lambda e: e.t, events, jnp.where(keep, events.t, 0))
    seconds = since(events, *_earliest(events, keep))
    last = jnp.max(jnp.where(keep, seconds, 0), initial=0)
    spread = last > 0
    fraction = jnp.where(spread & keep, seconds, 0) / jnp.where(spread, last, 1)
    s = fraction * (n_bins - 1)
    left = jnp.clip(jnp.floor(s).astype(jnp.int32), 0, max(n_bins - 2, 0))
    right_share = s - left.astype(s.dtype)
    p = jnp.where(keep, events.p, 0).astype(s.dtype)

    def add(grid: Array, bins: Array, values: Array) -> Array:
        bins = jnp.where(keep, bins, n_bins)  # beyond the end: the scatter drops it
        return grid.at[bins, events.y, events.x].add(values, mode="drop")

    grid = jnp.zeros((n_bins, *size), s.dtype)
    grid = add(grid, left, p * (1 - right_share))
    return add(grid, left + 1, p * right_share)


def _earliest(events: Events, keep: Array) -> tuple[Array, Array | None]:
    """The first time of the events that count, and what it rounds off."""
    first = jnp.min(jnp.where(keep, events.t, jnp.inf), initial=jnp.inf)
    if events.rest is None:
        return first, None
    at_first = keep & (events.t == first)
    return first, jnp.min(jnp.where(at_first, events.rest, jnp.inf), initial=jnp.inf)
