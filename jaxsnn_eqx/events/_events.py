"""Events of one recording, padded to a fixed number."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
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
from ._times import exactly, multiples, remainder


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
    - `t`: time in seconds, floating, of shape `"capacity"`, in any order. Of NumPy's float64
        and of Python's numbers, what float32 rounds off is kept in the field `rest`, so that
        microseconds are exact after hours too. Times that are float32 already, or JAX arrays,
        have no `rest` (`None`); there, edges of windows are rounded as the times are. Integers,
        which would be ticks, are refused: `from_structured` takes them with their unit.
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
    rest: Float[Array, " capacity"] | None
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
        self.t, self.rest = _rounded(t)
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

    @property
    def sensor_size(self) -> tuple[int, int]:
        """The smallest `(height, width)` that holds all events; `(1, 1)` if there are none.

        Sizes are static, so this runs outside of `jit`. A sensor may be larger: pixels at its
        end that never fire are not seen, and another recording may have another size.
        """
        if any(isinstance(leaf, Tracer) for leaf in (self.x, self.y, self.mask)):
            raise ValueError(
                "`sensor_size` must be known outside of `jit` and `vmap`: pass (height, width)."
            )

        def size(index: Array) -> int:
            return int(np.max(np.where(self.mask, index, 0), initial=0)) + 1

        return size(self.y), size(self.x)

    @staticmethod
    @checked
    def from_structured(
        array: np.ndarray,
        capacity: int | None = None,
        *,
        time_unit: float | None = None,
        origin: int | float | np.integer | np.floating | None = None,
        fields: dict[str, str] | None = None,
        polarities: int = 2,
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
        - `polarities`: with 3, `p` is 0, 1 and 2 (as in Tonic) for −1, 0 and +1. (Keyword
            only.)

        **Returns:**

        An `Events` with the padding at its end.

        **Raises:** `ValueError` if a field is missing, if floating times have no unit, if there
        are more events than `capacity` (`array[:capacity]` truncates them), if a time is NaN or
        infinite, or if `p` has other values than `{0, 1}` or `{-1, 1}`, or `{0, 1, 2}` with
        three polarities.
        """
        x, y, t, p = _columns(array, fields)
        if time_unit is None and t.dtype.kind == "f":
            raise ValueError(
                f"`time_unit` must be given for times of dtype {t.dtype}: 1.0 if they are "
                "seconds, 1e-6 if they are microseconds."
            )
        time_unit = 1e-6 if time_unit is None else positive_number("time_unit")(time_unit)
        signs = _signs(p, polarities)
        seconds = multiples(_since_origin(t, origin), exactly(time_unit))
        hint = " To keep only the first ones, pass `array[:capacity]`."
        return padded(x, y, seconds, signs, capacity, hint)


def padded(
    x: np.ndarray,
    y: np.ndarray,
    t: np.ndarray,
    p: np.ndarray,
    capacity: int | None,
    hint: str = "",
) -> Events:
    """`Events` with padding at their end, up to `capacity`."""
    length = positive_int("capacity")(max(len(t), 1) if capacity is None else capacity)
    if len(t) > length:
        raise ValueError(
            f"`capacity` must be at least the number of events, {len(t)}, got {length}.{hint}"
        )

    def pad(values: np.ndarray, dtype: Any) -> np.ndarray:
        out = np.zeros(length, dtype)
        out[: len(t)] = values
        return out

    return Events(
        x=pad(x, np.int32),
        y=pad(y, np.int32),
        t=pad(t, np.float64),
        p=pad(p, jnp.result_type(float)),
        mask=np.arange(length) < len(t),
    )


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


def _signs(p: np.ndarray, polarities: int) -> np.ndarray:
    """−1, +1 and, of three polarities, 0."""
    if polarities not in (2, 3):
        raise ValueError(f"`polarities` must be 2 or 3, got {polarities!r}.")
    found = set(np.unique(p).astype(float).tolist())
    if polarities == 3 and found <= {0.0, 1.0, 2.0}:
        return p.astype(np.float32) - 1
    if polarities == 2 and (found <= {0.0, 1.0} or found <= {-1.0, 1.0}):
        return np.where(p > 0, 1.0, -1.0)
    allowed = "0 and 1, or -1 and 1" if polarities == 2 else "0, 1 and 2"
    raise ValueError(f"`p` must be {allowed}, got {sorted(found)}.")


def _rounded(t: Array | np.ndarray) -> tuple[Array, Array | None]:
    """Times in the default dtype, and what that rounds off, where it is known."""
    near = as_wide(t)
    if isinstance(t, jax.Array) or t.dtype != np.float64 or near.dtype == np.float64:
        return near, None
    return near, jnp.asarray(remainder(t, np.asarray(near)))
