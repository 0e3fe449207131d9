"""Bits of spike trains, and the limits of Gaussian signals."""

import math
import re

import numpy as np
import pytest
from scipy.stats import entropy

import jaxsnn_eqx as snn
from jaxsnn_eqx.information import gaussian_snr, ornstein_uhlenbeck_snr, spike_bits


def bits_of(shares):
    return entropy(shares, base=2)


def test_spike_bits_of_binary_and_signed_trains():
    spikes = np.zeros((2, 10, 3))
    spikes[:, :3, 0] = 1  # 3 of 10
    spikes[:, 4, 1], spikes[:, 7:9, 1] = 1, -1  # 1 and 2 of 10, and the third is silent
    expected = 10 * (bits_of([0.3, 0.7]) + bits_of([0.1, 0.2, 0.7]))
    assert spike_bits(spikes) == pytest.approx(expected, rel=1e-12)
    assert spike_bits(spikes.astype(int).tolist()) == spike_bits(spikes)
    assert spike_bits(np.ones((1, 5), bool)) == 0


@pytest.mark.parametrize("signed", [False, True])
def test_spike_bits_of_graded_trains_is_the_largest_entropy_of_their_mean_size(signed):
    random = np.random.default_rng(0)
    sizes = np.arange(-60, 61) if signed else np.arange(61)
    for q in (0.05, 0.4, 0.7):
        law = q ** np.abs(sizes)
        law = law / law.sum()
        train = random.choice(sizes, size=(1, 400_000), p=law)
        # the geometric distribution has the largest entropy, and any other less
        assert spike_bits(train) / 400_000 == pytest.approx(bits_of(law), abs=0.01)
        sign = random.choice([-1, 1], train.shape) if signed else 1
        other = sign * random.poisson(np.abs(train).mean(), train.shape)
        _, counts = np.unique(other, return_counts=True)
        assert bits_of(counts) < spike_bits(other) / 400_000


def test_spike_bits_of_other_numbers_is_infinite_and_bad_trains_are_refused():
    assert spike_bits([[0.5, 1.0]]) == math.inf
    with pytest.raises(ValueError, match="`spikes` must be finite"):
        spike_bits([[0.0, math.nan]])
    with pytest.raises(ValueError, match=re.escape("got (0, 3)")):
        spike_bits(np.zeros((0, 3)))


def test_gaussian_snr_of_white_noise_is_six_decibels_a_bit():
    for bits in (0.0, 0.3, 1.0, 7.5):
        assert gaussian_snr(bits, np.full(5, 3.0)) == pytest.approx(20 * bits * np.log10(2))
    # half of the band is empty, so each bit is worth two
    assert gaussian_snr(1.0, [2.0, 0.0]) == pytest.approx(40 * np.log10(2))


def test_gaussian_snr_by_water_filling():
    power, level = np.array([4.0, 1.0, 0.1]), 0.5
    bits = np.maximum(np.log2(power / level), 0).mean() / 2
    error = np.minimum(power, level).mean()
    expected = 10 * np.log10(power.mean() / error)
    assert gaussian_snr(bits, power) == pytest.approx(expected, rel=1e-9)
    assert gaussian_snr(bits, 1e-30 * power) == pytest.approx(expected, rel=1e-9)


def test_ornstein_uhlenbeck_snr_of_many_bits_is_that_of_the_innovations():
    tau, dt = 0.1, 1e-3
    lost = 1 - math.exp(-2 * dt / tau)
    for bits in (4.5, 6.0):  # below the lowest power everywhere
        expected = 20 * bits * math.log10(2) - 10 * math.log10(lost)
        assert ornstein_uhlenbeck_snr(bits, tau=tau) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("cut", [0.5, 3.0, 20.0])
def test_ornstein_uhlenbeck_snr_of_fine_steps_is_that_of_the_continuous_process(cut):
    """Reverse water-filling of 2 τ / (1 + (ω τ)²) up to ω τ = `cut`, in closed form."""
    tau, dt = 0.1, 1e-5
    bits_per_second = (cut - math.atan(cut)) / (math.pi * tau * math.log(2))
    error = 1 - 2 / math.pi * (math.atan(cut) - cut / (1 + cut**2))
    found = ornstein_uhlenbeck_snr(bits_per_second * dt, tau=tau, dt=dt)
    assert found == pytest.approx(-10 * math.log10(error), rel=1e-4)
    # a causal code of the same error needs (1 / error - 1) / (τ ln 2)
    causal = (1 / error - 1) / (tau * math.log(2))
    found = ornstein_uhlenbeck_snr(causal * dt, tau=tau, dt=dt, causal=True)
    assert found == pytest.approx(-10 * math.log10(error), rel=2e-2)
    assert causal > bits_per_second


def test_a_causal_code_reaches_less():
    for bits in (1e-3, 0.1, 1.0, 5.0):
        causal = ornstein_uhlenbeck_snr(bits, tau=0.05, causal=True)
        assert 0 < causal < ornstein_uhlenbeck_snr(bits, tau=0.05)
    assert ornstein_uhlenbeck_snr(0.0, tau=0.05, causal=True) == 0
    assert ornstein_uhlenbeck_snr(0, tau=0.05) == 0


def test_the_signal_has_the_stated_law():
    tau, dt = 0.02, 1e-3
    xs = snn.datasets.ornstein_uhlenbeck(3, 40_000, 60, tau=tau, dt=dt).astype(float)
    assert xs.shape == (40_000, 60)
    # stationary: every step has mean 0 and variance 1
    np.testing.assert_allclose(xs.mean(axis=0), 0, atol=0.025)
    np.testing.assert_allclose(xs.var(axis=0), 1, atol=0.04)
    for lag in (1, 10, 40):
        correlation = (xs[:, :-lag] * xs[:, lag:]).mean()
        assert correlation == pytest.approx(math.exp(-lag * dt / tau), abs=0.02)
    again = snn.datasets.ornstein_uhlenbeck(3, 40_000, 60, tau=tau, dt=dt)
    np.testing.assert_array_equal(xs.astype(np.float32), again)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_snr(-1.0, [1.0]), "`bits` must be at least 0, got -1.0"),
        (lambda: gaussian_snr(1.0, [0.0, 0.0]), "`power` must be positive somewhere"),
        (lambda: gaussian_snr(1.0, [1.0, -1.0]), "`power` must be a series of finite"),
        (lambda: ornstein_uhlenbeck_snr(1.0, tau=0.0), "`tau` must be"),
        (lambda: ornstein_uhlenbeck_snr(1.0, tau=1.0, dt=-1.0), "`dt` must be"),
        (lambda: snn.datasets.ornstein_uhlenbeck(0, 0, 3, tau=1.0), "`size` must be"),
        (lambda: snn.datasets.ornstein_uhlenbeck(0, 1, 3, tau=0.0), "`tau` must be"),
    ],
)
def test_held_wrong(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
