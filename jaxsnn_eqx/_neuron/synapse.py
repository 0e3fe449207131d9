"""An exponential synapse in front of any neuron."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PyTree, Shaped

from .._membrane import decay, one_if_close
from .._parameters import Fixed, check_above, check_dt, grown
from .._types import (
    First,
    NestedNumbers,
    as_first,
    as_floating,
    checked,
    constant_like,
    flag,
    positive_number,
    real_number,
    zero_state,
)
from .base import AbstractNeuron


class SynapseState(NamedTuple):
    """The state of the neuron, and its synaptic current, of shape `"*shape"`."""

    neuron: PyTree
    current: Float[Array, "*shape"]


class Synapse(AbstractNeuron):
    r"""An exponential synaptic current in front of neurons; a spike raises it by its weight.

    Each step updates the current $i$, which starts at 0, in this order. With `immediate`:

    $$
    \begin{split}
    i &\leftarrow i + x \\
    \text{out} &\leftarrow \text{neuron}(i) \\
    i &\leftarrow i - \frac{dt}{\tau_\text{syn}} i
    \end{split}
    $$

    Without `immediate`, the input of a step changes the potential from the next step on:

    $$
    \begin{split}
    \text{out} &\leftarrow \text{neuron}(i) \\
    i &\leftarrow i - \frac{dt}{\tau_\text{syn}} i + x
    \end{split}
    $$

    With `w_in`, an input $x$ raises the current by $\frac{dt}{\tau_\text{syn}} w_\text{in} x$
    instead, as in NIR.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LI, Synapse
    >>> spike = jnp.array([[1.0], [0.0], [0.0]])
    >>> Synapse(LI())(spike).ravel()
    Array([0.1  , 0.17 , 0.217], dtype=float32)
    >>> Synapse(LI(), immediate=False)(spike).ravel()
    Array([0.  , 0.1 , 0.17], dtype=float32)

    ```

    | here | elsewhere |
    |---|---|
    | `Synapse(LIF())` | NIR's CubaLIF, snnTorch's Synaptic, spyx's CuBaLIF, Norse's LIFCell |
    | `Synapse(LIF(), immediate=False)` | jaxsnn's `lif_step` |
    | `Synapse(LI())` | jaxsnn's and Norse's `li_step`, NIR's CubaLI |
    | `Synapse(ALIF(), immediate=False)` | Norse's LSNN |

    **Arguments:**

    - `neuron`: `LIF`, `LI`, `ALIF`, or any other `AbstractNeuron`.
    - `tau_syn`: synaptic time constant in seconds, at least the neuron's `dt`. A number is
        fixed, and so is a list or NumPy array with one for each neuron. A JAX array (a scalar,
        or one for each neuron) is trained, through the leaf `log_tau_syn`, which starts at 0:
        `tau_syn = dt + (first tau_syn − dt) · exp(log_tau_syn)`.
    - `immediate`: whether the input of a step changes the potential in that step (static).
        (Keyword only.)
    - `w_in`: the input weight of NIR, which is not trained: a number, or an array with one for
        each neuron. Without it, a spike raises the current by 1. (Keyword only.)

    **Derivative:** that of the neuron, and exact for the current, with respect to the input and
    a trained `tau_syn`; the neuron's `checkpoint_every` determines which states are kept.
    **NaN** gives NaN from the step at which it reaches the membrane.

    **Raises:** `ValueError` for a `neuron` that is not a layer of neurons.

    Source: `jaxsnn.discrete.functional.lif.lif_step` and `li_step` (jaxsnn 0.3.0); Pehle &
    Pedersen, Norse (2021); Pedersen et al., "Neuromorphic intermediate representation", Nature
    Communications 15 (2024).
    """

    neuron: AbstractNeuron
    log_tau_syn: Float[Array, "*shape"] | None
    first_tau_syn: Fixed | None  # if neurons have one each, or if it is trained
    number: float | None = eqx.field(static=True)
    immediate: bool = eqx.field(static=True, converter=flag("immediate"))
    number_w_in: float | None = eqx.field(static=True)
    each_w_in: Fixed | None

    def __init__(
        self,
        neuron: AbstractNeuron,
        tau_syn: float | ArrayLike | NestedNumbers = 5e-3,
        *,
        immediate: bool = True,
        w_in: float | ArrayLike | NestedNumbers | None = None,
    ):
        if not isinstance(neuron, AbstractNeuron):
            raise ValueError(
                f"`neuron` must be a layer of neurons, got `{type(neuron).__name__}`."
            )
        self.neuron = neuron
        self.immediate = immediate
        self.log_tau_syn = self.first_tau_syn = self.number = None
        self.number_w_in = self.each_w_in = None
        if isinstance(tau_syn, jax.Array):
            first = as_floating(tau_syn)
            check_above("tau_syn", first, "dt", neuron.dt)
            self.first_tau_syn, self.log_tau_syn = Fixed(first), jnp.zeros_like(first)
        elif isinstance(tau_syn, list | tuple | np.ndarray):
            each = np.asarray(tau_syn, float)
            check_dt(neuron.dt, tau_syn=each.min(initial=np.inf))
            self.first_tau_syn = Fixed(jnp.asarray(each, jnp.result_type(float)))
        else:
            self.number = positive_number("tau_syn")(tau_syn)
            check_dt(neuron.dt, tau_syn=self.number)
        if isinstance(w_in, list | tuple | np.ndarray | jax.Array):
            self.each_w_in = Fixed(jnp.asarray(w_in, jnp.result_type(float)))
        elif w_in is not None:
            self.number_w_in = real_number("w_in")(w_in)

    @property
    def tau_syn(self) -> float | Float[Array, "*shape"]:
        """The synaptic time constant in seconds, with training applied."""
        if self.first_tau_syn is not None:
            return grown(self.first_tau_syn.value, self.dt, self.log_tau_syn)
        assert self.number is not None
        return self.number

    @property
    def w_in(self) -> float | Float[Array, "*shape"] | None:
        """The input weight; `None` if a spike raises the current by 1."""
        return self.number_w_in if self.each_w_in is None else self.each_w_in.value

    @property
    def dt(self) -> float:
        """The step of `neuron`, in seconds."""
        return self.neuron.dt

    @property
    def checkpoint_every(self) -> int | None:
        """The `checkpoint_every` of `neuron`."""
        return self.neuron.checkpoint_every

    @checked
    def init(self, x: First) -> SynapseState:
        """The state of `neuron`, and currents of 0, for an input like `x`."""
        return SynapseState(self.neuron.init(x), zero_state(as_first(x)))

    @checked
    def advance(
        self, state: SynapseState, current: Float[Array, "*shape"], dtype: Any
    ) -> tuple[SynapseState, Shaped[Array, "*shape"]]:
        """One step of the equations above: `(state, out)`."""
        if self.w_in is not None:
            rate = self.dt / constant_like("tau_syn", self.tau_syn, current)
            current = one_if_close(rate * constant_like("w_in", self.w_in, current)) * current
        synaptic = state.current + current if self.immediate else state.current
        neuron, out = self.neuron.advance(state.neuron, synaptic, dtype)
        synaptic = decay(synaptic, "tau_syn", self.tau_syn, self.dt)
        if not self.immediate:
            synaptic = synaptic + current
        return SynapseState(neuron, synaptic), out
