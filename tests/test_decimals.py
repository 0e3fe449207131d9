"""Decimals such as 0.1 are rounded to floats; the spikes are those of the decimals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsnn_eqx as snn

COUNTS = [n for n in (1, 3, 7, 10, 50, 97, 100, 333, 512, 1000, 1023, 1024)]


@pytest.mark.parametrize("n", COUNTS)
def test_a_rate_of_k_in_n_steps_gives_k_spikes(n):
    k = np.arange(n + 1)
    spikes = snn.RegularRateEncoder(n, 1000.0)((k / n).astype(np.float32))
    np.testing.assert_array_equal(np.asarray(spikes).sum(axis=0), k)


def test_a_rate_that_no_step_reaches_is_silent():
    x = np.array([0.0, 0.5 / 1024, 1 / 1025], np.float32)
    assert not np.asarray(snn.RegularRateEncoder(1024, 1000.0)(x)).any()


@pytest.mark.parametrize("n_max", [2, 7, 13, 31])
def test_a_burst_has_the_spikes_of_its_fraction(n_max):
    encoder = snn.BurstEncoder(1000, n_max=n_max, t_min=1e-3, t_max=1.5e-2)
    k = np.arange(n_max + 1)
    spikes = np.asarray(encoder((k / n_max).astype(np.float32)))
    np.testing.assert_array_equal(spikes.sum(axis=0), k)
    for i in range(1, n_max):
        interval = -((14 * i - 15 * n_max) // n_max)  # of whole numbers, rounded up
        assert i == 1 or np.flatnonzero(spikes[:, i])[1] == interval


def test_a_burst_of_the_smallest_value_has_one_spike():
    assert float(snn.BurstEncoder(20)(jnp.array(1e-12)).sum()) == 1


CHANGES = [
    snn.DeltaEncoder(0.1),
    snn.DeltaEncoder(jnp.array(0.1)),
    snn.StepForwardEncoder(0.1),
    snn.SigmaDeltaEncoder(0.1),
    snn.SigmaDeltaEncoder(0.1, graded=False),
]


@pytest.mark.parametrize(
    ("encoder", "start"),
    [(encoder, 0.0) for encoder in CHANGES]
    + [(encoder, start) for encoder in CHANGES[:3] for start in (0.7, 12.3)],
)
def test_a_change_of_one_threshold_fires(encoder, start):
    signal = np.array([start + 0.1 * i for i in range(10)] + [start + 0.8], np.float32)
    spikes = np.asarray(encoder(signal))
    np.testing.assert_array_equal(spikes, [0] + [1] * 9 + [-1])


def test_a_graded_change_is_counted_in_whole_thresholds():
    signal = jnp.array([0.3, 0.7, 0.0, 0.6])
    np.testing.assert_array_equal(snn.SigmaDeltaEncoder(0.1)(signal), [3, 4, -7, 6])


def test_a_deviation_of_one_threshold_from_the_mean_fires():
    spikes = snn.MovingWindowEncoder(0.1, window=1)(
        np.arange(10, dtype=np.float32) * np.float32(0.1)
    )
    np.testing.assert_array_equal(spikes, [0] + [1] * 9)


@pytest.mark.parametrize("encoder", CHANGES[:3], ids=lambda e: type(e).__name__)
def test_noise_of_a_large_value_does_not_fire(encoder):
    signal = np.float32(1e6) + np.array([0.0, 0.0625, 0.0, 0.0625, 0.0], np.float32)
    assert not np.asarray(encoder(signal)).any()


def test_a_change_clearly_below_the_threshold_does_not_fire():
    signal = np.array([0.0, 0.0999, 0.0, 0.09995], np.float32)
    np.testing.assert_array_equal(snn.DeltaEncoder(0.1)(signal), [0, 0, 0, 0])


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1, 0.3)])
@pytest.mark.parametrize("steps", [2, 26, 42, 50, 1000])
def test_the_carrier_reaches_its_highest_value(steps, low, high):
    encoder = snn.PulseWidthEncoder(period=steps * 1e-3, low=low, high=high)
    spikes = np.asarray(encoder(np.full(2 * steps, high, np.float32)))
    np.testing.assert_array_equal(np.flatnonzero(spikes), [steps - 1, 2 * steps - 1])


def test_rounding_has_no_derivative():
    signal = jnp.array([0.0, 0.07, 0.2])
    surrogate = snn.SuperSpike(3.0)

    def by_hand(threshold):
        change = signal[1:] - signal[:-1]
        return jnp.sum(surrogate(change - threshold) - surrogate(-change - threshold))

    def ours(threshold):
        return jnp.sum(snn.DeltaEncoder(threshold, surrogate=surrogate)(signal))

    np.testing.assert_allclose(
        jax.grad(ours)(jnp.array(0.1)), jax.grad(by_hand)(jnp.array(0.1)), rtol=1e-3
    )
