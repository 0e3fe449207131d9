"""The encoders of signals against NumPy float64 loops, and errors of other frameworks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracle
import pytest
from conftest import draw
from jax.test_util import check_grads

import jaxsnn_eqx as snn

RNG = np.random.default_rng(0)
# multiples of 1/8: sums and differences are exact, ties at a threshold included
WALK = np.cumsum(RNG.integers(-6, 7, (120, 7)), axis=0) / 8.0 + 3
SMOOTH = 0.5 + 0.45 * np.sin(np.linspace(0, 25, 300)[:, None] + np.arange(4))


LEVELS = (1.0, 2.5, 3.0, 4.25)
FILTER = (0.125, 0.5, 0.75, 0.5, 0.125)
ENCODERS = {
    "delta": (snn.DeltaEncoder(0.5), WALK, lambda x: oracle.delta(x, 0.5)),
    "delta_rises": (
        snn.DeltaEncoder(0.5, signed=False),
        WALK,
        lambda x: oracle.delta(x, 0.5, signed=False),
    ),
    "threshold": (snn.ThresholdEncoder(0.25, 0.125, 2.0), WALK, lambda x: oracle.delta(x, 0.5)),
    "step_forward": (snn.StepForwardEncoder(0.5), WALK, lambda x: oracle.step_forward(x, 0.5)),
    "moving_window": (
        snn.MovingWindowEncoder(0.5, window=4),
        WALK,
        lambda x: oracle.moving_window(x, 0.5, 4),
    ),
    "sigma_delta": (
        snn.SigmaDeltaEncoder(0.5),
        WALK,
        lambda x: oracle.sigma_delta(x, 0.5, True),
    ),
    "sigma_delta_binary": (
        snn.SigmaDeltaEncoder(0.5, graded=False),
        WALK,
        lambda x: oracle.sigma_delta(x, 0.5, False),
    ),
    "pulse_width": (
        snn.PulseWidthEncoder(9e-3, 2.0, 4.0),
        WALK,
        lambda x: oracle.pulse_width(x, 9, 2.0, 4.0),
    ),
    "pulse_width_smooth": (
        snn.PulseWidthEncoder(8e-3, dt=1e-3),
        SMOOTH,
        lambda x: oracle.pulse_width(x, 8, 0.0, 1.0),
    ),
    "level_crossing": (
        snn.LevelCrossingEncoder(LEVELS),
        WALK,
        lambda x: oracle.level_crossing(x, LEVELS),
    ),
    "bens_spiker": (
        snn.BensSpikerEncoder(FILTER, 0.25),
        np.abs(WALK),
        lambda x: oracle.bens_spiker(x, FILTER, 0.25),
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_against_a_loop(name, x64):
    encoder, xs, loop = ENCODERS[name]
    expected, _ = loop(xs)
    assert np.abs(expected).sum() > 40
    np.testing.assert_array_equal(encoder(xs), expected)


@pytest.mark.parametrize("name", ENCODERS)
def test_in_float32_against_the_loop(name):
    encoder, xs, loop = ENCODERS[name]
    expected, _ = loop(xs)
    differs = np.asarray(encoder(xs.astype(np.float32))) != expected
    # a mean of an odd number of samples, or a sine, may equal a threshold up to rounding
    assert differs.sum() <= (3 if name in ("pulse_width_smooth", "moving_window") else 0)


# -- errors of other frameworks


@pytest.mark.parametrize(
    "name", [n for n in ENCODERS if not n.startswith(("bens", "pulse", "sigma"))]
)
def test_a_constant_signal_does_not_fire_at_its_first_sample(name):
    # snntorch's delta compares the first sample with 0
    encoder = ENCODERS[name][0]
    np.testing.assert_array_equal(encoder(np.full((20, 2), 3.0)), 0)


def test_slow_drifts_fire_if_a_baseline_follows():
    drift = np.arange(401) / 16.0  # by 25, in steps of 1/16
    assert not snn.DeltaEncoder(0.5)(drift).any()
    assert snn.StepForwardEncoder(0.5)(drift).sum() == 50
    assert snn.SigmaDeltaEncoder(0.5)(drift).sum() == 50
    assert snn.LevelCrossingEncoder(np.arange(1, 26.0))(drift).sum() == 25


def test_a_fitted_threshold_is_positive_and_per_channel():
    falling = np.stack([-np.arange(50.0), -3 * np.arange(50.0) ** 1.5], axis=1)
    encoder = snn.ThresholdEncoder.fit(falling, factor=0.5)
    sizes = np.abs(np.diff(falling, axis=0))
    expected = sizes.mean(axis=0) + 0.5 * sizes.std(axis=0)
    np.testing.assert_allclose(encoder.threshold, expected)
    # the signed mean of a falling signal is negative, and so is the threshold of one framework
    assert (np.diff(falling, axis=0).mean(axis=0) < 0).all()
    spikes = np.asarray(encoder(falling))
    assert set(np.unique(spikes)) == {-1.0, 0.0}
    assert jax.tree.leaves(encoder) == [0.5]  # only `factor`, and fixed


def test_a_threshold_is_not_fitted_to_the_signal_that_is_encoded():
    encoder = snn.ThresholdEncoder.fit(WALK[:60], factor=1.0)
    alone = encoder(WALK[60:80])
    np.testing.assert_array_equal(encoder(WALK[60:])[:20], alone)


def test_bens_spiker_uses_its_first_tap_and_both_errors_at_the_same_samples():
    # the filter itself is exactly one spike, with the stated delay
    signal = np.concatenate([np.zeros(3), FILTER, np.zeros(6)])
    encoder = snn.BensSpikerEncoder(FILTER, 1.75)
    spikes = np.asarray(encoder(signal))
    assert encoder.delay == 4
    np.testing.assert_array_equal(np.flatnonzero(spikes), [3 + 4])
    np.testing.assert_allclose(encoder.decode(spikes), signal, atol=1e-7)


def test_pulse_width_fires_once_a_period_where_the_signal_is_in_range():
    spikes = np.asarray(snn.PulseWidthEncoder(1e-2)(SMOOTH))
    np.testing.assert_array_equal(spikes.reshape(30, 10, 4).sum(axis=1), 1)


def test_pulse_width_is_silent_above_and_first_below():
    xs = np.array([[2.0, -1.0]]).repeat(8, axis=0)
    spikes = np.asarray(snn.PulseWidthEncoder(4e-3)(xs))
    np.testing.assert_array_equal(spikes.T, [[0] * 8, [1, 0, 0, 0] * 2])


def test_level_crossing_counts_every_level_of_a_jump():
    spikes = np.asarray(snn.LevelCrossingEncoder(LEVELS)(jnp.array([0.0, 10.0, 2.7])))
    np.testing.assert_array_equal(spikes[1], [1, 1, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(spikes[2], [0, 0, 0, 0, 0, 0, 1, 1])


# -- derivatives

SMOOTH_SPIKE = snn.SuperSpike(4.0).smooth


@pytest.mark.parametrize(
    "make",
    [
        lambda c: snn.DeltaEncoder(c, surrogate=SMOOTH_SPIKE),
        lambda c: snn.DeltaEncoder(c, signed=False, surrogate=SMOOTH_SPIKE),
        lambda c: snn.ThresholdEncoder(0.1, 0.2, c, surrogate=SMOOTH_SPIKE),
        lambda c: snn.StepForwardEncoder(c, surrogate=SMOOTH_SPIKE),
        lambda c: snn.MovingWindowEncoder(c, surrogate=SMOOTH_SPIKE),
        lambda c: snn.SigmaDeltaEncoder(c, graded=False, surrogate=SMOOTH_SPIKE),
        lambda c: snn.LevelCrossingEncoder(c + jnp.array([0.5, 1.5]), surrogate=SMOOTH_SPIKE),
        lambda c: snn.BensSpikerEncoder(
            c * jnp.array([0.5, 1.0, 0.5]), c, surrogate=SMOOTH_SPIKE
        ),
    ],
    ids=[
        "delta",
        "delta_rises",
        "threshold",
        "step_forward",
        "moving_window",
        "sigma_delta",
        "level_crossing",
        "bens_spiker",
    ],
)
def test_with_the_smooth_spike_gradients_equal_finite_differences(make, x64):
    xs = jnp.asarray(np.asarray(draw.normal(jr.key(0), (15,))) + 1)
    size = jax.eval_shape(lambda c: make(c)(xs), jnp.array(0.6)).size
    weights = draw.normal(jr.key(1), (size,))

    def f(c, xs):
        return weights @ make(c)(xs).ravel()

    args = (jnp.array(0.6), xs)
    check_grads(jax.jit(f), args, order=1, modes=["fwd", "rev"], eps=1e-6, rtol=1e-5)


def test_pulse_width_gradients_equal_finite_differences(x64):
    weights = draw.normal(jr.key(1), (15,))
    encoder = snn.PulseWidthEncoder(5e-3, surrogate=SMOOTH_SPIKE)
    xs = draw.uniform(jr.key(0), (15,))
    f = jax.jit(lambda xs: weights @ encoder(xs))
    check_grads(f, (xs,), 1, ["fwd", "rev"], eps=1e-6, rtol=1e-5)


def test_the_graded_derivative_is_that_of_the_rounded_sum(x64):
    # z_t = (x_t − x_{t−1}) / threshold, with the rounding left out
    xs = jnp.array([0.3, 1.7, 1.1, 2.9])
    for jac in (jax.jacfwd, jax.jacrev):
        jacobian = jax.jit(jac(snn.SigmaDeltaEncoder(0.5)))(xs)
        np.testing.assert_allclose(jacobian, 2 * (np.eye(4) - np.eye(4, k=-1)), atol=1e-12)


@pytest.mark.parametrize(
    ("make", "c"),
    [
        (snn.StepForwardEncoder, 0.9),
        (lambda c: snn.DeltaEncoder(c), 0.9),
        (lambda c: snn.ThresholdEncoder(0.1, 0.4, c), 2.0),
        (snn.SigmaDeltaEncoder, 0.9),
    ],
    ids=["step_forward", "delta", "threshold", "sigma_delta"],
)
def test_a_threshold_given_as_an_array_gets_a_gradient(make, c):
    encoder = make(jnp.array(c))
    loss = eqx.filter_grad(lambda e: jnp.abs(e(WALK.astype(np.float32))).sum())
    grads = eqx.filter_jit(loss)(encoder)
    assert float(*jax.tree.leaves(grads)) < 0  # a higher threshold fires less


# -- infinities, bad arguments


def test_infinities_as_documented():
    inf = jnp.inf
    np.testing.assert_array_equal(
        snn.DeltaEncoder(1.0)(jnp.array([0.0, inf, 0.0, -inf, 0.0])), [0, 1, -1, -1, 1]
    )
    np.testing.assert_array_equal(
        snn.StepForwardEncoder(1.0)(jnp.array([0.0, inf, -inf, 0.0])), [0, 1, -1, 0]
    )
    np.testing.assert_array_equal(snn.DeltaEncoder(1.0)(jnp.array([inf, 0.0]))[0], jnp.nan)
    np.testing.assert_array_equal(
        snn.MovingWindowEncoder(1.0)(jnp.array([0.0, inf, 0.0])), [0, 1, -1]
    )
    np.testing.assert_array_equal(
        snn.LevelCrossingEncoder((0.0, 1.0))(jnp.array([0.5, inf, -inf])),
        [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]],
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: snn.DeltaEncoder(0.0), "`threshold` must be positive, got 0.0"),
        (lambda: snn.DeltaEncoder(jnp.array([1.0, -1.0])), "`threshold` must be positive, got"),
        (lambda: snn.DeltaEncoder("1"), "`threshold` must be a Python number, got '1'"),
        (
            lambda: snn.StepForwardEncoder((1.0, 2.0))(jnp.ones((5, 3))),
            r"`threshold`, of shape \(2,\), must broadcast .* shape \(3,\)",
        ),
        (lambda: snn.MovingWindowEncoder(1.0, window=0), "`window` must be at least 1, got 0"),
        (
            lambda: snn.StepForwardEncoder(1.0, dtype=bool),
            "`dtype` must be floating or a signed integer",
        ),
        (lambda: snn.ThresholdEncoder(0.0, 0.0), "the threshold, must be positive, got 0.0"),
        (lambda: snn.ThresholdEncoder.fit(jnp.ones(1)), "`xs` must have at least two steps"),
        (
            lambda: snn.ThresholdEncoder.fit(jnp.array([1.0, jnp.nan])),
            r"`xs` must be finite, got NaN or infinity in channel \(\)",
        ),
        (lambda: snn.PulseWidthEncoder(1e-3), "`period` must be at least two steps"),
        (
            lambda: snn.PulseWidthEncoder(1e-2, 1.0, 1.0),
            "`low` must be below `high`, got low=1",
        ),
        (
            lambda: snn.LevelCrossingEncoder((1.0,)),
            "`levels` must have one axis with at least two",
        ),
        (lambda: snn.LevelCrossingEncoder((1.0, 1.0)), "`levels` must increase"),
        (
            lambda: snn.BensSpikerEncoder((), 0.1),
            "`filter` must have one axis with at least one tap",
        ),
        (
            lambda: snn.BensSpikerEncoder(0.5, 0.1),
            r"`filter` must have one axis .* got shape \(\)",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


CHANGES = [snn.DeltaEncoder(0.5), snn.ThresholdEncoder(0.3, 0.2)]


@eqx.filter_jit
def looped(encoder, xs, first=None):
    """The steps of `encoder`, one after the other."""
    first = encoder.init(xs[0]) if first is None else first
    return jax.lax.scan(lambda s, x: encoder.step(s, x), first, xs)


@pytest.mark.parametrize("encoder", CHANGES)
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("started", [False, True])
def test_all_steps_at_once_equal_single_steps(encoder, value, started):
    xs = WALK[:20].astype(np.float32)
    xs[5, 3] = value
    first = encoder.init(xs[0])
    if started:
        first = encoder.run(first, xs[:1] + 1)[0]
    got, expected = encoder.run(first, xs), looped(encoder, xs, first)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


@pytest.mark.parametrize("encoder", CHANGES)
def test_a_nan_before_the_chunk_affects_only_its_first_step(encoder):
    xs = jnp.asarray(WALK[:6], jnp.float32)
    state, _ = encoder.run(encoder.init(xs[0]), xs.at[-1, 2].set(jnp.nan))
    assert np.isnan(state.reference[2])
    state, spikes = encoder.run(state, xs)
    assert np.isnan(spikes[0, 2])
    assert np.isnan(spikes).sum() == 1
    assert not np.isnan(state.reference).any()


def test_changes_need_no_loop_and_their_derivative_keeps_one_array():
    xs = jnp.ones((100, 5_000))
    grad = jax.grad(lambda xs: jnp.sum(snn.DeltaEncoder(0.5)(xs) ** 2))
    compiled = jax.jit(grad).lower(xs).compile()
    assert " while(" not in compiled.as_text()
    assert compiled.memory_analysis().temp_size_in_bytes < 1.1 * xs.nbytes


@pytest.mark.parametrize("encoder", CHANGES)
def test_the_derivative_of_changes_equals_that_of_a_loop(encoder):
    xs = jnp.asarray(WALK[:20], jnp.float32)
    w = jnp.asarray(RNG.standard_normal(xs.shape), jnp.float32)
    got, expected = (
        jax.jit(jax.grad(lambda xs, encode=encode: jnp.vdot(w, encode(xs))))(xs)
        for encode in (encoder, lambda xs: looped(encoder, xs)[1])
    )
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    hessian = jax.jit(jax.hessian(lambda xs: jnp.vdot(w[:5, :2], encoder(xs))))(xs[:5, :2])
    assert hessian.shape == (5, 2, 5, 2)
