"""Rates, operations and distances, against NumPy and a published implementation."""

import functools as ft
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw, with_static
from jax.test_util import check_grads

import jaxsnn_eqx as snn
from jaxsnn_eqx import metrics
from jaxsnn_eqx.spike_trains import to_events


@pytest.fixture(scope="module")
def recorded():
    """The distances of elephant (`frameworks/record_metrics.py`)."""
    return np.load(Path(__file__).parent / "frameworks" / "metrics.npz")


def test_rate_and_sparsity_against_numpy():
    random = np.random.default_rng(0)
    spikes = random.random((50, 3, 4)) < 0.2
    rates = metrics.firing_rate(spikes, dt=2e-3)
    np.testing.assert_allclose(rates, spikes.mean(axis=0) / 2e-3, rtol=1e-6)
    np.testing.assert_allclose(metrics.sparsity(spikes), 1 - spikes.mean(), rtol=1e-6)
    assert float(metrics.sparsity(jnp.array([0.0, -1.0]))) == 0.5
    batch = random.random((3, 20, 40)) < 0.01
    silent = (batch.sum(axis=(0, 1)) == 0).mean()
    assert 0 < silent < 1
    np.testing.assert_allclose(metrics.silent_neurons(batch), silent, rtol=1e-6)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(metrics.silent_neurons))(batch), (batch.sum(axis=1) == 0).mean(axis=1)
    )
    assert float(metrics.silent_neurons(-np.eye(2)[:1])) == 0.5


def test_nan_is_not_silence():
    spikes = np.array([[np.nan, 0.0], [1.0, 0.0]], np.float32)
    assert np.isnan(metrics.firing_rate(spikes)).tolist() == [True, False]
    other = np.ones(2, np.float32)
    for value in (
        metrics.sparsity(spikes),
        metrics.silent_neurons(spikes),
        metrics.van_rossum_distance(spikes[:, 0], other, tau=1e-2),
        metrics.victor_purpura_distance(spikes[:, 0], other, cost=1.0),
        metrics.victor_purpura_distance(other, spikes[:, 0], cost=1.0),
        metrics.victor_purpura_of_times(spikes[:, 0], [], cost=1.0),
    ):
        assert np.isnan(value)
    # except in padding
    mask = jnp.array([False, True])
    padded = ft.partial(metrics.victor_purpura_of_times, cost=1.0, a_mask=mask)
    assert float(padded(spikes[:, 0], [1.0])) == 0
    assert np.isfinite(jax.jit(jax.grad(lambda a: padded(a, [0.5])))(spikes[:, 0])).all()


# -- operations


def test_operations_of_linear_layers_against_a_count_by_hand():
    k1, k2, k3 = jr.split(jr.key(0), 3)
    hidden = eqx.nn.Linear(6, 8, key=k1)
    network = snn.Network(
        [
            snn.PoissonEncoder(30, 300.0),
            snn.Network(
                [
                    snn.OverTime(hidden),
                    snn.Synapse(snn.LIF(snn.LIFParameters(v_th=0.1)), immediate=False),
                ]
            ),
            snn.Recurrent(snn.Synapse(snn.LIF(), immediate=False), eqx.nn.Linear(8, 8, key=k2)),
            snn.OverTime(eqx.nn.Linear(8, 3, use_bias=False, key=k3)),
            snn.Synapse(snn.LI()),
            snn.MaxOverTime(),
        ]
    )
    x, key = jnp.ones(6), jr.key(3)
    counted = metrics.synaptic_operations(network, x, key=key)
    keys = jr.split(key, 6)
    encoded = network[0](x, key=keys[0])
    first = network[1](encoded, key=keys[1])
    second = network[2](first, key=keys[2])
    assert encoded.sum() > 0
    assert first.sum() > 0
    encoded, first, second = map(np.asarray, (encoded, first, second))
    expected = 8 * encoded.sum() + 8 * second[:-1].sum() + 3 * second.sum()
    assert float(counted.accumulates) == float(expected)
    assert float(counted.multiplies) == 0
    # no lateral input at the first step
    assert float(counted.dense) == 30 * (6 * 8 + 8 * 3) + 29 * 8 * 8 + 8 * 8


def test_operations_on_values_are_multiplications():
    linear = eqx.nn.Linear(3, 5, key=jr.key(0))
    network = snn.Network([snn.DirectEncoder(4), snn.OverTime(linear)])
    counted = metrics.synaptic_operations(network, jnp.array([0.5, 0.0, 2.0]))
    assert [float(c) for c in counted] == [0, 4 * 2 * 5, 4 * 3 * 5]


def test_operations_of_a_convolution_are_fewer_at_its_borders():
    conv = eqx.nn.Conv2d(1, 2, kernel_size=3, padding=1, key=jr.key(0))
    network = snn.Network([snn.PhaseEncoder(1, 1), snn.OverTime(conv)])
    corner, middle = np.zeros((2, 1, 4, 4), np.float32)
    corner[0, 0, 0] = middle[0, 1, 1] = 1
    for x, fan_out in ((corner, 4), (middle, 9)):
        assert float(metrics.synaptic_operations(network, x).accumulates) == 2 * fan_out
    xs = np.stack([corner, middle])
    batched = jax.jit(jax.vmap(ft.partial(metrics.synaptic_operations, network)))(xs)
    np.testing.assert_array_equal(batched.accumulates, [8, 18])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (eqx.nn.Linear(6, 8, key=jr.key(0)), (6,)),
        (eqx.nn.Linear(6, 8, key=jr.key(0), dtype=jnp.bfloat16), (6,)),
        (eqx.nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2, key=jr.key(0)), (4, 9)),
        (eqx.nn.Conv2d(1, 2, 3, dilation=2, use_bias=False, key=jr.key(0)), (1, 7, 7)),
        (eqx.nn.ConvTranspose1d(2, 3, 3, stride=2, key=jr.key(0)), (2, 5)),
    ],
)
def test_the_fan_out_is_the_number_of_outputs_that_an_input_changes(layer, shape):
    random = np.random.default_rng(1)
    some = np.asarray(layer.weight) * (random.random(layer.weight.shape) < 0.7)
    layer = eqx.tree_at(lambda m: m.weight, layer, jnp.asarray(some, layer.weight.dtype))
    xs = jnp.asarray(random.random((4, *shape)) < 0.3, jnp.float32)
    network = snn.Network([snn.OverTime(layer)])
    counted = jax.jit(lambda x: metrics.synaptic_operations(network, x))(xs)
    bias_free = layer if layer.bias is None else eqx.tree_at(
        lambda m: m.bias, layer, replace_fn=lambda b: jnp.asarray(np.zeros(b.shape, b.dtype))
    )  # fmt: skip
    inputs = np.eye(xs[0].size, dtype=layer.weight.dtype).reshape(-1, *shape)
    outputs = eqx.filter_jit(lambda layer: jax.vmap(layer)(inputs))
    alone = outputs(bias_free)
    fan_out = np.count_nonzero(np.asarray(alone, np.float32).reshape(len(inputs), -1), axis=1)
    expected = (np.asarray(xs).reshape(4, -1) * fan_out).sum()
    assert 0 < expected == float(counted.accumulates)
    ones = jnp.asarray(np.ones_like(some), layer.weight.dtype)
    full = eqx.tree_at(lambda m: m.weight, bias_free, ones)
    assert float(counted.dense) == 4 * np.count_nonzero(outputs(full))


def test_operations_in_64_bit_and_of_narrow_spikes(x64):
    linear = eqx.nn.Linear(6, 3, key=jr.key(1), dtype=jnp.float32)
    for dtype in (jnp.bool_, jnp.int8, jnp.bfloat16, jnp.float64):
        encoder = snn.LatencyEncoder(5, 4e-3)
        network = snn.Network([encoder, snn.OverTime(linear)])
        x = jnp.linspace(0.1, 1, 6)
        network = eqx.tree_at(lambda n: n.layers[0], network, with_static(encoder, dtype=dtype))
        counted = metrics.synaptic_operations(network, x)
        assert [float(c) for c in counted] == [18, 0, 90]


def test_layers_that_cannot_be_counted_are_refused():
    mlp = eqx.nn.MLP(3, 2, 4, 1, key=jr.key(0))
    network = snn.Network([snn.Network([snn.OverTime(mlp)])])
    with pytest.raises(
        ValueError, match=r"`layers\[0\].layers\[0\].layer` \(`MLP`\) cannot be"
    ):
        metrics.synaptic_operations(network, jnp.ones((4, 3)))
    norm = snn.OverTime(eqx.nn.LayerNorm(3))
    dropout = snn.OverTime(eqx.nn.Dropout(inference=True))
    scale = snn.OverTime(snn.Scale(jnp.ones(3)))
    network = snn.Network([norm, scale, dropout])
    counted = metrics.synaptic_operations(network, jnp.ones((4, 3)))
    assert [float(c) for c in counted] == [0, 0, 0]


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
        np.testing.assert_allclose(ours, loop, rtol=2e-6)
        # elephant subtracts large numbers, and loses digits
        np.testing.assert_allclose(ours, theirs[i] / np.sqrt(2), rtol=2e-6, atol=1e-6)


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


def test_van_rossum_with_a_time_constant_far_above_the_interval():
    # no digits are lost: for one spike a step later, D² = 1 − exp(−dt / tau)
    a, b = np.zeros((2, 20), np.float32)
    a[4] = b[5] = 1
    for tau in (1e-3, 1.0, 1e3):
        squared = float(metrics.van_rossum_distance(a, b, tau=tau)) ** 2
        np.testing.assert_allclose(squared, -np.expm1(-1e-3 / tau), rtol=1e-5)
    assert float(metrics.van_rossum_distance(a[:0], b[:0], tau=1.0)) == 0


def test_the_van_rossum_derivative(x64):
    a, b = draw.uniform(jr.key(0), (2, 30), jnp.float64)
    distance = ft.partial(metrics.van_rossum_distance, tau=5e-3)
    check_grads(jax.jit(distance), (a, b), order=1, eps=1e-6)
    np.testing.assert_array_equal(jax.jit(jax.grad(distance))(a, a), 0)


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


@pytest.mark.parametrize("cost", [0.0, 20.0, 500.0])
def test_victor_purpura_of_times_against_the_textbook_and_elephant(cost, recorded):
    times, theirs = recorded["times"], recorded[f"victor_purpura of times {cost}"]
    mask = ~np.isnan(times)

    @jax.jit
    @ft.partial(jax.vmap, in_axes=(None, None, 0, 0))
    @ft.partial(jax.vmap, in_axes=(0, 0, None, None))
    def distances(a, a_mask, b, b_mask):
        return metrics.victor_purpura_of_times(a, b, cost=cost, a_mask=a_mask, b_mask=b_mask)

    # the same for any padding at any place
    turned = np.where(mask, times, 0.1)[:, ::-1].astype(np.float32)
    ours = distances(times.astype(np.float32), mask, turned, mask[:, ::-1])
    lists = [np.sort(row[~np.isnan(row)]) for row in times]
    loop = [[_victor_purpura(s, t, cost) for s in lists] for t in lists]
    np.testing.assert_allclose(ours, loop, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_the_victor_purpura_derivative(x64):
    a, b = jnp.array([0.011, 0.048, 0.09]), jnp.array([0.05, 0.02])
    distance = ft.partial(metrics.victor_purpura_of_times, cost=100.0)
    # the first two are moved, the third is removed
    moved = jax.jit(jax.grad(distance, argnums=(0, 1)))(a, b)
    np.testing.assert_allclose(moved[0], [-100, -100, 0])
    np.testing.assert_allclose(moved[1], [100, 100])
    check_grads(jax.jit(distance), (a, b), order=1, eps=1e-7)
    assert float(distance(a, b)) == pytest.approx(0.9 + 0.2 + 1)


def test_no_spikes_and_no_steps():
    times = ft.partial(metrics.victor_purpura_of_times, cost=10.0)
    assert [float(times([], [])), float(times([], [1, 2])), float(times([0.5], []))] == [
        0,
        2,
        1,
    ]
    train = ft.partial(metrics.victor_purpura_distance, cost=10.0)
    assert [float(train([], [])), float(train([], [1, 0, 1]))] == [0, 2]


def test_trains_and_lists_of_events_agree(x64):
    a, b = (np.random.default_rng(0).random((2, 60)) < 0.2).astype(np.float32)
    events = [to_events(train, capacity=30) for train in (a, b.astype(np.float64))]
    assert not any(int(e.dropped) for e in events)
    of_times = metrics.victor_purpura_of_times(
        *(np.asarray(e.t, np.float64) * 1e-3 for e in events),
        cost=200.0,
        a_mask=events[0].mask,
        b_mask=events[1].mask,
    )
    for x, y in ((a, b), (a, b.astype(np.float64))):
        ours = metrics.victor_purpura_distance(x, y, cost=200.0)
        assert ours.dtype == y.dtype
        np.testing.assert_allclose(ours, of_times, rtol=1e-6)


def test_trains_of_different_length_can_be_aligned():
    a, b = np.zeros(10, np.float32), np.zeros(40, np.float32)
    a[3] = b[3] = b[30] = 1
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
            r"`a` and `b` must have the same shape, got \(2,\) and \(3,\)",
        ),
        (
            lambda: metrics.victor_purpura_distance(jnp.ones(3), jnp.ones(3), cost=-1.0),
            "`cost` must be at least 0",
        ),
        (
            lambda: metrics.victor_purpura_of_times([1.0], [1.0], cost=float("inf")),
            "`cost` must be finite",
        ),
        (
            lambda: metrics.victor_purpura_of_times([[1.0]], [1.0], cost=1.0),
            r"`a` must have one axis, got shape \(1, 1\)",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
