"""Stateless layers, applied at every step."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
from jaxtyping import Array, Int, PRNGKeyArray, Shaped

from ._layer import AbstractLayer, stateless
from ._types import AnyFirst, AnyInput, as_first, as_floating, checked

WITH_WEIGHTS = (eqx.nn.Linear, eqx.nn.Conv, eqx.nn.ConvTranspose)


def _as_layer(layer: Callable) -> Any:
    layer = stateless("layer")(layer)
    if isinstance(layer, eqx.Module):
        return layer
    try:
        takes_key = "key" in inspect.signature(layer).parameters
    except ValueError:  # of some built-in functions
        takes_key = False
    return layer if takes_key else eqx.nn.Lambda(layer)


class WrongInput(ValueError):
    """One step's input has a shape that a layer does not take."""

    def __init__(self, said: str, shape: tuple[int, ...], place: str = ""):
        self.said, self.shape, self.place = said, shape, place
        of_layer = f"in {place}: " if place else ""
        super().__init__(
            f"{of_layer}one step's input has shape {shape}, {said.rstrip('.')}; a batch? "
            "`jax.vmap(network)(x)`; an image? ravel it."
        )

    def at(self, place: str) -> "WrongInput":
        """The same error, with the place of the layer (of a network in it, in front)."""
        return WrongInput(self.said, self.shape, f"{place}.{self.place}".rstrip("."))


def _kind(layer: "OverTime") -> str:
    return f"`{type(layer.layer).__name__}`"


class OverTime(AbstractLayer):
    """Applies a stateless Equinox layer, such as `eqx.nn.Linear`, at every step.

    The weights are the same at each step; an `eqx.nn.Linear` over all steps (and over a batch,
    under `jax.vmap`) is one matrix product. Layers that draw random numbers, such as
    `eqx.nn.Dropout`, get the key `fold_in(key, t)` at step t. Inputs are cast to the dtype of
    the layer's weights, so spikes may be booleans or integers.

    ```python
    >>> import equinox as eqx, jax
    >>> from jaxsnn_eqx import OverTime
    >>> linear = OverTime(eqx.nn.Linear(3, 2, key=jax.random.key(0)))
    >>> linear(jax.numpy.ones((5, 3))).shape
    (5, 2)

    ```

    **Arguments:**

    - `layer`: a stateless Equinox layer, called as `layer(x, key=...)` on one step's input; or
        a function, such as `jax.nn.relu`, which is called as `fn(x)` if it has no argument
        `key`.

    **Derivative:** the layer's. **Raises:** `ValueError` for a layer with state: a layer of
    this package, or an `eqx.nn.StatefulLayer` such as `eqx.nn.BatchNorm`.
    """

    layer: Any = eqx.field(converter=_as_layer)

    @property
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None

    @checked
    def init(self, x: AnyFirst) -> Int[Array, ""]:
        """The time index before the first step: 0."""
        as_first(x)  # refuses a shape
        return jnp.zeros((), jnp.int32)

    @checked
    def step(
        self, state: Int[Array, ""], x: AnyInput, *, key: PRNGKeyArray | None = None
    ) -> tuple[Int[Array, ""], Shaped[Array, "..."]]:
        """One step: the time index after it, and the layer's output for `x`."""
        x = self._cast(as_floating(x))
        self._check(x.shape)
        return state + 1, self._apply(x, state, key)

    def run_chunk(
        self, state: Int[Array, ""], xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[Int[Array, ""], Array]:
        """All steps at once; for an `eqx.nn.Linear`, one matrix product."""
        xs = self._cast(xs)
        self._check(xs.shape[1:])
        if isinstance(self.layer, eqx.nn.Linear) and xs.ndim == 2:
            out = _linear_over_time(self.layer, xs)
        else:
            ts = state + jnp.arange(xs.shape[0], dtype=state.dtype)
            out = jax.vmap(lambda x, t: self._apply(x, t, key))(xs, ts)
        return state + xs.shape[0], out

    def _check(self, shape: tuple[int, ...]) -> None:
        """Refuses what a linear layer would refuse from within JAX."""
        if isinstance(self.layer, eqx.nn.Linear):
            expected = self.layer.weight.shape[1:]
            if shape != expected and (self.layer.in_features != "scalar" or shape):
                raise WrongInput(f"expected {expected}", shape)

    def _apply(self, x: Array, t: Array, key: PRNGKeyArray | None) -> Array:
        options = {} if key is None else {"key": jr.fold_in(key, t)}
        try:
            return self.layer(x, **options)
        except (TypeError, ValueError) as error:  # of shapes, in words of their own
            said = str(error).partition("\n")[0]
            raise WrongInput(f"{_kind(self)} does not take it: {said}", x.shape) from error

    def _cast(self, x: Array) -> Array:
        weights = jtu.tree_leaves(eqx.filter(self.layer, eqx.is_inexact_array))
        return x.astype(weights[0].dtype) if weights else x


def _linear_over_time(linear: eqx.nn.Linear, xs: Array) -> Array:
    # `vmap` of the matrix-vector product would be a product with a transposed, slower layout
    out = xs @ linear.weight.T
    return out if linear.bias is None else out + linear.bias[None]
