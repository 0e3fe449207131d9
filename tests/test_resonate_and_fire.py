"""Resonate-and-fire neurons against a loop over complex numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxsnn_eqx as snn

DT = 1e-3
FREQUENCY = np.array([8.0, 30.0, 55.0, 120.0, 480.0])
TAU = np.array([2e-2, 5e-2, 0.1, 3e-3, 1e-2])


def loop(xs, frequency, tau, v_th, *, balanced=False, tau_refractory=1e-2):
    """Potentials before a spike and spikes, by the exact solution for a constant input."""
    z = np.zeros(xs.shape[1:], complex)
    q = np.zeros(xs.shape[1:])
    potentials, spikes = [], []
    for x in xs:
        exponent = -(1 + q if balanced else 1) / tau + 2j * np.pi * frequency
        z = np.exp(exponent * DT) * z + (np.exp(exponent * DT) - 1) / (exponent * tau) * x
        s = z.real > (1 + q) * v_th if balanced else z.imag > v_th
        potentials.append(z)
        spikes.append(s)
        if balanced:
            q = np.exp(-DT / tau_refractory) * q + s
        else:
            z = np.where(s, 1j * v_th, z)
    return np.array(potentials), np.array(spikes, float)


def noise(length=600, neurons=5, size=6.0):
    return np.random.default_rng(0).normal(0, size, (length, neurons))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("balanced", [False, True])
def test_it_is_the_loop(balanced, trained, x64):
    xs = noise(size=15.0)
    constants = [jnp.asarray(c) if trained else c for c in (FREQUENCY, TAU)]
    neurons = snn.ResonateAndFire(*constants, v_th=0.7, balanced=balanced, tau_refractory=5e-3)
    _, expected = loop(xs, FREQUENCY, TAU, 0.7, balanced=balanced, tau_refractory=5e-3)
    assert (expected.sum(axis=0) > 3).all()
    np.testing.assert_array_equal(neurons(xs), expected)


@pytest.mark.parametrize("balanced", [False, True])
def test_below_the_threshold_the_potential_is_exact_in_float32(balanced):
    xs = noise().astype(np.float32)
    expected, _ = loop(xs.astype(float), FREQUENCY, TAU, 1e9, balanced=balanced)
    neurons = snn.ResonateAndFire(FREQUENCY, TAU, v_th=1e9, balanced=balanced)
    real, _ = snn.trace(neurons, xs, record=lambda state: state.real)
    imaginary, _ = snn.trace(neurons, xs, record=lambda state: state.imaginary)
    size = np.abs(expected).max()
    np.testing.assert_allclose(real, expected.real, atol=3e-6 * size)
    np.testing.assert_allclose(imaginary, expected.imag, atol=3e-6 * size)


def test_it_resonates_at_its_frequency():
    t = np.arange(2000) * DT
    tones = np.sin(2 * np.pi * np.array([20.0, 38.0, 40.0, 42.0, 80.0]) * t[:, None])
    neurons = snn.ResonateAndFire(40.0, 0.2, v_th=1e9)
    imaginary, _ = snn.trace(neurons, tones, record=lambda state: state.imaginary)
    size = np.asarray(imaginary)[1000:].max(axis=0)
    np.testing.assert_allclose(size[2], 0.5, rtol=0.02)
    assert size.argmax() == 2
    assert (size[[0, 4]] < 0.05).all()


def test_the_derivative_with_respect_to_frequency_and_tau(x64):
    xs, weights = noise(200), noise(200)

    def loss(frequency, tau):
        neurons = snn.ResonateAndFire(frequency, tau, v_th=1e9)
        imaginary, _ = snn.trace(neurons, xs, record=lambda state: state.imaginary)
        return (imaginary * weights).sum()

    constants = jnp.asarray(FREQUENCY), jnp.asarray(TAU)
    gradients = jax.grad(loss, argnums=(0, 1))(*constants)
    for i, gradient in enumerate(gradients):
        for n in range(5):
            size = 1e-6 * constants[i][n]
            ends = [
                loss(*(c.at[n].add(s * size) if i == j else c for j, c in enumerate(constants)))
                for s in (1, -1)
            ]
            about = (ends[0] - ends[1]) / (2 * size)
            assert abs(about) > 1e-4
            np.testing.assert_allclose(gradient[n], about, rtol=1e-5)


def test_a_detached_reset_changes_the_derivative_and_not_the_spikes():
    xs = jnp.asarray(noise(100, size=12.0), jnp.float32)
    for balanced in (False, True):
        whole, detached = (
            snn.ResonateAndFire(60.0, 1e-2, balanced=balanced, detach_reset=detach)
            for detach in (False, True)
        )
        np.testing.assert_array_equal(whole(xs), detached(xs))
        gradients = [jax.grad(lambda x, f=f: f(x).sum())(xs) for f in (whole, detached)]
        assert not np.allclose(*gradients)


def test_it_is_calibrated_as_an_encoder_and_as_neurons_behind_weights():
    xs = noise(400, 5, 1.0).astype(np.float32)[None].repeat(4, axis=0)
    encoder = snn.calibrate(snn.ResonateAndFire(60.0, 2e-2), xs, rate=20.0)
    rates = jax.vmap(encoder)(xs).mean() / DT
    np.testing.assert_allclose(rates, 20.0, rtol=0.1)
    linear = snn.OverTime(eqx.nn.Linear(5, 7, key=jr.key(0)))
    network = snn.Network([snn.LIFCurrentEncoder(), linear, snn.ResonateAndFire(60.0, 2e-2)])
    found = snn.calibrate(network, xs, rate=[40.0, 20.0])
    np.testing.assert_allclose(jax.vmap(found)(xs).mean() / DT, 20.0, rtol=0.1)
    assert isinstance(found[2], snn.ResonateAndFire)
    behind_a_function = snn.Network([snn.OverTime(jnp.tanh), snn.ResonateAndFire(60.0, 2e-2)])
    found = snn.calibrate(behind_a_function, xs, rate=20.0)
    np.testing.assert_allclose(jax.vmap(found)(xs).mean() / DT, 20.0, rtol=0.1)


def test_with_lateral_connections_and_a_synapse():
    lateral = eqx.nn.Linear(5, 5, use_bias=False, key=jr.key(0))
    neurons = snn.ResonateAndFire(FREQUENCY, balanced=True)
    for layer in (snn.Recurrent(neurons, lateral), snn.Synapse(neurons)):
        assert layer(noise(50)).shape == (50, 5)


def test_a_frequency_from_half_the_sampling_rate_on_is_refused():
    with pytest.raises(ValueError, match=r"`frequency` must be below half the .*, 500 Hz at"):
        snn.ResonateAndFire([40.0, 500.0])
