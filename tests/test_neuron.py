"""LIF and LI against a NumPy float64 loop written from the documented order of update."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsnn_eqx as snn

PARAMS = snn.LIFParameters(tau_syn=3e-3, tau_mem=7e-3, v_th=0.8, v_leak=0.1, v_reset=-0.3)


def _currents(seed=0, shape=(80, 20)):
    return np.random.default_rng(seed).normal(0.4, 1.0, shape)


def _lif_loop(xs, p, dt):
    v = i = np.zeros(xs.shape[1:])
    voltages, spikes = [], []
    for x in xs:
        v = v + dt / p.tau_mem * (p.v_leak - v + i)
        z = v > p.v_th
        v = np.where(z, p.v_reset, v)
        i = i - dt / p.tau_syn * i + x
        voltages.append(v)
        spikes.append(z.astype(float))
    return np.stack(voltages), np.stack(spikes)


def _li_loop(xs, p, dt):
    v = i = np.zeros(xs.shape[1:])
    voltages = []
    for x in xs:
        i = i + x
        v = v + dt / p.tau_mem * (p.v_leak - v + i)
        i = i - dt / p.tau_syn * i
        voltages.append(v)
    return np.stack(voltages)


@pytest.mark.parametrize("params", [snn.LIFParameters(), PARAMS])
@pytest.mark.parametrize("dt", [1e-3, 4e-4])
def test_lif_against_a_numpy_loop(params, dt, x64):
    xs = _currents()
    expected_v, expected_z = _lif_loop(xs, params, dt)
    voltages, spikes = snn.trace(snn.LIF(params, dt), jnp.asarray(xs))
    assert 20 < expected_z.sum() < 0.9 * expected_z.size
    np.testing.assert_array_equal(spikes, expected_z)
    np.testing.assert_allclose(voltages, expected_v, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dt", [1e-3, 4e-4])
def test_li_against_a_numpy_loop(dt, x64):
    xs = _currents()
    out = snn.LI(PARAMS, dt)(jnp.asarray(xs))
    np.testing.assert_allclose(out, _li_loop(xs, PARAMS, dt), rtol=1e-12, atol=1e-13)


def test_float32_agrees_with_float64_away_from_ties():
    xs = _currents(1, (200, 100))
    _, expected = _lif_loop(xs, PARAMS, 1e-3)
    spikes = snn.LIF(PARAMS)(jnp.asarray(xs, jnp.float32))
    assert np.mean(np.asarray(spikes) != expected) < 1e-3


def test_an_input_moves_lif_from_the_next_step_on_and_li_in_the_same():
    x = jnp.array([[1.0], [0.0], [0.0]])
    voltages, _ = snn.trace(snn.LIF(), x)
    # by hand: i = 1 after step 0; then v = 0.1, i = 0.8; then v = 0.1 + 0.1·(0.8 - 0.1)
    np.testing.assert_allclose(voltages.ravel(), [0.0, 0.1, 0.17], rtol=1e-6)
    np.testing.assert_allclose(snn.LI()(x).ravel(), [0.1, 0.17, 0.217], rtol=1e-6)


def test_the_reset_goes_to_v_reset():
    for v_reset in (-0.5, 0.0, 0.1):
        params = snn.LIFParameters(v_reset=v_reset, v_th=0.25)
        voltages, spikes = snn.trace(snn.LIF(params), 3 * jnp.ones((20, 1)))
        assert float(spikes.sum()) > 3
        np.testing.assert_allclose(voltages[spikes == 1], v_reset, rtol=5e-7)


def test_nan_and_infinities():
    xs = jnp.zeros((6, 3)).at[1].set(jnp.array([jnp.nan, jnp.inf, -jnp.inf]))
    spikes = np.asarray(snn.LIF()(xs))
    # the input of step 1 reaches the membrane in step 2
    np.testing.assert_array_equal(np.isnan(spikes[:, 0]), [0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(spikes[:3, 1], [0, 0, 1])
    assert np.isnan(spikes[3:, 1:]).all()
    assert not np.isnan(snn.LIF(dtype=jnp.bool_)(xs)).any()
    assert np.isnan(snn.LI()(xs)[1:, 0]).all()
    assert np.isinf(snn.LI()(xs)[1, 1:]).all()


def test_gradients_against_backpropagation_by_hand(x64):
    xs = jnp.asarray(_currents(2, (30, 4)))
    weights = jnp.asarray(np.random.default_rng(3).normal(size=xs.shape))
    got = jax.grad(lambda xs: jnp.vdot(weights, snn.LIF(PARAMS)(xs)))(xs)

    p, dt, v, i, kept = PARAMS, 1e-3, np.zeros(4), np.zeros(4), []
    for x in np.asarray(xs):
        m = v + dt / p.tau_mem * (p.v_leak - v + i)
        z = (m > p.v_th).astype(float)
        kept.append((m, z))
        v, i = m - z * (m - p.v_reset), i - dt / p.tau_syn * i + x
    v_bar = i_bar = np.zeros(4)
    expected = np.zeros(xs.shape)
    for t in reversed(range(30)):
        m, z = kept[t]
        expected[t] = i_bar
        z_bar = np.asarray(weights)[t] - v_bar * (m - p.v_reset)
        m_bar = v_bar * (1 - z) + z_bar / (80 * abs(m - p.v_th) + 1) ** 2
        i_bar = i_bar * (1 - dt / p.tau_syn) + m_bar * dt / p.tau_mem
        v_bar = m_bar * (1 - dt / p.tau_mem)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("layer", [snn.LIF, snn.LI])
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"dt": 0.0}, r"`dt` must be positive, got 0.0"),
        ({"dt": 6e-3}, r"`dt` must be at most `tau_syn`=0.005 s, got dt=0.006 s"),
        (
            {"dt": 3e-3, "params": snn.LIFParameters(tau_mem=2e-3)},
            r"`dt` must be at most `tau_mem`=0.002 s, got dt=0.003 s.*seconds",
        ),
        ({"params": 0.6}, r"`params` must be a `LIFParameters`, got 0.6 of type float"),
        ({"checkpoint_every": 0}, r"`checkpoint_every` must be at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(layer, kwargs, message):
    with pytest.raises(ValueError, match=message):
        layer(**kwargs)
