"""What `calibrate` may change in an encoder, and in which range."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from ._types import fixed


class DataRange(NamedTuple):
    """The smallest value, the median and the largest, of all data or of each feature."""

    low: Any
    middle: Any
    high: Any

    @property
    def span(self) -> Any:
        """`high - low`."""
        return self.high - self.low

    @property
    def size(self) -> Any:
        """The largest absolute value."""
        return jnp.maximum(jnp.abs(self.low), jnp.abs(self.high))


class Adjustment(NamedTuple):
    """A number of an encoder that sets how many spikes it spends.

    - `name`: what is changed, for errors.
    - `low`, `high`: the range in which it is searched, in logarithmic steps if `low` is
      positive; arrays of the features' shape or numbers.
    - `rising`: whether a larger number gives more spikes.
    - `apply`: the encoder with that number.
    - `shared`: whether all features must have the same.
    """

    name: str
    low: Any
    high: Any
    rising: bool
    apply: Callable[[Array], Any]
    shared: bool = False


def adjust(encoder: Any, name: str, low: Any, high: Any, *, rising: bool = False) -> Adjustment:
    """The adjustment of the field `name`, a number, a tuple or an array."""
    return Adjustment(name, low, high, rising, lambda value: with_field(encoder, name, value))


def adjust_threshold(encoder: Any, size: Any) -> Adjustment:
    """The adjustment of a `threshold` for changes of up to `size`."""
    return adjust(encoder, "threshold", 1e-6 * size, 2 * size)


def with_field(encoder: Any, name: str, value: Array) -> Any:
    """The encoder with another value in the field `name`, fixed or trained as it was.

    A traced value stays an array, since a fixed number must be known.
    """
    old = getattr(encoder, name)
    return eqx.tree_at(lambda e: getattr(e, name), encoder, _like(old, value, name))


def _like(old: Any, value: Array, name: str) -> Any:
    """`value` in the form of `old`: an array that is trained, or fixed numbers."""
    if isinstance(old, jax.Array):
        shape = np.broadcast_shapes(old.shape, np.shape(value))
        return jnp.broadcast_to(jnp.asarray(value, old.dtype), shape)
    return value if isinstance(value, Tracer) else fixed(name)(np.asarray(value))
