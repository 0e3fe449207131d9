"""Surrogate derivatives of the spike, in the literature's own formulas."""

import functools as ft
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._types import Sample, as_floating, checked, positive_number, real_number


class AbstractSurrogate(eqx.Module):
    """The Heaviside step forward, a smooth derivative in its place backward.

    `surrogate(x)` is exactly 1 where `x > 0`, exactly 0 where `x <= 0` (0 at the
    threshold included), and NaN where `x` is NaN. Its derivative is
    `surrogate.derivative(x)`, in forward and in reverse mode, and `derivative` is itself
    differentiable. (Second derivatives of a whole network are not unique, since the step
    appears in the first ones: JAX takes the surrogate for it over forward mode, and the
    step's own derivative, zero, over reverse mode.) Fields are static Python numbers: a
    changed value recompiles.

    To make one, subclass and write two methods, each elementwise:

    - `derivative(x)`: what stands in for the derivative of the step;
    - `smooth(x)`: an antiderivative of it, 1/2 at 0, the smooth spike that the
      surrogate stands for. Give `layer` the bound method instead of the surrogate
      (`LIF(surrogate=SuperSpike().smooth)`) and autodiff is exact: for gradient checks.
    """

    @abstractmethod
    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The stand-in for the derivative of the Heaviside step at `x`."""

    @abstractmethod
    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The antiderivative of `derivative` that is 1/2 at 0."""

    @checked
    def __call__(self, x: Sample) -> Float[Array, "*shape"]:
        """**Arguments:**

        - `x`: distance to the threshold, any shape (dimensionless).

        **Returns:**

        Spikes, 0 or 1, of the shape and dtype of `x`.
        """
        return _fire(self, as_floating(x))[1]


def as_surrogate(surrogate: AbstractSurrogate | Callable) -> Any:
    """A converter of the field `surrogate`; refuses a class, which is easily given for it."""
    if isinstance(surrogate, type) or not callable(surrogate):
        raise ValueError(
            f"`surrogate` must be an instance such as `SuperSpike()`, got {surrogate!r}."
        )
    return surrogate


def fire(surrogate: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    """`(fired, spikes)`, equal but for a NaN, which only `spikes` passes on.

    For a potential that a spike resets: its own NaN stays without that of the spike, and a loop
    that computes the potential need not look for one (1.1 times faster, on two cores).
    """
    if isinstance(surrogate, AbstractSurrogate):
        return _fire(surrogate, x)
    spikes = surrogate(x)
    return spikes, spikes


@ft.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _fire(surrogate: AbstractSurrogate, x: Array) -> tuple[Array, Array]:
    # of a converted boolean, XLA would make 0 where infinity times it is NaN
    fired = jnp.where(x > 0, jnp.ones_like(x), 0)
    return fired, jnp.where(jnp.isnan(x), x, fired)


@_fire.defjvp
def _fire_jvp(surrogate, primals, tangents):
    (x,), (x_dot,) = primals, tangents
    fired_dot = surrogate.derivative(x) * x_dot
    return _fire(surrogate, x), (fired_dot, fired_dot)


def _normal_pdf(x: Array, mean: float, deviation: float) -> Array:
    z = (x - mean) / deviation
    return jnp.exp(-0.5 * z * z) / (deviation * math.sqrt(2 * math.pi))


def _normal_cdf(x: Array, mean: float, deviation: float) -> Array:
    return jax.scipy.stats.norm.cdf((x - mean) / deviation)


class SuperSpike(AbstractSurrogate):
    """`1 / (slope·|x| + 1)²`: the derivative of a fast sigmoid. The default everywhere.

    Even; maximum 1 at the threshold; heavy tails, so that a neuron far from its threshold
    still learns. Antiderivative: `1/2 + x / (1 + slope·|x|)`.

    ```python
    >>> import jax
    >>> from jaxsnn_eqx import SuperSpike
    >>> float(jax.grad(SuperSpike(slope=10.0))(0.1))
    0.25

    ```

    **Arguments:**

    - `slope`: steepness (static). Positive. The reference's 80 by default.

    Source: Zenke & Ganguli, "SuperSpike: Supervised Learning in Multilayer Spiking Neural
    Networks", Neural Computation 30 (2018). As in jaxsnn, not scaled by `slope`.
    """

    slope: float = eqx.field(default=80.0, static=True, converter=positive_number("slope"))

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return 1 / (self.slope * jnp.abs(x) + 1) ** 2

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return 0.5 + x / (1 + self.slope * jnp.abs(x))


class Sigmoid(AbstractSurrogate):
    """`slope·σ(slope·x)·(1 − σ(slope·x))`: the derivative of the logistic function.

    Even; maximum `slope / 4` at the threshold. Antiderivative: `σ(slope·x)`.

    **Arguments:**

    - `slope`: steepness (static). Positive. With the default of 4 the maximum is 1.

    Source: Neftci, Mostafa & Zenke, "Surrogate Gradient Learning in Spiking Neural
    Networks", IEEE Signal Processing Magazine 36 (2019).
    """

    slope: float = eqx.field(default=4.0, static=True, converter=positive_number("slope"))

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        # σ(-u) instead of 1 - σ(u): nothing cancels, nothing overflows
        u = self.slope * x
        return self.slope * jax.nn.sigmoid(u) * jax.nn.sigmoid(-u)

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jax.nn.sigmoid(self.slope * x)


class ATan(AbstractSurrogate):
    """`(slope / 2) / (1 + (π/2·slope·x)²)`: the derivative of an arc tangent.

    Even; maximum `slope / 2` at the threshold. Antiderivative:
    `1/2 + arctan(π/2·slope·x) / π`.

    **Arguments:**

    - `slope`: steepness (static). Positive. With the default of 2 the maximum is 1.

    Source: Fang et al., "Incorporating Learnable Membrane Time Constant to Enhance Learning
    of Spiking Neural Networks", ICCV (2021).
    """

    slope: float = eqx.field(default=2.0, static=True, converter=positive_number("slope"))

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return self.slope / 2 / (1 + (math.pi / 2 * self.slope * x) ** 2)

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return 0.5 + jnp.arctan(math.pi / 2 * self.slope * x) / math.pi


class Triangle(AbstractSurrogate):
    """`dampening·max(0, 1 − slope·|x|)`: a piecewise linear hat.

    Even; maximum `dampening` at the threshold; exactly 0 where `|x| >= 1/slope`.
    Antiderivative: `1/2 + dampening·(c − slope·c·|c|/2)` with `c` = `x` clipped to
    `±1/slope`.

    **Arguments:**

    - `slope`: inverse half width of the hat (static). Positive.
    - `dampening`: height of the hat (static); the paper's γ, 0.3.

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of
    spiking neurons", NeurIPS (2018); with `dampening=1`, Esser et al., PNAS 113 (2016).
    """

    slope: float = eqx.field(default=1.0, static=True, converter=positive_number("slope"))
    dampening: float = eqx.field(
        default=0.3, static=True, converter=positive_number("dampening")
    )

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        # NaN-propagating, unlike a `where`
        return self.dampening * jnp.maximum(0, 1 - self.slope * jnp.abs(x))

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        c = jnp.clip(x, -1 / self.slope, 1 / self.slope)
        return 0.5 + self.dampening * (c - self.slope * c * jnp.abs(c) / 2)


class Gaussian(AbstractSurrogate):
    """`N(x | 0, sigma²)`: the density of a normal distribution.

    Even; maximum `1 / (sigma·√(2π))` at the threshold (0.798 by default). Antiderivative:
    the cumulative distribution.

    **Arguments:**

    - `sigma`: standard deviation (static), in units of potential. Positive.

    Source: Wu et al., "Spatio-Temporal Backpropagation for Training High-Performance
    Spiking Neural Networks", Frontiers in Neuroscience 12 (2018); `sigma=0.5` of Yin et
    al. (2021).
    """

    sigma: float = eqx.field(default=0.5, static=True, converter=positive_number("sigma"))

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return _normal_pdf(x, 0.0, self.sigma)

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return _normal_cdf(x, 0.0, self.sigma)


class MultiGaussian(AbstractSurrogate):
    """A Gaussian with negative flanks, `γ` = `dampening`:

    `γ·[(1 + height)·N(x | 0, σ²) − height·N(x | σ, (scale·σ)²) − height·N(x | −σ, (scale·σ)²)]`

    Even; maximum at the threshold (0.439 by default); *negative* further out (beyond
    |x| = 1.27 by default), as the paper means it to be: like an exponential linear unit's.
    Antiderivative: the same sum of cumulative distributions, shifted to 1/2 at 0.

    **Arguments:**

    - `sigma`: standard deviation of the centre (static), in units of potential. Positive.
    - `height`: weight of the flanks (static); the paper's h.
    - `scale`: width of the flanks in units of `sigma` (static); the paper's s. Positive.
    - `dampening`: overall factor (static); γ. Positive.

    Source: Yin, Corradi & Bohté, "Accurate and efficient time-domain classification with
    adaptive spiking recurrent neural networks", Nature Machine Intelligence 3 (2021).
    """

    sigma: float = eqx.field(default=0.5, static=True, converter=positive_number("sigma"))
    height: float = eqx.field(default=0.15, static=True, converter=real_number("height"))
    scale: float = eqx.field(default=6.0, static=True, converter=positive_number("scale"))
    dampening: float = eqx.field(
        default=0.5, static=True, converter=positive_number("dampening")
    )

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return self._mixture(_normal_pdf, x)

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        at_zero = self.dampening * (1 - self.height) / 2
        return 0.5 - at_zero + self._mixture(_normal_cdf, x)

    def _mixture(self, normal, x: Array) -> Array:
        wide = self.scale * self.sigma
        flanks = normal(x, self.sigma, wide) + normal(x, -self.sigma, wide)
        centre = normal(x, 0.0, self.sigma)
        return self.dampening * ((1 + self.height) * centre - self.height * flanks)


class Rectangle(AbstractSurrogate):
    """`1/width` where `|x| < width/2`, 0 elsewhere.

    Even; maximum `1/width`. Antiderivative: `x/width + 1/2`, clipped to [0, 1].

    **Arguments:**

    - `width`: width of the window (static), in units of potential. Positive.

    Source: Wu et al., "Spatio-Temporal Backpropagation for Training High-Performance
    Spiking Neural Networks", Frontiers in Neuroscience 12 (2018), a = 1.
    """

    width: float = eqx.field(default=1.0, static=True, converter=positive_number("width"))

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        inside = jnp.abs(x) < self.width / 2
        return jnp.where(jnp.isnan(x), x, inside.astype(x.dtype) / self.width)

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.clip(x / self.width + 0.5, 0, 1)


class StraightThrough(AbstractSurrogate):
    """1 everywhere: the gradient passes as though the spike were the potential.

    Even; maximum 1; never 0, however far the threshold. Antiderivative: `1/2 + x`.

    Source: Bengio, Léonard & Courville, "Estimating or Propagating Gradients Through
    Stochastic Neurons for Conditional Computation", arXiv:1308.3432 (2013).
    """

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.where(jnp.isnan(x), x, jnp.ones_like(x))

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return 0.5 + x
