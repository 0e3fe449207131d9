"""Shape vocabulary, the shape-checking decorator, and conversion of inputs at entry.

Axis names used in every public signature: `time` (always axis 0), `*shape` (any shape,
`()` and empty included), `in_features`, `out_features`, `classes`. There is no batch
axis: `jax.vmap` adds it.
"""

import dataclasses
import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from jax.core import Tracer
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Shaped, jaxtyped

if TYPE_CHECKING:
    Convertible = np.ndarray
else:

    class _ConvertibleMeta(type):
        def __instancecheck__(cls, x: Any) -> bool:
            return hasattr(x, "__array__") and not isinstance(
                x, np.ndarray | np.generic | Array
            )

    class Convertible(metaclass=_ConvertibleMeta):
        """Tensors and tables of other libraries, which `np.asarray` converts."""


# These are accepted too. Lists have no shape, so they are converted first, and the shape of the
# resulting array is checked.
NestedNumbers = list | tuple | Convertible

AnyInput = Shaped[ArrayLike, "..."] | NestedNumbers
"""Array-like, of any shape."""

Sample = Shaped[ArrayLike, "*shape"] | NestedNumbers
"""Values, or the input of one step."""

First = Sample | Shaped[jax.ShapeDtypeStruct, "*shape"]
"""What `init` takes: the input of one step, or its shape and dtype."""

AnyFirst = AnyInput | jax.ShapeDtypeStruct
"""The same, of any shape."""

Signal = Shaped[ArrayLike, "time *shape"] | NestedNumbers
"""A sequence of inputs, with time on axis 0."""

Constant = float | tuple | Array
"""A field of an encoder: a float or (nested) tuple is fixed, a JAX array is trainable."""

_AnyNumber = bool | int | float | np.bool | np.number
_CONVERTED = BeartypeConf(hint_overrides=FrozenDict({int: _AnyNumber, float: _AnyNumber}))

checked = jaxtyped(typechecker=beartype(conf=_CONVERTED))
"""Checks the annotations of a function or method as it is traced.

Any number passes as an `int` or a `float`: the converters below take or refuse it in words.
"""


def to_array(x: ArrayLike | NestedNumbers) -> Array | np.ndarray:
    """An array in the dtype that was given: a NumPy one, if nothing in `x` is a JAX array.

    JAX makes 32 bits of 64, so what is converted in NumPy must be converted before.
    """
    if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(x)):
        return jnp.asarray(x)
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"a nested list must have rows of one length: {error} Sequences of different "
            "lengths are padded: see `run_masked`."
        ) from error
    if x.dtype.kind not in "biufcV":
        raise ValueError(f"the input must be numbers, got an array of dtype {x.dtype}.")
    return x


def as_floating(x: ArrayLike | NestedNumbers) -> Array:
    """Converts an array-like to a floating JAX array; integers become the default float."""
    x = to_array(x)
    if isinstance(x, np.ndarray) and x.dtype.kind in "iu":
        x = x.astype(jnp.result_type(float))
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise ValueError(
            f"the input must be real (floating, integer or boolean), got {x.dtype}"
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(jnp.result_type(float))
    return jax.lax.convert_element_type(x, x.dtype)  # drops the weak type


def as_first(x: ArrayLike | NestedNumbers | jax.ShapeDtypeStruct) -> Array:
    """Converts what `init` takes: the input of one step, or zeros in its place."""
    if isinstance(x, jax.ShapeDtypeStruct):
        x = jnp.zeros(x.shape, x.dtype)
    if isinstance(x, tuple) and all(isinstance(size, int) for size in x):
        raise ValueError(
            f"`x` must be one step's input, got the tuple {x}: for a shape, pass "
            f'`jax.ShapeDtypeStruct({x}, "float32")`; for values, an array or a list.'
        )
    return as_floating(x)


def state_dtype(x: Array) -> Any:
    """The dtype that a state driven by `x` is kept in: float32 or wider."""
    return x.dtype if jnp.finfo(x.dtype).bits >= 32 else jnp.dtype(jnp.float32)


def as_wide(x: ArrayLike | NestedNumbers) -> Array:
    """As `as_floating`, in float32 or wider, for values that are used in computations."""
    x = as_floating(x)
    return x.astype(state_dtype(x))


def as_integers(name: str, x: ArrayLike | NestedNumbers) -> Array:
    """Converts whole numbers to int32; those beyond its range to its ends."""
    x = to_array(x)
    if x.dtype.kind not in "iu" and x.size:
        raise ValueError(f"`{name}` must be integers, got {x.dtype}.")
    if isinstance(x, np.ndarray) and x.dtype.itemsize > 2 and x.size:
        x = np.minimum(x, x.dtype.type(2**31 - 1)).astype(np.int64)
        x = np.maximum(x, -(2**31))
    return jnp.asarray(x).astype(jnp.int32)


def as_index(name: str, x: ArrayLike, size: int) -> tuple[Array, Array]:
    """An index of `size` things, and whether it is one; outside of `jit` others are refused."""
    index = as_integers(name, x)
    if not isinstance(index, Tracer) and not 0 <= int(index) < size:
        raise ValueError(f"`{name}` must be from 0 to {size - 1}, got {x}.")
    return jnp.clip(index, 0, size - 1), (index >= 0) & (index < size)


def as_mask(name: str, x: ArrayLike | NestedNumbers) -> Array:
    """Converts booleans; refuses everything else."""
    x = to_array(x)
    if x.dtype.kind != "b" and x.size:
        raise ValueError(f"`{name}` must be booleans, got {x.dtype}.")
    return jnp.asarray(x, bool)


def zero_state(x: Array, before: tuple[int, ...] = (), after: tuple[int, ...] = ()) -> Array:
    """A state of zeros for the input `x`, with more axes around it; follows its sharding."""
    zeros = jnp.zeros_like(x, dtype=state_dtype(x))
    if not before and not after:
        return zeros
    # from the zeros of `x`, and not from new ones: they vary over devices as `x` does
    zeros = jnp.expand_dims(zeros, range(x.ndim, x.ndim + len(after)))
    return broadcast_like(zeros, x, before, after)


def broadcast_like(
    value: ArrayLike, x: Array, before: tuple[int, ...] = (), after: tuple[int, ...] = ()
) -> Array:
    """`value` with the shape of `x`, and more axes around it; follows the sharding of `x`."""
    sharding = jax.typeof(x).sharding
    spec = P(*(None for _ in before), *sharding.spec, *(None for _ in after))
    return jnp.broadcast_to(
        value,
        (*before, *x.shape, *after),
        out_sharding=NamedSharding(sharding.mesh, spec),
    )


def first_step(xs: Array) -> Array:
    """The first step of `xs`, for `init`; zeros if there are no steps."""
    if xs.ndim == 0:
        raise ValueError("`xs` must have time on axis 0, got an array of shape ().")
    if xs.shape[0] == 0:
        return jnp.zeros_like(xs, shape=xs.shape[1:])
    return jax.lax.index_in_dim(xs, 0, keepdims=False)


def as_spikes(z: Array, dtype: Any) -> Array:
    """Casts spikes; a NaN stays NaN in floating dtypes and is False or 0 in the others."""
    if jnp.issubdtype(dtype, jnp.floating):
        return z.astype(dtype)
    if jnp.issubdtype(dtype, jnp.signedinteger):
        return jnp.where(jnp.isnan(z), 0, z).astype(dtype)
    return (z > 0).astype(dtype)


def unsigned(spikes: Array) -> Array:
    """Spikes without their sign and grade, so that each is 1; the derivative is kept.

    Values between 0 and 1, as smooth surrogates give them, stay.
    """
    size = jnp.where(spikes < 0, -spikes, spikes)  # not `abs`, whose derivative at 0 is 0
    return jnp.where(size > 1, 1, size)


def constant_like(name: str, value: Any, x: Array) -> Any:
    """A field made by `constant`, ready to be combined with `x`: a float, or of its shape."""
    if isinstance(value, float):
        return value
    value = jnp.asarray(value, x.dtype)
    if value.ndim > x.ndim or any(
        a not in (1, b) for a, b in zip(value.shape[::-1], x.shape[::-1], strict=False)
    ):
        raise ValueError(
            f"`{name}`, of shape {value.shape}, must broadcast to one step's input, got an "
            f"input of shape {x.shape}."
        )
    return broadcast_like(value, x)


# Converters of fields run before the value is stored, and name the field in errors. The type
# of a converter's argument is the type that `inspect.signature` shows for the field.


def fixed(name: str) -> Callable[[Any], Any]:
    """A converter to a float or (nested) tuple of floats, JAX arrays included."""
    to_constant = constant(name)

    def convert(value: float | tuple | np.ndarray) -> float | tuple:
        return to_constant(np.asarray(value) if isinstance(value, jax.Array) else value)

    return convert


def constant(name: str, *, positive: bool = False) -> Callable[[Any], Any]:
    """A converter of a field for which numbers are fixed and JAX arrays are trained.

    A number becomes a `float`; lists, tuples and NumPy arrays become (nested) tuples of floats,
    which are fixed too; a JAX array becomes a floating array.
    """
    to_number = (positive_number if positive else real_number)(name)

    def to_tuple(value):
        return tuple(map(to_tuple, value)) if isinstance(value, list) else to_number(value)

    def convert(value: float | tuple | ArrayLike) -> Constant:
        if isinstance(value, jax.Array):
            if positive and not isinstance(value, Tracer) and not bool((value > 0).all()):
                raise ValueError(f"`{name}` must be positive, got {value}.")
            return as_floating(value)
        if isinstance(value, list | tuple | np.ndarray):
            return to_tuple(np.asarray(value).tolist())  # a float, for an array of shape ()
        return to_number(value)

    return convert


def real_number(name: str, hint: str = "") -> Callable[[Any], float]:
    """A converter to a finite `float`; refuses arrays, booleans and strings."""

    def convert(value: float) -> float:
        if isinstance(value, np.ndarray | jax.Array):
            raise ValueError(
                f"`{name}` must be a Python number, because it is static (part of the "
                f"compiled program); got an array of shape {value.shape} and dtype "
                f"{value.dtype}.{hint}"
            )
        if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
            raise ValueError(
                f"`{name}` must be a Python number, got {value!r} "
                f"of type {type(value).__name__}.{hint}"
            )
        value = float(value)
        if not np.isfinite(value):
            raise ValueError(f"`{name}` must be finite, got {value}.")
        return value

    return convert


def positive_number(name: str, hint: str = "") -> Callable[[Any], float]:
    """A converter to a finite `float` above zero."""
    to_real = real_number(name, hint)

    def convert(value: float) -> float:
        value = to_real(value)
        if value <= 0:
            raise ValueError(f"`{name}` must be positive, got {value}.")
        return value

    return convert


def number_of_at_least_zero(name: str) -> Callable[[Any], float]:
    """A converter to a finite `float` of at least zero."""
    to_real = real_number(name)

    def convert(value: float) -> float:
        value = to_real(value)
        if value < 0:
            raise ValueError(f"`{name}` must be at least 0, got {value}.")
        return value

    return convert


def positive_int(name: str) -> Callable[[Any], int]:
    """A converter to an `int` of at least 1."""
    return _int_from(1, name)


def at_least_zero(name: str) -> Callable[[Any], int]:
    """A converter to an `int` of at least 0."""
    return _int_from(0, name)


def _int_from(least: int, name: str) -> Callable[[Any], int]:
    def convert(value: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(
                f"`{name}` must be an int of at least {least} (it is static), got {value!r} "
                f"of type {type(value).__name__}."
            )
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, got {value}.")
        return int(value)

    return convert


def optional_positive_int(name: str) -> Callable[[Any], int | None]:
    """As `positive_int`, but `None` is allowed."""
    to_int = positive_int(name)

    def convert(value: int | None) -> int | None:
        return None if value is None else to_int(value)

    return convert


def refuse_unsigned(dtype: Any) -> None:
    """Refuses a `dtype` that cannot hold a spike of −1."""
    unsigned = dtype is not None and jnp.issubdtype(dtype, jnp.unsignedinteger)
    if unsigned or dtype == np.dtype(bool):
        raise ValueError(
            "`dtype` must be floating or a signed integer, since spikes may be -1, got "
            f"{dtype}."
        )


def refuse_static_arrays(module: Any) -> None:
    """Refuses an array in a static field, where it would have no derivative."""
    for field in dataclasses.fields(module):
        leaves = jax.tree.leaves(getattr(module, field.name))
        if field.metadata.get("static") and any(
            isinstance(leaf, np.ndarray | jax.Array) for leaf in leaves
        ):
            raise ValueError(
                f"`{field.name}` of `{type(module).__name__}` is a static field (part of the "
                "compiled program), and must hold Python values, got an array. To train it, "
                "leave out `static=True`."
            )


def spike_dtype(dtype: DTypeLike | None) -> Any:
    """A converter to the dtype of the spikes; `None` stands for the dtype of the input."""
    if dtype is None:
        return None
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        found = None
    if found is None or jnp.issubdtype(found, jnp.complexfloating) or found.kind not in "fVbiu":
        raise ValueError(
            f"`dtype` must be a floating, boolean or integer dtype, got {dtype!r}."
        )
    return found


def flag(name: str) -> Callable[[Any], bool]:
    """A converter to a `bool`."""

    def convert(value: bool) -> bool:
        if not isinstance(value, bool | np.bool_):
            raise ValueError(
                f"`{name}` must be True or False (it is static), got {value!r} of type "
                f"{type(value).__name__}."
            )
        return bool(value)

    return convert


def as_shape(shape: int | tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a layer as a tuple."""
    sizes = tuple(shape) if isinstance(shape, list | tuple) else (shape,)
    for size in sizes:
        whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
        if not whole or size < 0:
            raise ValueError(
                f"`shape` must be an int of at least 0, or a tuple of them, got {shape!r}."
            )
    return tuple(map(int, sizes))
