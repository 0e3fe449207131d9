"""The differences from jaxsnn, and the example of its documentation.

The numbers in the names are those of docs/jaxsnn.md.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw

import jaxsnn_eqx as snn
from jaxsnn_eqx.functional import (
    constant_current_lif_encode,
    lif_current_encoder,
    one_hot,
    spatio_temporal_encode,
)

DATA = np.array([2, 4, 8, 16])  # the data of jaxsnn's documentation


def test_1_the_example_of_the_documentation_with_a_threshold_of_1():
    potentials, spikes = constant_current_lif_encode(DATA, 2, snn.LIFParameters(v_th=1.0))
    np.testing.assert_allclose(potentials, [[0.2, 0.4, 0.8, 0], [0.38, 0.76, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(spikes, [[0, 0, 0, 1], [0, 0, 1, 1]])
    printed = np.round(np.asarray(potentials, float), 4)
    np.testing.assert_array_equal(printed, [[0.2, 0.4, 0.8, 0], [0.38, 0.76, 0, 0]])


def test_1_the_example_with_the_default_threshold():
    potentials, spikes = constant_current_lif_encode(DATA, 2)
    np.testing.assert_allclose(potentials, [[0.2, 0.4, 0, 0], [0.38, 0, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(spikes, [[0, 0, 1, 1], [0, 1, 1, 1]])


def test_1_defaults():
    assert snn.LIFParameters() == snn.LIFParameters(5e-3, 1e-2, 0.6, 0.0, 0.0)


def test_2_the_function_returns_potentials_and_spikes_and_the_module_spikes():
    potentials, spikes = constant_current_lif_encode(DATA, 5)
    assert potentials.shape == spikes.shape == (5, 4)
    np.testing.assert_array_equal(snn.ConstantCurrentLIFEncoder(5)(DATA), spikes)


def test_3_params_and_dt_are_arguments_with_the_defaults_of_jaxsnn():
    params = snn.LIFParameters(tau_mem=4e-3, v_th=0.3, v_leak=0.1, v_reset=-0.1)
    potentials, spikes = constant_current_lif_encode([1.0], 3, params, 2e-3)
    # by hand: v = 0 + 0.5·(0.1 - 0 + 1) = 0.55 > 0.3, reset to -0.1; then
    # -0.1 + 0.5·(0.1 + 0.1 + 1) = 0.5 > 0.3, reset again
    np.testing.assert_array_equal(spikes, [[1], [1], [1]])
    np.testing.assert_allclose(potentials, [[-0.1], [-0.1], [-0.1]], rtol=1e-6)
    default = constant_current_lif_encode(DATA, 5, snn.LIFParameters(), 0.001)
    np.testing.assert_array_equal(default, constant_current_lif_encode(DATA, 5))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 1, 4)])
def test_4_any_shape(shape):
    x = draw.uniform(jr.key(0), shape, maxval=3.0)
    potentials, spikes = constant_current_lif_encode(x, 6)
    assert potentials.shape == spikes.shape == (6, *shape)
    assert spatio_temporal_encode(x, 6, 5e-3, 1e-3).shape == (6, *shape)
    assert one_hot(np.zeros(shape, np.int32), 4).shape == (*shape, 4)
    assert jax.eval_shape(lif_current_encoder, x, x)[0].shape == shape


def test_5_no_spike_exactly_at_the_threshold():
    params = snn.LIFParameters(tau_mem=1e-3, v_th=0.75)  # v = x after one step
    at, above = 0.75, np.nextafter(np.float32(0.75), np.float32(1))
    potentials, spikes = constant_current_lif_encode(np.float32([at, above]), 1, params)
    np.testing.assert_array_equal(spikes, [[0, 1]])
    np.testing.assert_array_equal(potentials, [[0.75, 0]])
    assert set(np.unique(constant_current_lif_encode(jnp.linspace(0, 20, 999), 50)[1])) == {
        0,
        1,
    }


def test_6_super_spike_of_slope_80_in_both_modes_and_through_the_reset():
    # one step from v: m = v + 0.1·(x - v), z = m > 0.6, v' = m - z·m
    def f(x):
        return jnp.stack(lif_current_encoder(0.5, x))

    forward, reverse = jax.jit(jax.jacfwd(f)), jax.jit(jax.jacrev(f))
    for x, fires in ((1.0, 0.0), (2.0, 1.0)):
        m = 0.5 + 0.1 * (x - 0.5)
        sigma = 1 / (80 * abs(m - 0.6) + 1) ** 2
        expected = [0.1 * (1 - fires - sigma * m), 0.1 * sigma]
        np.testing.assert_allclose(forward(x), expected, rtol=1e-5)
        np.testing.assert_allclose(reverse(x), expected, rtol=1e-5)


def test_7_spike_time_is_linear_between_early_and_late():
    x = jnp.array([0.0, 0.25, 0.5, 0.75, 1.0])
    spikes = spatio_temporal_encode(x, 20, 1.2e-2, 1e-3, 4e-3)
    np.testing.assert_array_equal(np.argmax(spikes, axis=0), [4, 6, 8, 10, 12])
    np.testing.assert_array_equal(spikes.sum(axis=0), 1)
    default = spatio_temporal_encode(x, 20, 1.2e-2, 1e-3)
    np.testing.assert_array_equal(np.argmax(default, axis=0), [0, 3, 6, 9, 12])


@pytest.mark.parametrize("t_early", [0.0, 1.3e-3])
@pytest.mark.parametrize("dt", [1e-3, 3e-4, 7e-4])
def test_7_jit_and_eager_choose_the_same_bin(dt, t_early):
    x = np.asarray(draw.uniform(jr.key(0), (20_000,)))
    x = np.concatenate([x, ((np.arange(1400) + 0.5) / 1400).astype(np.float32)])
    args = (100, 1.4e-2, dt, t_early)
    eager = spatio_temporal_encode(x, *args)
    jitted = jax.jit(spatio_temporal_encode, static_argnums=(1, 2, 3, 4))(x, *args)
    np.testing.assert_array_equal(jitted, eager)


def test_8_a_spike_outside_the_window_is_refused_by_the_module():
    snn.SpatioTemporalEncoder(seq_length=6, t_late=5.4e-3)  # step 5, the last
    with pytest.raises(
        ValueError, match=r"`t_late`=0\.0056 s falls in step 6 .*`seq_length`=6"
    ):
        snn.SpatioTemporalEncoder(seq_length=6, t_late=5.6e-3)


def test_8_the_function_clips_to_the_last_bin_as_jaxsnn_effectively_does():
    spikes = spatio_temporal_encode([0.2, 0.9, 1.0], 4, 1e-2, 1e-3)
    np.testing.assert_array_equal(np.argmax(spikes, axis=0), [2, 3, 3])
    np.testing.assert_array_equal(spikes.sum(axis=0), 1)


def test_8_the_input_of_the_module_is_clipped_to_the_unit_interval():
    encoder = snn.SpatioTemporalEncoder(6, 5e-3)
    out = encoder(jnp.array([-jnp.inf, -1.0, 0.0, 1.0, 2.0, jnp.inf]))
    np.testing.assert_array_equal(np.argmax(out, axis=0), [0, 0, 0, 5, 5, 5])
    np.testing.assert_array_equal(out.sum(axis=0), 1)


def test_9_spatio_temporal_has_a_gradient():
    x = jnp.array([0.1, 0.5])
    grad = jax.jit(
        jax.grad(
            lambda x: jnp.vdot(jnp.arange(6.0), spatio_temporal_encode(x, 6, 5e-3, 1e-3).sum(1))
        )
    )(x)
    np.testing.assert_allclose(grad, [5.0, 5.0], rtol=1e-6)


@pytest.mark.parametrize(
    "same", [DATA, DATA.tolist(), tuple(DATA.tolist()), jnp.asarray(DATA), DATA.astype(np.int8)]
)
def test_10_anything_array_like_is_converted_at_entry(same):
    potentials, spikes = constant_current_lif_encode(same, 3)
    assert potentials.dtype == spikes.dtype == jnp.float32
    expected = constant_current_lif_encode(DATA.astype(np.float32), 3)
    np.testing.assert_array_equal((potentials, spikes), expected)
    bools = constant_current_lif_encode([True, False], 12)[1]
    np.testing.assert_array_equal(bools.sum(axis=0), [1, 0])


def test_11_the_encoder_does_not_step_the_synapse_and_the_neuron_does():
    slow, fast = snn.LIFParameters(tau_syn=1e-2), snn.LIFParameters(tau_syn=2e-3)
    x = draw.uniform(jr.key(0), (30, 8), maxval=4.0)
    np.testing.assert_array_equal(
        snn.LIFCurrentEncoder(slow)(x), snn.LIFCurrentEncoder(fast)(x)
    )
    neurons = (snn.Synapse(snn.LIF(), p.tau_syn) for p in (slow, fast))
    a, b = (neuron(x) for neuron in neurons)
    assert not np.array_equal(a, b)


def test_one_hot_is_that_of_jaxsnn():
    np.testing.assert_array_equal(one_hot(np.array([0, 2, 1]), 3), np.eye(3)[[0, 2, 1]])
    np.testing.assert_array_equal(one_hot([-1, 3, 1], 3), [[0, 0, 0], [0, 0, 0], [0, 1, 0]])
    assert one_hot([1], 3, jnp.int8).dtype == jnp.int8
    np.testing.assert_array_equal(one_hot(jnp.array([1.0, 1.5]), 3), [[0, 1, 0], [0, 0, 0]])
    assert one_hot(2, 3).shape == (3,)


def test_functions_equal_the_modules():
    x = draw.uniform(jr.key(0), (7,))
    np.testing.assert_array_equal(
        spatio_temporal_encode(x, 9, 7e-3, 1e-3, 1e-3),
        snn.SpatioTemporalEncoder(9, 7e-3, 1e-3, 1e-3)(x),
    )
    v = jnp.full((7,), 0.55)
    for a, b in zip(
        lif_current_encoder(v, 3 * x), snn.LIFCurrentEncoder().step(v, 3 * x), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_the_derivative_of_the_function_is_zero_where_it_clips():
    jacobian = jax.jit(jax.jacfwd(lambda x: spatio_temporal_encode(x, 4, 1e-2, 1e-3)))
    np.testing.assert_array_equal(jacobian(0.5), np.zeros(4))
    assert np.abs(jacobian(0.2)).max() > 0
    of_one_step = jax.jit(jax.jacrev(lambda x: spatio_temporal_encode(x, 1, 1e-4, 1e-3)))
    np.testing.assert_array_equal(of_one_step(0.5), [0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: constant_current_lif_encode(DATA, 0),
            "`seq_length` must be at least 1, got 0",
        ),
        (lambda: spatio_temporal_encode([0.5], 4, 0.0, 1e-3), "0 <= t_early < t_late"),
        (lambda: spatio_temporal_encode([0.5], 4, 1e-3, 0.0), "`dt` must be positive, got 0.0"),
        (lambda: spatio_temporal_encode([0.5], 0, 1e-3, 1e-3), "`seq_length` must be at least"),
        (lambda: one_hot([1], 0), "`k` must be at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
