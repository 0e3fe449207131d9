"""The only loop over time, and its derivative.

The forward scan keeps the state at the start of each chunk. The tangent is a linear scan of
`jax.jvp(step)` over states that are computed again, chunk by chunk. Reverse mode is JAX's
transpose of that tangent, so that no backward pass is written by hand.
"""

import functools as ft
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax import lax
from jax.core import eval_jaxpr
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, PyTree

from ._chunks import chunk_length, split
from ._platforms import CPU, Platform, at_once_without_derivative, by_platform
from ._types import at_least_zero, first_step, optional_positive_int

KEPT = "jaxsnn_eqx.kept"
"""A `step` gives this name (by `checkpoint_name`) to the values to keep for the derivative
where all steps are kept: the potential of a membrane before the reset."""

_KEPT = jax.checkpoint_policies.save_only_these_names(KEPT)


def integrate(
    step: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]],
    state: PyTree,
    xs: PyTree = None,
    *,
    length: int | None = None,
    checkpoint_every: int | None = None,
) -> tuple[PyTree, PyTree]:
    """`jax.lax.scan`, with a derivative that needs little memory.

    Equal to `lax.scan(step, state, xs, length)`, bit for bit. Differentiable in forward and in
    reverse mode, to any order, with respect to `state`, `xs` and all arrays that `step` closes
    over. Integers, booleans and keys may be among them.

    For the reverse pass only the state at the start of every `checkpoint_every` steps is
    kept; within a chunk the states are computed again. Per neuron that is about
    `length / checkpoint_every + checkpoint_every` states instead of several values per
    step, at the cost of one more forward pass.

    ```python
    >>> import jax, jax.numpy as jnp
    >>> from jaxsnn_eqx import integrate
    >>> def last(rate):
    ...     def step(state, x):
    ...         state = rate * state + x
    ...         return state, state
    ...     _, out = integrate(step, jnp.array(0.0), jnp.ones(3))
    ...     return out[-1]
    >>> float(last(0.5)), float(jax.grad(last)(0.5))
    (1.75, 2.0)

    ```

    **Arguments:**

    - `step`: `step(state, x) -> (state, out)`, as in `jax.lax.scan`. Call `integrate` under
        `jax.jit`, as `scan`: outside of it, every new closure compiles again.
    - `state`: the initial state, a PyTree of arrays.
    - `xs`: the inputs, a PyTree of arrays with time on axis 0, or `None`.
    - `length`: the number of steps; needed where `xs` has no arrays.
    - `checkpoint_every`: steps per chunk, any number >= 1. It need not divide `length`; if it
        does not, the outputs are copied once. With 1 no step is computed twice, and the values
        that its derivative needs are kept (the potential of a membrane before the reset). By
        default it is 1 with `xs`, which take as much memory anyway, and on GPUs and TPUs.
        Without `xs` it is, on a CPU, the divisor of `length` nearest to its square root, if
        there is one within a factor of two, else the rounded root; and 1 for fewer than 64
        steps.

    **Returns:**

    `(state, outs)`: the final state, and the outputs stacked along axis 0.

    **Raises:** `ValueError` if `step` changes the structure, shape or dtype of the state, or if
    the lengths disagree.
    """
    if not callable(step):
        raise ValueError(f"`step` must be callable, got {step!r}.")
    length = _checked_length(xs, length)
    given = optional_positive_int("checkpoint_every")(checkpoint_every)
    one_step, closed, (new_state, _) = _hoisted(step, state, jtu.tree_map(first_step, xs))
    _check_state(state, new_state)

    def loop(platform: Platform) -> Callable:
        every = given
        if every is None:
            every = chunk_length(length) if platform == CPU and not jtu.tree_leaves(xs) else 1
        every = max(1, min(every, length))
        at_once = platform.at_once(every if every > 1 else length)
        primal = at_once
        if not jtu.tree_leaves(xs):
            primal = at_once_without_derivative(platform, state, length)
        return _scans(one_step, length, every, at_once, primal)

    return by_platform(loop, *eqx.partition((closed, state, xs), eqx.is_inexact_array))


def _scans(one_step: Callable, length: int, every: int, at_once: int, at_once_primal: int):
    """The loop in chunks of `every` steps, `at_once` of which are one iteration."""

    def scan_keeping_starts(closed, state, xs):
        step = ft.partial(one_step, closed)
        return _scan_keeping_starts(step, state, xs, length, every, at_once)

    def scan(closed, state, xs):
        return lax.scan(ft.partial(one_step, closed), state, xs, length, unroll=at_once_primal)

    def scan_keeping_all(closed, state, xs):
        kept = jax.checkpoint(ft.partial(one_step, closed), prevent_cse=False, policy=_KEPT)
        return lax.scan(kept, state, xs, length, unroll=at_once)

    if every > 1:
        return _loop(one_step, scan, scan_keeping_starts, length, every, at_once)
    if at_once_primal > 1:
        return _with_derivative_of(scan_keeping_all, scan)
    return lambda *parts: scan_keeping_all(*eqx.combine(*parts))


def map_over_time(emit: Callable[[Array], Array], start: Array, *, length: int) -> Array:
    """`emit(t)` at `length` steps from step `start`, all at once, since they are independent.

    The derivative is computed step by step, which adds up the contributions of the steps
    without storing them. (20,000 values, 101 steps, two cores: mapping instead of scanning
    takes 0.40 ms instead of 0.64 ms forward, but 12 ms instead of 4 ms for the gradient.)
    """
    emit, closed, _ = _hoisted(emit, start)

    def step(closed, t, _):
        return t + 1, emit(closed, t)

    def map_steps(closed, start, _):
        ts = start + jnp.arange(length, dtype=start.dtype)
        return start + length, jax.vmap(lambda t: step(closed, t, None)[1])(ts)

    def map_keeping_start(closed, start, _):
        final, outs = map_steps(closed, start, None)
        return final, start[None], outs

    def loop(platform: Platform) -> Callable:
        at_once = platform.at_once(length)
        return _loop(step, map_steps, map_keeping_start, length, length, at_once)

    return by_platform(loop, *eqx.partition((closed, start, None), eqx.is_inexact_array))[1]


def _hoisted(fn: Callable, *args: PyTree):
    """`fn(*args)` as `hoisted(closed, *args)`, with all arrays that it closes over in `closed`.

    The derivative can then be taken with respect to them. Also returns the shapes of the
    output. `equinox.filter_closure_convert` does not work here: under `shard_map` it refuses
    the types of arrays for which it was made.
    """
    jaxpr, shapes = jax.make_jaxpr(fn, return_shape=True)(*args)
    treedef = jtu.tree_structure(shapes)
    equations, closed = jaxpr.jaxpr, jaxpr.consts  # `jaxpr` would keep the tracers in `hoisted`

    def hoisted(closed, *args):
        outs = eval_jaxpr(equations, closed, *jtu.tree_leaves(args))
        return jtu.tree_unflatten(treedef, outs)

    return hoisted, closed, shapes


def _loop(step: Callable, primal: Callable, keeping_starts: Callable, length, every, at_once):
    """`primal`, with the derivative of `length` steps of `step`, in chunks of `every`.

    `primal(closed, state, xs)` returns the final state and the outputs; `keeping_starts`
    returns the final state, the states at the start of each chunk, and the outputs.
    """

    @jax.custom_jvp
    def loop(inexact, other):
        return primal(*eqx.combine(inexact, other))

    @ft.partial(loop.defjvp, symbolic_zeros=True)
    def loop_jvp(primals, tangents):
        closed, state, xs = eqx.combine(*primals)
        final, starts, outs = keeping_starts(closed, state, xs)
        # Arrays that are not differentiated have no tangent; but the whole state has one,
        # since it is zero only at the first step.
        closed_dot, state_dot, xs_dot = jtu.tree_map(_none_if_zero, tangents[0])
        inexact_state = eqx.filter(state, eqx.is_inexact_array)
        state_dot = eqx.combine(state_dot, jtu.tree_map(jnp.zeros_like, inexact_state))
        dots = (closed_dot, state_dot, xs_dot)
        out_dots = _tangent(step, closed, starts, xs, dots, length, every, at_once)
        return (final, outs), _with_zeros(out_dots, (final, outs))

    return loop


def _with_derivative_of(differentiated: Callable, primal: Callable) -> Callable:
    """`primal`, with the derivative of `differentiated`, which returns the same values.

    The result takes a tree of inexact arrays and a tree of all others, and combines them.
    """

    @jax.custom_jvp
    def loop(inexact, other):
        return primal(*eqx.combine(inexact, other))

    @ft.partial(loop.defjvp, symbolic_zeros=True)
    def loop_jvp(primals, tangents):
        dots = jtu.tree_map(_none_if_zero, tangents[0])
        out, out_dot = eqx.filter_jvp(differentiated, eqx.combine(*primals), dots)
        return out, _with_zeros(out_dot, out)

    return loop


def _none_if_zero(dot):
    return None if isinstance(dot, SymbolicZero) else dot


def _scan_keeping_starts(step: Callable, state, xs, length: int, every: int, at_once: int):
    """`lax.scan` that also returns the states at the start of each chunk.

    Every step writes its state to the slot of the next chunk, so that the last write to a slot
    is the state at the start of that chunk. This needs no branch; nested scans would copy the
    outputs.
    """
    # One chunk has a slot too. If its start were the initial state itself, XLA would run this
    # loop at the same time as the loop that computes the states again, with twice the memory.
    chunks = max(1, -(-length // every))
    slots = jtu.tree_map(lambda s: jnp.broadcast_to(s[None], (chunks + 1, *s.shape)), state)

    def body(carry, inputs):
        (state, slots), (x, slot) = carry, inputs
        state, out = step(state, x)
        write = ft.partial(lax.dynamic_update_index_in_dim, index=slot, axis=0)
        return (state, jtu.tree_map(write, slots, state)), out

    slot = jnp.arange(length) // every + 1
    (state, slots), outs = lax.scan(body, (state, slots), (xs, slot), length, unroll=at_once)
    return state, _rows(slots, slice(-1)), outs


def _tangent(step: Callable, closed, starts, xs, dots, length: int, every: int, at_once: int):
    """The tangent of the loop: linear in `dots`, from the states that `starts` give."""
    closed_dot, state_dot, xs_dot = dots

    @ft.partial(jax.checkpoint, prevent_cse=False)
    def one_step(state, state_dot, closed, closed_dot, x, x_dot):
        fixed_state = eqx.filter(state, eqx.is_inexact_array, inverse=True)

        def inexact_step(closed_, state_, x_):
            new_state, out = step(
                eqx.combine(closed_, closed),
                eqx.combine(state_, fixed_state),
                eqx.combine(x_, x),
            )
            new_inexact, new_other = eqx.partition(new_state, eqx.is_inexact_array)
            return (new_inexact, eqx.filter(out, eqx.is_inexact_array)), new_other

        primals = (
            _only_moving(closed_dot, closed),
            eqx.filter(state, eqx.is_inexact_array),
            _only_moving(x_dot, x),
        )
        (inexact, _), (state_dot, out_dot), other = jax.jvp(
            inexact_step, primals, (closed_dot, state_dot, x_dot), has_aux=True
        )
        return eqx.combine(inexact, other), state_dot, out_dot

    @ft.partial(jax.checkpoint, prevent_cse=False, static_argnums=0)
    def one_chunk(length, state_dot, start, closed, closed_dot, xs, xs_dot):
        def body(carry, inputs):
            (state, state_dot), (x, x_dot) = carry, inputs
            state, state_dot, out_dot = one_step(state, state_dot, closed, closed_dot, x, x_dot)
            return (state, state_dot), out_dot

        carry = (start, state_dot)
        (_, state_dot), outs_dot = lax.scan(body, carry, (xs, xs_dot), length, unroll=at_once)
        return state_dot, outs_dot

    def chunk(state_dot, inputs, length=every):
        start, xs, xs_dot = inputs
        return one_chunk(length, state_dot, start, closed, closed_dot, xs, xs_dot)

    if every >= length:
        return chunk(state_dot, (_rows(starts, 0), xs, xs_dot), length)

    chunks, full = split((xs, xs_dot), length, every)
    inputs = (_rows(starts, slice(length // every)), *chunks)
    state_dot, outs_dot = lax.scan(chunk, state_dot, inputs)
    outs_dot = jtu.tree_map(lambda a: a.reshape(full, *a.shape[2:]), outs_dot)
    if full < length:
        inputs = (_rows(starts, -1), *_rows((xs, xs_dot), slice(full, None)))
        state_dot, tail_dot = chunk(state_dot, inputs, length - full)
        outs_dot = jtu.tree_map(lambda a, b: jnp.concatenate([a, b]), outs_dot, tail_dot)
    return state_dot, outs_dot


def _is_none(x) -> bool:
    return x is None


def _only_moving(dots, primals):
    """The primals that have a tangent, and `None` in place of the others."""
    return jtu.tree_map(
        lambda dot, primal: None if dot is None else primal,
        dots,
        primals,
        is_leaf=_is_none,
    )


def _with_zeros(dots, primals):
    """Fills in missing tangents with zeros, `float0` for integers, booleans and keys."""

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
        lengths.add(at_least_zero("length")(length))
    if len(lengths) != 1:
        raise ValueError(
            "`length` and axis 0 of every array in `xs` must agree, and one of them "
            f"must be given; got {sorted(lengths)}."
        )
    return lengths.pop()


def _rows(tree, which):
    """The chosen steps of every array."""
    return jtu.tree_map(lambda a: a[which], tree)


def _check_state(state, new_state) -> None:
    def spec(tree):
        leaves, treedef = jtu.tree_flatten(tree)
        return treedef, [f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves]

    if spec(state) != spec(new_state):
        raise ValueError(
            "`step` must return a state with the structure, shapes and dtypes of its input "
            f"state; got {spec(state)[1]} and returned {spec(new_state)[1]} "
            f"(structures {spec(state)[0]} and {spec(new_state)[0]})."
        )
