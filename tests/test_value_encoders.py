"""The encoders of values against NumPy float64 loops, and their derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import jaxsnn_eqx as snn

UNIT = np.random.default_rng(0).uniform(0, 1, 400).astype(np.float32)
UNIT[:3] = 0, 0.5, 1


def step_of(spikes):
    """The step of each value's only spike; −1 if there is none."""
    spikes = np.asarray(spikes)
    assert (spikes.sum(axis=0) <= 1).all()
    return np.where(spikes.any(axis=0), spikes.argmax(axis=0), -1)


# -- latency


@pytest.mark.parametrize(("length", "t_late", "dt"), [(21, 2e-2, 1e-3), (90, 2.1e-2, 2.5e-4)])
def test_linear_latency_against_a_loop(length, t_late, dt):
    steps = step_of(snn.LatencyEncoder(length, t_late, threshold=0.125, dt=dt)(UNIT))
    for x, step in zip(UNIT.astype(float), steps, strict=True):
        time = t_late * (1 - x) / dt
        if abs(time % 1 - 0.5) > 1e-4:  # not half way between two steps
            assert step == (round(time) if x > 0.125 else -1)
    assert (steps == -1).sum() > 20
    assert len(set(steps.tolist())) > 15


@pytest.mark.parametrize(("tau", "threshold"), [(5e-3, 0.2), (2e-2, 0.01)])
def test_logarithmic_latency_against_a_loop(tau, threshold):
    steps = step_of(snn.LatencyEncoder(31, 3e-2, tau=tau, threshold=threshold)(UNIT))
    for x, step in zip(UNIT.astype(float), steps, strict=True):
        time = tau * np.log(x / (x - threshold)) / 1e-3 if x > threshold else np.inf
        if abs(time % 1 - 0.5) > 1e-4 or time == np.inf:
            assert step == (round(time) if time <= 30 else -1)
    assert (steps == -1).any()
    assert (steps > 0).sum() > 100


def test_logarithmic_latency_neither_overflows_nor_loses_its_threshold():
    # spikingjelly's overflows from 90 steps on; `threshold + 1e-7` is lost in float16
    encoder = snn.LatencyEncoder(500, 0.499, tau=0.1, threshold=0.5)
    for dtype in (jnp.float16, jnp.float32):
        x = jnp.array([0.25, 0.5, 0.501, 0.75, 1.0], dtype)
        steps = step_of(encoder(x))
        assert (steps[:2] == -1).all()
        np.testing.assert_array_equal(steps[3:], [110, 69])  # 100 ln 3 and 100 ln 2
        assert np.isfinite(np.asarray(jax.jit(jax.jacrev(encoder))(x), np.float32)).all()


def test_logarithmic_latency_is_not_normalised():
    # the spikes of a value do not depend on the others
    encoder = snn.LatencyEncoder(31, 3e-2, tau=5e-3, threshold=0.1)
    alone = [encoder(x) for x in UNIT[:5]]
    np.testing.assert_array_equal(encoder(UNIT[:5]), np.stack(alone, axis=1))


def test_latency_derivative_is_the_hat_kernels_times_the_formulas(x64):
    x = np.array([0.3, 0.55, 0.8])
    k = np.arange(41.0)
    linear = snn.LatencyEncoder(41, 3e-2)
    logarithmic = snn.LatencyEncoder(41, 4e-2, tau=1e-2, threshold=0.2)
    by_hand = -10 * 0.2 / (x * (x - 0.2))  # of 10 ln(x / (x − 0.2)), in steps
    for encoder, slopes in ((linear, -30.0), (logarithmic, by_hand)):
        for jac in (jax.jacfwd, jax.jacrev):
            jacobian = np.asarray(jax.jit(jax.vmap(jac(encoder)))(x))
            np.testing.assert_allclose(jacobian @ k, np.broadcast_to(slopes, 3), rtol=1e-6)
            np.testing.assert_allclose(jacobian.sum(axis=1), 0, atol=1e-9)


def test_silent_values_have_no_latency_derivative():
    for encoder in (
        snn.LatencyEncoder(11, 1e-2, threshold=0.3),
        snn.LatencyEncoder(11, 1e-2, tau=5e-3, threshold=0.3),
    ):
        jacobian = jax.jit(jax.jacrev(encoder))(jnp.array([0.1, 0.3, -1.0, 2.0]))
        np.testing.assert_array_equal(jacobian, 0)


def test_the_latency_threshold_is_trainable():
    def mean_step(threshold):
        encoder = snn.LatencyEncoder(41, 4e-2, tau=1e-2, threshold=threshold)
        return jnp.vdot(jnp.arange(41.0), encoder(0.6))

    grad = jax.jit(jax.grad(mean_step))(jnp.array(0.2))
    np.testing.assert_allclose(grad, 10 / (0.6 - 0.2), rtol=1e-5)  # of 10 ln(x / (x − c))


def test_time_to_first_spike_against_a_loop():
    steps = step_of(snn.TimeToFirstSpikeEncoder(40, 1.2e-2)(UNIT))
    for x, step in zip(UNIT.astype(float), steps, strict=True):
        time = 12 * np.log(1 / x) if x > 0 else np.inf
        if abs(time % 1 - 0.5) > 1e-4 or time == np.inf:
            assert step == (round(time) if time < 39.5 else -1)
    assert (steps == -1).any()
    jacobian = jax.jit(jax.jacrev(snn.TimeToFirstSpikeEncoder(40, 1.2e-2)))
    slope = np.arange(40.0) @ np.asarray(jacobian(0.7))
    np.testing.assert_allclose(slope, -12 / 0.7, rtol=1e-5)


def test_lif_latency_is_the_first_spike_and_norse_lacks_its_derivative():
    x = draw.uniform(jr.key(0), (200,), maxval=6.0)
    all_spikes = np.asarray(snn.ConstantCurrentLIFEncoder(40)(x))
    first = np.asarray(snn.LIFLatencyEncoder(40)(x))
    np.testing.assert_array_equal(first, all_spikes * (np.cumsum(all_spikes, axis=0) == 1))
    assert first.sum() > 100
    # also through the mask: with a smooth spike everything has a derivative
    smooth = snn.LIFLatencyEncoder(20, surrogate=snn.SuperSpike(5.0).smooth)
    weights = draw.normal(jr.key(1), (20,))
    check_grads(jax.jit(lambda x: weights @ smooth(x)), (jnp.array(1.5),), 1, eps=1e-2)


# -- rates


@pytest.mark.parametrize("rate", [1.0, 130.0, 999.0, 1000.0])
def test_regular_rate_against_a_loop(rate):
    spikes = np.asarray(snn.RegularRateEncoder(300, rate)(UNIT))
    # the float32 product, which the encoder computes with
    p = (UNIT * np.float32(min(rate * 1e-3, 1.0))).astype(float)
    totals = [np.floor(t * p + 2.0**-14) for t in range(301)]
    expected = np.diff(totals, axis=0)
    np.testing.assert_array_equal(spikes, expected)


def test_regular_rates_do_not_drift_in_a_long_sequence():
    # t · p in float32 would lose whole spikes
    p = jnp.array([1 - 2**-24, 0.7, 1e-3, 2**-30], jnp.float32)
    spikes = snn.RegularRateEncoder(2_000_000, 1e3, dtype=jnp.bool_)(p)
    counts = np.asarray(spikes.sum(axis=0))
    np.testing.assert_array_equal(counts, [1_999_999, 1_399_999, 2_000, 0])


def test_regular_rates_are_evenly_spaced():
    gaps = np.diff(np.flatnonzero(snn.RegularRateEncoder(1000, 1e3)(0.3)))
    assert set(gaps.tolist()) == {3, 4}


@pytest.mark.parametrize("encoder", [snn.RegularRateEncoder(9, 400.0), "poisson"])
def test_the_derivative_of_a_rate_is_that_of_its_expectation(encoder):
    key = jr.key(0)
    encoder = snn.PoissonEncoder(9, 400.0) if encoder == "poisson" else encoder
    for jac in (jax.jacfwd, jax.jacrev):
        jacobian = jax.jit(jax.vmap(jac(lambda x: encoder(x, key=key))))(
            jnp.array([-0.1, 0.0, 0.3, 1.0, 1.1])
        )
        expected = np.array([0, 0.4, 0.4, 0.4, 0])[:, None].repeat(9, axis=1)
        np.testing.assert_allclose(jacobian, expected, rtol=1e-6)


def test_the_poisson_derivative_has_no_bias_against_the_mean_of_many_draws():
    encoder = snn.PoissonEncoder(100_000, 500.0)
    key = jr.key(3)

    @jax.jit
    def mean(x):
        return encoder(x, key=key).mean()

    gradient = jax.jit(jax.grad(mean))
    for x, h in ((0.2, 0.1), (0.7, 0.2)):
        finite = (float(mean(x + h)) - float(mean(x - h))) / (2 * h)
        # both use the same draws, so that only the spikes in between are random
        assert abs(finite - float(gradient(x))) < 5 * np.sqrt(0.5 * h / 1e5) / h


def test_signed_poisson_has_the_sign_and_the_rate():
    x = jnp.array([-1.0, -0.3, 0.0, 0.3, 1.0])
    spikes = np.asarray(snn.PoissonEncoder(40_000, 1000.0, signed=True)(x, key=jr.key(0)))
    np.testing.assert_array_equal(spikes[:, 0], -1)
    np.testing.assert_array_equal(spikes[:, 2], 0)
    np.testing.assert_array_equal(spikes[:, 4], 1)
    np.testing.assert_allclose(spikes.mean(axis=0), x, atol=5 * np.sqrt(0.21 / 40_000))


def test_a_poisson_signal_follows_its_rate():
    rate = np.float32([0, 1, 0.5]).repeat(1000)
    spikes = snn.PoissonEncoder(None, 1000.0)(rate, key=jr.key(0))
    means = np.asarray(spikes).reshape(3, -1).mean(axis=1)
    assert (means[:2] == [0, 1]).all()
    assert abs(means[2] - 0.5) < 5 * 0.5 / np.sqrt(1000)


def test_a_poisson_value_equals_a_constant_signal():
    x = draw.uniform(jr.key(1), (30,))
    constant = snn.PoissonEncoder(50, 800.0)(x, key=jr.key(2))
    signal = snn.PoissonEncoder(None, 800.0)(jnp.tile(x, (50, 1)), key=jr.key(2))
    np.testing.assert_array_equal(constant, signal)


# -- the statistics of Poisson: 4 million draws each, bounds of five standard deviations

DRAWS = (4000, 1000)  # steps, neurons


RARE, *OFTEN = [(1.0, 1e-4), (1.0, 1e-3), (20.0, 1e-3), (300.0, 1e-3), (990.0, 1e-3)]


def _named(rate_and_dt):
    return "{:g} Hz at {:g} s".format(*rate_and_dt)


@pytest.fixture(scope="module", params=[RARE, *OFTEN], ids=_named)
def poisson(request):
    rate, dt = request.param
    steps, neurons = DRAWS
    encoder = snn.PoissonEncoder(steps, rate, dt, dtype=jnp.uint8)
    spikes = encoder(jnp.ones(neurons), key=jr.key(11))
    return rate * dt, np.asarray(spikes, np.int64)


def test_poisson_rate(poisson):
    p, z = poisson
    assert abs(z.mean() - p) < 5 * np.sqrt(p * (1 - p) / z.size)


@pytest.mark.parametrize("axis", [0, 1], ids=["of a neuron", "of a step"])
def test_poisson_variance_of_counts(poisson, axis):
    # the rounding, which is common to all neurons, must not increase the variance
    p, z = poisson
    counts = z.sum(axis=axis)
    n, q = z.shape[axis], 1 - p
    variance = n * p * q
    fourth = variance * (1 + 3 * (n - 2) * p * q)  # the binomial's fourth central moment
    error = np.sqrt((fourth - variance**2) / counts.size)
    assert abs(np.mean((counts - n * p) ** 2) - variance) < 5 * error


@pytest.mark.parametrize("poisson", OFTEN, indirect=True, ids=_named)  # else too few intervals
def test_poisson_intervals_are_geometric(poisson):
    # drawn from Poisson(mean), as in one framework, they would be nearly regular
    p, z = poisson
    t, neuron = np.nonzero(z.T)[::-1]
    same = np.diff(neuron) == 0
    intervals = np.diff(t)[same]
    assert len(intervals) > 500
    # a window of finite length sees few long intervals: compare those up to a tenth of it
    longest = z.shape[0] // 10
    starts = np.bincount(intervals, minlength=longest + 1)[1 : longest + 1]
    k = np.arange(1, longest + 1)
    chances = p * (1 - p) ** (k - 1)
    # an interval of k is seen if its first spike is at least k before the end
    expected = z.shape[1] * (z.shape[0] - k) * p * chances
    bins = np.minimum(np.cumsum(expected) / 200, 1e9).astype(int)  # 200 or more in each
    observed = np.bincount(bins, starts)
    expected = np.bincount(bins, expected)
    observed, expected = observed[expected > 50], expected[expected > 50]
    chi2 = ((observed - expected) ** 2 / expected).sum()
    assert abs(chi2 - len(expected)) < 6 * np.sqrt(2 * len(expected))


@pytest.mark.parametrize("lag", [(1, 0), (2, 0), (0, 1), (0, 250), (0, 500), (1, 1)], ids=str)
def test_poisson_draws_are_uncorrelated(poisson, lag):
    # between steps, and between neurons: a quarter apart they share a block of random bits
    p, z = poisson
    a = z[lag[0] :, lag[1] :] - p
    b = z[: z.shape[0] - lag[0], : z.shape[1] - lag[1]] - p
    error = p * (1 - p) / np.sqrt(a.size)
    assert abs((a * b).mean()) < 5 * error + p**2 / np.sqrt(a.size)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=str)
def test_poisson_is_silent_at_zero_and_always_fires_at_one(dtype):
    x = np.array([0.0, 1.0], dtype).repeat(1000)
    spikes = np.asarray(snn.PoissonEncoder(1000, 1000.0)(x, key=jr.key(0)))  # 10^6 draws each
    np.testing.assert_array_equal(spikes[:, :1000], 0)
    np.testing.assert_array_equal(spikes[:, 1000:], 1)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_poisson_draws_from_any_kind_of_key(impl):
    x, key = np.ones(1001, np.float32), jr.key(0, impl=impl)
    spikes = np.asarray(snn.PoissonEncoder(1000, 300.0)(x, key=key))
    assert abs(float(spikes.mean()) - 0.3) < 5 * np.sqrt(0.21 / spikes.size)
    assert abs(np.corrcoef(spikes[:, 0], spikes[:, 1])[0, 1]) < 5 / np.sqrt(1000)


def test_a_raw_key_draws_the_same_as_a_typed_one():
    encoder = snn.PoissonEncoder(20, 300.0)
    np.testing.assert_array_equal(
        encoder(UNIT, key=jr.PRNGKey(5)), encoder(UNIT, key=jr.key(5))
    )


# -- phase


@pytest.mark.parametrize("bits", [1, 3, 8, 16, 24])
def test_phase_against_a_loop(bits):
    spikes = np.asarray(snn.PhaseEncoder(2 * bits + 1, bits)(UNIT))
    for i, x in enumerate(UNIT.astype(float)):
        rest = min(x, 1 - 2.0**-bits)
        for k in range(bits):
            fires = rest >= 2.0 ** -(k + 1)
            rest -= fires * 2.0 ** -(k + 1)
            assert spikes[k, i] == fires
    # repeated in every period: one framework is silent after the first
    np.testing.assert_array_equal(spikes[bits : 2 * bits], spikes[:bits])
    np.testing.assert_array_equal(spikes[2 * bits], spikes[0])


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1, width=32), st.sampled_from([1, 2, 7, 20]))
def test_the_weighted_phases_add_up_to_the_value(x, bits):
    weights = 2.0 ** -np.arange(1, bits + 1)
    total = weights @ np.asarray(snn.PhaseEncoder(bits, bits)(x), float)
    assert 0 <= min(x, 1 - 2.0**-bits) - total < 2.0**-bits


def test_the_derivative_of_the_weighted_phases_is_one(x64):
    weights = 0.5 ** np.arange(1, 7)
    for jac in (jax.jacfwd, jax.jacrev):
        jacobian = jax.jit(jac(snn.PhaseEncoder(12, 6)))
        inside = np.asarray(jacobian(0.3)).reshape(2, 6)
        np.testing.assert_allclose(inside @ weights, 1, rtol=1e-12)
        np.testing.assert_array_equal(jacobian(1.5), 0)


# -- burst


@pytest.mark.parametrize(
    ("n_max", "t_min", "t_max", "dt"), [(5, 2e-3, 1.5e-2, 1e-3), (3, 1e-3, 4e-3, 5e-4)]
)
def test_burst_against_a_loop(n_max, t_min, t_max, dt):
    length = 60
    spikes = np.asarray(snn.BurstEncoder(length, n_max, t_min, t_max, dt)(UNIT))
    shortest, longest = round(t_min / dt), round(t_max / dt)
    for i, x in enumerate(UNIT.astype(float)):
        interval = int(np.ceil(longest - (longest - shortest) * x - 1e-5))
        expected = np.zeros(length)
        for k in range(int(np.ceil(n_max * x))):
            if k * interval < length:
                expected[k * interval] = 1
        np.testing.assert_array_equal(spikes[:, i], expected)
    assert spikes[:, 0].sum() == 0
    assert spikes[:, 2].sum() == n_max


def test_the_burst_derivative_is_that_of_the_count():
    encoder = snn.BurstEncoder(60, 4)
    for jac in (jax.jacfwd, jax.jacrev):
        jacobian = jax.jit(jax.vmap(jac(encoder)))(jnp.array([0.0, 0.3, 1.0, 1.2]))
        jacobian = np.asarray(jacobian)
        np.testing.assert_array_equal(jacobian.sum(axis=1), [4, 4, 4, 0])
        last = np.flatnonzero(encoder(0.3))[-1]
        assert jacobian[1, last] == 4


# -- rank order


def test_rank_order_against_a_loop():
    x = np.random.default_rng(3).integers(0, 20, (5, 8)).astype(float)  # with ties
    spikes = np.asarray(snn.RankOrderEncoder(40)(x)).reshape(40, 40)
    flat = x.ravel()
    for i in range(40):
        rank = sum(flat[j] > flat[i] or (flat[j] == flat[i] and j < i) for j in range(40))
        assert spikes[:, i].argmax() == rank
    np.testing.assert_array_equal(spikes.sum(axis=0), 1)  # the smallest too
    np.testing.assert_array_equal(spikes.sum(axis=1), 1)


def test_rank_order_is_silent_beyond_the_window_and_ranks_nan_last():
    x = jnp.array([0.1, jnp.nan, 0.9, -jnp.inf, 0.5])
    spikes = snn.RankOrderEncoder(3)(x)
    expected = np.array([[0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]], float)
    expected[:, 1] = np.nan
    np.testing.assert_array_equal(spikes, expected)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_rank_order_of_any_shape(shape):
    out = np.asarray(snn.RankOrderEncoder(6)(draw.uniform(jr.key(0), shape)))
    assert out.shape == (6, *shape)
    np.testing.assert_array_equal(out.sum(axis=0), 1)


def test_the_rank_derivative_is_that_of_the_soft_rank(x64):
    surrogate = snn.Sigmoid(8.0)
    x = draw.uniform(jr.key(0), (7,), jnp.float64)
    encoder = snn.RankOrderEncoder(9, surrogate)

    def soft_rank(x):
        above = surrogate.smooth(x[None, :] - x[:, None])
        return above.sum(axis=1) - 0.5  # without the value itself

    def rank(x):
        return jnp.arange(9.0) @ encoder(x)

    v = draw.normal(jr.key(1), (7,), jnp.float64)
    h = 1e-6

    @jax.jit
    def derivatives(x, v):
        finite = (soft_rank(x + h * v) - soft_rank(x - h * v)) / (2 * h)
        return finite, jax.jvp(rank, (x,), (v,))[1], jax.jacrev(rank)(x) @ v

    finite, forward, reverse = derivatives(x, v)
    np.testing.assert_allclose(forward, finite, rtol=1e-6)
    np.testing.assert_allclose(reverse, finite, rtol=1e-6)


# -- receptive fields, and the values themselves


def test_receptive_fields_against_the_formula():
    fields = snn.GaussianReceptiveFields.evenly(6, -1.0, 3.0, beta=2.0)
    # Bohte et al.: low + (2i − 3)/2 · (high − low)/(n − 2), i from 1
    centres = [-1 + (2 * i - 3) / 2 * 4 / 4 for i in range(1, 7)]
    np.testing.assert_allclose(fields.centres, centres)
    assert fields.widths == pytest.approx(1 / 2 * 4 / 4)
    x = np.linspace(-2, 4, 13)
    expected = np.exp(-0.5 * ((x[:, None] - np.array(centres)) / 0.5) ** 2)
    np.testing.assert_allclose(fields(x), expected, rtol=1e-5)


def test_receptive_fields_for_each_value_are_trained():
    fields = snn.GaussianReceptiveFields.evenly(4, shape=(2,))
    shared = snn.GaussianReceptiveFields.evenly(4)
    x = jnp.array([0.2, 0.9])
    np.testing.assert_allclose(fields(x), shared(x), rtol=1e-6)
    grads = jax.jit(jax.grad(lambda f: f(x)[0].sum()))(fields)
    centres, widths = np.asarray(grads.centres), np.asarray(grads.widths)
    assert (centres[0] != 0).all()
    assert (centres[1] == 0).all()
    assert (widths[0] != 0).all()
    check_grads(jax.jit(lambda f, x: f(x)), (fields, x), 1, eps=1e-2, rtol=1e-2)


def test_the_spikes_of_a_value_do_not_depend_on_its_neighbours():
    fields = snn.GaussianReceptiveFields.evenly(5)
    np.testing.assert_array_equal(fields(jnp.array([0.3, 5.0]))[0], fields(0.3))


def test_a_function_in_front_of_any_value_encoder():
    key, x = jr.key(0), draw.uniform(jr.key(1), (2, 3))
    fields = snn.GaussianReceptiveFields.evenly(5)
    linear = eqx.nn.Linear(3, 4, key=key)
    for fn, encoder in (
        (fields, snn.PhaseEncoder(8)),
        (eqx.filter_vmap(linear), snn.PoissonEncoder(8)),
        (lambda x: 4 * x, snn.LIFLatencyEncoder(8)),
        (jnp.square, snn.PhaseEncoder(8)),
    ):
        preprocessed = snn.Preprocessed(fn, encoder)
        expected = encoder(fn(x), key=key)
        np.testing.assert_array_equal(preprocessed(x, key=key), expected)
        network = snn.Network([preprocessed, snn.SpikeCount()], checkpoint_every=3)
        assert network.seq_length == 8
        np.testing.assert_array_equal(network[0](x, key=key), expected)
        count = network(x, key=key)
        np.testing.assert_array_equal(count, np.sum(expected, axis=0))
    nested = snn.Preprocessed(fields, snn.Preprocessed(lambda y: y / 2, snn.DirectEncoder(4)))
    np.testing.assert_allclose(nested(0.3)[3], fields(0.3) / 2, rtol=1e-6)


def test_a_function_in_front_is_trained():
    model = snn.Preprocessed(eqx.nn.Linear(3, 4, key=jr.key(0)), snn.LIFLatencyEncoder(8))
    grads = eqx.filter_jit(eqx.filter_grad(lambda m: m(jnp.ones(3)).sum()))(model)
    assert (np.asarray(grads.fn.weight) != 0).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: snn.Preprocessed(snn.LIF(), snn.PhaseEncoder(8)),
            "`fn` must be stateless",
        ),
        (lambda: snn.Preprocessed(3, snn.PhaseEncoder(8)), "`fn` must be callable, got 3"),
        (
            lambda: snn.Preprocessed(abs, snn.DeltaEncoder(1.0)),
            r"`encoder` must be an encoder of values.*`DeltaEncoder`.*`OverTime\(fn\)`",
        ),
        (
            lambda: snn.Preprocessed(abs, snn.LIF()),
            "`encoder` must be an encoder of values",
        ),
    ],
)
def test_bad_functions_in_front_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_direct_returns_the_value():
    x = jnp.array([-3.0, 0.0, jnp.inf])
    np.testing.assert_array_equal(snn.DirectEncoder(3)(x), jnp.tile(x, (3, 1)))


# -- out of range, NaN, bad arguments


@pytest.mark.parametrize(
    "encoder",
    [
        snn.LatencyEncoder(12, 1e-2),
        snn.RegularRateEncoder(12, 700.0),
        snn.PhaseEncoder(12, 5),
        snn.BurstEncoder(12),
        snn.PoissonEncoder(12, 1000.0),
    ],
    ids=lambda e: type(e).__name__,
)
def test_values_out_of_range_are_clipped_and_nan_is_nan(encoder):
    x = jnp.array([-jnp.inf, -0.5, 0.0, 1.0, 1.5, jnp.inf])
    out = np.asarray(encoder(x, key=jr.key(0)))
    np.testing.assert_array_equal(out[:, :2], out[:, 2:3].repeat(2, axis=1))
    np.testing.assert_array_equal(out[:, 4:], out[:, 3:4].repeat(2, axis=1))
    assert np.isnan(encoder(jnp.nan, key=jr.key(0))).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: snn.PoissonEncoder(5, 2000.0),
            r"`max_rate` must be at most 1/dt = 1000 Hz.*got 2000 Hz at dt=0.001 s",
        ),
        (lambda: snn.RegularRateEncoder(5, 1001.0), "`max_rate` must be at most 1/dt"),
        (
            lambda: snn.PoissonEncoder(5, jnp.array([500.0, 1500.0])),
            "`max_rate` must be at most 1/dt = 1000 Hz, one spike a step, got 1500 Hz",
        ),
        (
            lambda: snn.RegularRateEncoder(5, (1.0, 2.0))(jnp.ones(3)),
            r"`max_rate`, of shape \(2,\), must broadcast to one step's input",
        ),
        (lambda: snn.PoissonEncoder(5, -1.0), "`max_rate` must be positive, got -1.0"),
        (
            lambda: snn.PoissonEncoder(5, signed=True, dtype=jnp.uint8),
            "`dtype` must be floating or a signed integer, since spikes may be -1, got uint8",
        ),
        (lambda: snn.PoissonEncoder(5)(0.5), "`key` must be given to `PoissonEncoder`"),
        (
            lambda: snn.PoissonEncoder(5).run(jnp.int32(0), 0.5, key=jr.key(0)),
            "`length` must be given to `run` if and only if the layer encodes values",
        ),
        (lambda: snn.PhaseEncoder(5, 25), "`bits` must be at most 24"),
        (lambda: snn.PhaseEncoder(5, 0), "`bits` must be at least 1, got 0"),
        (lambda: snn.BurstEncoder(5, t_min=5e-4, dt=2e-3), "dt <= t_min <= t_max"),
        (lambda: snn.BurstEncoder(5, t_min=3e-3, t_max=2e-3), "dt <= t_min <= t_max"),
        (lambda: snn.LatencyEncoder(5, 5e-3), "`t_late`=0.005 s falls in step 5"),
        (lambda: snn.LatencyEncoder(5, 4e-3, tau=1e-3), "`threshold` must be positive in the"),
        (
            lambda: snn.LatencyEncoder(5, 4e-3, threshold=jnp.ones(3))(jnp.ones(4)),
            r"`threshold`, of shape \(3,\), must broadcast .* shape \(4,\)",
        ),
        (
            lambda: snn.LatencyEncoder(5, 4e-3, threshold="a"),
            "`threshold` must be a Python num",
        ),
        (lambda: snn.GaussianReceptiveFields(0.5, 1.0), "`centres` must have one or more"),
        (lambda: snn.GaussianReceptiveFields((0.0, 1.0), (1.0, 0.0)), "`widths` must be posit"),
        (
            lambda: snn.GaussianReceptiveFields((0.0, 1.0), (1.0, 1.0, 1.0)),
            r"got shapes \(2,\) and \(3,\)",
        ),
        (lambda: snn.GaussianReceptiveFields.evenly(2), "`fields` must be at least 3"),
        (
            lambda: snn.GaussianReceptiveFields.evenly(3, shape=(4,))(jnp.ones(3)),
            r"the values must have the shape \(4,\)",
        ),
        (
            lambda: snn.Network([snn.DirectEncoder(3), snn.PhaseEncoder(3)]),
            r"`layers\[1\]` \(PhaseEncoder\) encodes values, so it must come first",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [snn.PoissonEncoder, snn.RegularRateEncoder])
def test_each_value_has_its_own_trained_rate(kind):
    rates = jnp.array([100.0, 400.0, 1000.0])
    encoder = kind(1000, rates)
    x = jnp.array([1.0, 0.5, 0.25])
    spikes = encoder(x, key=jr.key(0)).sum(axis=0)
    np.testing.assert_allclose(spikes, rates * x, rtol=0.15)
    # the derivative is that of the expectation, in spikes per hertz
    grads = eqx.filter_grad(lambda e: e(x, key=jr.key(0)).sum())(encoder)
    np.testing.assert_allclose(grads.max_rate, x * 1000 * 1e-3, rtol=1e-4)


def test_the_window_of_a_first_spike_is_trained():
    encoder = snn.TimeToFirstSpikeEncoder(40, jnp.array([5e-3, 1e-2]))
    x = jnp.array([0.3, 0.3])
    assert step_of(encoder(x)).tolist() == [6, 12]
    times = jnp.arange(40.0)
    grads = eqx.filter_grad(lambda e: (times[:, None] * e(x)).sum())(encoder)
    # d t / d tau, in steps per second
    np.testing.assert_allclose(grads.tau, -np.log(x) / 1e-3, rtol=1e-5)
