"""What writing and reading NIR share."""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import as_floating

try:
    import nir as nir
except ModuleNotFoundError as error:
    raise ImportError("`jaxsnn_eqx.nir` needs nir: install `jaxsnn_eqx[nir]`.") from error

NEVER = 1e30  # a threshold out of reach; an infinite one is NaN where it is multiplied by 0
FIRING = nir.LIF | nir.CubaLIF | nir.IF
LEAKY = nir.LIF | nir.CubaLIF | nir.LI | nir.CubaLI
NEURONS = LEAKY | nir.IF | nir.I


class Threshold(eqx.Module):
    """Spikes where its input is above `threshold`: NIR's `Threshold`, for `OverTime`.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import nir
    >>> nir.Threshold(0.5)(jnp.array([0.4, 0.5, 0.6]))
    Array([0., 0., 1.], dtype=float32)

    ```

    **Arguments:**

    - `threshold`: a scalar, or of the shape of one step's input; trainable.
    - `surrogate`: [shared argument][jaxsnn_eqx.AbstractLayer].

    **Derivative:** the surrogate's, with respect to the input and `threshold`. **NaN** gives
    NaN.
    """

    threshold: Float[Array, "..."] = eqx.field(converter=as_floating)
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)

    def __call__(self, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        """1 where `x > threshold`, else 0; `key` is ignored."""
        return self.surrogate(x - self.threshold)


class Flatten(eqx.Module):
    """Makes one axis of several: NIR's `Flatten`, to be wrapped in `OverTime`.

    To flatten all axes, `eqx.nn.Lambda(jnp.ravel)` does as well.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import nir
    >>> nir.Flatten(1, 2)(jnp.ones((2, 3, 4, 5))).shape
    (2, 12, 5)

    ```

    **Arguments:**

    - `start_dim`, `end_dim`: the first and the last of the axes (static), counted in one step's
        input, without time; from the end if negative.

    **Derivative:** exact.
    """

    start_dim: int = eqx.field(default=0, static=True)
    end_dim: int = eqx.field(default=-1, static=True)

    def __call__(self, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        """`x` with fewer axes; `key` is ignored."""
        start, end = self.start_dim % x.ndim, self.end_dim % x.ndim + 1
        shape = x.shape
        return x.reshape(*shape[:start], math.prod(shape[start:end]), *shape[end:])


def exact(value: ArrayLike) -> np.ndarray:
    """In float64, as the decimals that were meant: 0.01, and not the float32 next to it."""
    array = np.asarray(value)
    if array.dtype != np.float32:
        return array.astype(float)
    values, where = np.unique(array, return_inverse=True)
    return np.array([float(str(v)) for v in values])[where].reshape(array.shape)


def narrow(value: ArrayLike) -> np.ndarray:
    """In float32, unless that would change the decimals: then in float64."""
    array = np.asarray(value)
    if array.dtype == np.float32:
        return array
    array = array.astype(float)
    with np.errstate(over="ignore"):
        short = array.astype(np.float32)
    return short if np.array_equal(exact(short), array) else array


def unit_gain(tau: ArrayLike, dt: float) -> np.ndarray:
    """`tau / dt`: the `r` or `w_in` with which an input is added as it is."""
    return (exact(tau) / dt).astype(np.float32)


# What is written in place of a layer's own constants, for readers that ignore `r` and `w_in`;
# the metadata has the own ones, which are read if they give what is written.


def scaled(potential: ArrayLike, tau_mem: ArrayLike, dt: float) -> np.ndarray:
    """A potential in units of what an input of 1 adds to it."""
    return (exact(potential) * exact(tau_mem) / dt).astype(np.float32)


def silent_gains(
    tau_mem: ArrayLike, tau_syn: ArrayLike, r: ArrayLike, w_in: ArrayLike | None, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """`r` and `w_in` of a `CubaLIF` whose membrane is that of a leaky integrator."""
    steps = exact(tau_mem) / dt
    weight = exact(tau_syn) / dt if w_in is None else exact(w_in)
    return (exact(r) * steps).astype(np.float32), (weight / steps).astype(np.float32)
