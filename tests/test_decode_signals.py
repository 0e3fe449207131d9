"""The error of decoded signals, against the bounds of the encoders' formulas."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw

import jaxsnn_eqx as snn

RNG = np.random.default_rng(1)
SLACK = 1e-9  # for rounding, in float64
# three channels, by at most 0.4 and by any amount in a step
START = np.array([2.0, 0.0, -7.0])
SLOW = START + np.cumsum(RNG.uniform(-0.4, 0.4, (400, 3)), axis=0)
FAST = START + np.cumsum(RNG.normal(0.0, 2.0, (400, 3)), axis=0)


def rmse(decoded, xs):
    return np.sqrt(np.mean((np.asarray(decoded) - xs) ** 2, axis=0))


# -- encoders with a baseline


@pytest.mark.parametrize("threshold", [0.4, 0.55, 1.0])
def test_step_forward_is_within_a_threshold_of_a_slow_signal(threshold, x64):
    encoder = snn.StepForwardEncoder(threshold)
    error = np.asarray(encoder.decode(encoder(SLOW), SLOW[0])) - SLOW
    assert np.abs(error).max() <= threshold + SLACK
    # the bound is tight: the error exceeds half of it
    assert np.abs(error).max() > threshold / 2


def test_step_forward_lags_a_signal_that_is_faster_than_its_threshold(x64):
    ramp = np.arange(50.0)
    encoder = snn.StepForwardEncoder(0.25)
    np.testing.assert_allclose(encoder.decode(encoder(ramp), 0.0), 0.25 * ramp)


def test_the_error_of_step_forward_is_a_third_of_the_threshold_squared(x64):
    # for a signal that changes by much less than a threshold per step, and by many in total
    wave = 50.3 * np.abs(np.linspace(0, 10, 200_000) % 2 - 1)
    encoder = snn.StepForwardEncoder(1.0)
    error = np.asarray(encoder.decode(encoder(wave), wave[0])) - wave
    np.testing.assert_allclose(np.mean(error**2), 1 / 3, rtol=0.02)


@pytest.mark.parametrize("xs", [SLOW, FAST], ids=["slow", "fast"])
@pytest.mark.parametrize("threshold", [0.3, 1.0])
def test_graded_sigma_delta_is_within_a_threshold_of_any_signal(xs, threshold, x64):
    encoder = snn.SigmaDeltaEncoder(threshold)
    error = xs - np.asarray(encoder.decode(encoder(xs)))
    assert np.abs(error).max() < threshold + SLACK
    assert np.abs(error).max() > threshold / 2


def test_binary_sigma_delta_is_step_forward_from_zero(x64):
    xs = np.concatenate([np.zeros((1, 3)), SLOW - SLOW[0]])
    binary, baseline = snn.SigmaDeltaEncoder(0.5, graded=False), snn.StepForwardEncoder(0.5)
    spikes = binary(xs)
    assert np.abs(spikes).sum() > 50
    np.testing.assert_array_equal(spikes, baseline(xs))
    np.testing.assert_array_equal(binary.decode(spikes), baseline.decode(spikes, 0.0))


# -- encoders of changes


def test_delta_decodes_changes_of_a_threshold_exactly(x64):
    xs = 0.5 * np.cumsum(RNG.integers(-1, 2, (200, 3)), axis=0) + 3
    encoder = snn.DeltaEncoder(0.5)
    np.testing.assert_array_equal(encoder.decode(encoder(xs), xs[0]), xs)
    fitted = snn.ThresholdEncoder(0.25, 0.125, 2.0)  # the same threshold
    np.testing.assert_array_equal(fitted.decode(fitted(xs), xs[0]), xs)


def test_the_errors_of_delta_add_up(x64):
    # a change of 0.9 thresholds never fires, and one of 1.5 decodes to one
    xs = np.stack([0.9 * np.arange(41.0), 1.5 * np.arange(41.0)], axis=1)
    encoder = snn.DeltaEncoder(1.0)
    error = xs - np.asarray(encoder.decode(encoder(xs), xs[0]))
    np.testing.assert_allclose(error[-1], [36.0, 20.0])


def test_the_error_of_delta_for_exponential_changes():
    # 1 − r (u²/2 + u) of the mean square is lost, if a fraction r = exp(−u) fires
    changes = RNG.laplace(size=200_000)
    for u in (0.5, np.sqrt(2), 3.0):
        encoder = snn.DeltaEncoder(float(u))
        xs = np.cumsum(changes)
        spikes = np.asarray(encoder(jnp.asarray(xs, jnp.float32)))
        assert abs(np.abs(spikes).mean() - np.exp(-u)) < 0.01
        lost = np.mean((changes - u * spikes) ** 2) / np.mean(changes**2)
        np.testing.assert_allclose(lost, 1 - np.exp(-u) * (u**2 / 2 + u), atol=0.02)


@pytest.mark.parametrize("window", [1, 3, 8])
def test_moving_window_encodes_its_decoded_signal_again(window, x64):
    # exactly representable: windows of a power of two, or a mean that float64 rounds alike
    encoder = snn.MovingWindowEncoder(0.5, window=window)
    spikes = RNG.integers(-1, 2, (150, 3)).astype(float)
    spikes[0] = 0  # the first sample never fires
    decoded = np.asarray(encoder.decode(spikes, [1.0, -2.0, 0.25]))
    # a threshold that rounding cannot cross
    same = snn.MovingWindowEncoder(0.5 - 1e-6, window=window)(decoded)
    np.testing.assert_array_equal(same, spikes)


def test_moving_window_decodes_as_a_loop(x64):
    spikes = RNG.integers(-1, 2, 60).astype(float)
    expected = []
    for t, z in enumerate(spikes):
        mean = np.mean(expected[max(0, t - 4) :]) if t else 1.5
        expected.append(mean + 0.3 * z)
    decoded = snn.MovingWindowEncoder(0.3, window=4).decode(spikes, 1.5)
    np.testing.assert_allclose(decoded, expected, rtol=1e-12)


# -- encoders of levels and times


def test_level_crossing_is_within_half_a_distance(x64):
    low, high = SLOW.min(), SLOW.max()
    levels = tuple(np.arange(low - 0.3, high + 0.3, 0.25))
    encoder = snn.LevelCrossingEncoder(levels)
    error = np.asarray(encoder.decode(encoder(SLOW), SLOW[0])) - SLOW
    assert np.abs(error).max() <= 0.125 + SLACK
    np.testing.assert_allclose(np.mean(error**2), 0.25**2 / 12, rtol=0.1)


def test_level_crossing_follows_fast_signals(x64):
    levels = tuple(np.arange(FAST.min() - 0.5, FAST.max() + 0.5, 0.5))
    encoder = snn.LevelCrossingEncoder(levels)
    assert (
        np.abs(np.asarray(encoder.decode(encoder(FAST), FAST[0])) - FAST).max() <= 0.25 + SLACK
    )


def test_level_crossing_between_uneven_levels_and_one_distance_outside(x64):
    levels = np.array([0.0, 1.0, 1.5, 4.0])
    encoder = snn.LevelCrossingEncoder(tuple(levels))
    xs = RNG.uniform(-1.0, 6.5, 300)  # one distance beyond either end
    decoded = np.asarray(encoder.decode(encoder(xs), xs[0]))
    ends = np.array([-1.0, *levels, 6.5])
    at = np.searchsorted(levels, xs, side="right")
    np.testing.assert_allclose(decoded, (ends[at] + ends[at + 1]) / 2)
    assert (np.abs(decoded - xs) <= (ends[at + 1] - ends[at]) / 2 + SLACK).all()


@pytest.mark.parametrize("steps", [2, 5, 16])
def test_pulse_width_is_within_half_a_step_at_its_spikes(steps, x64):
    low, high = -1.0, 3.0
    xs = RNG.uniform(low, high, (40, 3)).repeat(steps, axis=0)  # constant in each period
    encoder = snn.PulseWidthEncoder(float(steps), low, high, dt=1.0)
    spikes = np.asarray(encoder(xs))
    np.testing.assert_array_equal(spikes.reshape(40, steps, 3).sum(axis=1), 1)
    error = (np.asarray(encoder.decode(spikes)) - xs)[spikes > 0]
    half = (high - low) / (steps - 1) / 2
    assert np.abs(error).max() <= half + 1e-6  # the carrier is float32
    np.testing.assert_allclose(np.mean(error**2), (2 * half) ** 2 / 12, rtol=0.35)


def test_pulse_width_interpolates_between_its_spikes_and_is_constant_outside(x64):
    encoder = snn.PulseWidthEncoder(5.0, dt=1.0)  # the carrier: 0, 1/4, 1/2, 3/4, 1
    spikes = np.zeros(15)
    spikes[[2, 9, 10]] = 1
    expected = np.interp(np.arange(15), [2, 9, 10], [0.375, 0.875, 0.0])
    np.testing.assert_allclose(encoder.decode(spikes), expected, atol=1e-7)
    np.testing.assert_allclose(encoder.decode(np.zeros(15)), 0.5)


def test_pulse_width_has_a_smaller_error_with_finer_steps(x64):
    errors = []
    for steps in (8, 32, 128):
        t = np.linspace(0, 6, 40 * steps)
        xs = 0.5 + 0.4 * np.sin(t)
        encoder = snn.PulseWidthEncoder(float(steps), dt=1.0)
        inner = slice(steps, -steps)
        errors.append(rmse(np.asarray(encoder.decode(encoder(xs)))[inner], xs[inner]))
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 3


# -- Ben's spiker


def bsa(x, filter, threshold):
    """Schrauwen & Van Campenhout (2003): spikes without a delay, and the rest of the signal."""
    rest, taps, spikes = x.astype(float), len(filter), np.zeros(len(x))
    for u in range(len(x) - taps + 1):
        error1 = error2 = 0.0
        for k in range(taps):
            error1 += abs(rest[u + k] - filter[k])
            error2 += abs(rest[u + k])
        if error1 <= error2 - threshold:
            spikes[u] = 1
            for k in range(taps):
                rest[u + k] -= filter[k]
    return spikes, rest


def bump(taps):
    """A low-pass whose taps sum to 2."""
    window = np.hamming(taps)
    return 2 * window / window.sum()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_bens_spiker_against_the_paper(share, x64):
    filter_ = bump(9)
    xs = np.abs(np.sin(np.linspace(0, 20, 300)[:, None] * [1.0, 0.7, 0.3]))
    encoder = snn.BensSpikerEncoder(tuple(filter_), 2 * share)
    spikes = np.asarray(encoder(xs))
    for x, ours in zip(xs.T, spikes.T, strict=True):
        expected, rest = bsa(x, filter_, 2 * share)
        assert expected.sum() > 30
        np.testing.assert_array_equal(ours[8:], expected[:-8])
        assert not ours[:8].any()
        # the decoded signal is the part that the spikes subtracted
        np.testing.assert_allclose(encoder.decode(ours)[:-8], (x - rest)[:-8], atol=1e-9)


def test_bens_spiker_decodes_the_convolution_without_its_delay(x64):
    filter_ = (0.5, -0.25, 1.0, 0.125)
    spikes = RNG.integers(0, 2, 50).astype(float)
    decoded = snn.BensSpikerEncoder(filter_, 0.1).decode(spikes)
    expected = np.convolve(np.concatenate([spikes[3:], np.zeros(3)]), filter_)[:50]
    # the first three steps cannot have spikes: they would be those of samples before the first
    early = np.convolve(np.concatenate([spikes[:3], np.zeros(50)]), filter_)[3:53]
    np.testing.assert_allclose(decoded, expected + early, atol=1e-12)


def test_bens_spiker_follows_a_slow_signal_if_the_threshold_is_near_the_taps_sum(x64):
    xs = 0.4 + 0.3 * np.sin(np.linspace(0, 25, 1000))
    errors = {}
    for share in (0.0, 0.5, 0.9):
        encoder = snn.BensSpikerEncoder(tuple(bump(25)), 2 * share)
        decoded = np.asarray(encoder.decode(encoder(xs)))
        errors[share] = rmse(decoded[25:-25], xs[25:-25])
    # half the largest tap, at the right threshold
    assert errors[0.9] <= bump(25).max() / 2
    assert errors[0.0] > errors[0.5] > errors[0.9]


# -- causality

ENCODERS = {
    "delta": (snn.DeltaEncoder(0.3), 0),
    "threshold": (snn.ThresholdEncoder(0.1, 0.2), 0),
    "step_forward": (snn.StepForwardEncoder(0.3), 0),
    "moving_window": (snn.MovingWindowEncoder(0.3, window=5), 0),
    "sigma_delta": (snn.SigmaDeltaEncoder(0.3), 0),
    "sigma_delta_binary": (snn.SigmaDeltaEncoder(0.3, graded=False), 0),
    "pulse_width": (snn.PulseWidthEncoder(7.0, -3.0, 3.0, dt=1.0), 0),
    "level_crossing": (snn.LevelCrossingEncoder((-1.0, -0.5, 0.0, 0.5, 1.0)), 0),
    "bens_spiker": (snn.BensSpikerEncoder((0.2, 0.5, 0.5, 0.2), 0.4), 3),
    "lif_current": (snn.LIFCurrentEncoder(), 0),
}


@pytest.mark.parametrize(("encoder", "delay"), ENCODERS.values(), ids=ENCODERS.keys())
def test_spikes_do_not_depend_on_later_samples(encoder, delay):
    xs = np.abs(draw.normal(jr.key(0), (60, 4))) + np.float32(0.5)
    other = np.concatenate([xs[:30], 5 - xs[30:]])
    spikes, changed = np.asarray(encoder(xs)), np.asarray(encoder(other))
    assert np.abs(spikes).sum() > 10
    np.testing.assert_array_equal(spikes[:30], changed[:30])
    assert (spikes[30:] != changed[30:]).any()
    if delay:  # these later spikes depend on the changed samples
        assert (np.asarray(encoder(other[30 - delay :])) != 0).any()


def test_bens_spiker_fires_for_a_sample_when_its_last_tap_is_known():
    encoder = ENCODERS["bens_spiker"][0]
    impulse = np.zeros(20, np.float32)
    impulse[6:10] = encoder.filter
    np.testing.assert_array_equal(np.flatnonzero(encoder(impulse)), [6 + encoder.delay])
    decoded = np.asarray(encoder.decode(encoder(impulse)))
    np.testing.assert_array_equal(decoded, impulse)  # without the delay


@pytest.mark.parametrize(
    ("encoder", "delay"),
    [ENCODERS[name] for name in ENCODERS if name not in ("pulse_width", "lif_current")],
)
def test_decode_does_not_depend_on_later_spikes_except_for_the_delay(encoder, delay):
    # except for pulse width, which interpolates up to the next spike
    shape = (40, 10) if isinstance(encoder, snn.LevelCrossingEncoder) else (40,)
    spikes = (np.random.default_rng(0).random(shape) < 0.3).astype(np.float32)
    changed = np.concatenate([spikes[:20], 1 - spikes[20:]])
    has_start = not isinstance(encoder, (snn.SigmaDeltaEncoder, snn.BensSpikerEncoder))
    start = (0.25,) if has_start else ()
    one, two = (np.asarray(encoder.decode(z, *start)) for z in (spikes, changed))
    np.testing.assert_array_equal(one[: 20 - delay], two[: 20 - delay])
    assert one[20 - delay] != two[20 - delay] or isinstance(encoder, snn.LevelCrossingEncoder)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int8, jnp.float32])
@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "lif_current"])
def test_decode_is_as_exact_for_spikes_of_a_narrow_dtype(name, dtype):
    encoder, _ = ENCODERS[name]
    t = np.linspace(0, 1, 2000)
    xs = (2 * np.sin(300 * t) + 2 * t).astype(np.float32)
    spikes = np.asarray(encoder(xs))
    has_start = not isinstance(
        encoder, (snn.SigmaDeltaEncoder, snn.BensSpikerEncoder, snn.PulseWidthEncoder)
    )
    start = (float(xs[0]),) if has_start else ()
    decoded = encoder.decode(spikes.astype(dtype), *start)
    assert decoded.dtype == jnp.float32
    np.testing.assert_array_equal(decoded, encoder.decode(spikes, *start))


# -- LIFCurrentEncoder: the signal back from spike times

TIME_ENCODERS = {
    "default": snn.LIFParameters(),
    "all constants": snn.LIFParameters(tau_mem=2e-2, v_reset=-0.5, v_leak=0.2, r=1.5),
}


def band_limited(dt, seconds=1.0, bandwidth=10.0, mean=4.0, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds / dt)) * dt
    sines = [
        rng.normal(0, 0.5) * np.sin(2 * np.pi * f * t + rng.uniform(0, 6))
        for f in rng.uniform(0.2 * bandwidth, bandwidth, 6)
    ]
    return mean + np.sum(sines, axis=0)


def decibels(signal, decoded):
    return 10 * np.log10(signal.var() / np.mean((np.asarray(decoded) - signal) ** 2))


@pytest.mark.parametrize("params", TIME_ENCODERS.values(), ids=TIME_ENCODERS)
def test_a_band_limited_signal_comes_back_up_to_the_discretisation(params, x64):
    found = []
    for dt in (4e-4, 1e-4, 2.5e-5):
        encoder, signal = snn.LIFCurrentEncoder(params, dt=dt), band_limited(dt)
        found.append(decibels(signal, encoder.decode(encoder(signal), bandwidth=10.0)))
    assert found[0] > 15
    assert found[1] > 36
    assert (np.diff(found) > 6).all()
    assert found[2] - found[0] > 20  # an error in proportion to the step has 24


def test_several_channels_come_back_each_by_itself(x64):
    signals = np.stack([band_limited(1e-4, seed=s) for s in range(4)], axis=1).reshape(-1, 2, 2)
    encoder = snn.LIFCurrentEncoder(dt=1e-4)
    spikes = encoder(signals)
    decoded = encoder.decode(spikes, 10.0)
    assert decoded.shape == signals.shape
    alone = encoder.decode(spikes[:, 1, 0], 10.0)
    np.testing.assert_allclose(decoded[:, 1, 0], alone, atol=1e-9)
    assert decibels(signals, decoded) > 25
    booleans = encoder.decode(np.asarray(spikes, bool), 10.0)
    np.testing.assert_allclose(booleans, decoded, atol=1e-4)  # float32


@pytest.mark.parametrize(
    ("signal", "where"),
    [
        (np.r_[np.full(3000, 4.0), np.zeros(3000)], "channel 0"),  # silent at the end
        (np.r_[np.zeros(3000), np.full(3000, 4.0)], "channel 0"),  # and at the start
        (np.full(6000, 0.7), "channel 0"),  # too slow
    ],
)
def test_too_few_spikes_for_a_bandwidth_are_refused(signal, where):
    encoder = snn.LIFCurrentEncoder(dt=1e-4)
    with pytest.raises(ValueError, match=rf"no interval of .* = 0\.01 s or more .* in {where}"):
        encoder.decode(encoder(signal), bandwidth=50.0)


def test_decoding_spike_times_refuses_what_it_cannot_do():
    encoder = snn.LIFCurrentEncoder(dt=1e-4)
    spikes = encoder(np.full(1000, 4.0))
    with pytest.raises(ValueError, match="outside of `jit`"):
        jax.jit(lambda s: encoder.decode(s, 10.0))(spikes)
    with pytest.raises(ValueError, match="`spikes` must not be NaN"):
        encoder.decode(spikes.at[5].set(jnp.nan), 10.0)
    with pytest.raises(ValueError, match="`bandwidth` must be positive"):
        encoder.decode(spikes, 0.0)
