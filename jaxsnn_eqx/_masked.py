"""Sequences of different lengths, padded to the same length."""

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jax import lax
from jaxtyping import Array, ArrayLike, Bool, PRNGKeyArray, PyTree, Shaped

from ._integrate import integrate
from ._layer import AbstractLayer
from ._types import NestedNumbers, as_floating, as_mask, checked, optional_positive_int


@checked
def run_masked(
    layer: AbstractLayer,
    state: PyTree,
    xs: Shaped[ArrayLike, "time ..."] | NestedNumbers,
    mask: Bool[ArrayLike, " time"] | NestedNumbers,
    *,
    key: PRNGKeyArray | None = None,
    checkpoint_every: int | None = None,
) -> tuple[PyTree, Shaped[Array, "time ..."]]:
    """Runs a layer over a padded sequence; the steps where the mask is False are skipped.

    A skipped step does not change the state, and repeats the output of the step before it
    (zeros at the start). The last output of a decoder is therefore its decision at the end of
    the sequence before padding. The padding has no effect, even if it is NaN.

    Padding at the end does not affect the steps before it, so only the decoder needs the mask.
    The layers before it then run as always, which is faster than to step a whole network:

    ```python
    >>> import jax, jax.numpy as jnp
    >>> import jaxsnn_eqx as snn
    >>> network = snn.Network([snn.LI(), snn.MaxOverTime()])
    >>> batch = jnp.ones((2, 5, 3))
    >>> mask = jnp.array([[True] * 2 + [False] * 3, [True] * 5])  # of length 2 and 5
    >>> def logits(xs, mask):
    ...     potentials, decoder = network[:-1](xs), network[-1]
    ...     state = decoder.init(potentials[0])
    ...     return snn.run_masked(decoder, state, potentials, mask)[1][-1]
    >>> jax.vmap(logits)(batch, mask)[:, 0]
    Array([0.19   , 0.40951], dtype=float32)

    ```

    Pad with zeros there: the gradient of layers that run over NaN is NaN.

    **Arguments:**

    - `layer`: a layer of sequences: a decoder, or, for gaps within a sequence, a neuron or a
        whole `Network`. It is run step by step.
    - `state`: from `layer.init`, or from the chunk before.
    - `xs`: the padded input over time.
    - `mask`: False at the steps to skip.
    - `key`: the sequence's key. (Keyword only.)
    - `checkpoint_every`: as in `integrate`. (Keyword only.)

    **Returns:**

    `(state, outs)`: the state after the last step that is not skipped, and the output at every
    step (for a decoder, its value so far). **Derivative:** that of the steps that are not
    skipped; zero for the padding.
    """
    xs, mask = as_floating(xs), as_mask("mask", mask)
    if mask.shape != xs.shape[:1]:
        raise ValueError(
            f"`mask` must be True or False for each of the {len(xs)} steps of `xs`, got shape "
            f"{mask.shape}."
        )
    every = optional_positive_int("checkpoint_every")(checkpoint_every)
    return _run_masked(layer, state, xs, mask, key, every)


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
    try:
        # not only its shape: under `shard_map`, zeros must also vary over the same devices
        _, out = layer.step(state, first, key=key)
    except TypeError as error:
        raise ValueError(
            "`state` must be from `layer.init` of an input like one step of `xs`, of shape "
            f"{shape}: {str(error).partition(chr(10))[0]}"
        ) from error
    carry = (state, jnp.zeros_like(out))
    carry = _select(mask.any(), carry, carry)  # and over those of the mask
    # The skipped steps are computed too, and their result is dropped. With a NaN in the
    # padding, the derivative of the dropped part would be 0 times NaN, and so NaN.
    counts = mask.reshape(-1, *(1,) * len(shape))
    xs = jnp.where(counts, xs, 0)

    def step(carry, inputs):
        x, counts = inputs
        moved = layer.step(carry[0], x, key=key)
        carry = _select(counts, moved, carry)
        return carry, carry[1]

    inputs = (xs, mask)
    (state, _), outs = integrate(step, carry, inputs, checkpoint_every=checkpoint_every)
    return state, outs


def _select(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    return jtu.tree_map(
        lambda a, b: lax.select(jnp.broadcast_to(condition, a.shape), a, b), yes, no
    )
