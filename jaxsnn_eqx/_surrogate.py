"""Surrogate derivatives of the spike, as the literature defines them."""

import functools as ft
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Array, Float, PyTree

from ._types import (
    Sample,
    as_floating,
    checked,
    positive_number,
    real_number,
    refuse_static_arrays,
    state_dtype,
)


class AbstractSurrogate(eqx.Module):
    """The Heaviside step, with a smooth function in place of its derivative.

    `surrogate(x)` is exactly 1 where `x > 0`, exactly 0 where `x <= 0` (at the threshold too),
    and NaN where `x` is NaN. Its derivative is `surrogate.derivative(x)`, in forward and in
    reverse mode, and `derivative` is itself differentiable. Second derivatives of a whole
    network are not unique, since its first derivatives contain the step: differentiating
    forward mode uses the surrogate for it, and differentiating reverse mode uses zero. The
    fields of those here are static Python numbers: a changed value compiles again.

    A subclass has two elementwise methods:

    - `derivative(x)`: replaces the derivative of the step;
    - `smooth(x)`: the antiderivative of `derivative` that is 1/2 at 0, a smooth spike. For
      gradient checks, give a layer this method instead of the surrogate
      (`LIF(surrogate=SuperSpike().smooth)`): automatic differentiation is then exact.

    Its fields may be arrays, such as a slope that is trained. The derivative with respect to
    them, on which the step does not depend, is that of `smooth`.
    """

    def __check_init__(self):
        refuse_static_arrays(self)

    @abstractmethod
    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Replaces the derivative of the Heaviside step at `x`."""

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
        return fire(self, as_floating(x))[1]


def as_surrogate(surrogate: AbstractSurrogate | Callable) -> Any:
    """A converter of the field `surrogate`; refuses a class given instead of an instance."""
    if isinstance(surrogate, type) or not callable(surrogate):
        raise ValueError(
            f"`surrogate` must be an instance such as `SuperSpike()`, got {surrogate!r}."
        )
    return surrogate


def fire(surrogate: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    """`(fired, spikes)`: equal, except that a NaN in `x` is 0 in `fired` and NaN in `spikes`.

    `fired` resets the potential. A potential that is NaN stays NaN without a NaN in `fired`,
    and a loop that computes potentials alone skips the check (1.1 times faster on two cores).
    """
    if isinstance(surrogate, AbstractSurrogate):
        arrays, static = eqx.partition(surrogate, eqx.is_array)
        return _fire(static, arrays, x)
    spikes = surrogate(x)
    return spikes, spikes


@ft.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _fire(static: PyTree, arrays: PyTree, x: Array) -> tuple[Array, Array]:
    # Written as `(x > 0).astype(x.dtype)`, XLA would turn the later product with the drop of
    # the potential into a selection, so that an infinite drop times 0 would be 0 and not NaN.
    # Compiled and eager calls would then differ.
    fired = jnp.where(x > 0, jnp.ones_like(x), 0)
    return fired, jnp.where(jnp.isnan(x), x, fired)


@_fire.defjvp
def _fire_jvp(static, primals, tangents):
    (arrays, x), (arrays_dot, x_dot) = primals, tangents
    fired_dot = eqx.combine(arrays, static).derivative(x) * x_dot
    if jtu.tree_leaves(arrays):

        def smooth(arrays):
            return eqx.combine(arrays, static).smooth(x)

        fired_dot = fired_dot + jax.jvp(smooth, (arrays,), (arrays_dot,))[1]
    return _fire(static, arrays, x), (fired_dot, fired_dot)


def _normal_pdf(x: Array, mean: float, deviation: float) -> Array:
    z = (x - mean) / deviation
    return jnp.exp(-0.5 * z * z) / (deviation * math.sqrt(2 * math.pi))


def _normal_cdf(x: Array, mean: float, deviation: float) -> Array:
    z = (x - mean) / deviation
    return jax.scipy.stats.norm.cdf(z.astype(state_dtype(z))).astype(x.dtype)


class SuperSpike(AbstractSurrogate):
    r"""The derivative of a fast sigmoid; the default of every layer. With $k$ = `slope`,

    $$
    \frac{1}{(k \left|x\right| + 1)^2}
    $$

    It is even, with a maximum of 1 at the threshold, and decreases slowly, so that a neuron far
    from its threshold still learns. `smooth` is

    $$
    \frac{1}{2} + \frac{x}{1 + k \left|x\right|}
    $$

    ```python
    >>> import jax
    >>> from jaxsnn_eqx import SuperSpike
    >>> float(jax.grad(SuperSpike(slope=10.0))(0.1))
    0.25

    ```

    **Arguments:**

    - `slope`: steepness (static). Positive. 80 by default, as in jaxsnn.

    Source: Zenke & Ganguli, "SuperSpike: Supervised Learning in Multilayer Spiking Neural
    Networks", Neural Computation 30 (2018). As in jaxsnn, not scaled by `slope`.
    """

    slope: float = eqx.field(default=80.0, static=True, converter=positive_number("slope"))

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return 1 / (self.slope * jnp.abs(x) + 1) ** 2

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return 0.5 + x / (1 + self.slope * jnp.abs(x))


class Sigmoid(AbstractSurrogate):
    r"""The derivative of the logistic function $\sigma$. With $k$ = `slope`,

    $$
    k \, \sigma(k x) (1 - \sigma(k x))
    $$

    It is even, with a maximum of `slope / 4` at the threshold. `smooth` is $\sigma(k x)$.

    **Arguments:**

    - `slope`: steepness (static). Positive. With the default of 4 the maximum is 1.

    Source: Neftci, Mostafa & Zenke, "Surrogate Gradient Learning in Spiking Neural
    Networks", IEEE Signal Processing Magazine 36 (2019).
    """

    slope: float = eqx.field(default=4.0, static=True, converter=positive_number("slope"))

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        # σ(-u) instead of 1 - σ(u), which loses all its digits where σ(u) is close to 1
        u = self.slope * x
        return self.slope * jax.nn.sigmoid(u) * jax.nn.sigmoid(-u)

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jax.nn.sigmoid(self.slope * x)


class ATan(AbstractSurrogate):
    r"""The derivative of an arc tangent. With $k$ = `slope`,

    $$
    \frac{k / 2}{1 + (\frac{\pi}{2} k x)^2}
    $$

    It is even, with a maximum of `slope / 2` at the threshold. `smooth` is

    $$
    \frac{1}{2} + \frac{1}{\pi} \arctan \left( \frac{\pi}{2} k x \right)
    $$

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
    r"""A triangle. With $k$ = `slope` and $\gamma$ = `dampening`,

    $$
    \gamma \max(0, 1 - k \left|x\right|)
    $$

    It is even, with a maximum of `dampening` at the threshold, and exactly 0 where
    `|x| >= 1/slope`. With $c$ the value of $x$ clipped to $\pm 1 / k$, `smooth` is

    $$
    \frac{1}{2} + \gamma \left( c - \frac{k}{2} c \left|c\right| \right)
    $$

    **Arguments:**

    - `slope`: inverse of half the width (static). Positive.
    - `dampening`: height (static). Positive; 0.3 in the paper.

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of
    spiking neurons", NeurIPS (2018); with `dampening=1`, Esser et al., PNAS 113 (2016).
    """

    slope: float = eqx.field(default=1.0, static=True, converter=positive_number("slope"))
    dampening: float = eqx.field(
        default=0.3, static=True, converter=positive_number("dampening")
    )

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        # `maximum` passes a NaN on; `where(|x| < 1 / slope, ..., 0)` would not
        return self.dampening * jnp.maximum(0, 1 - self.slope * jnp.abs(x))

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        c = jnp.clip(x, -1 / self.slope, 1 / self.slope)
        return 0.5 + self.dampening * (c - self.slope * c * jnp.abs(c) / 2)


class Gaussian(AbstractSurrogate):
    r"""The density of a normal distribution,

    $$
    \frac{1}{\sigma \sqrt{2 \pi}} \exp \left( -\frac{x^2}{2 \sigma^2} \right)
    $$

    It is even, with a maximum of $1 / (\sigma \sqrt{2 \pi})$ at the threshold (0.798 by
    default). `smooth` is the cumulative distribution.

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
    r"""A Gaussian with negative flanks. With $N(x; \mu, \sigma^2)$ the density of a normal
    distribution, $h$ = `height`, $s$ = `scale` and $\gamma$ = `dampening`,

    $$
    \gamma \left[ (1 + h) N(x; 0, \sigma^2) - h N(x; \sigma, (s \sigma)^2)
    - h N(x; -\sigma, (s \sigma)^2) \right]
    $$

    It is even, with a maximum at the threshold (0.439 by default), and *negative* where
    `|x| > 1.27` by default. The paper intends this: the derivative of an exponential linear
    unit has a similar shape. `smooth` is the same sum of cumulative distributions, shifted to
    1/2 at 0.

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
    r"""A rectangle: $1 / w$ where $\left|x\right| < w / 2$, with $w$ = `width`; else 0.

    It is even. `smooth` is $x / w + 1/2$, clipped to [0, 1].

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
    r"""1 everywhere: the gradient of the spike passes to the potential unchanged.

    It is never 0, for any distance to the threshold. `smooth` is $1/2 + x$.

    Source: Bengio, Léonard & Courville, "Estimating or Propagating Gradients Through
    Stochastic Neurons for Conditional Computation", arXiv:1308.3432 (2013).
    """

    def derivative(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return jnp.where(jnp.isnan(x), x, jnp.ones_like(x))

    def smooth(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        return 0.5 + x
