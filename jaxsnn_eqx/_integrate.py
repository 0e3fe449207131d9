"""The one time loop, and its derivative.

A cell's `step` is the only equation. The primal scan keeps the state at the start of each
chunk; the tangent is a linear scan of `jax.jvp(step)` over states that are recomputed
chunk by chunk. Reverse mode is JAX's transpose of that tangent: no backward pass is
written by hand, and nothing but states is ever stored for one.
"""

import functools as ft
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, PRNGKeyArray, PyTree

from ._chunks import chunk_length, rows, split
from ._membrane import KEPT
from ._types import first_step, optional_positive_int

_KEPT = jax.checkpoint_policies.save_only_these_names(KEPT)


@eqx.filter_jit
def integrate(
    cell: Any,
    state: PyTree,
    xs: PyTree,
    *,
    length: int | None = None,
    checkpoint_every: int | None = None,
) -> tuple[PyTree, PyTree]:
    """Runs `cell.step` over time: `lax.scan`, with a derivative that costs little memory.

    Equal to `lax.scan(cell.step, state, xs, length)`, bit for bit. Differentiable in
    forward and in reverse mode, to any order, with respect to the inexact array leaves of
    `cell`, `state` and `xs`; integer, boolean and key leaves are carried along.

    For the reverse pass only the state at the start of every `checkpoint_every` steps is
    kept; within a chunk the states are computed again. Per neuron that is about
    `length / checkpoint_every + checkpoint_every` states instead of several values per
    step, at the cost of one more forward pass.

    ```python
    >>> import equinox as eqx, jax, jax.numpy as jnp
    >>> from jaxsnn_eqx import integrate
    >>> class Decay(eqx.Module):
    ...     rate: jax.Array
    ...     def step(self, state, x):
    ...         state = self.rate * state + x
    ...         return state, state
    >>> def last(rate):
    ...     _, out = integrate(Decay(rate), jnp.array(0.0), jnp.ones(3))
    ...     return out[-1]
    >>> float(last(0.5)), float(jax.grad(last)(0.5))
    (1.75, 2.0)

    ```

    **Arguments:**

    - `cell`: a PyTree (usually an `eqx.Module`) with `step(state, x) -> (state, out)`,
        as in `jax.lax.scan`. Everything traced must be a leaf of it.
    - `state`: the initial state, a PyTree of arrays.
    - `xs`: the inputs, a PyTree of arrays with time on axis 0, or `None`.
    - `length`: the number of steps; needed where `xs` has no arrays.
    - `checkpoint_every`: steps per chunk, any number >= 1, `length` not divisible by it
        included (the remainder's outputs are then copied once). With 1 no step is computed
        twice: what its derivative needs is kept, of a membrane the potential before the
        reset. Default: with `xs`, which are as long as the sequence anyway, 1; without, the
        divisor of `length` nearest its square root, if there is one within a factor of two,
        else the rounded root, and 1 for less than 64 steps.

    **Returns:**

    `(state, outs)`: the final state, and the outputs stacked along axis 0.

    **Raises:** `ValueError` if `step` closes over a traced value, which would lose its
    derivative; if it changes the structure, shape or dtype of the state; or if the
    lengths disagree.
    """
    length = _checked_length(xs, length)
    every = optional_positive_int("checkpoint_every")(checkpoint_every)
    if every is None:
        every = 1 if jtu.tree_leaves(xs) else chunk_length(length)
    every = max(1, min(every, length))
    arrays, static = eqx.partition(cell, eqx.is_array)

    def step(arrays, state, x):
        state, out = eqx.combine(arrays, static).step(state, x)
        return state, jtu.tree_map(jnp.asarray, out)

    def keeping_starts(arrays, state, xs):
        one_step = ft.partial(step, arrays)
        return _scan_keeping_starts(one_step, state, xs, length, every)

    unroll = _steps_at_once(state, length)

    def primal(arrays, state, xs):
        return lax.scan(ft.partial(step, arrays), state, xs, length, unroll=unroll)

    def keeping_all(arrays, state, xs):
        one_step = jax.checkpoint(ft.partial(step, arrays), prevent_cse=False, policy=_KEPT)
        return lax.scan(one_step, state, xs, length)

    _check_step(step, arrays, state, xs)
    if every > 1:
        loop = _loop(step, primal, keeping_starts, length, every)
    elif unroll > 1:
        loop = with_derivative_of(keeping_all, primal, same_loop=True)
    else:
        return keeping_all(arrays, state, xs)
    return loop(*eqx.partition((arrays, state, xs), eqx.is_inexact_array))


@eqx.filter_jit
def emit_over_time(
    encoder: Any, x: Array, start: Array, *, length: int, key: PRNGKeyArray | None
) -> Array:
    """Maps `encoder.emit(x, t, key=key)` over `length` steps, from step `start`.

    Forward all steps at once, since none depends on another; the derivative step by step,
    which adds up the steps' shares without storing them (measured on two cores at
    20,000 values and 101 steps: 0.40 ms against 0.64 ms forward, and 12 ms against 4 ms for
    the gradient, had both been mapped).
    """
    arrays, static = eqx.partition((encoder, x, key), eqx.is_array)

    def step(arrays, t, _):
        encoder, x, key = eqx.combine(arrays, static)
        return t + 1, encoder.emit(x, t, key=key)

    def primal(arrays, start, _):
        ts = start + jnp.arange(length, dtype=start.dtype)
        return start + length, jax.vmap(lambda t: step(arrays, t, None)[1])(ts)

    def keeping_starts(arrays, start, _):
        final, outs = primal(arrays, start, None)
        return final, start[None], outs

    _check_step(step, arrays, start, None)
    loop = _loop(step, primal, keeping_starts, length, length)
    return loop(*eqx.partition((arrays, start, None), eqx.is_inexact_array))[1]


def _loop(step: Callable, primal: Callable, keeping_starts: Callable, length, every):
    """`primal`, with the derivative of `length` times `step`, in chunks of `every`.

    `primal(arrays, state, xs)` returns the final state and the outputs, and
    `keeping_starts` the same with the state at the start of each chunk in between.
    """

    @jax.custom_jvp
    def loop(inexact, other):
        return primal(*eqx.combine(inexact, other))

    @ft.partial(loop.defjvp, symbolic_zeros=True)
    def loop_jvp(primals, tangents):
        arrays, state, xs = eqx.combine(*primals)
        final, starts, outs = keeping_starts(arrays, state, xs)
        # What does not move has no tangent at all; but all of the state will move.
        arrays_dot, state_dot, xs_dot = jtu.tree_map(_none_if_zero, tangents[0])
        inexact_state = eqx.filter(state, eqx.is_inexact_array)
        state_dot = eqx.combine(state_dot, jtu.tree_map(jnp.zeros_like, inexact_state))
        dots = (arrays_dot, state_dot, xs_dot)
        out_dots = _tangent(step, arrays, starts, xs, dots, length=length, every=every)
        return (final, outs), _with_zeros(out_dots, (final, outs))

    return loop


def with_derivative_of(
    differentiated: Callable, primal: Callable, *, same_loop: bool
) -> Callable:
    """`primal`, with the derivative of `differentiated`, which gives the same.

    Of one tree of inexact arrays and one of all others, which both are given combined. Unless
    both are the `same_loop`, `primal` is run for a derivative, too: `vmap` puts a batch of
    outputs where a function has it, and here that must be one place.
    """

    @jax.custom_jvp
    def loop(inexact, other):
        return primal(*eqx.combine(inexact, other))

    @ft.partial(loop.defjvp, symbolic_zeros=True)
    def loop_jvp(primals, tangents):
        dots = jtu.tree_map(_none_if_zero, tangents[0])
        out, out_dot = eqx.filter_jvp(differentiated, eqx.combine(*primals), dots)
        if not same_loop:
            out = loop(*primals)
        return out, _with_zeros(out_dot, out)

    return loop


def _steps_at_once(state, length: int) -> int:
    """How many steps an iteration of the primal loop has.

    XLA's CPU loops copy the state in each iteration. Where that is large, two steps share the
    copy: 1.0 to 1.3 times faster from some 50,000 numbers on, up to 1.8 times slower below
    (`benchmarks/run.py`'s sizes, two cores). More steps are slower everywhere, and an odd
    length would have its outputs copied.
    """
    size = max((leaf.size for leaf in jtu.tree_leaves(state)), default=0)
    return 2 if size >= 48_000 and length % 2 == 0 and length else 1


def _none_if_zero(dot):
    return None if isinstance(dot, SymbolicZero) else dot


def _scan_keeping_starts(step: Callable, state, xs, length: int, every: int):
    """`lax.scan` that also returns the states at the start of each chunk.

    Every step overwrites the slot of the chunk after its own, so the last write to a slot
    is the state which that chunk starts from: no branch, and no copy of the outputs, as
    nested scans would make.
    """
    # With one chunk too: were its start the initial state itself, XLA would run this loop and
    # the one that computes the states again side by side, with twice the memory.
    chunks = max(1, -(-length // every))
    slots = jtu.tree_map(lambda s: jnp.broadcast_to(s[None], (chunks + 1, *s.shape)), state)

    def body(carry, inputs):
        (state, slots), (x, slot) = carry, inputs
        state, out = step(state, x)
        write = ft.partial(lax.dynamic_update_index_in_dim, index=slot, axis=0)
        return (state, jtu.tree_map(write, slots, state)), out

    slot = jnp.arange(length) // every + 1
    (state, slots), outs = lax.scan(body, (state, slots), (xs, slot), length)
    return state, rows(slots, slice(-1)), outs


def _tangent(step: Callable, arrays, starts, xs, dots, *, length: int, every: int):
    """The tangent of the loop: linear in `dots`, from the states that `starts` give."""
    arrays_dot, state_dot, xs_dot = dots

    @ft.partial(jax.checkpoint, prevent_cse=False)
    def one_step(state, state_dot, arrays, arrays_dot, x, x_dot):
        fixed_state = eqx.filter(state, eqx.is_inexact_array, inverse=True)

        def inexact_step(arrays_, state_, x_):
            new_state, out = step(
                eqx.combine(arrays_, arrays),
                eqx.combine(state_, fixed_state),
                eqx.combine(x_, x),
            )
            new_inexact, new_other = eqx.partition(new_state, eqx.is_inexact_array)
            return (new_inexact, eqx.filter(out, eqx.is_inexact_array)), new_other

        primals = (
            _only_moving(arrays_dot, arrays),
            eqx.filter(state, eqx.is_inexact_array),
            _only_moving(x_dot, x),
        )
        (inexact, _), (state_dot, out_dot), other = jax.jvp(
            inexact_step, primals, (arrays_dot, state_dot, x_dot), has_aux=True
        )
        return eqx.combine(inexact, other), state_dot, out_dot

    @ft.partial(jax.checkpoint, prevent_cse=False, static_argnums=0)
    def one_chunk(length, state_dot, start, arrays, arrays_dot, xs, xs_dot):
        def body(carry, inputs):
            (state, state_dot), (x, x_dot) = carry, inputs
            state, state_dot, out_dot = one_step(state, state_dot, arrays, arrays_dot, x, x_dot)
            return (state, state_dot), out_dot

        carry = (start, state_dot)
        (_, state_dot), outs_dot = lax.scan(body, carry, (xs, xs_dot), length)
        return state_dot, outs_dot

    def chunk(state_dot, inputs, length=every):
        start, xs, xs_dot = inputs
        return one_chunk(length, state_dot, start, arrays, arrays_dot, xs, xs_dot)

    if every >= length:
        return chunk(state_dot, (rows(starts, 0), xs, xs_dot), length)

    chunks, full = split((xs, xs_dot), length, every)
    inputs = (rows(starts, slice(length // every)), *chunks)
    state_dot, outs_dot = lax.scan(chunk, state_dot, inputs)
    outs_dot = jtu.tree_map(lambda a: a.reshape(full, *a.shape[2:]), outs_dot)
    if full < length:
        inputs = (rows(starts, -1), *rows((xs, xs_dot), slice(full, None)))
        state_dot, tail_dot = chunk(state_dot, inputs, length - full)
        outs_dot = jtu.tree_map(lambda a, b: jnp.concatenate([a, b]), outs_dot, tail_dot)
    return state_dot, outs_dot


def _is_none(x) -> bool:
    return x is None


def _only_moving(dots, primals):
    """The primals that have a tangent, `None` in place of the others."""
    return jtu.tree_map(
        lambda dot, primal: None if dot is None else primal,
        dots,
        primals,
        is_leaf=_is_none,
    )


def _with_zeros(dots, primals):
    """Fills in the tangents of what does not move, `float0` for integers, booleans and keys."""

    def zeros(x):
        inexact = eqx.is_inexact_array(x)
        return jnp.zeros_like(x) if inexact else np.zeros(x.shape, jax.dtypes.float0)

    return jtu.tree_map(
        lambda dot, primal: jtu.tree_map(zeros, primal) if dot is None else dot,
        dots,
        primals,
        is_leaf=_is_none,
    )


def _checked_length(xs: PyTree, length: int | None) -> int:
    leaves = jtu.tree_leaves(xs)
    if any(jnp.ndim(x) == 0 for x in leaves):
        raise ValueError("`xs` must have time on axis 0, got an array of shape ().")
    lengths = {jnp.shape(x)[0] for x in leaves}
    if length is not None:
        lengths.add(length)
    if len(lengths) != 1:
        raise ValueError(
            "`length` and axis 0 of every array in `xs` must agree, and one of them "
            f"must be given; got {sorted(lengths)}."
        )
    return lengths.pop()


def _check_step(step: Callable, arrays, state, xs) -> None:
    def first(arrays, state, xs):
        return step(arrays, state, jtu.tree_map(first_step, xs))

    jaxpr, (new_state, _) = jax.make_jaxpr(first, return_shape=True)(arrays, state, xs)
    if any(isinstance(const, Tracer) for const in jaxpr.consts):
        raise ValueError(
            "`step` closes over a traced array, whose derivative would be lost: make it "
            "an array leaf of `cell` (a field of the module), part of `state`, or of `xs`."
        )

    def spec(tree):
        leaves, treedef = jtu.tree_flatten(tree)
        return treedef, [f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves]

    if spec(state) != spec(new_state):
        raise ValueError(
            "`step` must return a state of the structure, shapes and dtypes that it was "
            f"given; got {spec(state)[1]} and returned {spec(new_state)[1]} "
            f"(structures {spec(state)[0]} and {spec(new_state)[0]})."
        )
