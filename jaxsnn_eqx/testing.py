"""A check of the contract of layers, for the layers of this package and of others."""

import functools as ft
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax import lax
from jaxtyping import PRNGKeyArray, PyTree

from ._layer import AbstractLayer
from ._network import decodes
from ._types import AnyInput, as_floating


class ContractError(AssertionError):
    """A layer breaks a law of the contract."""


def check_layer(layer: AbstractLayer, x: AnyInput, *, key: PRNGKeyArray | None = None) -> None:
    """Checks that a layer keeps the contract of all layers, on the input `x`.

    ```python
    >>> import numpy as np
    >>> import jaxsnn_eqx as snn
    >>> from jaxsnn_eqx import testing
    >>> currents = np.random.default_rng(0).uniform(0.0, 4.0, (20, 5))
    >>> testing.check_layer(snn.LIF(), currents)

    ```

    **Arguments:**

    - `layer`: any layer, built on the abstract classes of this package.
    - `x`: values, or a sequence with time on axis 0, of at least 6 steps, on which the layer
        shows what it does.
    - `key`: for a layer that draws. (Keyword only.)

    **Raises:** `ContractError` at the first of these laws that does not hold, with an example:

    1. `init` uses the shape and dtype of its input only.
    2. `step` and `run` keep the structure, shapes and dtypes of the state.
    3. `step` inside of `jax.jit` equals `step` outside.
    4. Calls are deterministic, and another `key` draws something else; a layer that draws
       refuses to run without one.
    5. A loop of `step` equals the whole.
    6. Chunks by `run` equal the whole.
    7. `jax.vmap` equals a loop over the batch.
    8. What comes later does not change what was before: a longer sequence begins with the
       shorter one.
    9. The output has the floating dtype of the input, unless the layer has a `dtype` or
       arrays of its own; floating states have at least 32 bits.
    10. NaN is not lost.
    11. Forward and reverse mode agree, for the input and for the arrays of the layer.
    12. The state can be donated.
    13. An ensemble by `eqx.filter_vmap` equals its members.
    14. A layer that is saved and loaded is the same layer.

    `ValueError` if `x` cannot show this: if the output or the state does not change, or if all
    derivatives are zero. Narrow outputs (`dtype=bool`) have none, and are not differentiated.
    """
    x = np.asarray(as_floating(x))
    length = x.shape[0] if layer.seq_length is None else layer.seq_length
    if length < 6:
        raise ValueError(f"`x` or `seq_length` must have at least 6 steps, got {length}.")
    subject = _Subject(layer, x, key, length)
    for law in _LAWS:
        try:
            law(subject)
        except (ContractError, _ShowsNothing) as error:
            kind = ValueError if isinstance(error, _ShowsNothing) else ContractError
            raise kind(f"`{type(layer).__name__}`, {law.__doc__} {error}") from None
        except Exception as error:
            raise ContractError(
                f"`{type(layer).__name__}`, {law.__doc__} It raises "
                f"{type(error).__name__}: {error}"
            ) from error


class _ShowsNothing(Exception):
    """The law holds, but would also hold for a layer that does nothing."""


@dataclass(frozen=True)
class _Subject:
    """A layer, and the input that it is checked on."""

    layer: AbstractLayer
    x: np.ndarray
    key: PRNGKeyArray | None
    length: int

    @property
    def encodes_values(self) -> bool:
        return self.layer.seq_length is not None

    @property
    def first(self) -> np.ndarray:
        """The input of one step."""
        return self.x if self.encodes_values else self.x[0]

    @property
    def other(self) -> np.ndarray:
        """Another input of the same range."""
        return self.x[::-1] if self.x.ndim else self.x / 2

    @ft.cached_property
    def whole(self) -> np.ndarray:
        return np.asarray(self.layer(self.x, key=self.key))

    @property
    def has_derivative(self) -> bool:
        return jnp.issubdtype(self.whole.dtype, jnp.inexact)


def _equal(got: Any, expected: Any, of: str, to: str) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise ContractError(
            f"{of} has shape {got.shape} and dtype {got.dtype}, {to} has {expected.shape} and "
            f"{expected.dtype}."
        )
    a, b = (np.asarray(v, np.float64) for v in (got, expected))
    wrong = ~np.isclose(a, b, rtol=2e-5, atol=2e-6, equal_nan=True)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ContractError(
            f"At {place}, and in {wrong.sum()} of {wrong.size} places, {of} is {got[place]}, "
            f"{to} is {expected[place]}."
        )


def _specs(tree: PyTree) -> list[str]:
    return [
        f"{jtu.keystr(path)}: {leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jtu.tree_leaves_with_path(tree)
    ]


def _shapes_only(s: _Subject) -> None:
    """`init` must use the shape and dtype of its input only."""
    state, blank = s.layer.init(s.first), s.layer.init(np.zeros_like(s.first))
    if _specs(state) != _specs(blank):
        raise ContractError(f"It gives {_specs(state)}, for zeros {_specs(blank)}.")
    for (path, a), b in zip(
        jtu.tree_leaves_with_path(state), jtu.tree_leaves(blank), strict=True
    ):
        if not _is_key(a):
            _equal(a, b, f"the state{jtu.keystr(path)}", "that for an input of zeros")


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _structure(s: _Subject) -> None:
    """the state must keep its structure, shapes and dtypes."""

    def states(x):
        state = s.layer.init(x if s.encodes_values else x[0])
        stepped, _ = s.layer.step(state, x if s.encodes_values else x[0], key=s.key)
        return state, stepped, _run(s, state, x, 0, 3)[0]

    before, stepped, ran = jax.eval_shape(states, s.x)
    for name, after in (("step", stepped), ("run", ran)):
        if jtu.tree_structure(before) != jtu.tree_structure(after) or _specs(before) != _specs(
            after
        ):
            raise ContractError(
                f"`init` gives {_specs(before)}, `{name}` returns {_specs(after)}."
            )


def _run(s: _Subject, state: PyTree, x: Any, start: int, stop: int) -> tuple[PyTree, Any]:
    if s.encodes_values:
        return s.layer.run(state, x, length=stop - start, key=s.key)
    return s.layer.run(state, x[start:stop], key=s.key)


def _jit(s: _Subject) -> None:
    """`step` inside of `jax.jit` must equal `step` outside."""

    def three_steps(x):
        state, outs = s.layer.init(s.first), []
        for t in range(3):
            state, out = s.layer.step(state, x if s.encodes_values else x[t], key=s.key)
            outs.append(out)
        return jnp.stack(outs)

    _equal(jax.jit(three_steps)(s.x), three_steps(s.x), "the output inside", "that outside")


def _deterministic(s: _Subject) -> None:
    """calls must be deterministic, and draw by `key` only."""
    _equal(s.layer(s.x, key=s.key), s.whole, "a second output", "the first")
    if s.whole.size and (s.whole == s.whole.ravel()[0]).all():
        raise _ShowsNothing(
            f"But `x` shows nothing of it: the whole output is {s.whole.ravel()[0]}. Choose an "
            "`x` for which it changes."
        )
    if s.key is None:
        return
    try:
        s.layer(s.x)
    except Exception:
        refuses = True
    else:
        refuses = False
    if not refuses:
        raise ContractError("It draws without a `key`: raise a `ValueError`.")
    other = np.asarray(s.layer(s.x, key=jax.random.fold_in(s.key, 1)))
    if np.array_equal(other, s.whole, equal_nan=True):
        raise ContractError("Another `key` gives the same output.")


def _steps(s: _Subject) -> None:
    """a loop of `step` must equal the whole."""

    @jax.jit
    def loop(x):
        xs = None if s.encodes_values else x
        return lax.scan(
            lambda state, x_t: s.layer.step(state, x if x_t is None else x_t, key=s.key),
            s.layer.init(x if s.encodes_values else x[0]),
            xs,
            s.length,
        )

    state, outs = loop(s.x)
    _equal(outs[-1] if decodes(s.layer) else outs, s.whole, "the loop's output", "the whole's")
    leaves = [leaf for leaf in jtu.tree_leaves(state) if not _is_key(leaf)]
    before = [leaf for leaf in jtu.tree_leaves(s.layer.init(s.first)) if not _is_key(leaf)]
    if leaves and all(np.array_equal(a, b) for a, b in zip(leaves, before, strict=True)):
        raise _ShowsNothing("But `x` shows nothing of it: the state does not change.")


def _chunks(s: _Subject) -> None:
    """chunks by `run` must equal the whole."""
    state, outs = s.layer.init(s.first), []
    for start, stop in itertools.pairwise((0, s.length // 3, s.length // 2, s.length)):
        state, out = _run(s, state, s.x, start, stop)
        outs.append(np.asarray(out))
    out = outs[-1] if decodes(s.layer) else np.concatenate(outs)
    _equal(out, s.whole, "the chunks' output", "the whole's")


def _batch(s: _Subject) -> None:
    """`jax.vmap` must equal a loop over the batch."""
    batch = np.stack([s.x, s.other])
    mapped = jax.vmap(lambda x: s.layer(x, key=s.key))(batch)
    looped = np.stack([s.whole, np.asarray(s.layer(s.other, key=s.key))])
    _equal(mapped, looped, "the batch's output", "the loop's")


def _causal(s: _Subject) -> None:
    """a longer sequence must begin with the shorter one."""
    if decodes(s.layer):
        return
    if s.encodes_values:
        longer = s.length + s.length // 2
        _, out = s.layer.run(s.layer.init(s.first), s.x, length=longer, key=s.key)
        _equal(out[: s.length], s.whole, "the longer run's output", "the shorter one's")
        if any(field == "seq_length" for field in s.layer.__dataclass_fields__):
            other = jtu.tree_map(lambda leaf: leaf, s.layer)
            object.__setattr__(other, "seq_length", longer)
            out = other(s.x, key=s.key)
            _equal(out[: s.length], s.whole, "the longer layer's output", "the shorter one's")
        return
    now = s.length // 2
    changed = np.concatenate([s.x[:now], s.other[now:]])
    out = np.asarray(s.layer(changed, key=s.key))
    _equal(out[:now], s.whole[:now], "the output before another end", "that before this one")


def _dtypes(s: _Subject) -> None:
    """the output must have the input's floating dtype, and the state at least 32 bits."""
    own = any(jnp.issubdtype(a.dtype, jnp.inexact) for a in _arrays(s.layer))
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        x = jax.ShapeDtypeStruct(s.x.shape, dtype)
        first = jax.ShapeDtypeStruct(s.first.shape, dtype)
        out = jax.eval_shape(lambda x: s.layer(x, key=s.key), x)
        if out.dtype != dtype and getattr(s.layer, "dtype", None) is None and not own:
            raise ContractError(f"For {jnp.dtype(dtype)} it gives {out.dtype}.")
        for leaf in jtu.tree_leaves(jax.eval_shape(s.layer.init, first)):
            if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype.itemsize < 4:
                raise ContractError(f"For {jnp.dtype(dtype)} the state has {leaf.dtype}.")


def _arrays(layer: AbstractLayer) -> list[Any]:
    return jtu.tree_leaves(eqx.filter(layer, eqx.is_array))


def _nan(s: _Subject) -> None:
    """NaN must not be lost."""
    if not s.has_derivative:
        return
    x = s.x.copy()
    x[() if s.encodes_values else s.length // 2] = np.nan
    out = np.asarray(s.layer(x, key=s.key), np.float64)
    if not np.isnan(out).any():
        place = "values" if s.encodes_values else f"samples at step {s.length // 2}"
        raise ContractError(f"With NaN as {place}, the output has none.")


def _derivatives(s: _Subject) -> None:
    """forward and reverse mode must agree."""
    if not s.has_derivative:
        return
    arrays, static = eqx.partition(s.layer, eqx.is_inexact_array)
    primals = (arrays, s.x)
    random = np.random.default_rng(0)
    tangents = jtu.tree_map(lambda a: np.asarray(random.normal(size=a.shape), a.dtype), primals)
    v = np.asarray(random.normal(size=s.whole.shape), s.whole.dtype)

    @jax.jit
    def both(primals, tangents, v):
        def f(arrays, x):
            return eqx.combine(arrays, static)(x, key=s.key)

        return jax.jvp(f, primals, tangents)[1], jax.vjp(f, *primals)[1](v)

    forward, reverse = both(primals, tangents, v)
    left = np.vdot(v, forward)
    products = jtu.tree_map(lambda a, b: np.vdot(a, b), reverse, tangents)
    right = sum(jtu.tree_leaves(products))
    if not np.isclose(left, right, rtol=1e-3, atol=1e-5):
        raise ContractError(f"Along one direction they are {left} and {right}.")
    if not np.any(forward):
        raise _ShowsNothing("But `x` shows nothing of it: all derivatives are zero.")


def _donation(s: _Subject) -> None:
    """the state must be donated without an error."""
    step = jax.jit(lambda state, x: s.layer.step(state, x, key=s.key), donate_argnums=0)
    step(s.layer.init(s.first), s.first)


def _ensemble(s: _Subject) -> None:
    """an ensemble by `eqx.filter_vmap` must equal its members."""
    arrays, static = eqx.partition(s.layer, eqx.is_array)

    def louder(a):
        return 1.5 * a if eqx.is_inexact_array(a) else a

    stacked = jtu.tree_map(lambda a: _stacked(a, louder(a)), arrays)

    @eqx.filter_vmap(in_axes=(eqx.if_array(0), None, None), axis_size=2)
    def call(layer, x, key):
        return layer(x, key=key)

    outs = call(eqx.combine(stacked, static), s.x, s.key)
    _equal(outs[0], s.whole, "the first member's output", "that of the layer")
    second = eqx.combine(jtu.tree_map(louder, arrays), static)(s.x, key=s.key)
    _equal(outs[1], second, "the second member's output", "that of the layer alone")


def _stacked(a: Any, b: Any) -> Any:
    return jnp.stack([a, b]) if _is_key(a) else jnp.asarray(np.stack([a, b]))


def _files(s: _Subject) -> None:
    """a layer that is saved and loaded must be the same layer."""
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, s.layer)
    file.seek(0)
    blank = jtu.tree_map(lambda a: 0 * a if eqx.is_inexact_array(a) else a, s.layer)
    loaded = eqx.tree_deserialise_leaves(file, blank)
    _equal(loaded(s.x, key=s.key), s.whole, "the loaded layer's output", "the saved one's")


_LAWS: tuple[Callable[[_Subject], None], ...] = (
    _shapes_only,
    _structure,
    _jit,
    _deterministic,
    _steps,
    _chunks,
    _batch,
    _causal,
    _dtypes,
    _nan,
    _derivatives,
    _donation,
    _ensemble,
    _files,
)
