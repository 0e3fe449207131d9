"""Which parameters of a model are trained."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.tree_util as jtu
from jaxtyping import PyTree

from ._types import checked


@checked
def filter_spec(model: PyTree, frozen: Callable[[Any], Any]) -> PyTree:
    """Which leaves of a model to train: all floating arrays, except those in a frozen part.

    Partition the model with it, and give the optimiser only the trained part. Neither gradients
    nor weight decay (as in `optax.adamw`) then change the frozen part.

    ```python
    >>> import equinox as eqx, jax
    >>> import jaxsnn_eqx as snn
    >>> model = snn.Network([
    ...     snn.LearnableLIFEncoder(4, seq_length=10),
    ...     snn.OverTime(eqx.nn.Linear(4, 2, key=jax.random.key(0))),
    ... ])
    >>> spec = snn.filter_spec(model, frozen=lambda m: m[0])
    >>> trained, rest = eqx.partition(model, spec)
    >>> len(jax.tree.leaves(trained))  # the weight and the bias
    2
    >>> grads = jax.grad(lambda trained: eqx.combine(trained, rest)(jax.numpy.ones(4)).sum())
    >>> len(jax.tree.leaves(grads(trained)))
    2

    ```

    **Arguments:**

    - `model`: any PyTree, such as a `Network`.
    - `frozen`: a function from the model to the part to freeze, or to a tuple of parts.

    **Returns:**

    A PyTree of booleans like `model`, for `equinox.partition` and the `mask` arguments of
    optax.
    """
    spec = jtu.tree_map(eqx.is_inexact_array, model)
    parts = frozen(spec)
    if not jtu.tree_leaves(parts):
        return spec  # the frozen part has no leaves
    return eqx.tree_at(
        frozen, spec, replace_fn=lambda part: jtu.tree_map(lambda _: False, part)
    )
