"""Time loops whose states are known before they run."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jax import lax
from jaxtyping import Array, PyTree

from ._integrate import integrate, with_derivative_of


@eqx.filter_jit
def integrate_foreseen(
    foresee: Callable[[PyTree, Array], tuple[PyTree, PyTree]],
    cell: Any,
    state: PyTree,
    xs: Array,
    *,
    checkpoint_every: int | None = None,
) -> tuple[PyTree, Array]:
    """`integrate` for a cell whose states follow from the input alone, but for NaN.

    `foresee(state, xs)` gives the states before each step, stacked, and the last; they need
    to be right only where neither `state` nor `xs` has a NaN. Then all steps are mapped at
    once, and otherwise looped over: the outputs are the same. The derivative is the loop's.
    """
    if xs.shape[0] == 0:
        return integrate(cell, state, xs, checkpoint_every=checkpoint_every)
    arrays, static = eqx.partition(cell, eqx.is_array)

    def looped(arrays, state, xs):
        cell = eqx.combine(arrays, static)
        return integrate(cell, state, xs, checkpoint_every=checkpoint_every)

    def mapped(arrays, state, xs):
        cell = eqx.combine(arrays, static)
        states, final = foresee(state, xs)
        return final, jax.vmap(lambda state, x: cell.step(state, x)[1])(states, xs)

    def primal(arrays, state, xs):
        leaves = jtu.tree_leaves(eqx.filter((state, xs), eqx.is_inexact_array))
        any_nan = sum(map(_may_have_nan, leaves), jnp.zeros((), bool))
        return lax.cond(any_nan, looped, mapped, arrays, state, xs)

    loop = with_derivative_of(looped, primal, same_loop=False)
    return loop(*eqx.partition((arrays, state, xs), eqx.is_inexact_array))


@jax.custom_batching.custom_vmap
def _may_have_nan(x: Array) -> Array:
    """True if `x` has a NaN; a sum, the fastest of reductions, may say so of infinities too.

    Of a whole batch at once: `lax.cond` on it stays a choice under `vmap`, instead of
    computing both.
    """
    return jnp.isnan(jnp.sum(x))


@_may_have_nan.def_vmap
def _may_have_nan_batch(axis_size, in_batched, x):
    return _may_have_nan(x), False
