"""Sequences of different length, padded to one."""

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jax import lax
from jaxtyping import Array, ArrayLike, Bool, PRNGKeyArray, PyTree, Shaped

from ._integrate import integrate
from ._layer import AbstractLayer
from ._types import NestedNumbers, as_floating, checked


@checked
def run_masked(
    layer: AbstractLayer,
    state: PyTree,
    xs: Shaped[ArrayLike, "time ..."] | NestedNumbers,
    mask: Bool[ArrayLike, " time"],
    *,
    key: PRNGKeyArray | None = None,
    checkpoint_every: int | None = None,
) -> tuple[PyTree, Shaped[Array, "time ..."]]:
    """Runs a layer over a padded sequence: where the mask is False, time stands still.

    There the state stays as it was, and the output is that of the last step before (zeros, if
    there was none): so the last output of a network that ends in a decoder is the decision at
    the end of the sequence itself, whatever the padding holds, NaN included.

    ```python
    >>> import jax, jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> network = snn.Network([snn.LI(), snn.MaxOverTime()])
    >>> batch = jnp.ones((2, 5, 3))
    >>> mask = jnp.array([[True] * 2 + [False] * 3, [True] * 5])  # of length 2 and 5
    >>> run = lambda xs, mask: snn.run_masked(network, network.init(xs[0]), xs, mask)[1][-1]
    >>> jax.vmap(run)(batch, mask)[:, 0]
    Array([0.19   , 0.40951], dtype=float32)

    ```

    **Arguments:**

    - `layer`: a layer of sequences, such as a neuron or a whole `Network`. It is run step by
        step. (Without decoders the steps before the end need no mask: no layer looks ahead.)
    - `state`: from `layer.init`, or from the chunk before.
    - `xs`: the padded input over time.
    - `mask`: True at the steps that count.
    - `key`: the sequence's key. (Keyword only.)
    - `checkpoint_every`: as in `integrate`. (Keyword only.)

    **Returns:**

    `(state, outs)`: the state at the end of the sequence itself, and the output at every step
    (of a decoder, its value so far). **Derivative:** that of the steps that count; none to the
    padding.
    """
    mask = jnp.asarray(mask)
    return _run_masked(layer, state, as_floating(xs), mask, key, checkpoint_every)


@eqx.filter_jit
def _run_masked(
    layer: AbstractLayer,
    state: PyTree,
    xs: Array,
    mask: Array,
    key: PRNGKeyArray | None,
    checkpoint_every: int | None,
) -> tuple[PyTree, Array]:
    shape = xs.shape[1:]
    first = jnp.zeros_like(xs, shape=shape)
    out = eqx.filter_eval_shape(lambda s, x: layer.step(s, x, key=key)[1], state, first)
    carry = (state, jnp.zeros(out.shape, out.dtype))
    # the padding is not looked at: whatever it holds, no NaN comes into a derivative
    counts = mask.reshape(-1, *(1,) * len(shape))
    xs = jnp.where(counts, xs, 0)

    def step(carry, inputs):
        x, counts = inputs
        moved = layer.step(carry[0], x, key=key)
        carry = jtu.tree_map(
            lambda new, old: lax.select(jnp.broadcast_to(counts, new.shape), new, old),
            moved,
            carry,
        )
        return carry, carry[1]

    inputs = (xs, mask)
    (state, _), outs = integrate(step, carry, inputs, checkpoint_every=checkpoint_every)
    return state, outs
