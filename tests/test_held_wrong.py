"""What people pass: whole numbers where floats are meant, wide integers, signed spikes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsnn_eqx as snn

TRAIN = np.array([0.0, 1.0, 0.0, 1.0, 0.0], np.float32)


def test_a_whole_number_is_a_float_in_functions():
    assert float(snn.metrics.victor_purpura_distance(TRAIN, TRAIN[::-1], cost=0)) == 0
    assert float(snn.rate_penalty(TRAIN[:, None], low=20)) == 0
    assert float(snn.metrics.firing_rate(TRAIN, dt=1)) == pytest.approx(0.4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: snn.metrics.firing_rate(TRAIN, dt=True),
        lambda: snn.rate_penalty(TRAIN[:, None], low=False),
    ],
)
def test_a_boolean_is_no_number(call):
    with pytest.raises(ValueError, match="must be a Python number, got"):
        call()


def test_wide_integers_are_converted_before_jax_narrows_them():
    wide = np.array([3_000_000_000, 2**40])
    for x in (wide, wide.tolist(), wide.astype(np.uint64)):
        np.testing.assert_array_equal(snn.DirectEncoder(1)(x)[0], wide.astype(np.float32))
    rising = np.array([2_147_483_000, 2_147_484_000, 2_147_485_000])
    np.testing.assert_array_equal(snn.DeltaEncoder(1.0)(rising), [0, 1, 1])


def test_lists_of_traced_numbers_are_inputs():
    out = jax.jit(lambda a: snn.DirectEncoder(1)([a, 2 * a]))(jnp.float32(3.0))
    np.testing.assert_array_equal(out, [[3.0, 6.0]])


@pytest.mark.parametrize("spike", [1.0, 2.0, -1.0, -3.0])
def test_signed_and_graded_spikes_count_as_one(spike):
    train = np.array([[0.0], [spike], [0.0], [spike]], np.float32)
    assert float(snn.FirstSpikeTime()(train)[0]) == pytest.approx(1e-3)
    assert float(snn.activity_penalty(train)) == 2


def test_the_first_spike_has_its_derivative_also_where_there_is_none():
    train = jnp.array([[0.0], [1.0], [0.0]])
    grad = jax.grad(lambda z: snn.FirstSpikeTime()(z)[0])(train)
    # a spike at step 0 would be a step earlier; without that at step 1, two later
    np.testing.assert_allclose(grad.ravel(), [-1e-3, -2e-3, 0.0], atol=1e-9)


@pytest.mark.parametrize("fn", [jnp.ravel, jax.nn.relu, lambda x: x])
def test_a_function_of_one_argument_runs_over_time(fn):
    signal = np.arange(-6.0, 6.0, dtype=np.float32).reshape(2, 3, 2)
    expected = np.stack([np.asarray(fn(jnp.asarray(x))) for x in signal])
    np.testing.assert_array_equal(snn.OverTime(fn)(signal), expected)


def test_a_function_with_a_key_gets_one():
    layer = snn.OverTime(lambda x, key: jax.random.uniform(key, x.shape))
    out = np.asarray(layer(np.zeros((3, 2), np.float32), key=jax.random.key(0)))
    assert len(np.unique(out)) == 6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: snn.Network(snn.LIF(), snn.LIF()), "`layers` must be a list of layers"),
        (lambda: snn.Network([snn.LIF]), r"is the class `LIF`.*write `LIF\(\.\.\.\)`"),
    ],
)
def test_a_network_that_is_built_wrong_says_how(make, message):
    with pytest.raises(ValueError, match=message):
        make()
