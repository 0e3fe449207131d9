"""Resonate-and-fire neurons, an encoder of the frequencies of a signal too."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Shaped

from .._layer import AbstractEncoder
from .._surrogate import AbstractSurrogate, SuperSpike, as_surrogate
from .._types import (
    Constant,
    First,
    as_first,
    as_spikes,
    checked,
    constant,
    constant_like,
    flag,
    optional_positive_int,
    positive_number,
    spike_dtype,
    zero_state,
)
from .base import AbstractNeuron


class ResonatorState(NamedTuple):
    """Both parts of the potential, of shape `"*shape"`; if balanced also the refractoriness."""

    real: Float[Array, "*shape"]
    imaginary: Float[Array, "*shape"]
    refractory: Float[Array, "*shape"] | None = None


class ResonateAndFire(AbstractNeuron, AbstractEncoder):
    r"""Resonate-and-fire neurons: damped oscillators that fire at inputs of their frequency.

    A neuron in a network, and an encoder of signals. The potential $z$ is complex and starts at
    0. Each step solves $\tau \dot{z} = (-1 + 2 \pi i f \tau) z + x$ exactly for an input $x$
    that is constant during the step, then fires and resets:

    $$
    \begin{split}
    z &\leftarrow e^{\lambda dt} z + \frac{e^{\lambda dt} - 1}{\lambda \tau} x, \quad
    \lambda = -\frac{1}{\tau} + 2 \pi i f \\
    s &\leftarrow 1 \text{ if } \operatorname{Im} z > v_\text{th} \text{, else } 0 \\
    z &\leftarrow z + s (i v_\text{th} - z)
    \end{split}
    $$

    A sine of amplitude $A$ and frequency $f$ that lasts makes $z$ rotate with an amplitude of
    about $A / 2$; one of another frequency is filtered out, the more the longer `tau` is.

    **Balanced** (Higuchi et al.), a spike does not reset the phase: it raises the damping and
    the threshold by $q$, which decays with `tau_refractory`:

    $$
    \begin{split}
    z &\leftarrow e^{\lambda dt} z + \frac{e^{\lambda dt} - 1}{\lambda \tau} x, \quad
    \lambda = -\frac{1 + q}{\tau} + 2 \pi i f \\
    s &\leftarrow 1 \text{ if } \operatorname{Re} z > (1 + q) v_\text{th} \text{, else } 0 \\
    q &\leftarrow e^{-dt / \tau_\text{refractory}} q + s
    \end{split}
    $$

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import ResonateAndFire
    >>> t = jnp.linspace(0.0, 1.0, 1000)
    >>> tone = 4 * jnp.sin(2 * jnp.pi * 40 * t)
    >>> bank = ResonateAndFire([20.0, 40.0, 80.0], tau=0.1)
    >>> bank(jnp.stack([tone] * 3, axis=1)).sum(axis=0)
    Array([ 0., 37.,  0.], dtype=float32)

    ```

    **Arguments:**

    - `frequency`: in hertz, positive and below half the sampling rate `1 / dt`. One number, or
        one for each neuron, is fixed; a JAX array is trained.
    - `tau`: time constant of the damping in seconds, positive; as `frequency`.
    - `v_th`: threshold, positive (static).
    - `balanced`: the second form (static). Its `tau_refractory` is in seconds (static).
    - `dt`, `surrogate`, `checkpoint_every`, `dtype`:
        [shared arguments][jaxsnn_eqx.AbstractLayer].
    - `detach_reset`: leaves the reset, or the part of a spike in $q$, out of the derivative
        (static).

    To give one signal to neurons of several frequencies, repeat it on a new last axis:
    `OverTime(lambda x: jnp.repeat(x[..., None], 3, axis=-1))`.

    **Derivative:** the surrogate's, through the spike and, unless it is detached, what it
    resets, with respect to the input, `frequency` and `tau`, in forward and reverse mode. **At
    the threshold** there is no spike. **NaN** gives NaN from that step on, and an **infinite**
    input from the next step on.

    **In other places.** The sources integrate by Euler steps, which turn by another frequency
    and diverge for a weak damping; Higuchi et al. choose the damping so that they do not. Here
    neither can happen, and `1 / tau` is their offset.

    **Raises:** `ValueError` for arguments outside the ranges above.

    Source: Izhikevich, "Resonate-and-fire neurons", Neural Networks 14 (2001); balanced:
    Higuchi, Kairat, Bohté & Otte, "Balanced resonate-and-fire neurons", ICML (2024).
    """

    frequency: Constant = eqx.field(converter=constant("frequency", positive=True))
    tau: Constant = eqx.field(default=5e-2, converter=constant("tau", positive=True))
    v_th: float = eqx.field(default=1.0, static=True, converter=positive_number("v_th"))
    balanced: bool = eqx.field(default=False, static=True, converter=flag("balanced"))
    dt: float = eqx.field(default=1e-3, static=True, converter=positive_number("dt"))
    surrogate: AbstractSurrogate = eqx.field(default=SuperSpike(), converter=as_surrogate)
    checkpoint_every: int | None = eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )
    dtype: DTypeLike | None = eqx.field(default=None, static=True, converter=spike_dtype)
    tau_refractory: float = eqx.field(
        default=1e-2, static=True, converter=positive_number("tau_refractory")
    )
    detach_reset: bool = eqx.field(default=False, static=True, converter=flag("detach_reset"))

    def __check_init__(self):
        if isinstance(self.frequency, Tracer):
            return
        highest = float(np.max(np.asarray(self.frequency), initial=0))
        if highest * self.dt >= 0.5:
            raise ValueError(
                f"`frequency` must be below half the sampling rate, {0.5 / self.dt:g} Hz at "
                f"dt={self.dt:g} s, got {highest:g} Hz."
            )

    @checked
    def init(self, x: First) -> ResonatorState:
        """Potentials of 0 for an input like `x`, in float32 or wider."""
        zeros = zero_state(as_first(x))
        return ResonatorState(zeros, zeros, zeros if self.balanced else None)

    @checked
    def advance(
        self, state: ResonatorState, current: Float[Array, "*shape"], dtype: Any
    ) -> tuple[ResonatorState, Shaped[Array, "*shape"]]:
        """One step of the equations above: `(state, spikes)`."""
        frequency = constant_like("frequency", self.frequency, current)
        tau, q = constant_like("tau", self.tau, current), state.refractory
        leak = 1.0 if q is None else 1 + q
        rate = jnp.asarray(-self.dt / tau * leak, current.dtype)
        turn = jnp.asarray(2 * math.pi * self.dt * frequency, current.dtype)
        factor, gain = _propagator(rate, turn, leak, turn * (tau / self.dt))
        real = factor[0] * state.real - factor[1] * state.imaginary + gain[0] * current
        imaginary = factor[1] * state.real + factor[0] * state.imaginary + gain[1] * current
        if q is None:
            fired = self.surrogate(imaginary - self.v_th)
        else:
            fired = self.surrogate(real - (1 + q) * self.v_th)
        kept = lax.stop_gradient(fired) if self.detach_reset else fired
        if q is None:
            real, imaginary = real - kept * real, imaginary + kept * (self.v_th - imaginary)
        else:
            q = math.exp(-self.dt / self.tau_refractory) * q + kept
        return ResonatorState(real, imaginary, q), as_spikes(fired, self.dtype or dtype)


def _propagator(rate: Array, turn: Array, leak: Any, turns: Array):
    """Both parts of `exp(l)` and of `(exp(l) - 1) / (-leak + i turns)`, `l = rate + i turn`.

    The second is computed without the difference of two numbers near 1.
    """
    cos, sin = jnp.exp(rate) * jnp.cos(turn), jnp.exp(rate) * jnp.sin(turn)
    less = jnp.expm1(rate) * jnp.cos(turn) - 2 * jnp.sin(turn / 2) ** 2  # cos - 1
    size = leak * leak + turns * turns
    gain = (turns * sin - leak * less) / size, (-leak * sin - turns * less) / size
    return (cos, sin), gain
