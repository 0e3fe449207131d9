"""Shape vocabulary, the shape-checking decorator, and conversion of inputs at entry.

Axis names used in every public signature: `time` (always axis 0), `*shape` (any shape,
`()` and empty included), `in_features`, `out_features`, `classes`. There is no batch
axis: `jax.vmap` adds it.
"""

import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from beartype import BeartypeConf, beartype
from jax.core import Tracer
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Shaped, jaxtyped

# Nested lists and tuples of numbers are accepted too. They have no shape, so they are
# converted first, and the shape of the resulting array is checked.
NestedNumbers = list | tuple

AnyInput = Shaped[ArrayLike, "..."] | NestedNumbers
"""Array-like, of any shape."""

Sample = Shaped[ArrayLike, "*shape"] | NestedNumbers
"""Values, or the input of one step."""

Signal = Shaped[ArrayLike, "time *shape"] | NestedNumbers
"""A sequence of inputs, with time on axis 0."""

Constant = float | tuple | Array
"""A field of an encoder: a float or (nested) tuple is fixed, a JAX array is trainable."""

checked = jaxtyped(typechecker=beartype(conf=BeartypeConf(is_pep484_tower=True)))
"""Checks the annotations of a function or method as it is traced; an int is a float too."""


def as_floating(x: ArrayLike | NestedNumbers) -> Array:
    """Converts an array-like to a floating JAX array; integers become the default float."""
    if not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(x)):
        x = np.asarray(x)
        if x.dtype.kind in "iu":  # before JAX makes 32 bits of them
            x = x.astype(jnp.result_type(float))
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise ValueError(
            f"the input must be real (floating, integer or boolean), got {x.dtype}"
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(jnp.result_type(float))
    return jax.lax.convert_element_type(x, x.dtype)  # drops the weak type


def state_dtype(x: Array) -> Any:
    """The dtype that a state driven by `x` is kept in: float32 or wider."""
    return x.dtype if jnp.finfo(x.dtype).bits >= 32 else jnp.dtype(jnp.float32)


def as_wide(x: ArrayLike | NestedNumbers) -> Array:
    """As `as_floating`, in float32 or wider, for values that are used in computations."""
    x = as_floating(x)
    return x.astype(state_dtype(x))


def zero_state(x: Array) -> Array:
    """A state of zeros for the input `x`; follows its sharding."""
    return jnp.zeros_like(x, dtype=state_dtype(x))


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
    return jnp.broadcast_to(value, x.shape)


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


def positive_int(name: str) -> Callable[[Any], int]:
    """A converter to an `int` of at least 1."""

    def convert(value: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(
                f"`{name}` must be an int of at least 1 (it is static), got {value!r} "
                f"of type {type(value).__name__}."
            )
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}.")
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
    if dtype is not None and dtype.kind in "bu":
        raise ValueError(
            "`dtype` must be floating or a signed integer, since spikes may be -1, got "
            f"{dtype}."
        )


def spike_dtype(dtype: DTypeLike | None) -> Any:
    """A converter to the dtype of the spikes; `None` stands for the dtype of the input."""
    if dtype is None:
        return None
    dtype = jnp.dtype(dtype)
    if jnp.issubdtype(dtype, jnp.complexfloating) or dtype.kind not in "fVbiu":
        raise ValueError(f"`dtype` must be a floating, boolean or integer dtype, got {dtype}.")
    return dtype
