"""Lateral connections."""

import functools as ft
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree, Shaped

from .._integrate import integrate
from .._layer import AbstractLayer, AbstractTimed
from .._over_time import OverTime
from .._platforms import traced_for
from .._types import First, Sample, as_first, as_floating, checked, zero_state
from .base import AbstractNeuron


class RecurrentState(NamedTuple):
    """The state of the layer, and its output of the previous step."""

    layer: PyTree
    out: Array


class Recurrent(AbstractLayer, AbstractTimed):
    r"""A layer of neurons with lateral connections: their output is fed back as input.

    With $z_t$ the output of the layer at step $t$, and $z_{-1} = 0$:

    $$
    z_t = \text{layer}(x_t + \text{linear}(z_{t-1}))
    $$

    A spike therefore reaches the other neurons in the step after it.

    ```python
    >>> import equinox as eqx, jax
    >>> from jaxsnn_eqx import LIF, Recurrent
    >>> linear = eqx.nn.Linear(4, 4, use_bias=False, key=jax.random.key(0))
    >>> Recurrent(LIF(), linear)(jax.numpy.ones((10, 4))).shape
    (10, 4)

    ```

    **Arguments:**

    - `layer`: a layer of neurons, such as `LIF`, `ALIF`, or a `Synapse` of one.
    - `linear`: a stateless Equinox layer, from the neurons' output to their input, such as
        `eqx.nn.Linear(size, size, key=...)`.

    **Derivative:** that of `layer` and `linear`, through all steps; `layer.checkpoint_every`
    determines which states are kept. The gradient of `linear` is one product over all steps,
    outside of the loop.

    **Raises:** `ValueError` for a `layer` that is not a layer of neurons.

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking
    neurons", NeurIPS (2018); Norse's `LIFRecurrentCell`.
    """

    layer: AbstractNeuron
    linear: Callable

    def __check_init__(self):
        if not isinstance(self.layer, AbstractNeuron):
            raise ValueError(
                f"`layer` must be a layer of neurons, got `{type(self.layer).__name__}`."
            )
        if not callable(self.linear):
            raise ValueError(f"`linear` must be callable, got {self.linear!r}.")

    @property
    def seq_length(self) -> None:
        """`None`: its input has a time axis."""
        return None

    @property
    def dt(self) -> float:
        """The step of `layer`, in seconds."""
        return self.layer.dt

    @property
    def checkpoint_every(self) -> int | None:
        """The `checkpoint_every` of `layer`."""
        return self.layer.checkpoint_every

    @checked
    def init(self, x: First) -> RecurrentState:
        """The layer's first state, and an output of 0 before it, for an input like `x`."""
        x = as_first(x)
        state = self.layer.init(x)
        return RecurrentState(state, zero_state(x))

    @checked
    def step(
        self,
        state: RecurrentState,
        x: Sample,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[RecurrentState, Shaped[Array, "*shape"]]:
        """One step: `(state, out)`.

        **Arguments:**

        - `state`: from `init`, or from the step before.
        - `x`: the input current of this step (dimensionless), of shape `"*shape"`.
        - `key`: ignored. (Keyword only.)
        """
        x = as_floating(x)
        return self._advance(state, x.astype(state.out.dtype), x.dtype)

    def _advance(self, state: RecurrentState, x: Array, dtype: Any):
        """`step` for an input of the state's dtype; the output is of `dtype`."""
        current = x + self._lateral(state.out).astype(x.dtype)
        inner, out = self.layer.advance(state.layer, current, dtype)
        return RecurrentState(inner, out.astype(x.dtype)), out

    def _lateral(self, out: Array) -> Array:
        said = f"`linear` must map the neurons' output, of shape {out.shape}, to that shape"
        try:
            lateral = self.linear(out)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{said}: {str(error).partition(chr(10))[0]}") from error
        if lateral.shape != out.shape:
            raise ValueError(f"{said}, got {lateral.shape}.")
        return lateral

    def run_chunk(
        self, state: RecurrentState, xs: Array, length: int | None, key: PRNGKeyArray | None
    ) -> tuple[RecurrentState, Array]:
        """`step` over time, with the derivative of `linear` computed outside of the loop."""
        return _run(self, state, xs.astype(state.out.dtype), xs.dtype)


def _run(recurrent: Recurrent, state: RecurrentState, xs: Array, dtype: Any):
    """`integrate`, with the derivative for `linear` computed outside of the loop.

    A change of the weights of `linear` changes the layer's input at each step by that change,
    applied to the output of the previous step. After the run all outputs are known, so this
    contribution is a tangent of the input, which one product over time computes. Inside the
    loop the weights of `linear` have a tangent of zero.
    """
    arrays, static = eqx.partition((recurrent, state, xs), eqx.is_array)
    inexact, other = eqx.partition(arrays, eqx.is_inexact_array)
    platform = traced_for.value

    def integrated(inexact, other):
        recurrent, state, xs = eqx.combine(inexact, other, static)
        with traced_for(platform):  # also later, when the derivative is traced
            out = integrate(
                lambda state, x: recurrent._advance(state, x, dtype),
                state,
                xs,
                checkpoint_every=recurrent.checkpoint_every,
            )
        return eqx.partition(out, eqx.is_inexact_array)

    @jax.custom_jvp
    def run(inexact, other):
        return integrated(inexact, other)

    @run.defjvp
    def run_jvp(primals, tangents):
        inexact, other = primals
        recurrent_dot, state_dot, xs_dot = tangents[0]
        integrate_inexact = ft.partial(integrated, other=other)
        out, linearized, fixed = jax.linearize(integrate_inexact, inexact, has_aux=True)
        recurrent, state, _ = eqx.combine(inexact, other, static)
        outs = eqx.combine(out, fixed)[1].astype(state.out.dtype)
        before = jnp.concatenate([state.out[None], outs])[:-1]
        weights, rest = eqx.partition(recurrent.linear, eqx.is_inexact_array)

        def laterals(weights):
            return OverTime(eqx.combine(weights, rest))(before)

        _, lateral_dot = jax.jvp(laterals, (weights,), (recurrent_dot.linear,))
        still = jax.tree.map(jnp.zeros_like, recurrent_dot.linear)
        recurrent_dot = eqx.tree_at(lambda r: r.linear, recurrent_dot, still)
        xs_dot = xs_dot + lateral_dot.astype(xs_dot.dtype)
        out_dot = linearized((recurrent_dot, state_dot, xs_dot))
        return (out, fixed), (out_dot, jax.tree.map(_float0, fixed))

    return eqx.combine(*run(inexact, other))


def _float0(x: Array):
    return np.zeros(x.shape, jax.dtypes.float0)
