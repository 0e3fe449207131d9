"""Rates, operations and distances, against NumPy and a published implementation."""

import functools as ft
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.test_util import check_grads

import jaxsnn_eqx as snn
from jaxsnn_eqx import metrics


@pytest.fixture(scope="module")
def recorded():
    """What elephant gives (`peers/record_metrics.py`)."""
    return np.load(Path(__file__).parent / "peers" / "metrics.npz")


def test_rate_and_sparsity_against_numpy():
    spikes = np.asarray(jr.bernoulli(jr.key(0), 0.2, (50, 3, 4)))
    rates = metrics.firing_rate(spikes, dt=2e-3)
    np.testing.assert_allclose(rates, spikes.mean(axis=0) / 2e-3, rtol=1e-6)
    np.testing.assert_allclose(metrics.sparsity(spikes), 1 - spikes.mean(), rtol=1e-6)
    assert float(metrics.sparsity(jnp.array([0.0, -1.0]))) == 0.5


# -- operations


def test_operations_of_linear_layers_against_a_count_by_hand():
    k1, k2, k3 = jr.split(jr.key(0), 3)
    hidden = eqx.nn.Linear(6, 8, key=k1)
    network = snn.Network(
        [
            snn.PoissonEncoder(30, 300.0),
            snn.Network([snn.OverTime(hidden), snn.LIF(snn.LIFParameters(v_th=0.1))]),
            snn.Recurrent(snn.LIF(), eqx.nn.Linear(8, 8, key=k2)),
            snn.OverTime(eqx.nn.Linear(8, 3, use_bias=False, key=k3)),
            snn.LI(),
            snn.MaxOverTime(),
        ]
    )
    x, key = jnp.ones(6), jr.key(3)
    counted = metrics.synaptic_operations(network, x, key=key)
    keys = jr.split(key, 6)
    code = network[0](x, key=keys[0])
    first = network[1](code, key=keys[1])
    second = network[2](first, key=keys[2])
    assert code.sum() > 0
    assert first.sum() > 0
    expected = 8 * code.sum() + 8 * second[:-1].sum() + 3 * second.sum()
    assert float(counted.accumulates) == float(expected)
    assert float(counted.multiplies) == 0
    # no lateral input at the first step
    assert float(counted.dense) == 30 * (6 * 8 + 8 * 3) + 29 * 8 * 8 + 8 * 8


def test_operations_on_values_are_multiplications():
    linear = eqx.nn.Linear(3, 5, key=jr.key(0))
    network = snn.Network([snn.DirectEncoder(4), snn.OverTime(linear)])
    counted = metrics.synaptic_operations(network, jnp.array([0.5, 0.0, 2.0]))
    assert [float(c) for c in counted] == [0, 4 * 2 * 5, 4 * 3 * 5]


def test_operations_of_a_convolution_know_its_borders():
    conv = eqx.nn.Conv2d(1, 2, kernel_size=3, padding=1, key=jr.key(0))
    network = snn.Network([snn.PhaseEncoder(1, 1), snn.OverTime(conv)])
    corner = jnp.zeros((1, 4, 4)).at[0, 0, 0].set(1.0)
    middle = jnp.zeros((1, 4, 4)).at[0, 1, 1].set(1.0)
    for x, fan_out in ((corner, 4), (middle, 9)):
        assert float(metrics.synaptic_operations(network, x).accumulates) == 2 * fan_out
    xs = jnp.stack([corner, middle])
    batched = jax.vmap(ft.partial(metrics.synaptic_operations, network))(xs)
    np.testing.assert_array_equal(batched.accumulates, [8, 18])


# -- van Rossum


def _van_rossum(a, b, tau, dt):
    total = 0.0
    difference = a - b
    for i in np.flatnonzero(difference):
        for j in np.flatnonzero(difference):
            total += difference[i] * difference[j] * np.exp(-abs(i - j) * dt / tau)
    return np.sqrt(total / 2)


@pytest.mark.parametrize("tau", [2e-3, 1e-2, 1e-1])
def test_van_rossum_against_the_sum_over_pairs_and_elephant(tau, recorded):
    trains = recorded["trains"]
    theirs = recorded[f"van_rossum {tau}"]
    for i in range(6):
        ours = metrics.van_rossum_distance(
            np.repeat(trains[i][:, None], 6, axis=1), trains.T, tau=tau
        )
        loop = [_van_rossum(trains[i], b, tau, 1e-3) for b in trains]
        np.testing.assert_allclose(ours, loop, rtol=2e-4, atol=1e-5)
        np.testing.assert_allclose(ours, theirs[i] / np.sqrt(2), rtol=2e-4, atol=1e-5)


def test_van_rossum_of_known_trains():
    one, far = np.zeros((2, 400)).astype(np.float32)
    one[10], far[300] = 1, 1
    squared = lambda a, b, tau: float(metrics.van_rossum_distance(a, b, tau=tau)) ** 2  # noqa: E731
    assert squared(one, 0 * one, 1e-2) == pytest.approx(0.5, rel=1e-5)
    assert squared(one, far, 1e-2) == pytest.approx(1.0, rel=1e-5)
    assert squared(one, one, 1e-2) == 0
    # by an integral on a fine grid, the tail included
    a, b = np.zeros((2, 60)).astype(np.float32)
    a[[3, 20, 41]], b[[5, 22]] = 1, 1
    t = np.arange(0, 0.5, 1e-6)
    f = sum(s * np.where(t >= k * 1e-3, np.exp(-(t - k * 1e-3) / 8e-3), 0)
            for s, train in ((1, a), (-1, b)) for k in np.flatnonzero(train))  # fmt: skip
    assert squared(a, b, 8e-3) == pytest.approx((f**2).sum() * 1e-6 / 8e-3, rel=1e-3)


def test_the_van_rossum_derivative(x64):
    a, b = jr.uniform(jr.key(0), (2, 30), jnp.float64)
    distance = ft.partial(metrics.van_rossum_distance, tau=5e-3)
    check_grads(distance, (a, b), order=1, eps=1e-6)
    np.testing.assert_array_equal(jax.grad(distance)(a, a), 0)


# -- Victor and Purpura


def _victor_purpura(s, t, q):
    g = np.zeros((len(s) + 1, len(t) + 1))
    g[:, 0], g[0, :] = np.arange(len(s) + 1), np.arange(len(t) + 1)
    for i in range(1, len(s) + 1):
        for j in range(1, len(t) + 1):
            g[i, j] = min(
                g[i - 1, j] + 1, g[i, j - 1] + 1, g[i - 1, j - 1] + q * abs(s[i - 1] - t[j - 1])
            )
    return g[-1, -1]


@pytest.mark.parametrize("cost", [0.0, 20.0, 500.0])
def test_victor_purpura_against_the_textbook_and_elephant(cost, recorded):
    trains = recorded["trains"]
    theirs = recorded[f"victor_purpura {cost}"]
    distance = ft.partial(metrics.victor_purpura_distance, cost=cost)
    ours = jax.jit(jax.vmap(jax.vmap(distance, (None, 0)), (0, None)))(trains, trains)
    times = [np.flatnonzero(train) * 1e-3 for train in trains]
    loop = [[_victor_purpura(s, t, cost) for t in times] for s in times]
    np.testing.assert_allclose(ours, loop, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours, ours.T, rtol=1e-5)


def test_trains_of_different_length_can_be_aligned():
    a, b = jnp.zeros(10).at[3].set(1.0), jnp.zeros(40).at[jnp.array([3, 30])].set(1.0)
    assert float(metrics.victor_purpura_distance(a, b, cost=100.0)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.firing_rate(jnp.ones(3), dt=0.0), "`dt` must be positive"),
        (
            lambda: metrics.van_rossum_distance(jnp.ones(3), jnp.ones(3), tau=-1.0),
            "`tau` must be positive",
        ),
        (
            lambda: metrics.van_rossum_distance([1, 0], [1, 0, 0], tau=1.0),
            r"`a` and `b` must be of one shape, got \(2,\) and \(3,\)",
        ),
        (
            lambda: metrics.victor_purpura_distance(jnp.ones(3), jnp.ones(3), cost=-1.0),
            "`cost` must be a number of at least 0",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
