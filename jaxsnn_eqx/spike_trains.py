"""Spike trains in three forms: dense, packed into bits, and lists of events.

Layers take and return dense trains of shape `"time *shape"`, which are mostly zeros. Packed
trains, with one bit per step, are for storage (32 times less than float32). Lists of events are
for sparse trains and for event-driven hardware. All conversions work inside `jax.jit` and under
`jax.vmap`.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Int, Shaped, UInt8

from ._types import NestedNumbers as _NestedNumbers
from ._types import at_least_zero as _at_least_zero
from ._types import checked as _checked
from ._types import positive_int as _positive_int
from ._types import spike_dtype as _spike_dtype
from ._types import to_array as _to_array


class PackedSpikes(eqx.Module):
    """A spike train with one bit per step, and its length.

    `pack` returns it. It is a PyTree, so it can be stacked, saved, or indexed over a batch. Bit
    `t % 8` (the lowest first) of `words[t // 8]` is step `t`. The length is stored because 9
    and 16 steps have the same number of words.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx.spike_trains import PackedSpikes
    >>> PackedSpikes(jnp.array([0b101], jnp.uint8), length=3)
    PackedSpikes(words=u8[1], length=3)

    ```

    **Arguments:**

    - `words`: uint8 of shape `"words *shape"`, with `words = ceil(length / 8)`.
    - `length`: number of steps, at least 0. Static: another length compiles again.

    **Raises:** `ValueError` if the two disagree.
    """

    words: UInt8[Array, "words *shape"]
    length: int = eqx.field(static=True, converter=_at_least_zero("length"))

    def __check_init__(self):
        if self.words.shape[0] != -(-self.length // 8):
            raise ValueError(
                f"`words` must have ceil(length / 8) = {-(-self.length // 8)} words for "
                f"`length` = {self.length}, got shape {self.words.shape}."
            )


@_checked
def pack(spikes: Shaped[ArrayLike, "time *shape"] | _NestedNumbers) -> PackedSpikes:
    """Packs binary spikes into one bit per step.

    ```python
    >>> from jaxsnn_eqx.spike_trains import pack, unpack
    >>> packed = pack([1, 0, 0, 1, 1, 0, 0, 0, 1])
    >>> packed.words, packed.length
    (Array([25,  1], dtype=uint8), 9)
    >>> unpack(packed, bool).astype(int)
    Array([1, 0, 0, 1, 1, 0, 0, 0, 1], dtype=int32)

    ```

    **Arguments:**

    - `spikes`: 0 or 1, of any dtype and of shape `"time *shape"`.

    **Returns:**

    A `PackedSpikes`; `unpack` returns exactly the same spikes. There is no derivative.

    **Raises:** `ValueError` for values other than 0 and 1, such as signed or graded spikes and
    NaN; use an `EventList` for those. Under `jax.jit` and `jax.vmap` values cannot be checked:
    there, values above 0 are spikes, and all others, NaN included, are not.
    """
    spikes = _as_train(spikes)
    if not isinstance(spikes, Tracer):
        values = np.asarray(spikes)
        wrong = values[(values != 0) & (values != 1)]
        if wrong.size:
            raise ValueError(
                f"`spikes` must be 0 or 1 to be packed into bits, got {wrong.flat[0]} "
                f"({wrong.size} of {values.size} values are neither)."
            )
    return PackedSpikes(_packed(spikes), spikes.shape[0])


@_checked
def unpack(packed: PackedSpikes, dtype: Any = jnp.float32) -> Shaped[Array, "time *shape"]:
    """The dense spikes of `packed`: the inverse of `pack`.

    **Arguments:**

    - `packed`: from `pack`.
    - `dtype`: dtype of the spikes, floating, boolean or integer.

    **Returns:**

    Zeros and ones of shape `"time *shape"`, with `time = packed.length`.
    """
    return _unpacked(packed, _spike_dtype(dtype) or jnp.dtype(jnp.float32))


@jax.jit
def _packed(spikes: Array) -> Array:
    return jnp.packbits(spikes > spikes.dtype.type(0), axis=0, bitorder="little")


@eqx.filter_jit
def _unpacked(packed: PackedSpikes, dtype: Any) -> Array:
    n_words, *shape = packed.words.shape
    # `jnp.unpackbits` fails for an empty axis
    bit = jnp.arange(8, dtype=jnp.uint8).reshape(1, 8, *(1 for _ in shape))
    bits = (packed.words[:, None] >> bit) & 1
    return bits.reshape(8 * n_words, *shape)[: packed.length].astype(dtype)


class EventList(eqx.Module):
    """A list of the spikes of a train, padded to a fixed capacity.

    `to_events` returns it, in order of time and then of index. The index is that of the
    flattened train, as a scatter, a gather or `jax.ops.segment_sum` takes it;
    `jnp.unravel_index(events.index, events.shape)` is an index per axis.

    ```python
    >>> from jaxsnn_eqx.spike_trains import to_events
    >>> events = to_events([[0, 1], [0, 0], [-1, 1]], capacity=4)
    >>> events.t, events.index, events.value
    (Array([0, 2, 2, 0], dtype=int32), Array([1, 0, 1, 0], dtype=int32), Array([ 1, -1,  1,  0], dtype=int32))
    >>> events.mask, events.dropped
    (Array([ True,  True,  True, False], dtype=bool), Array(0, dtype=int32))

    ```

    **Arguments:**

    - `t`: the step of each event, of shape `"capacity"`.
    - `index`: its index in the flattened (C order) `shape`, of shape `"capacity"`.
    - `value`: its value: 1, or another number for signed and graded spikes.
    - `mask`: False for padding, where the other fields are 0.
    - `dropped`: the number of spikes above the capacity. 0 if the list is complete.
    - `length`: number of steps. Static.
    - `shape`: shape of one step. Static.
    """  # noqa: E501

    t: Int[Array, " capacity"]
    index: Int[Array, " capacity"]
    value: Shaped[Array, " capacity"]
    mask: Bool[Array, " capacity"]
    dropped: Int[Array, ""]
    length: int = eqx.field(static=True, converter=_at_least_zero("length"))
    shape: tuple[int, ...] = eqx.field(static=True)


@_checked
def to_events(
    spikes: Shaped[ArrayLike, "time *shape"] | _NestedNumbers, capacity: int
) -> EventList:
    """Lists the spikes of a dense train: every value that is not zero, NaN included.

    ```python
    >>> from jaxsnn_eqx.spike_trains import from_events, to_events
    >>> from_events(to_events([[0.0, 1.0], [-1.0, 0.0]], capacity=5))
    Array([[ 0.,  1.],
           [-1.,  0.]], dtype=float32)

    ```

    **Arguments:**

    - `spikes`: spikes, signed spikes or graded ones, of shape `"time *shape"`.
    - `capacity`: the length of the list, at least 1. A Python int.

    **Returns:**

    An `EventList`. If there are more spikes than `capacity`, the first ones are kept, and
    `dropped` is the number of the others, inside and outside of `jax.jit`: the list is complete
    if and only if `dropped` is 0. The values are differentiable; times and indices are not.

    **Raises:** `ValueError` for a `capacity` that is not an int of at least 1.
    """
    return _listed(_as_train(spikes), _positive_int("capacity")(capacity))


@eqx.filter_jit
def _listed(spikes: Array, capacity: int) -> EventList:
    length, *shape = spikes.shape
    size = math.prod(shape)
    # an empty array cannot be gathered from
    flat = spikes.reshape(-1) if spikes.size else jnp.zeros(1, spikes.dtype)
    (at,) = jnp.nonzero(flat, size=capacity, fill_value=flat.size)
    at = at.astype(jnp.int32)
    total = jnp.count_nonzero(flat).astype(jnp.int32)
    mask = jnp.arange(capacity, dtype=jnp.int32) < total
    at = jnp.where(mask, at, 0)
    return EventList(
        t=at // max(size, 1),
        index=at % max(size, 1),
        value=jnp.where(mask, flat[at], flat.dtype.type(0)),
        mask=mask,
        dropped=jnp.maximum(total - capacity, 0),
        length=length,
        shape=tuple(shape),
    )


@_checked
def from_events(events: EventList) -> Shaped[Array, "time *shape"]:
    """The dense train of a list of events: the inverse of `to_events`.

    **Arguments:**

    - `events`: from `to_events`. In other lists, events outside `length` or `shape` are left
        out, and each pair of step and index may occur only once.

    **Returns:**

    A train of shape `"time *shape"` in the dtype of `events.value`, without the `dropped`
    spikes. Differentiable with respect to `events.value`.
    """
    return _dense(events)


@eqx.filter_jit
def _dense(events: EventList) -> Array:
    size = math.prod(events.shape)
    inside = (events.t >= 0) & (events.index >= 0) & (events.index < size) & events.mask
    t = jnp.where(inside, events.t, events.length)  # beyond the end: the scatter drops it
    dense = jnp.zeros((events.length, size), events.value.dtype)
    dense = dense.at[t, events.index].set(events.value, mode="drop")
    return dense.reshape(events.length, *events.shape)


def _as_train(spikes: ArrayLike | _NestedNumbers) -> Array:
    # the annotation has checked the shape of an array, but not that of a list
    given = _to_array(spikes)
    if given.ndim == 0:
        raise ValueError('`spikes` must be of shape "time *shape", got a scalar.')
    spikes = jnp.asarray(given)
    narrowed = given.dtype.kind in "iu" and spikes.dtype != given.dtype  # by JAX
    if narrowed and not np.array_equal(spikes, given):
        raise ValueError(f"`spikes` must fit into {spikes.dtype}, got {given.max()}.")
    return spikes
