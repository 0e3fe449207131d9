"""LIF and LI against a NumPy float64 loop written from the documented order of update."""

import equinox as eqx
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


# -- options of LIF, and the other neurons


def _any_loop(xs, p, dt, *, soft=False, refractory=0, beta=0.0, tau_adapt=1.0, weight=None):
    """All of the documented equations in one loop, neuron by neuron."""
    size = xs.shape[1]
    v, i, a, z = (np.zeros(size) for _ in range(4))
    left = np.zeros(size, int)
    tau_mem, tau_syn, v_th = (
        np.broadcast_to(c, size) for c in (p["tau_mem"], p["tau_syn"], p["v_th"])
    )
    spikes = []
    for x in xs:
        x = x if weight is None else x + weight @ z
        z, v_before = np.zeros(size), v.copy()
        for n in range(size):
            if left[n] > 0:
                left[n] -= 1
                continue
            v[n] = v_before[n] + dt / tau_mem[n] * (p["v_leak"] - v_before[n] + i[n])
            if v[n] > v_th[n] + beta * a[n]:
                z[n] = 1
                v[n] = v[n] - (v_th[n] - p["v_reset"]) if soft else p["v_reset"]
                left[n] = refractory
        i = i - dt / tau_syn * i + x
        a = a - dt / tau_adapt * a + z
        spikes.append(z)
    return np.stack(spikes)


_CONSTANTS = {name: getattr(PARAMS, name) for name in PARAMS.__dataclass_fields__}


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (snn.LIF(PARAMS, soft_reset=True), {"soft": True}),
        (snn.LIF(PARAMS, refractory=3e-3), {"refractory": 3}),
        (
            snn.LIF(PARAMS, soft_reset=True, refractory=2e-3),
            {"soft": True, "refractory": 2},
        ),
        (snn.ALIF(PARAMS, 3e-2, 0.25), {"beta": 0.25, "tau_adapt": 3e-2}),
    ],
    ids=["soft", "refractory", "both", "alif"],
)
def test_neurons_against_a_numpy_loop(layer, options, x64):
    xs = _currents() + 0.6
    expected = _any_loop(xs, _CONSTANTS, 1e-3, **options)
    assert expected.sum() > 50
    assert (expected != _any_loop(xs, _CONSTANTS, 1e-3)).any()
    np.testing.assert_array_equal(layer(jnp.asarray(xs)), expected)


def test_learnable_parameters_against_a_numpy_loop(x64):
    rng = np.random.default_rng(5)
    own = {
        "tau_mem": rng.uniform(3e-3, 2e-2, 20),
        "tau_syn": rng.uniform(3e-3, 2e-2, 20),
        "v_th": rng.uniform(0.2, 1.0, 20),
    }
    layer = snn.LIF(snn.LearnableLIFParameters(20, PARAMS, **own))
    for name, value in own.items():
        np.testing.assert_allclose(getattr(layer.params, name), value, rtol=1e-12)
    xs = _currents()
    expected = _any_loop(xs, _CONSTANTS | own, 1e-3)
    np.testing.assert_array_equal(layer(jnp.asarray(xs)), expected)


def test_learnable_parameters_starts_as_lif():
    xs = jnp.asarray(_currents(3, (100, 200)), jnp.float32)
    for shape in ((), (200,)):
        spikes = snn.LIF(snn.LearnableLIFParameters(shape, PARAMS))(xs)
        assert np.mean(np.asarray(spikes != snn.LIF(PARAMS)(xs))) < 1e-3


def test_recurrent_against_a_numpy_loop(x64):
    linear = eqx.nn.Linear(20, 20, use_bias=False, key=jax.random.key(0))
    weight = np.random.default_rng(2).normal(0, 0.4, (20, 20))
    linear = eqx.tree_at(lambda m: m.weight, linear, jnp.asarray(weight))
    xs = _currents()
    expected = _any_loop(xs, _CONSTANTS, 1e-3, weight=weight)
    assert (expected != _any_loop(xs, _CONSTANTS, 1e-3)).mean() > 0.02
    np.testing.assert_array_equal(snn.Recurrent(snn.LIF(PARAMS), linear)(xs), expected)


@pytest.mark.parametrize("every", [None, 7])
def test_the_recurrent_gradient_outside_of_the_loop_is_the_one_inside(every, x64):
    linear = eqx.nn.Linear(8, 8, key=jax.random.key(0), dtype=jnp.float64)
    layer = snn.Recurrent(snn.LIF(PARAMS, checkpoint_every=every), linear)
    xs = jnp.asarray(_currents(4, (30, 8)))
    weights = jnp.asarray(_currents(5, (30, 8)))

    def outside(layer, xs):
        state, out = layer.run(layer.init(xs[0]), xs)
        return jnp.vdot(weights, out) + state.layer.voltage.sum()

    def inside(layer, xs):
        state, out = snn.integrate(lambda s, x: layer.step(s, x), layer.init(xs[0]), xs)
        return jnp.vdot(weights, out) + state.layer.voltage.sum()

    for transform in (eqx.filter_jit, lambda f: f):
        a, b = (transform(eqx.filter_grad(f))(layer, xs) for f in (outside, inside))
        for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)
    (dx_a, dx_b) = (jax.grad(f, argnums=1)(layer, xs) for f in (outside, inside))
    np.testing.assert_allclose(dx_a, dx_b, rtol=1e-10, atol=1e-12)


def test_lateral_spikes_arrive_one_step_later():
    linear = eqx.nn.Linear(2, 2, use_bias=False, key=jax.random.key(0))
    weight = jnp.array([[0.0, 0.0], [20.0, 0.0]])  # the first neuron drives the second
    linear = eqx.tree_at(lambda m: m.weight, linear, weight)
    xs = jnp.zeros((5, 2)).at[0, 0].set(8.0)
    spikes = snn.Recurrent(snn.LIF(), linear)(xs)
    # input at 0, first fires at 1, its spike is input at 2, second fires at 3
    np.testing.assert_array_equal(spikes[:, 1], [0, 0, 0, 1, 1])
    assert spikes[1, 0] == 1


def test_options_that_are_off_leave_the_state_as_it_was():
    assert len(jax.tree.leaves(snn.LIF().init(jnp.ones(3)))) == 2
    assert len(jax.tree.leaves(snn.LIF(refractory=2e-3).init(jnp.ones(3)))) == 3


def test_li_is_a_linear_filter(x64):
    # the documented update as a transfer function, by SciPy
    xs = _currents()
    a, b = 1e-3 / PARAMS.tau_mem, 1e-3 / PARAMS.tau_syn
    from scipy.signal import lfilter

    current = lfilter([1.0], [1.0, -(1 - b)], xs, axis=0)
    expected = lfilter([a], [1.0, -(1 - a)], current + PARAMS.v_leak, axis=0)
    np.testing.assert_allclose(snn.LI(PARAMS)(jnp.asarray(xs)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: snn.LIF(refractory=-1e-3), "`refractory` must be at least 0, in seconds"),
        (lambda: snn.ALIF(tau_adapt=1e-4), "`dt` must be at most `tau_adapt`=0.0001 s"),
        (lambda: snn.ALIF(beta="x"), "`beta` must be a Python number"),
        (
            lambda: snn.LearnableLIFParameters(2, tau_mem=[1e-2, 1e-3]),
            "`tau_mem` must be finite and above `tau_min`=0.001",
        ),
        (
            lambda: snn.LearnableLIFParameters(2, v_th=-1.0),
            "`v_th` must be finite and above `v_reset`",
        ),
        (
            lambda: snn.LearnableLIFParameters(2, v_th=[1.0] * 3),
            "`v_th` must broadcast to `shape`=2",
        ),
        (
            lambda: snn.LIF(snn.LearnableLIFParameters(2))(jnp.ones((4, 3))),
            r"`tau_mem`, of shape \(2,\), must broadcast .* shape \(3,\)",
        ),
        (lambda: snn.Recurrent(snn.MaxOverTime(), None), "`layer` must be a layer of neurons"),
        (lambda: snn.Recurrent(snn.LIF(), None), "`linear` must be callable, got None"),
    ],
)
def test_bad_neurons_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
