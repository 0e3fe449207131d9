"""Events to time surfaces."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._types import checked, positive_number
from ._common import (
    Windows,
    channel,
    channels,
    kept,
    put,
    rank,
    since,
    sizes,
    taken,
    window_of,
)
from ._events import Events
from ._times import rounded


@checked
def to_time_surface(
    events: Events,
    seq_length: int,
    sensor_size: tuple[int, int] | list[int],
    tau: float,
    dt: float = 1e-3,
    *,
    polarities: int = 2,
) -> Float[Array, "{seq_length} {polarities} height width"]:
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
    - `polarities`: 1, 2 or 3, as for `to_frames`. (Keyword only.)

    **Returns:**

    Surfaces in [0, 1), of shape `"time polarities height width"`, in the dtype of `events.t`.
    The events that `to_frames` leaves out are left out here too.

    The derivative with respect to the `t` of a last event is the surface divided by `tau`; of
    events at the same time, the last in the array counts. With respect to `p` it is zero.

    **Raises:** `ValueError` for sizes that are not ints of at least 1, and for a `tau` or `dt`
    that is not positive.

    Source: Lagorce et al., "HOTS: A Hierarchy of Event-Based Time-Surfaces for Pattern
    Recognition", IEEE TPAMI (2017).
    """
    seq_length, size = sizes("seq_length", seq_length, sensor_size)
    tau = positive_number("tau")(tau)
    windows = Windows.of(seq_length, dt)
    return _time_surface(events, windows, size, tau, channels(polarities))


@eqx.filter_jit
def _time_surface(
    events: Events, windows: Windows, size: tuple[int, int], tau: float, polarities: int
) -> Array:
    keep = kept(events, size, polarities)
    length = windows.length
    window = jnp.where(keep, window_of(events, windows), length)
    # The last event of a pixel is found by its integer rank, and its time is then gathered: a
    # gather has a derivative, and the maximum of a scatter has none.
    place = rank(events, keep) + 1
    last = jnp.zeros((length, polarities, *size), jnp.int32)
    at = last.at[window, channel(events, polarities), events.y, events.x]
    last = jax.lax.cummax(at.max(place, mode="drop"), axis=0)
    beyond = events.t.size + 1
    chosen = taken(put(events, jnp.where(keep, place, beyond), beyond), last)
    end, rest = (part[:, None, None, None] for part in rounded(windows.ends(), events.t.dtype))
    seconds = jnp.where(last > 0, since(chosen, end, rest), 0)  # 0: no event yet
    return jnp.where(last > 0, jnp.exp(seconds / tau), 0)
