"""The LIF encoders and `SpatioTemporalEncoder` against NumPy float64, and their derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import oracle
import pytest
from conftest import draw
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import jaxsnn_eqx as snn

PARAMS = snn.LIFParameters(tau_mem=6e-3, v_th=0.9, v_leak=0.2, v_reset=-0.4)


def _loop(xs, p, dt):
    return oracle.neurons(xs, vars(p), dt)[:2]


@pytest.mark.parametrize("params", [snn.LIFParameters(), PARAMS])
@pytest.mark.parametrize("dt", [1e-3, 2.5e-4])
def test_constant_current_lif_against_a_numpy_loop(params, dt, x64):
    x = np.random.default_rng(0).uniform(-1, 8, 300)
    potentials, spikes = snn.trace(snn.ConstantCurrentLIFEncoder(90, params, dt), x)
    expected_v, expected_z = _loop(np.broadcast_to(x, (90, 300)), params, dt)
    assert expected_z.sum() > 300
    np.testing.assert_array_equal(spikes, expected_z)
    np.testing.assert_allclose(potentials, expected_v, rtol=1e-9, atol=1e-12)


def test_lif_current_against_a_numpy_loop(x64):
    xs = np.random.default_rng(1).normal(1.0, 2.0, (120, 50))
    potentials, spikes = snn.trace(snn.LIFCurrentEncoder(PARAMS), xs)
    expected_v, expected_z = _loop(xs, PARAMS, 1e-3)
    assert expected_z.sum() > 100
    np.testing.assert_array_equal(spikes, expected_z)
    np.testing.assert_allclose(potentials, expected_v, rtol=1e-9, atol=1e-12)


def test_a_constant_current_equals_a_constant_signal():
    x = draw.uniform(jr.key(0), (40,), maxval=5.0)
    constant = snn.ConstantCurrentLIFEncoder(30)(x)
    np.testing.assert_array_equal(constant, snn.LIFCurrentEncoder()(jnp.tile(x, (30, 1))))


def test_at_or_below_the_threshold_a_current_never_fires():
    spikes = snn.ConstantCurrentLIFEncoder(2000)(jnp.array([-5.0, 0.0, 0.5, 0.6, 0.61]))
    np.testing.assert_array_equal(spikes.sum(axis=0) > 0, [False, False, False, False, True])


@settings(max_examples=30, deadline=None)
@given(st.floats(-2, 50), st.floats(0, 5))
def test_a_larger_value_gives_at_least_as_many_spikes(x, more):
    counts = np.sum(snn.ConstantCurrentLIFEncoder(60)(np.float32([x, x + more])), axis=0)
    assert counts[1] >= counts[0]


def test_state_is_float32_under_narrow_input():
    # in bfloat16 the increments near the threshold would vanish
    x = jnp.array([0.7, 1.3], jnp.bfloat16)
    wide = snn.ConstantCurrentLIFEncoder(200)(x.astype(jnp.float32))
    narrow = snn.ConstantCurrentLIFEncoder(200)(x)
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_array_equal(narrow.astype(jnp.float32), wide)
    assert float(wide[:, 0].sum()) > 3


def test_nan_and_infinities_as_documented():
    x = jnp.array([jnp.nan, jnp.inf, -jnp.inf])
    potentials, spikes = snn.trace(snn.ConstantCurrentLIFEncoder(3), x)
    np.testing.assert_array_equal(spikes[0], [np.nan, 1, 0])
    assert np.isnan(spikes[1:]).all()
    assert np.isnan(potentials).all()
    for dtype in (jnp.bool_, jnp.uint8):
        out = snn.ConstantCurrentLIFEncoder(3, dtype=dtype)(x)
        np.testing.assert_array_equal(out[:, 0], [0, 0, 0])


@pytest.mark.parametrize("layer", [snn.ConstantCurrentLIFEncoder(25, PARAMS), "learnable"])
def test_with_the_smooth_spike_gradients_equal_finite_differences(layer, x64):
    smooth = snn.SuperSpike(5.0).smooth
    if layer == "learnable":
        layer = snn.LearnableLIFEncoder(3, 25, PARAMS, surrogate=smooth)
    else:
        layer = snn.ConstantCurrentLIFEncoder(25, PARAMS, surrogate=smooth)
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)
    weights = draw.normal(jr.key(0), (25, 3))

    def f(arrays, x):
        return jnp.vdot(weights, eqx.combine(arrays, static)(x))

    args = (arrays, jnp.array([0.5, 1.5, 3.0]))
    check_grads(jax.jit(f), args, order=1, modes=["fwd", "rev"], eps=1e-6, rtol=1e-6)


# -- spatio-temporal: the hat kernel, one-sided


@pytest.mark.parametrize(("length", "t_early"), [(11, 0.0), (14, 0.0), (14, 2e-3)])
def test_the_derivative_of_the_spikes_step_is_one_at_every_integer_bin(length, t_early, x64):
    # plain autodiff of the hat gives -1 to -5.5 there
    encoder = snn.SpatioTemporalEncoder(length, t_early + 1e-2, t_early)
    bins = np.arange(11.0)
    x = bins / 10
    k = np.arange(float(length))
    for jac in (jax.jacfwd, jax.jacrev):
        # for each value, one derivative per step
        jacobian = np.asarray(jax.jit(jax.vmap(jac(encoder)))(x))
        np.testing.assert_allclose(jacobian @ k / 10, np.ones(11), rtol=1e-9)
        np.testing.assert_allclose(jacobian.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_array_equal(np.argmax(encoder(x), axis=0), bins + round(t_early / 1e-3))


@jax.jit
def _jacobian(encoder, x):
    return jax.jacfwd(encoder)(x)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.sampled_from([2, 3, 10, 40]))
def test_the_derivative_is_minus_one_at_floor_and_plus_one_after(x, n):
    dt = 1e-3
    encoder = snn.SpatioTemporalEncoder(n + 1, n * dt)
    jacobian = np.asarray(_jacobian(encoder, np.float32(x))) / n
    b = min(int(np.floor(np.float32(x) * np.float32(n * dt / dt))), n - 1)
    expected = np.zeros(n + 1)
    expected[b], expected[b + 1] = -1, 1
    np.testing.assert_allclose(jacobian, expected, rtol=1e-6)


def test_the_derivative_is_zero_outside_and_not_reduced_at_both_ends():
    encoder = snn.SpatioTemporalEncoder(6, 5e-3)
    x = jnp.array([-0.1, -1e-6, 0.0, 1.0, 1.0001, 2.0])
    slopes = np.einsum("k,kii->i", np.arange(6.0), jax.jit(jax.jacrev(encoder))(x))
    np.testing.assert_allclose(slopes, [0, 0, 5, 5, 0, 0], rtol=1e-6)


def test_spatio_temporal_nan_is_nan_at_every_step():
    out = snn.SpatioTemporalEncoder(4, 3e-3)(jnp.array([jnp.nan, 0.5]))
    assert np.isnan(out[:, 0]).all()
    assert np.isfinite(out[:, 1]).all()
    assert np.isnan(jax.grad(lambda x: snn.SpatioTemporalEncoder(4, 3e-3)(x).sum())(jnp.nan))
    boolean = snn.SpatioTemporalEncoder(4, 3e-3, dtype=jnp.bool_)(jnp.array([jnp.nan]))
    assert not boolean.any()


def test_spatio_temporal_fires_exactly_once():
    x = draw.uniform(jr.key(0), (500,))
    out = snn.SpatioTemporalEncoder(31, 3e-2)(x)
    np.testing.assert_array_equal(out.sum(axis=0), 1)
    np.testing.assert_array_equal(
        np.argmax(out, axis=0), np.round(np.asarray(x, float) * 30).astype(int)
    )


def test_spatio_temporal_keeps_only_its_input_for_the_reverse_pass():
    encoder = snn.SpatioTemporalEncoder(101, 0.1)

    def loss(x, w):
        return jnp.vdot(w, encoder(x))

    n = 20_000
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((n,), (101, n))]
    stats = jax.jit(jax.grad(loss)).lower(*shapes).compile().memory_analysis()
    assert stats.temp_size_in_bytes < 0.1 * 101 * n * 4


# -- learnable


def test_learnable_starts_as_the_fixed_encoder():
    x = draw.uniform(jr.key(0), (200,), maxval=5.0)
    fixed = snn.ConstantCurrentLIFEncoder(50, PARAMS)(x)
    learnable = snn.LearnableLIFEncoder((200,), 50, PARAMS)
    assert np.mean(np.asarray(learnable(x) != fixed)) < 1e-3
    for name in ("tau_mem", "v_th", "v_leak", "v_reset"):
        first = np.float32(getattr(PARAMS, name))
        np.testing.assert_array_equal(getattr(learnable.params, name), first)


def test_learnable_takes_different_constants_for_each_neuron():
    x, v_th = jnp.full(3, 2.0), [0.3, 0.6, 1.2]
    params = snn.LearnableLIFParameters(3, PARAMS, v_th=v_th)
    spikes = snn.LearnableLIFEncoder(3, 50, params)(x)
    for i, threshold in enumerate(v_th):
        one = snn.LIFParameters(**vars(PARAMS) | {"v_th": threshold})
        expected = snn.ConstantCurrentLIFEncoder(50, one)(x[i])
        np.testing.assert_array_equal(spikes[:, i], expected)


def test_learnable_learns_a_given_rate():
    x = jnp.array([0.5, 1.0, 2.0])
    target = jnp.array([25.0, 10.0, 20.0])  # spikes in 100 steps, in another order than `x`
    encoder = snn.LearnableLIFEncoder(3, 100, surrogate=snn.SuperSpike(5.0))

    @eqx.filter_jit
    def loss(encoder):
        return jnp.mean((encoder(x).sum(axis=0) - target) ** 2)

    optimizer = optax.adam(3e-2)
    state = optimizer.init(eqx.filter(encoder, eqx.is_inexact_array))

    @eqx.filter_jit
    def update(encoder, state):
        grads = eqx.filter_grad(loss)(encoder)
        updates, state = optimizer.update(grads, state)
        return eqx.apply_updates(encoder, updates), state

    before = float(loss(encoder))
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        for _ in range(300):
            encoder, state = update(encoder, state)
    assert before > 100
    assert float(loss(encoder)) < 2
    assert (np.asarray(encoder.params.tau_mem) > 1e-3).all()
    assert (np.asarray(encoder.params.v_th) > 0).all()


def test_learnable_uses_every_leaf():
    encoder = snn.LearnableLIFEncoder(3, 40)
    loss = eqx.filter_grad(lambda e: jnp.sum(e(jnp.array([1.0, 2.0, 3.0]))))
    grads = eqx.filter_jit(loss)(encoder)
    leaves = jax.tree.leaves(grads)
    assert len(leaves) == 4
    assert all((np.asarray(g) != 0).all() for g in leaves)


# -- bad arguments


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: snn.ConstantCurrentLIFEncoder(0), "`seq_length` must be at least 1, got 0"),
        (
            lambda: snn.LIFCurrentEncoder(snn.LearnableLIFParameters()),
            "`params` of a fixed encoder must be a `LIFParameters`.*`LearnableLIFEncoder`",
        ),
        (lambda: snn.ConstantCurrentLIFEncoder(-3), "`seq_length` must be at least 1, got -3"),
        (
            lambda: snn.ConstantCurrentLIFEncoder(2.5),
            r"`seq_length` must be an int of at least 1 .*got 2.5 of type float",
        ),
        (lambda: snn.ConstantCurrentLIFEncoder(True), "`seq_length` must be an int.*got True"),
        (
            lambda: snn.ConstantCurrentLIFEncoder(jnp.array(3)),
            r"`seq_length` must be an int.*static",
        ),
        (lambda: snn.ConstantCurrentLIFEncoder(3, dt=0), r"`dt` must be positive, got 0.0"),
        (
            lambda: snn.ConstantCurrentLIFEncoder(3, dt=jnp.array(1e-3)),
            r"`dt` must be a Python number, because it is static.*array of shape \(\)",
        ),
        (
            lambda: snn.ConstantCurrentLIFEncoder(3, dt=1.0),  # milliseconds?
            r"`dt` must be at most `tau_mem`=0.01 s, got dt=1.0 s: .*Both are in seconds",
        ),
        (
            lambda: snn.ConstantCurrentLIFEncoder(3, surrogate=snn.SuperSpike),
            r"`surrogate` must be an instance such as `SuperSpike\(\)`, got <class",
        ),
        (lambda: snn.LIFCurrentEncoder({"v_th": 1}), "`params` must be a `LIFParameters`, got"),
        (lambda: snn.LIFCurrentEncoder(dtype=complex), "`dtype` must be a floating, boolean"),
        (
            lambda: snn.SpatioTemporalEncoder(5, 6e-3),
            r"`t_late`=0.006 s falls in step 6 at dt=0.001 s, outside the window of "
            r"`seq_length`=5 steps \(0 to 4\)",
        ),
        (
            lambda: snn.SpatioTemporalEncoder(5, 1e-3, 2e-3),
            r"0 <= t_early < t_late.*t_early=0.002 and t_late=0.001",
        ),
        (lambda: snn.SpatioTemporalEncoder(5, 1e-3, -1e-3), r"0 <= t_early < t_late"),
        (
            lambda: snn.SpatioTemporalEncoder(5, float("nan")),
            "`t_late` must be finite, got nan",
        ),
        (lambda: snn.LearnableLIFEncoder(3, 5, dt=1e-2), "`dt` must be below `tau_mem`=0.01 s"),
        (
            lambda: snn.LearnableLIFEncoder(3, 5, snn.LearnableLIFParameters(3), dt=2e-3),
            "`dt` must be at most `tau_min`=0.001 s, got dt=0.002",
        ),
        (
            lambda: snn.LearnableLIFEncoder(3, 5)(jnp.ones(4)),
            r"the values must have the encoder's shape \(3,\), got \(4,\)",
        ),
        (
            lambda: snn.ConstantCurrentLIFEncoder(3)(jnp.ones(2, jnp.complex64)),
            "the input must be real .* got complex64",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_params_are_static_and_hashable():
    encoder = snn.ConstantCurrentLIFEncoder(5, PARAMS)
    assert jax.tree.leaves(encoder) == []
    assert hash(encoder) == hash(snn.ConstantCurrentLIFEncoder(5, PARAMS))
    assert encoder != snn.ConstantCurrentLIFEncoder(5)
    np.testing.assert_array_equal(jax.jit(encoder)(jnp.ones(2)), encoder(jnp.ones(2)))
