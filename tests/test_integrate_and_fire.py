"""Neurons without a leak, delays, resistances and input weights, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsnn_eqx as snn

RNG = np.random.default_rng
V_TH = np.array([0.8, 1.0, 1.5, 2.0])
V_RESET = np.array([0.0, -0.5, 0.25, 0.1])
R = np.array([1.0, -2.0, 0.5, 3.0])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("refractory", [0, 2])
def test_if_against_a_numpy_loop(soft, refractory, x64):
    xs = RNG(0).normal(0.0, 1.5, (200, 4))
    params = snn.LearnableLIFParameters(4, v_th=V_TH, v_reset=V_RESET, r=R)
    neurons = snn.IF(params, soft_reset=soft, refractory=refractory * 1e-3)
    v, left, potentials, spikes = np.zeros(4), np.zeros(4, int), [], []
    for x in xs:
        moves = left == 0
        v = np.where(moves, v + R * x, v)
        z = (moves & (v > V_TH)).astype(float)
        left = np.where(z == 1, refractory, np.maximum(left - 1, 0))
        v = np.where(z == 1, v - (V_TH - V_RESET) if soft else V_RESET, v)
        potentials.append(v)
        spikes.append(z)
    assert (np.sum(spikes, axis=0) > 1).all()
    traced, out = snn.trace(neurons, jnp.asarray(xs))
    np.testing.assert_array_equal(out, spikes)
    np.testing.assert_allclose(traced, potentials, rtol=1e-11, atol=1e-12)


def test_if_moves_by_its_input_whatever_the_step():
    for dt in (1e-3, 1e-4):
        neurons = snn.IF(snn.LIFParameters(v_th=1.0), dt)
        # by hand: 0.5, 1.0 (not above the threshold), 1.5 and reset, 0.5
        np.testing.assert_array_equal(neurons(jnp.full((4, 1), 0.5)).ravel(), [0, 0, 1, 0])


def test_the_gradient_of_if_is_the_surrogates():
    neurons = snn.IF(snn.LIFParameters(v_th=1.0, r=2.0), surrogate=snn.SuperSpike(10.0))
    grad = jax.grad(lambda x: neurons(x).sum())(jnp.array([[0.3]]))
    # by hand: r / (1 + 10 |v - v_th|)², at v = 0.6
    np.testing.assert_allclose(grad, 2 / (1 + 10 * 0.4) ** 2, rtol=1e-6)


def test_an_integrator_is_a_cumulative_sum():
    xs = RNG(1).normal(size=(50, 4))
    each = snn.Integrator(snn.LearnableLIFParameters(4, r=R))
    np.testing.assert_allclose(each(xs), np.cumsum(R * xs, axis=0), rtol=1e-4, atol=1e-5)
    same = snn.Integrator(snn.LIFParameters(r=-0.5))
    np.testing.assert_allclose(same(xs), np.cumsum(-0.5 * xs, axis=0), rtol=1e-4, atol=1e-5)
    assert jax.tree.leaves(jax.tree.map(jnp.ndim, each.params.log_tau_mem)) == []


@pytest.mark.parametrize("delay", [0.0, 2e-3, 7e-3, [0.0, 1e-3, 3e-3, 9e-3]])
def test_a_delay_shifts_each_neuron(delay):
    xs = RNG(2).normal(size=(6, 4)).astype(np.float32)
    expected = np.zeros_like(xs)
    for n, steps in enumerate(np.broadcast_to(np.round(np.array(delay) * 1e3), 4).astype(int)):
        for t in range(steps, 6):
            expected[t, n] = xs[t - steps, n]
    np.testing.assert_array_equal(snn.Delay(delay)(xs), expected)


def test_a_delay_of_many_steps_in_a_narrow_dtype():
    delay = snn.Delay([0.301, 0.302])
    xs = jnp.zeros((304, 2), jnp.bfloat16).at[0].set(1.0)
    out = delay(xs)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_array_equal(jnp.argmax(out, axis=0), [301, 302])


@pytest.mark.parametrize(
    ("delay", "dt"), [(-1e-3, 1e-3), (1.5e-3, 1e-3), ([0.0, 1e-3], 7e-4), (1e-3, 2e-3)]
)
def test_delays_that_are_not_whole_steps_are_refused(delay, dt):
    with pytest.raises(ValueError, match="`delays` must be at least 0 and whole multiples of"):
        snn.Delay(delay, dt)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("immediate", [False, True])
def test_resistance_and_input_weight_against_a_numpy_loop(each, immediate, x64):
    xs = RNG(3).normal(0.0, 5.0, (200, 4))
    r, w_in = (R, np.array([1.0, 2.0, -4.0, 0.5])) if each else (-2.0, 3.0)
    tau_mem, tau_syn, dt = 8e-3, 4e-3, 1e-3
    if each:
        params = snn.LearnableLIFParameters(4, tau_mem=tau_mem, v_leak=0.1, r=r)
    else:
        params = snn.LIFParameters(tau_mem=tau_mem, v_leak=0.1, r=r)
    synapse = snn.Synapse(snn.LIF(params), tau_syn, immediate=immediate, w_in=w_in)
    v, i, potentials, spikes = np.zeros(4), np.zeros(4), [], []
    for x in xs:
        jump = dt / tau_syn * w_in * x
        i = i + jump if immediate else i
        v = v + dt / tau_mem * (0.1 - v + r * i)
        i = i - dt / tau_syn * i + (0 if immediate else jump)
        z = v > 0.6
        v = np.where(z, 0.0, v)
        potentials.append(v)
        spikes.append(z)
    assert (np.sum(spikes, axis=0) > 1).all()
    traced, out = snn.trace(synapse, jnp.asarray(xs))
    np.testing.assert_array_equal(out, spikes)
    np.testing.assert_allclose(traced, potentials, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("each", [False, True])
def test_constants_that_cancel_out_change_nothing(each):
    # r · dt / tau_mem and w_in · dt / tau_syn are 1 up to rounding, as in files of snnTorch:
    # a weight of 1 raises the potential to 1, which is not above a threshold of 1
    taus = np.float32([1e-4 / (1 - beta) for beta in (0.55, 0.7, 0.85, 0.9)])
    xs = jnp.ones((1, 4))
    for k in range(1 if each else 4):
        tau = taus if each else float(taus[k])
        r = np.float32(tau / np.float32(1e-4)) if each else float(np.float32(tau / 1e-4))
        if each:
            params = snn.LearnableLIFParameters(4, tau_mem=tau, v_th=1.0, r=r, tau_min=1e-4)
        else:
            params = snn.LIFParameters(tau_mem=tau, v_th=1.0, r=r)
        potentials, out = snn.trace(snn.Synapse(snn.LIF(params, 1e-4), tau, w_in=r), xs)
        np.testing.assert_array_equal(potentials, np.ones((1, 4)))
        assert not out.any()
