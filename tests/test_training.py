"""Spike times and losses, penalties, frozen parts, weight initialisation, padding."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from conftest import draw
from jax.test_util import check_grads

import jaxsnn_eqx as snn

# -- first spikes


def test_first_spike_time_against_numpy():
    spikes = (np.random.default_rng(0).random((25, 40)) < 0.1).astype(np.float32)
    expected = np.where(spikes.any(axis=0), spikes.argmax(axis=0), 25) * 2e-3
    assert (expected == 0.05).any()
    np.testing.assert_allclose(snn.FirstSpikeTime(dt=2e-3)(spikes), expected, rtol=1e-6)


def test_silence_is_later_than_any_spike():
    # a silent unit that decodes as −1 would be the first of all
    last = np.eye(6, dtype=np.float32)[:, 5:]
    assert np.all(snn.FirstSpikeTime()(last) < snn.FirstSpikeTime()(0 * last))


def test_the_derivative_of_the_first_spike_time(x64):
    spikes = jnp.array([0.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    # a spike before the first makes the time earlier; without the first it is two steps later
    expected = np.array([-2, -1, -2, 0, 0, 0]) * 1e-3
    for jac in (jax.jacfwd, jax.jacrev):
        derivative = jax.jit(jac(snn.FirstSpikeTime()))(spikes)
        np.testing.assert_allclose(derivative, expected, atol=1e-12)
    soft = draw.uniform(jr.key(0), (9,), jnp.float64)
    check_grads(jax.jit(snn.FirstSpikeTime()), (soft,), order=1, eps=1e-6)


def test_spike_time_loss_is_a_cross_entropy_of_early():
    times = jnp.array([3e-3, 1e-3, 9e-3])
    expected = -np.log(np.exp(-3) / np.exp([-3.0, -1.0, -9.0]).sum())
    np.testing.assert_allclose(snn.spike_time_loss(times, 0, tau=1e-3), expected, rtol=1e-6)
    grad = jax.jit(jax.grad(lambda t: snn.spike_time_loss(t, 0, tau=1e-3)))(times)
    grad = np.asarray(grad)
    assert grad[0] > 0  # the label's spike should come earlier, the others later
    assert (grad[1:] < 0).all()


def test_a_neuron_learns_its_spike_time():
    linear = eqx.nn.Linear(20, 3, use_bias=False, key=jr.key(1))
    linear = eqx.tree_at(lambda m: m.weight, linear, 8 * jnp.abs(linear.weight))
    model = snn.Network(
        [
            snn.LatencyEncoder(40, 2e-2),
            snn.OverTime(linear),
            snn.Synapse(snn.LIF(surrogate=snn.SuperSpike(10.0)), immediate=False),
            snn.FirstSpikeTime(),
        ]
    )
    x = draw.uniform(jr.key(2), (20,))
    optimizer = optax.adam(2e-2)

    @eqx.filter_jit
    def update(model, state):
        def loss(model):
            return snn.spike_time_loss(model(x), 2, tau=2e-3)

        value, grads = eqx.filter_value_and_grad(loss)(model)
        updates, state = optimizer.update(grads, state)
        return eqx.apply_updates(model, updates), state, value

    state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        for _ in range(100):
            model, state, value = update(model, state)
    assert float(value) < 0.1
    assert int(jnp.argmin(model(x))) == 2


# -- penalties


def test_penalties_against_numpy():
    spikes = (np.random.default_rng(0).random((4, 50, 6)) < 0.2).astype(np.float32)
    spikes[..., 0] = 0
    rates = spikes.mean(axis=(0, 1)) / 1e-3
    outside = np.maximum(50 - rates, 0) + np.maximum(rates - 190, 0)
    assert (outside > 0).sum() >= 2
    penalty = snn.rate_penalty(spikes, low=50.0, high=190.0)
    np.testing.assert_allclose(penalty, np.mean((outside / 1000) ** 2), rtol=1e-4)
    np.testing.assert_allclose(
        snn.activity_penalty(spikes), spikes.sum(axis=1).mean(), rtol=1e-6
    )
    # the gradient increases a low rate, decreases a high one, and is zero for the others
    grad = jax.jit(jax.grad(lambda z: snn.rate_penalty(z, low=50.0, high=190.0)))(spikes)
    grad = np.asarray(grad)
    np.testing.assert_array_equal(
        np.sign(grad[0, 0]), np.where(rates < 50, -1, np.where(rates > 190, 1, 0))
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: snn.rate_penalty(jnp.ones((3, 2)), low=5.0, high=5.0), "0 <= low < high"),
        (lambda: snn.rate_penalty(jnp.ones((3, 2)), low=-1.0), "0 <= low < high"),
        (lambda: snn.spike_time_loss(jnp.ones(3), 0, tau=0.0), "`tau` must be positive"),
        (
            lambda: snn.fluctuation_driven(
                eqx.nn.Linear(2, 2, key=jr.key(0)), 1000.0, key=jr.key(0)
            ),
            "`rate` must be below 1/dt = 1000 Hz",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# -- frozen parts


def _model():
    return snn.Network(
        [
            snn.LearnableLIFEncoder(5, 12),
            snn.OverTime(eqx.nn.Linear(5, 4, key=jr.key(0))),
            snn.Synapse(snn.LIF(), immediate=False),
            snn.SpikeCount(),
        ]
    )


def test_weight_decay_does_not_change_frozen_parts():
    model = _model()
    trained, rest = eqx.partition(model, snn.filter_spec(model, frozen=lambda m: m[0]))
    optimizer = optax.adamw(0.1, weight_decay=0.5)
    state = optimizer.init(trained)
    grads = jax.jit(jax.grad(lambda t: eqx.combine(t, rest)(jnp.ones(5)).sum()))(trained)
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = optimizer.update(grads, state, trained)
    after = eqx.combine(eqx.apply_updates(trained, updates), rest)
    for before, moved in zip(jax.tree.leaves(model[0]), jax.tree.leaves(after[0]), strict=True):
        np.testing.assert_array_equal(before, moved)
    assert not np.array_equal(after[1].layer.weight, model[1].layer.weight)


def test_filter_spec_of_several_parts_and_of_one_without_leaves():
    model = _model()
    spec = snn.filter_spec(model, frozen=lambda m: (m[0].params.log_v_th, m[1].layer.bias))
    assert sum(jax.tree.leaves(spec)) == 4
    fixed = snn.Network([snn.ConstantCurrentLIFEncoder(5), *model[1:]])
    assert sum(jax.tree.leaves(snn.filter_spec(fixed, frozen=lambda m: m[0]))) == 2


# -- weight initialisation


def _without_threshold(neuron):
    """The same neuron, with a threshold that is never reached."""
    if isinstance(neuron, snn.Synapse):
        inner = _without_threshold(neuron.neuron)
        return snn.Synapse(inner, neuron.tau_syn, w_in=neuron.w_in)
    return snn.LI(neuron.params, neuron.dt)


def _poisson(seed, shape, probability):
    return (np.random.default_rng(seed).random(shape) < probability).astype(np.float32)


SLOW = snn.LIFParameters(tau_mem=1.5e-2, v_th=0.8, v_leak=0.1)
RESISTANT = snn.LIFParameters(tau_mem=1.5e-2, v_th=0.8, v_leak=0.1, r=-2.0)


@pytest.mark.parametrize(
    ("neuron", "inputs", "rate", "xi"),
    [
        (snn.LIF(SLOW), 100, 15.0, 1.0),
        (snn.ALIF(SLOW), 300, 80.0, 2.0),
        (snn.Synapse(snn.LIF(SLOW), 4e-3), 1000, 15.0, 1.0),
        (snn.Synapse(snn.LIF(SLOW), 4e-3, immediate=False), 300, 80.0, 2.0),
        (snn.Synapse(snn.ALIF(SLOW, dt=5e-4), jnp.array(4e-3)), 100, 15.0, 2.0),
        (snn.Synapse(snn.LIF(RESISTANT), 4e-3, w_in=3.0), 300, 80.0, 2.0),
    ],
)
def test_the_potential_has_the_given_standard_deviation(neuron, inputs, rate, xi):
    linear = snn.fluctuation_driven(
        eqx.nn.Linear(inputs, 200, key=jr.key(0)), rate, neuron, xi=xi, key=jr.key(1)
    )
    spikes = _poisson(2, (3000, inputs), rate * neuron.dt)
    network = snn.Network([snn.OverTime(linear), _without_threshold(neuron)])
    potentials = np.asarray(network(spikes))[500:]
    deviation = np.sqrt(np.var(potentials, axis=0).mean())  # of each neuron, over time
    assert deviation == pytest.approx(0.7 / xi, rel=0.08)
    np.testing.assert_array_equal(linear.bias, 0)


def test_each_neuron_has_weights_for_its_own_constants():
    params = snn.LearnableLIFParameters(200, tau_mem=jnp.geomspace(3e-3, 5e-2, 200))
    neuron = snn.LIF(params)
    linear = eqx.nn.Linear(2000, 200, use_bias=False, key=jr.key(0))
    linear = snn.fluctuation_driven(linear, 20.0, neuron, key=jr.key(1))
    assert linear.bias is None
    weight, tau_mem = np.asarray(linear.weight), np.asarray(params.tau_mem)
    for row in (0, 100, 199):
        one = snn.LIF(snn.LIFParameters(tau_mem=float(tau_mem[row])))
        alone = snn.fluctuation_driven(linear, 20.0, one, key=jr.key(1))
        np.testing.assert_allclose(weight[row], np.asarray(alone.weight)[row], rtol=1e-4)
    assert weight[0].std() < 0.5 * weight[199].std()


def test_weights_are_drawn_under_jit():
    linear = eqx.nn.Linear(50, 20, key=jr.key(0))
    draw = lambda key: snn.fluctuation_driven(linear, 20.0, snn.LIF(), key=key)  # noqa: E731
    drawn = eqx.filter_jit(draw)(jr.key(1))
    np.testing.assert_allclose(drawn.weight, draw(jr.key(1)).weight, rtol=1e-5)
    shapes = eqx.filter_eval_shape(draw, jr.key(1))
    assert shapes.weight.shape == (20, 50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((20.0, snn.LI()), "`neuron` must be a `LIF` or an `ALIF`, or a `Synapse` of one, got"),
        ((20.0, snn.Synapse(snn.LI())), r"or a `Synapse` of one, got `Synapse`"),
        ((1000.0, snn.LIF()), "`rate` must be below 1/dt = 1000 Hz.*got 1000"),
        ((-1.0, snn.LIF()), "`rate` must be positive, got -1.0"),
        (
            (20.0, snn.LIF(snn.LIFParameters(v_leak=0.7))),
            "`neuron` must have `v_leak` below `v_th`.*v_leak=0.7 and v_th=0.6",
        ),
    ],
)
def test_bad_arguments_of_the_initialisation_are_refused(arguments, message):
    linear = eqx.nn.Linear(5, 2, key=jr.key(0))
    with pytest.raises(ValueError, match=message):
        snn.fluctuation_driven(linear, *arguments, key=jr.key(1))


@pytest.mark.parametrize("neuron", [snn.LIF(), snn.Synapse(snn.LIF(), immediate=False)])
def test_a_hidden_layer_fires_at_initialisation_for_any_size_of_input(neuron):
    shares, rates = [], []
    for inputs in (50, 500, 2000):
        spikes = _poisson(0, (500, inputs), 20e-3)
        linear = eqx.nn.Linear(inputs, 200, key=jr.key(1))
        driven = snn.fluctuation_driven(linear, 20.0, neuron, key=jr.key(2))
        silent, firing = (
            np.asarray(snn.Network([snn.OverTime(each), neuron])(spikes))
            for each in (linear, driven)
        )
        assert silent.any(axis=0).mean() < 0.3  # Equinox's default weights
        shares.append(firing.any(axis=0).mean())
        rates.append(firing.mean() / 1e-3)
    assert min(shares) > 0.85
    assert all(10 < rate < 60 for rate in rates)


# -- padding, and truncated backpropagation


def _signal(*shape):
    return np.random.default_rng(1).normal(1.0, 1.0, shape).astype(np.float32)


def _network():
    k1, k2 = jr.split(jr.key(0))
    linear = eqx.nn.Linear(4, 6, key=k1)
    return snn.Network(
        [
            snn.OverTime(eqx.tree_at(lambda m: m.weight, linear, 6 * linear.weight)),
            snn.Synapse(snn.LIF(), immediate=False),
            snn.OverTime(eqx.nn.Linear(6, 3, use_bias=False, key=k2)),
            snn.Synapse(snn.LI()),
            snn.MeanOverTime(),
        ]
    )


@pytest.mark.parametrize("length", [0, 1, 7, 15])
@pytest.mark.parametrize("padding", [0.0, 1e6, jnp.nan])
def test_padding_has_no_effect(length, padding):
    network = _network()
    xs = _signal(15, 4)
    padded = xs.copy()
    padded[length:] = padding
    mask = np.arange(15) < length
    start = network.init(xs[0])
    state, outs = snn.run_masked(network, start, padded, mask)
    expected_state, expected = network.run(start, xs[:length])
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(expected_state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    outs = np.asarray(outs)
    np.testing.assert_allclose(outs[-1], expected if length else np.zeros(3), rtol=1e-5)
    np.testing.assert_array_equal(outs[length:], np.tile(outs[-1], (15 - length, 1)))


def test_the_gradient_is_that_of_the_sequence_without_padding():
    network = _network()
    xs = _signal(15, 4)

    def masked(network, xs):
        mask = jnp.arange(15) < 9
        return snn.run_masked(network, network.init(xs[0]), xs, mask)[1][-1].sum()

    def grad_of(f):
        return eqx.filter_jit(eqx.filter_grad(lambda both: f(*both)))

    expected, _ = grad_of(lambda n, xs: n(xs).sum())((network, xs[:9]))
    grad = grad_of(masked)
    for padding in (0.0, np.nan):
        padded = np.concatenate([xs[:9], np.full_like(xs[9:], padding)])
        grads, of_xs = grad((network, padded))
        for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(np.asarray(of_xs)[9:], 0)


def test_a_batch_of_different_lengths():
    network = _network()
    xs = _signal(3, 15, 4)
    lengths = np.array([4, 15, 8])
    mask = np.arange(15) < lengths[:, None]

    def decide(xs, mask):
        return snn.run_masked(network, network.init(xs[0]), xs, mask)[1][-1]

    batched = np.asarray(jax.jit(jax.vmap(decide))(xs, mask))
    for out, x, length in zip(batched, xs, lengths, strict=True):
        np.testing.assert_allclose(out, network(x[:length]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis_type", ["Auto", "Explicit"])
def test_padded_sequences_are_divided_among_devices(axis_type):
    network = _network()
    mesh = jax.make_mesh((8,), ("b",), axis_types=(jax.sharding.AxisType[axis_type],))
    sharding = jax.NamedSharding(mesh, jax.sharding.PartitionSpec("b"))
    xs = _signal(16, 15, 4)
    mask = np.arange(15) < np.arange(16)[:, None]

    @jax.vmap
    def decide(xs, mask):
        return snn.run_masked(network, network.init(xs[0]), xs, mask)[1][-1]

    specs = {"in_specs": sharding.spec, "out_specs": sharding.spec}
    divided = jax.shard_map(decide, mesh=mesh, **specs)  # with its default checks

    def call_and_grad(f):
        return jax.jit(jax.value_and_grad(lambda xs, mask: (f(xs, mask) ** 2).sum()))

    placed = jax.device_put((xs, mask), sharding)
    got, expected = call_and_grad(divided)(*placed), call_and_grad(decide)(xs, mask)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_truncated_backpropagation_stops_at_the_chunk():
    network = _network()[:-1]
    xs = _signal(20, 4)

    def last_chunk(xs, *, truncate):
        state = network.init(xs[0])
        for start in range(0, 20, 5):
            state = jax.lax.stop_gradient(state) if truncate else state
            state, out = network.run(state, xs[start : start + 5])
        return out.sum()

    (value, whole), (same, truncated) = (
        map(np.asarray, jax.jit(jax.value_and_grad(ft.partial(last_chunk, truncate=t)))(xs))
        for t in (False, True)
    )
    np.testing.assert_allclose(same, value, rtol=1e-6)
    assert np.abs(whole[:15]).max() > 0
    np.testing.assert_array_equal(truncated[:15], 0)
    assert np.abs(truncated[15:]).max() > 0
