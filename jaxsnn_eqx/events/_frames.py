"""Events of an event camera to frames, voxel grids and time surfaces, inside jit."""

from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Integer, Shaped

from .._types import (
    NestedNumbers,
    as_integers,
    as_mask,
    as_wide,
    checked,
    positive_int,
    positive_number,
    to_array,
)


class Events(eqx.Module):
    """Events of one recording, padded to a fixed number.

    ```python
    >>> from jaxsnn_eqx.events import Events
    >>> events = Events(x=[3, 0], y=[1, 1], t=[0.0, 2e-3], p=[True, False])
    >>> events.p, events.mask
    (Array([ 1., -1.], dtype=float32), Array([ True,  True], dtype=bool))

    ```

    **Arguments:**

    - `x`, `y`: column and row of the pixel, integers, of shape `"capacity"`.
    - `t`: time in seconds, floating, of shape `"capacity"`, in any order. In float32 a
        microsecond is resolved up to about 8 s from the origin, so choose an origin near the
        events (`from_structured` does) or enable float64. Integers, which would be ticks, are
        refused: `from_structured` takes them with their unit.
    - `p`: polarity. Booleans and integers are signs: +1 above 0, and -1 otherwise, so that
        `{0, 1}` and `{-1, 1}` mean the same. Floating values are weights, which are kept.
    - `mask`: False for padding. All True by default.

    `t` and `p` are kept in float32 or wider.

    **Raises:** jaxtyping's error for arrays of different lengths, `ValueError` for integer
    times.
    """

    x: Int[Array, " capacity"]
    y: Int[Array, " capacity"]
    t: Float[Array, " capacity"]
    p: Float[Array, " capacity"]
    mask: Bool[Array, " capacity"]

    @checked
    def __init__(
        self,
        x: Integer[ArrayLike, " capacity"] | NestedNumbers,
        y: Integer[ArrayLike, " capacity"] | NestedNumbers,
        t: Shaped[ArrayLike, " capacity"] | NestedNumbers,
        p: Shaped[ArrayLike, " capacity"] | NestedNumbers,
        mask: Bool[ArrayLike, " capacity"] | NestedNumbers | None = None,
    ):
        self.x, self.y = as_integers("x", x), as_integers("y", y)
        t = to_array(t)
        if t.dtype.kind in "iu" and t.size:
            raise ValueError(
                f"`t` must be seconds, of a floating dtype, got {t.dtype}. For ticks, such as "
                "microseconds, use `Events.from_structured(array, time_unit=...)`, or multiply "
                "them by their unit, in float64."
            )
        self.t = as_wide(t)
        p = to_array(p)
        if not jnp.issubdtype(p.dtype, jnp.floating):
            p = jnp.where(p > p.dtype.type(0), 1.0, -1.0)
        self.p = as_wide(p)
        self.mask = as_mask("mask", np.ones(self.t.shape, bool) if mask is None else mask)
        lengths = {name: getattr(self, name).shape for name in ("x", "y", "t", "p", "mask")}
        if len(set(lengths.values())) > 1 or self.t.ndim != 1:
            raise ValueError(
                f"`x`, `y`, `t`, `p`, `mask` must be 1-D and of one length, got {lengths}."
            )

    @staticmethod
    @checked
    def from_structured(
        array: np.ndarray,
        capacity: int | None = None,
        *,
        time_unit: float | None = None,
        origin: int | float | np.integer | np.floating | None = None,
        fields: dict[str, str] | None = None,
    ) -> "Events":
        """Events from a NumPy structured array, as Tonic and readers of files return them.

        This runs on the host, outside `jax.jit`. Integer times are exact: the origin is
        subtracted from the integers, before anything is rounded.

        ```python
        >>> import numpy as np
        >>> from jaxsnn_eqx.events import Events
        >>> fields = [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i1")]
        >>> array = np.array([(3, 1, 10**12, 1), (0, 1, 10**12 + 2000, 0)], fields)
        >>> Events.from_structured(array, capacity=3).t
        Array([0.   , 0.002, 0.   ], dtype=float32)

        ```

        **Arguments:**

        - `array`: 1-D, with fields `x`, `t`, `p` and, unless the sensor is a single row
            (as Tonic's audio data), `y`. The time may also be called `timestamp` or `ts`, and
            the polarity `polarity` or `on`, as by dv and by the readers of Prophesee's and of
            Event Stream files.
        - `capacity`: the length to pad to, at least 1; by default the number of events.
        - `time_unit`: seconds per tick of `t`; by default a microsecond for integers. Floating
            times, which may be seconds (as in SHD's files) or ticks, need it. (Keyword only.)
        - `origin`: the tick that becomes time 0, by default that of the earliest event.
            Earlier events have negative times. (Keyword only.)
        - `fields`: other names of fields, such as `{"t": "time"}`. (Keyword only.)

        **Returns:**

        An `Events` with the padding at its end.

        **Raises:** `ValueError` if a field is missing, if floating times have no unit, if there
        are more events than `capacity` (`array[:capacity]` truncates them), if a time is NaN or
        infinite, or if `p` has other values than `{0, 1}` or `{-1, 1}`.
        """
        x, y, t, p = _columns(array, fields)
        if time_unit is None and t.dtype.kind == "f":
            raise ValueError(
                f"`time_unit` must be given for times of dtype {t.dtype}: 1.0 if they are "
                "seconds, 1e-6 if they are microseconds."
            )
        time_unit = 1e-6 if time_unit is None else positive_number("time_unit")(time_unit)
        capacity = positive_int("capacity")(
            max(array.size, 1) if capacity is None else capacity
        )
        if array.size > capacity:
            raise ValueError(
                f"`capacity` must be at least the number of events, {array.size}, got "
                f"{capacity}. To keep only the first ones, pass `array[:capacity]`."
            )
        polarities = set(np.unique(p).astype(float).tolist())
        if not (polarities <= {0.0, 1.0} or polarities <= {-1.0, 1.0}):
            raise ValueError(f"`p` must be 0 and 1, or -1 and 1, got {sorted(polarities)}.")
        seconds = _multiples(_since_origin(t, origin), time_unit)

        def padded(values: Any, dtype: Any) -> np.ndarray:
            out = np.zeros(capacity, dtype)
            out[: array.size] = values
            return out

        return Events(
            x=padded(x, np.int32),
            y=padded(y, np.int32),
            t=padded(seconds, jnp.result_type(float)),
            p=padded(p > 0, bool),
            mask=padded(True, bool),
        )


@checked
def to_frames(
    events: Events, seq_length: int, sensor_size: tuple[int, int] | list[int], dt: float = 1e-3
) -> Float[Array, "{seq_length} 2 height width"]:
    """Counts events per pixel and polarity, in windows of `dt` seconds.

    Frame k counts the events with `k·dt ≤ t < (k+1)·dt`. An event exactly on an edge belongs to
    the later frame, also for times that were integer ticks.

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
    - `sensor_size`: `(height, width)` in pixels. Python ints.
    - `dt`: length of a frame in seconds.

    **Returns:**

    Counts of shape `"time 2 height width"`, off and then on, in the dtype of `events.t`. Events
    are left out if they are before 0 or from `seq_length·dt` on, off the sensor, masked, at a
    NaN or infinite time, or of polarity 0 or NaN; `frames.sum()` is the number of the others.
    The derivative is zero. `jnp.minimum(frames, 1)` turns counts into spikes.

    **Raises:** `ValueError` for sizes that are not ints of at least 1, and for `dt ≤ 0`.
    """
    seq_length, size = _sizes("seq_length", seq_length, sensor_size)
    return _frames(events, _edges(seq_length, dt, events.t.dtype), size)


@checked
def to_frames_by_count(
    events: Events, seq_length: int, sensor_size: tuple[int, int] | list[int], event_count: int
) -> Float[Array, "{seq_length} 2 height width"]:
    """Counts events per pixel and polarity, with `event_count` events in each frame.

    Frame k counts the events from `k·event_count` up to `(k+1)·event_count`, in order of
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

    **Returns:**

    Counts as `to_frames` returns them. Events that it leaves out for their place, polarity or
    mask are left out here too, and so are events after the last frame. A frame for which there
    are too few events counts fewer. The derivative is zero.

    **Raises:** `ValueError` for sizes that are not ints of at least 1.
    """
    seq_length, size = _sizes("seq_length", seq_length, sensor_size)
    event_count = positive_int("event_count")(event_count)
    return _frames_by_count(events, seq_length, size, event_count)


@checked
def to_voxel_grid(
    events: Events, n_bins: int, sensor_size: tuple[int, int] | list[int]
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

    **Returns:**

    The grid, of shape `"bins height width"`, in the dtype of `events.t`. `t_first` and `t_last`
    are the first and last time of the events that are not left out. If they are equal, or with
    one bin, all events are in the first bin. A NaN polarity gives NaN in the event's two bins.

    Differentiable with respect to `p` and `t`, also through `t_first` and `t_last` (several
    events at that time share the derivative). At the time of a bin, the derivative is that of
    the interval after it; at the last bin, that of the interval before it.

    **Raises:** `ValueError` for sizes that are not ints of at least 1.

    Source: Zhu, Yuan, Chaney & Daniilidis, "Unsupervised Event-based Learning of Optical
    Flow, Depth, and Egomotion", CVPR (2019).
    """
    n_bins, size = _sizes("n_bins", n_bins, sensor_size)
    return _voxel_grid(events, n_bins, size)


@checked
def to_time_surface(
    events: Events,
    seq_length: int,
    sensor_size: tuple[int, int] | list[int],
    tau: float,
    dt: float = 1e-3,
) -> Float[Array, "{seq_length} 2 height width"]:
    r"""How recent the last event of each pixel and polarity is, at the end of each window.

    With $t_\text{last}$ the time of the last event in $[0, (k + 1) dt)$, surface $k$ is

    $$
    \exp \left( -\frac{(k + 1) dt - t_\text{last}}{\tau} \right)
    $$

    and 0 where there was no event yet.

    ```python
    >>> from jaxsnn_eqx.events import Events, to_time_surface
    >>> events = Events(x=[0, 1], y=[0, 0], t=[0.0, 1e-3], p=[1, 1])
    >>> to_time_surface(events, 2, sensor_size=(1, 2), tau=1e-3)[:, 1]
    Array([[[0.36787945, 0.        ]],
           [[0.13533528, 0.36787945]]], dtype=float32)

    ```

    **Arguments:**

    - `events`: an `Events`, in any order.
    - `seq_length`: number of surfaces, at least 1. A Python int.
    - `sensor_size`: `(height, width)` in pixels. Python ints.
    - `tau`: time constant of the decay, in seconds. Positive.
    - `dt`: time from one surface to the next, in seconds.

    **Returns:**

    Surfaces in [0, 1), of shape `"time 2 height width"`, off and then on, in the dtype of
    `events.t`. The events that `to_frames` leaves out are left out here too.

    The derivative with respect to the `t` of a last event is the surface divided by `tau`; of
    events at the same time, the last in the array counts. With respect to `p` it is zero.

    **Raises:** `ValueError` for sizes that are not ints of at least 1, and for a `tau` or `dt`
    that is not positive.

    Source: Lagorce et al., "HOTS: A Hierarchy of Event-Based Time-Surfaces for Pattern
    Recognition", IEEE TPAMI (2017).
    """
    seq_length, size = _sizes("seq_length", seq_length, sensor_size)
    tau = positive_number("tau")(tau)
    edges = _edges(seq_length, dt, events.t.dtype)
    return _time_surface(events, edges, size, tau)


_NAMES = {"x": ("x",), "y": ("y",), "t": ("t", "timestamp", "ts"), "p": ("p", "polarity", "on")}


def _columns(array: np.ndarray, fields: dict[str, str] | None) -> list[Any]:
    """The columns x, y (0 if there is none), t and p, by their usual or the given names."""
    present, given = array.dtype.names or (), dict(fields or {})
    if unknown := set(given) - set(_NAMES):
        raise ValueError(f"`fields` must name x, y, t or p, got {sorted(unknown)}.")
    found = []
    for column, usual in _NAMES.items():
        names = (given[column],) if column in given else usual
        name = next((name for name in names if name in present), None)
        if array.ndim != 1 or (name is None and (column != "y" or column in given)):
            raise ValueError(
                "`array` must be a 1-D structured array with fields x, y, t, p, or others "
                f"that `fields` names, got shape {array.shape}, dtype {array.dtype} and "
                f"fields={fields}."
            )
        found.append(np.zeros(array.shape, np.int32) if name is None else array[name])
    return found


def _since_origin(ticks: np.ndarray, origin: Any) -> np.ndarray:
    if not np.isfinite(ticks).all():
        raise ValueError("`t` must be finite, got NaN or infinity.")
    if origin is None:
        origin = ticks.min() if ticks.size else 0
    if not np.isfinite(origin):
        raise ValueError(f"`origin` must be finite, got {origin}.")
    if np.issubdtype(ticks.dtype, np.integer) and origin == int(origin):
        if ticks.dtype == np.uint64:  # differences of ticks beyond 2^63 wrap to the right one
            return (ticks - np.uint64(int(origin) % 2**64)).astype(np.int64)
        return ticks.astype(np.int64) - int(origin)
    return ticks.astype(np.float64) - float(origin)


def _multiples(n: np.ndarray, unit: float) -> np.ndarray:
    """`n·unit`, computed from the decimal digits of `unit` and rounded once.

    3000 ticks of 1e-6 and 3 steps of 1e-3 are then the same number, so that an event on the
    edge of a window is exactly on it.
    """
    decimal = Fraction(repr(unit))
    return n * float(decimal.numerator) / float(decimal.denominator)


def _sizes(name: str, length: Any, sensor_size: Any) -> tuple[int, tuple[int, int]]:
    if len(sensor_size) != 2:
        raise ValueError(f"`sensor_size` must be (height, width), got {sensor_size}.")
    height, width = (positive_int("sensor_size")(n) for n in sensor_size)
    return positive_int(name)(length), (height, width)


def _edges(seq_length: int, dt: float, dtype: Any) -> np.ndarray:
    dt = positive_number("dt")(dt)
    return _multiples(np.arange(seq_length + 1), dt).astype(dtype)


def _frame_of(events: Events, edges: np.ndarray) -> Array:
    """The window of each event; one past the last (or -1) if it is in none."""
    return jnp.searchsorted(jnp.asarray(edges), events.t, side="right").astype(jnp.int32) - 1


def _kept(events: Events, size: tuple[int, int]) -> Array:
    on_sensor = (events.y >= 0) & (events.y < size[0]) & (events.x >= 0) & (events.x < size[1])
    return events.mask & on_sensor & jnp.isfinite(events.t)


def _signed(events: Events) -> Array:
    return (events.p > 0) | (events.p < 0)


def _channel(events: Events) -> Array:
    return (events.p > 0).astype(jnp.int32)


def _rank(events: Events, kept: Array) -> Array:
    """The place of each event in the order of time; those left out come last."""
    # XLA would sort events that it knows, since `jit` closes over them, at compile time, slowly
    times = jax.lax.optimization_barrier(jnp.where(kept, events.t, jnp.inf))
    order = jnp.argsort(times, stable=True)
    places = jnp.arange(order.size, dtype=jnp.int32)
    return jnp.zeros_like(places).at[order].set(places, unique_indices=True)


def _inside(frame: Array, seq_length: int) -> Array:
    # a negative index would wrap around; beyond the end, the scatter drops it
    return jnp.where((frame >= 0) & (frame < seq_length), frame, seq_length)


@eqx.filter_jit
def _frames(events: Events, edges: np.ndarray, size: tuple[int, int]) -> Array:
    return _count(events, _frame_of(events, edges), edges.size - 1, size)


@eqx.filter_jit
def _frames_by_count(
    events: Events, seq_length: int, size: tuple[int, int], event_count: int
) -> Array:
    rank = _rank(events, _kept(events, size) & _signed(events))
    return _count(events, rank // event_count, seq_length, size)


def _count(events: Events, frame: Array, seq_length: int, size: tuple[int, int]) -> Array:
    kept = _kept(events, size) & _signed(events)
    frame = _inside(jnp.where(kept, frame, seq_length), seq_length)
    counts = jnp.zeros((seq_length, 2, *size), jnp.int32)
    counts = counts.at[frame, _channel(events), events.y, events.x].add(1, mode="drop")
    return counts.astype(events.t.dtype)


@eqx.filter_jit
def _voxel_grid(events: Events, n_bins: int, size: tuple[int, int]) -> Array:
    kept = _kept(events, size)
    # `where` before and after the arithmetic: with the second alone, a NaN in an event that is
    # left out would still be in the derivative
    t = jnp.where(kept, events.t, 0)
    first = jnp.min(jnp.where(kept, t, jnp.inf), initial=jnp.inf)
    last = jnp.max(jnp.where(kept, t, -jnp.inf), initial=-jnp.inf)
    spread = last > first
    fraction = jnp.where(spread & kept, t - first, 0) / jnp.where(spread, last - first, 1)
    s = fraction * (n_bins - 1)
    left = jnp.clip(jnp.floor(s).astype(jnp.int32), 0, max(n_bins - 2, 0))
    right_share = s - left.astype(s.dtype)
    p = jnp.where(kept, events.p, 0).astype(s.dtype)

    def add(grid: Array, bins: Array, values: Array) -> Array:
        bins = jnp.where(kept, bins, n_bins)  # beyond the end: the scatter drops it
        return grid.at[bins, events.y, events.x].add(values, mode="drop")

    grid = jnp.zeros((n_bins, *size), s.dtype)
    grid = add(grid, left, p * (1 - right_share))
    return add(grid, left + 1, p * right_share)


@eqx.filter_jit
def _time_surface(
    events: Events, edges: np.ndarray, size: tuple[int, int], tau: float
) -> Array:
    kept = _kept(events, size) & _signed(events)
    length = edges.size - 1
    window = jnp.where(kept, _frame_of(events, edges), length)
    # The last event of a pixel is found by its integer rank, and its time is then gathered: a
    # gather has a derivative, and the maximum of a scatter has none.
    rank = _rank(events, kept) + 1
    last = jnp.zeros((length, 2, *size), jnp.int32)
    last = last.at[_inside(window, length), _channel(events), events.y, events.x].max(
        rank, mode="drop"
    )
    last = jax.lax.cummax(last, axis=0)
    times = jnp.full((events.t.size + 1,), -jnp.inf, events.t.dtype)
    times = times.at[jnp.where(kept, rank, times.size)].set(events.t, mode="drop")
    return jnp.exp((times[last] - jnp.asarray(edges[1:])[:, None, None, None]) / tau)
