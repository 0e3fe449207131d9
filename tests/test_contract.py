"""What every layer promises, whatever it computes (see `AbstractLayer`)."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import LENGTH, with_static
from jax import lax

import jaxsnn_eqx as snn

KEY = jr.key(7)


def _key(case):
    return KEY if case.draws else None


def assert_agree(case, a, b):
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    if case.elementwise:
        np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def _steps(case, x, key):
    """A compiled loop of `step`, written without the package's own loop."""

    @eqx.filter_jit
    def loop(layer, x, key):
        xs = None if case.takes_values else x
        return lax.scan(
            lambda state, x_t: layer.step(state, x if x_t is None else x_t, key=key),
            layer.init(case.first(x)),
            xs,
            LENGTH,
        )[1]

    out = loop(case.layer, x, key)
    return out[-1] if case.reduces else out


def test_a_loop_of_steps_equals_the_whole(case):
    x, key = case.input(), _key(case)
    assert_agree(case, _steps(case, x, key), case.layer(x, key=key))


@pytest.mark.parametrize("cuts", [(0, 4, 12), (0, 1, 6, 7, 12)], ids=str)
def test_chunks_equal_the_whole(case, cuts):
    x, key = case.input(), _key(case)
    state, outs = case.layer.init(case.first(x)), []
    for start, stop in itertools.pairwise(cuts):
        state, out = case.run(state, x, start, stop, key)
        outs.append(out)
    out = outs[-1] if case.reduces else jnp.concatenate(outs)
    assert_agree(case, out, case.layer(x, key=key))


def test_every_chunk_keeps_the_structure_of_the_state(case):
    x, key = case.input(), _key(case)
    state = case.layer.init(case.first(x))
    after, _ = case.run(state, x, 0, 5, key)
    stepped, _ = case.layer.step(state, case.first(x), key=key)
    specs = [
        jax.tree.map(lambda s: (s.shape, s.dtype, s.weak_type), tree)
        for tree in (state, after, stepped)
    ]
    assert specs[0] == specs[1] == specs[2]


def test_jit_agrees_with_eager(case):
    x, key = case.input(), _key(case)
    jitted = eqx.filter_jit(lambda layer, x, key: layer(x, key=key))
    assert_agree(case, jitted(case.layer, x, key), case.layer(x, key=key))


def test_vmap_equals_a_loop_over_the_batch(case):
    xs = jnp.stack([case.input(seed=seed) for seed in range(3)])
    key = _key(case)
    batched = jax.vmap(lambda x: case.layer(x, key=key))(xs)
    looped = jnp.stack([case.layer(x, key=key) for x in xs])
    assert_agree(case, batched, looped)


def test_an_ensemble_by_filter_vmap_equals_its_members(case):
    x, key = case.input(), _key(case)
    arrays, static = eqx.partition(case.layer, eqx.is_inexact_array)
    both = jax.tree.map(lambda a: jnp.stack([a, 1.5 * a]), arrays)
    ensemble = eqx.combine(both, static)
    member = eqx.combine(jax.tree.map(lambda a: 1.5 * a, arrays), static)

    @eqx.filter_vmap(in_axes=(eqx.if_array(0), None, None), axis_size=2)
    def call(layer, x, key):
        return layer(x, key=key)

    outs = call(ensemble, x, key)
    assert_agree(case, outs[0], case.layer(x, key=key))
    assert_agree(case, outs[1], member(x, key=key))


def test_a_longer_sequence_keeps_the_prefix(case):
    if case.reduces:
        pytest.skip("a decoder has no prefix")
    x, key = case.input(), _key(case)
    if case.takes_values:
        if isinstance(case.layer, snn.Network):
            pytest.skip("held by the encoder in front")
        longer = with_static(case.layer, seq_length=LENGTH + 9)
        out = longer(x, key=key)
        assert out.shape[0] == LENGTH + 9
    else:
        out = case.layer(case.input(length=LENGTH + 9), key=key)
        x = case.input(length=LENGTH + 9)[:LENGTH]
    assert_agree(case, out[:LENGTH], case.layer(x, key=key))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32], ids=str)
def test_the_output_has_the_floating_dtype_of_the_input(case, dtype):
    x = case.input(dtype=dtype)
    layers = case.layer if isinstance(case.layer, snn.Network) else [case.layer]
    linear = any(
        isinstance(x, snn.OverTime) and jax.tree.leaves(eqx.filter(x, eqx.is_array))
        for x in layers
    )
    expected = jnp.float32 if linear else dtype
    out = case.layer(x, key=_key(case))
    assert out.dtype == expected
    state = case.layer.init(case.first(x))
    floats = eqx.filter(state, eqx.is_inexact_array)
    assert all(s.dtype == jnp.float32 for s in jax.tree.leaves(floats))


def test_float64_stays_float64(case, x64):
    x = case.input().astype(jnp.float64)
    layer = jax.tree.map(
        lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, case.layer
    )
    out = layer(x, key=_key(case))
    assert out.dtype == jnp.float64
    single = case.layer(case.input(), key=_key(case))
    mismatch = np.mean(np.abs(np.asarray(out, np.float32) - np.asarray(single)) > 1e-3)
    assert mismatch <= 0.02


@pytest.mark.parametrize("shape", [(), (0,), (2, 3, 4)], ids=str)
def test_any_shape(case, shape):
    if not case.elementwise:
        pytest.skip("has features")
    x = case.input(shape)
    out = case.layer(x, key=_key(case))
    expected = shape if case.reduces else (LENGTH, *shape)
    assert out.shape == (expected if case.channels is None else (*expected, case.channels))
    flat_case = case.layer(x.reshape((*x.shape[: x.ndim - len(shape)], -1)), key=_key(case))
    if not case.draws:
        np.testing.assert_array_equal(out.ravel(), flat_case.ravel())


def test_integers_booleans_lists_and_numpy_are_converted_at_entry(case):
    x = case.input() > (case.low + case.high) / 2
    expected = case.layer(x.astype(jnp.float32), key=_key(case))
    for same in (x, x.astype(jnp.int32), np.asarray(x), np.asarray(x).tolist()):
        out = case.layer(same, key=_key(case))
        assert out.dtype == jnp.float32
        assert_agree(case, out, expected)


def test_the_callers_array_is_left_alone(case):
    x = np.array(case.input())
    before = x.copy()
    case.layer(x, key=_key(case))
    np.testing.assert_array_equal(x, before)


def test_no_state_survives_to_the_next_call(case):
    x, other = case.input(), case.input(seed=2)
    before = case.layer(x, key=_key(case))
    case.layer(other, key=_key(case))
    np.testing.assert_array_equal(case.layer(x, key=_key(case)), before)


def test_spikes_are_exactly_whole(case):
    if not isinstance(case.layer, snn.AbstractEncoder | snn.LIF) or case.spikes == ():
        pytest.skip("does not spike")
    out = np.asarray(case.layer(case.input(), key=_key(case)))
    if case.spikes is None:
        np.testing.assert_array_equal(out, np.round(out))
        assert len(np.unique(out)) > 3
    else:
        assert set(np.unique(out)) == set(case.spikes)


def test_the_future_does_not_change_the_past(case):
    if case.takes_values or case.reduces:
        pytest.skip("is given all of its input at once, or gives one output")
    x, key = case.input(), _key(case)
    out = case.layer(x, key=key)
    for now in (1, 5, LENGTH - 1):
        other = x.at[now:].set(case.input(seed=9)[now:])
        assert_agree(case, case.layer(other, key=key)[:now], out[:now])


def test_nan_in_one_place_is_nan_there_and_nowhere_else(case):
    if not case.elementwise or case.draws:
        pytest.skip("features mix, or are dropped")
    x = case.input()
    clean = case.layer(x)
    dirty = case.layer(x.at[..., 2].set(jnp.nan))
    if case.channels is not None:
        clean, dirty = jnp.moveaxis(clean, -1, 1), jnp.moveaxis(dirty, -1, 1)
    rest = [0, 1, 3, 4]
    np.testing.assert_array_equal(dirty[..., rest], clean[..., rest])
    assert np.isnan(dirty[-1, ..., 2] if dirty.ndim > 1 else dirty[2]).all()


def test_nan_stays_from_the_step_on_that_it_comes(case):
    if case.takes_values or case.draws or not isinstance(case.layer, snn.AbstractEncoder):
        pytest.skip("has no memory for it")
    clean = case.layer(case.input())
    dirty = case.layer(case.input().at[4].set(jnp.nan))
    np.testing.assert_array_equal(dirty[:4], clean[:4])
    assert np.isnan(dirty[4:]).all()


def test_forward_and_reverse_mode_agree(case):
    """The transpose identity: <v, J u> = <Jᵀ v, u>, for the input and the weights."""
    x, key = case.input(), _key(case)
    arrays, static = eqx.partition(case.layer, eqx.is_inexact_array)

    def f(arrays, x):
        return eqx.combine(arrays, static)(x, key=key)

    primals = (arrays, x)
    leaves, treedef = jax.tree.flatten(primals)
    keys = jr.split(jr.key(3), len(leaves) + 1)
    tangents = treedef.unflatten(
        [jr.normal(k, a.shape, a.dtype) for k, a in zip(keys[1:], leaves, strict=True)]
    )
    out, out_dot = jax.jvp(f, primals, tangents)
    v = jr.normal(keys[0], out.shape, out.dtype)
    cotangents = jax.vjp(f, *primals)[1](v)
    left = jnp.vdot(v, out_dot)
    right = sum(
        jnp.vdot(a, b)
        for a, b in zip(jax.tree.leaves(cotangents), jax.tree.leaves(tangents), strict=True)
    )
    np.testing.assert_allclose(left, right, rtol=2e-4, atol=1e-5)
    assert float(jnp.abs(out_dot).max()) > 0


def test_gradients_are_finite_under_jit_and_vmap(case):
    xs = jnp.stack([case.input(seed=seed) for seed in range(3)])
    key = _key(case)

    @eqx.filter_jit
    def grad(layer, xs):
        def loss(layer, xs):
            return jnp.sum(jax.vmap(lambda x: layer(x, key=key))(xs) ** 2)

        return jax.grad(loss, argnums=1)(layer, xs)

    g = grad(case.layer, xs)
    assert g.shape == xs.shape
    assert np.isfinite(g).all()
    alone = [grad(case.layer, x[None])[0] for x in xs]
    np.testing.assert_allclose(g, np.stack(alone), rtol=1e-4, atol=1e-5)


def test_boolean_and_integer_spikes_are_the_same_spikes(case):
    if not isinstance(case.layer, snn.AbstractEncoder | snn.LIF) or case.spikes == ():
        pytest.skip("has no `dtype`")
    x = case.input()
    spikes = case.layer(x, key=_key(case))
    unsigned = case.spikes == (0.0, 1.0)
    for dtype in (jnp.bool_, jnp.uint8, jnp.bfloat16) if unsigned else (jnp.int8, jnp.bfloat16):
        layer = with_static(case.layer, dtype=jnp.dtype(dtype))
        out = layer(x, key=_key(case))
        assert out.dtype == dtype
        np.testing.assert_array_equal(out.astype(jnp.float32), spikes)
    grad = jax.grad(
        lambda x: jnp.sum(
            with_static(case.layer, dtype=jnp.dtype(jnp.int8))(x, key=_key(case)).astype(
                jnp.float32
            )
        )
    )(x)
    np.testing.assert_array_equal(grad, jnp.zeros_like(x))


def test_a_layer_survives_saving_and_loading(case, tmp_path):
    eqx.tree_serialise_leaves(tmp_path / "layer.eqx", case.layer)
    blank = jax.tree.map(lambda a: 0 * a if eqx.is_inexact_array(a) else a, case.layer)
    loaded = eqx.tree_deserialise_leaves(tmp_path / "layer.eqx", blank)
    x = case.input()
    np.testing.assert_array_equal(loaded(x, key=_key(case)), case.layer(x, key=_key(case)))


def test_a_layer_fits_sequential(case):
    x = case.input()
    sequential = eqx.nn.Sequential([case.layer, eqx.nn.Lambda(lambda x: 2 * x)])
    out = sequential(x, key=KEY)
    key = jr.split(KEY, 2)[0]
    assert_agree(case, out, 2 * case.layer(x, key=key))


def test_new_values_and_keys_do_not_recompile(case):
    @eqx.debug.assert_max_traces(max_traces=1)
    def call(layer, x, key):
        return layer(x, key=key)

    compiled = eqx.filter_jit(call)
    for seed in range(3):
        compiled(case.layer, case.input(seed=seed), jr.key(seed))


def test_a_layer_may_be_an_argument_of_plain_jit(case):
    if case.draws and isinstance(case.layer, snn.OverTime):
        pytest.skip("Equinox's Dropout looks at its probability, a leaf")
    x, key = case.input(), _key(case)
    out = jax.jit(lambda layer, x, key: layer(x, key=key))(case.layer, x, key)
    np.testing.assert_allclose(out, case.layer(x, key=key), rtol=2e-5, atol=2e-6)


def test_a_layer_runs_inside_shard_map(case):
    from jax.sharding import PartitionSpec as P

    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    xs = jnp.stack([case.input(seed=seed) for seed in range(2)])
    key = _key(case)

    def call_and_grad(xs):
        out, pull_back = jax.vjp(jax.vmap(lambda x: case.layer(x, key=key)), xs)
        return out, pull_back(2 * out)[0]

    expected = jax.jit(call_and_grad)(xs)
    for check_vma in (True, False):
        sharded = jax.shard_map(
            call_and_grad,
            mesh=mesh,
            in_specs=P("batch"),
            out_specs=P("batch"),
            check_vma=check_vma,
        )
        for a, b in zip(jax.jit(sharded)(xs), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_same_key_draws_the_same_and_steps_differ(case):
    if not case.draws:
        pytest.skip("does not draw")
    x = jnp.full((64,) if case.takes_values else (LENGTH, 64), 0.5)
    out = case.layer(x, key=KEY)
    np.testing.assert_array_equal(out, case.layer(x, key=KEY))
    assert not np.array_equal(out, case.layer(x, key=jr.key(8)))
    assert len({row.tobytes() for row in np.asarray(out)}) == LENGTH
