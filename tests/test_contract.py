"""The contract of every layer (see `AbstractLayer`)."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import (
    CASES,
    LENGTH,
    cases,
    collectives,
    of_each_base,
    slow,
    usual,
    with_static,
)
from jax import lax

import jaxsnn_eqx as snn
from jaxsnn_eqx import testing

KEY = jr.key(7)

every_case = cases(lambda case: True)
usual_cases = cases(lambda case: True, fast=usual)
base_cases = cases(lambda case: True, fast=of_each_base)


def _key(case):
    return KEY if case.draws else None


def assert_agree(case, a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    if case.elementwise:
        np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def _steps(case, x, key):
    """A compiled loop of `step`, which does not use the loop of the package."""

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


CHECKED = ("learnable_lif", "lif_current", "poisson", "recurrent", "network")


@cases(lambda c: True, fast=lambda c: any(c is CASES[name] for name in CHECKED))
def test_keeps_the_laws_of_the_public_check(case):
    testing.check_layer(case.layer, case.input(), key=_key(case))


@usual_cases
def test_a_loop_of_steps_equals_the_whole(case):
    x, key = case.input(), _key(case)
    assert_agree(case, _steps(case, x, key), case.layer(x, key=key))


def _assert_chunks_equal_the_whole(case, cuts):
    x, key = case.input(), _key(case)
    state, outs = case.layer.init(case.first(x)), []
    for start, stop in itertools.pairwise(cuts):
        state, out = case.run(state, x, start, stop, key)
        outs.append(out)
    out = outs[-1] if case.reduces else np.concatenate(outs)
    assert_agree(case, out, case.layer(x, key=key))


@usual_cases
def test_chunks_equal_the_whole(case):
    _assert_chunks_equal_the_whole(case, (0, 4, 8, 12))


@base_cases
@pytest.mark.parametrize("cuts", [(0, 1, 5, 12), *slow((0, 4, 12), (0, 1, 6, 7, 12))], ids=str)
def test_chunks_of_different_lengths_equal_the_whole(case, cuts):
    _assert_chunks_equal_the_whole(case, cuts)


@every_case
def test_every_chunk_keeps_the_structure_of_the_state(case):
    x, key = case.input(), _key(case)

    def states(x):
        state = case.layer.init(case.first(x))
        after, _ = case.run(state, x, 0, 5, key)
        stepped, _ = case.layer.step(state, case.first(x), key=key)
        return state, after, stepped

    specs = [
        jax.tree.map(lambda s: (s.shape, s.dtype, s.weak_type), tree)
        for tree in jax.eval_shape(states, x)
    ]
    assert specs[0] == specs[1] == specs[2]


@base_cases
def test_jit_agrees_with_eager_and_compiles_once(case):
    x, key = case.input(), _key(case)

    @eqx.debug.assert_max_traces(max_traces=1)
    def call(layer, x, key):
        return layer(x, key=key)

    jitted = eqx.filter_jit(call)
    assert_agree(case, jitted(case.layer, x, key), case.layer(x, key=key))
    for seed in range(2):
        jitted(case.layer, case.input(seed=seed), jr.key(seed) if case.draws else None)


@usual_cases
def test_vmap_equals_a_loop_over_the_batch(case):
    xs = np.stack([case.input(seed=seed) for seed in range(3)])
    key = _key(case)
    batched = jax.vmap(lambda x: case.layer(x, key=key))(xs)
    looped = np.stack([case.layer(x, key=key) for x in xs])
    assert_agree(case, batched, looped)


@cases(
    lambda c: not c.reduces and not (c.takes_values and isinstance(c.layer, snn.Network)),
    # of other layers, the first chunk is the prefix (`test_chunks_equal_the_whole`)
    fast=lambda c: usual(c) and c.takes_values,
)
def test_a_longer_sequence_keeps_the_prefix(case):
    x, key = case.input(), _key(case)
    if case.takes_values:
        longer = with_static(case.layer, seq_length=LENGTH + 9)
        out = longer(x, key=key)
        assert out.shape[0] == LENGTH + 9
    else:
        out = case.layer(case.input(length=LENGTH + 9), key=key)
        x = case.input(length=LENGTH + 9)[:LENGTH]
    assert_agree(case, np.asarray(out)[:LENGTH], case.layer(x, key=key))


@every_case
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=str)
def test_the_output_has_the_floating_dtype_of_the_input(case, dtype):
    layers = case.layer if isinstance(case.layer, snn.Network) else [case.layer]
    linear = any(
        isinstance(x, snn.OverTime) and jax.tree.leaves(eqx.filter(x, eqx.is_array))
        for x in layers
    )

    def state_and_output(x):
        return case.layer.init(case.first(x)), case.layer(x, key=_key(case))

    state, out = jax.eval_shape(state_and_output, case.input(dtype=dtype))
    assert out.dtype == (jnp.float32 if linear else dtype)
    floats = [s for s in jax.tree.leaves(state) if jnp.issubdtype(s.dtype, jnp.floating)]
    assert all(s.dtype == jnp.float32 for s in floats)


def _wide(case):
    """The layer and its input in float64."""
    return case.input().astype(np.float64), jax.tree.map(
        lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, case.layer
    )


@every_case
def test_float64_stays_float64(case, x64):
    x, layer = _wide(case)
    out = eqx.filter_eval_shape(lambda layer, x: layer(x, key=_key(case)), layer, x)
    assert out.dtype == jnp.float64


@base_cases
def test_float64_gives_the_values_of_float32(case, x64):
    x, layer = _wide(case)
    single = case.layer(case.input(), key=_key(case))
    out = np.asarray(layer(x, key=_key(case)), np.float32)
    assert np.mean(np.abs(out - np.asarray(single)) > 1e-3) <= 0.02


@base_cases
def test_bfloat16_gives_the_values_of_float32(case):
    x, key = case.input(dtype=jnp.bfloat16), _key(case)
    single = np.asarray(case.layer(x.astype(np.float32), key=key))
    out = np.asarray(case.layer(x, key=key), np.float32)
    assert np.mean(~np.isclose(out, single, rtol=1e-2, atol=1e-6)) <= 0.02


@cases(lambda c: c.elementwise, fast=of_each_base)  # all, by formula: `test_oracle.py`
def test_any_shape(case):
    x, key = case.input((30,)), _key(case)
    added = () if case.channels is None else (case.channels,)
    time = () if case.takes_values else (LENGTH,)
    out_time = () if case.reduces else (LENGTH,)

    for shape in [(), (0,), (0, 3)]:
        out = jax.eval_shape(lambda x: case.layer(x, key=key), np.zeros((*time, *shape)))
        assert out.shape == (*out_time, *shape, *added)
    solid = case.layer(x.reshape(*time, 2, 3, 5), key=key)
    assert solid.shape == (*out_time, 2, 3, 5, *added)
    if not case.draws:
        rows = [case.layer(row) for row in np.moveaxis(x.reshape(*time, 6, 5), -2, 0)]
        flat = np.stack(rows, axis=len(out_time))
        np.testing.assert_array_equal(solid, flat.reshape(solid.shape))


@cases(lambda c: c.elementwise and not c.draws, fast=of_each_base)
def test_a_value_alone_is_encoded_as_among_others(case):
    x = case.input()
    assert case.layer(x[..., :0]).size == 0
    alone = case.layer(x[..., 2])
    among = np.asarray(case.layer(x)).reshape(*alone.shape[:1], len(x.T), -1)
    np.testing.assert_array_equal(alone, among[..., 2, :].reshape(alone.shape))


@cases(lambda c: not c.takes_values, fast=usual)
def test_a_sequence_of_length_zero(case):
    out = case.layer(case.input(length=0), key=_key(case))
    expected = case.layer(case.input(), key=_key(case))
    assert out.dtype == expected.dtype
    assert out.shape == (expected.shape if case.reduces else (0, *expected.shape[1:]))


@base_cases
def test_integers_booleans_lists_and_numpy_are_converted_at_entry(case):
    x = case.input() > (case.low + case.high) / 2
    expected = case.layer(x.astype(jnp.float32), key=_key(case))
    for same in (x, x.astype(jnp.int32), np.asarray(x), np.asarray(x).tolist()):
        out = case.layer(same, key=_key(case))
        assert out.dtype == jnp.float32
        assert_agree(case, out, expected)


@base_cases
def test_the_input_array_is_not_changed(case):
    x = np.array(case.input())
    before = x.copy()
    case.layer(x, key=_key(case))
    np.testing.assert_array_equal(x, before)


@base_cases
def test_a_call_does_not_depend_on_earlier_calls(case):
    x, other = case.input(), case.input(seed=2)
    before = case.layer(x, key=_key(case))
    case.layer(other, key=_key(case))
    np.testing.assert_array_equal(case.layer(x, key=_key(case)), before)


@cases(lambda c: (c.encodes or isinstance(c.layer, snn.LIF)) and c.spikes != ())
def test_spikes_are_exactly_whole(case):
    out = np.asarray(case.layer(case.input(), key=_key(case)))
    if case.spikes is None:
        np.testing.assert_array_equal(out, np.round(out))
        assert len(np.unique(out)) > 3
    else:
        assert set(np.unique(out)) == set(case.spikes)


@cases(lambda c: not c.takes_values and not c.reduces)
def test_the_future_does_not_change_the_past(case):
    x, key = case.input(), _key(case)
    out = np.asarray(case.layer(x, key=key))
    for now in (1, 5, LENGTH - 1):
        other = np.concatenate([x[:now], case.input(seed=9)[now:]])
        assert_agree(case, np.asarray(case.layer(other, key=key))[:now], out[:now])


@cases(lambda c: c.elementwise and not c.draws)
def test_nan_in_one_place_is_nan_there_and_nowhere_else(case):
    x = case.input()
    clean = case.layer(x)
    bad = x.copy()
    bad[..., 2] = np.nan
    dirty = case.layer(bad)
    if case.channels is not None:
        clean, dirty = np.moveaxis(clean, -1, 1), np.moveaxis(dirty, -1, 1)
    rest = [0, 1, 3, 4]
    clean, dirty = np.asarray(clean), np.asarray(dirty)
    np.testing.assert_array_equal(dirty[..., rest], clean[..., rest])
    assert np.isnan(dirty[-1, ..., 2] if dirty.ndim > 1 else dirty[2]).all()


@cases(lambda c: c.encodes and not c.takes_values and not c.draws)
def test_a_nan_sample_gives_nan_while_the_layer_remembers_it(case):
    clean = case.layer(case.input())
    bad = case.input()
    bad[4] = np.nan
    dirty = case.layer(bad)
    last, clean, dirty = 4 + case.nan_stays, np.asarray(clean), np.asarray(dirty)
    np.testing.assert_array_equal(dirty[:4], clean[:4])
    assert np.isnan(dirty[4 : last + 1]).all()
    np.testing.assert_array_equal(dirty[last + 1 :], clean[last + 1 :])


@usual_cases
def test_forward_and_reverse_mode_agree(case):
    """The transpose identity: <v, J u> = <Jᵀ v, u>, for the input and the weights."""
    x, key = case.input(), _key(case)
    arrays, static = eqx.partition(case.layer, eqx.is_inexact_array)

    def f(arrays, x):
        return eqx.combine(arrays, static)(x, key=key)

    primals = (arrays, x)
    random = np.random.default_rng(3)
    leaves, treedef = jax.tree.flatten(primals)
    tangents = treedef.unflatten(
        [np.asarray(random.normal(size=a.shape), a.dtype) for a in leaves]
    )
    out = jax.eval_shape(f, *primals)
    v = np.asarray(random.normal(size=out.shape), out.dtype)

    @jax.jit
    def both(primals, tangents, v):
        return jax.jvp(f, primals, tangents)[1], jax.vjp(f, *primals)[1](v)

    out_dot, cotangents = both(primals, tangents, v)
    left = np.vdot(v, out_dot)
    right = sum(
        np.vdot(a, b)
        for a, b in zip(jax.tree.leaves(cotangents), jax.tree.leaves(tangents), strict=True)
    )
    np.testing.assert_allclose(left, right, rtol=2e-4, atol=1e-5)
    assert np.abs(out_dot).max() > 0


def _with_dtype(case, dtype):
    return with_static(case.layer, dtype=jnp.dtype(dtype))


@cases(lambda c: c.has_dtype, fast=usual)
def test_boolean_and_integer_spikes_are_the_same_spikes(case):
    x, key = case.input(), _key(case)
    spikes = np.asarray(case.layer(x, key=key))
    out = _with_dtype(case, jnp.bool_ if case.spikes == (0.0, 1.0) else jnp.int8)(x, key=key)
    np.testing.assert_array_equal(np.asarray(out, np.float32), spikes)
    for dtype in (jnp.bool_, jnp.uint8, jnp.int8)[0 if case.spikes == (0.0, 1.0) else 2 :]:
        layer = _with_dtype(case, dtype)
        assert jax.eval_shape(lambda x, layer=layer: layer(x, key=key), x).dtype == dtype


@cases(lambda c: c.has_dtype, fast=of_each_base)
def test_integer_spikes_have_a_derivative_of_zero(case):
    layer, key = _with_dtype(case, jnp.int8), _key(case)
    grad = jax.jit(jax.grad(lambda x: jnp.sum(layer(x, key=key).astype(jnp.float32))))
    np.testing.assert_array_equal(grad(case.input()), 0)


@base_cases
def test_a_layer_fits_sequential(case):
    x = case.input()
    sequential = eqx.nn.Sequential([case.layer, eqx.nn.Lambda(lambda x: 2 * x)])
    out = sequential(x, key=KEY)
    key = jr.split(KEY, 2)[0]
    assert_agree(case, out, 2 * case.layer(x, key=key))


SPIKES = (np.random.default_rng(0).random((LENGTH, 3)) < 0.3).astype(np.float32)
MASK = np.arange(LENGTH) < 7
NETWORK = snn.Network([snn.LIF(), snn.MaxOverTime()])


@pytest.mark.parametrize(
    "call",
    [
        lambda: snn.LIF()(SPIKES),
        lambda: snn.LIF().run(snn.LIF().init(SPIKES[0]), SPIKES),
        lambda: snn.PoissonEncoder(5)(SPIKES, key=KEY),
        lambda: snn.trace(snn.LIF(), SPIKES),
        lambda: snn.run_masked(NETWORK, NETWORK.init(SPIKES[0]), SPIKES, MASK),
        lambda: snn.MovingWindowEncoder(1.0).decode(SPIKES),
        lambda: snn.functional.constant_current_lif_encode(SPIKES, 5),
        lambda: snn.functional.spatio_temporal_encode(SPIKES, 5, 4e-3, 1e-3),
        lambda: snn.metrics.van_rossum_distance(SPIKES, SPIKES[::-1], tau=1e-2),
        lambda: snn.metrics.victor_purpura_distance(SPIKES[:, 0], SPIKES[:, 1], cost=1.0),
    ],
)
def test_a_second_call_outside_of_jit_compiles_nothing(call, lowered):
    call()
    first = len(lowered)
    call()
    assert len(lowered) == first > 0


@cases(lambda c: not (c.draws and isinstance(c.layer, snn.OverTime)), fast=of_each_base)
def test_a_layer_may_be_an_argument_of_plain_jit(case):
    x, key = case.input(), _key(case)
    out = jax.jit(lambda layer, x, key: layer(x, key=key))(case.layer, x, key)
    np.testing.assert_allclose(out, case.layer(x, key=key), rtol=2e-5, atol=2e-6)


def _grad_of_a_batch(case):
    """Of the outputs' squares; and the sharding of a batch over eight devices."""
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))

    def call_and_grad(xs):
        out, pull_back = jax.vjp(jax.vmap(lambda x: case.layer(x, key=_key(case))), xs)
        return out, pull_back(2 * out)[0]

    xs = np.stack([case.input(seed=seed) for seed in range(8)])
    return call_and_grad, xs, jax.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))


@usual_cases
def test_a_batch_over_eight_devices_has_finite_gradients_and_needs_no_collective(case):
    call_and_grad, xs, sharding = _grad_of_a_batch(case)
    compiled = jax.jit(call_and_grad, in_shardings=sharding).lower(xs).compile()
    assert collectives(compiled) == []
    results = compiled(jax.device_put(xs, sharding))
    assert all(len(result.sharding.device_set) == 8 for result in results)
    out, grad = map(np.asarray, results)
    assert grad.shape == xs.shape
    assert np.isfinite(grad).all()
    np.testing.assert_allclose(out[3], case.layer(xs[3], key=_key(case)), rtol=1e-4, atol=1e-5)
    # does not depend on the rest of the batch
    same = compiled(jax.device_put(np.stack([xs[3]] * 8), sharding))
    for got, want in zip(map(np.asarray, same), (out, grad), strict=True):
        np.testing.assert_allclose(got, np.stack([want[3]] * 8), rtol=1e-4, atol=1e-5)


BY_HAND = (
    "constant_current_lif",
    "poisson",
    "delta",
    "moving_window",
    "level_crossing",
    "bens_spiker",
    "delay",
    "network",
    "recurrent",
    "network_chunked",
)


@pytest.mark.parametrize(
    ("name", "check_vma"),
    [
        *((name, True) for name in BY_HAND),
        ("recurrent", False),
        ("network_chunked", False),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in BY_HAND[:-2]),
    ],
)
def test_a_batch_divided_by_hand_equals_one_device_without_collectives(name, check_vma):
    case = CASES[name]
    call_and_grad, xs, sharding = _grad_of_a_batch(case)
    expected = jax.jit(call_and_grad)(xs)
    specs = {"in_specs": sharding.spec, "out_specs": sharding.spec}
    divided = jax.shard_map(call_and_grad, mesh=sharding.mesh, **specs, check_vma=check_vma)
    compiled = jax.jit(divided, in_shardings=sharding).lower(xs).compile()
    assert collectives(compiled) == []
    results = compiled(jax.device_put(xs, sharding))
    for got, want in zip(results, expected, strict=True):
        assert len(got.sharding.device_set) == 8
        # a steep surrogate amplifies rounding differences from the order of sums
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@cases(lambda c: c.draws)
def test_the_same_key_draws_the_same_and_steps_differ(case):
    x = jnp.full((64,) if case.takes_values else (LENGTH, 64), 0.5)
    out = case.layer(x, key=KEY)
    np.testing.assert_array_equal(out, case.layer(x, key=KEY))
    assert not np.array_equal(out, case.layer(x, key=jr.key(8)))
    assert len({row.tobytes() for row in np.asarray(out)}) == LENGTH
