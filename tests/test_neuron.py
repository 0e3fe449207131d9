"""Neurons and synapses against a NumPy float64 loop, in the documented order of update."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracle
import pytest

import jaxsnn_eqx as snn

PARAMS = snn.LIFParameters(tau_mem=7e-3, v_th=0.8, v_leak=0.1, v_reset=-0.3)
TAU_SYN = 3e-3
CONSTANTS = {name: getattr(PARAMS, name) for name in ("tau_mem", "v_th", "v_leak", "v_reset")}


def _currents(seed=0, shape=(80, 20)):
    return np.random.default_rng(seed).normal(0.6, 3.0, shape)


def _loop(xs, p=CONSTANTS, dt=1e-3, **options):
    """All of the documented equations in one loop: `(potentials, spikes)`."""
    return oracle.neurons(xs, p, dt, **options)[:2]


NEURONS = {
    "lif": (snn.LIF(PARAMS), {}),
    "soft": (snn.LIF(PARAMS, soft_reset=True), {"soft": True}),
    "refractory": (snn.LIF(PARAMS, refractory=3e-3), {"refractory": 3}),
    "soft and refractory": (
        snn.LIF(PARAMS, soft_reset=True, refractory=2e-3),
        {"soft": True, "refractory": 2},
    ),
    "alif": (snn.ALIF(PARAMS, 3e-2, 0.25), {"beta": 0.25, "tau_adapt": 3e-2}),
    "alif, soft and refractory": (
        snn.ALIF(PARAMS, 3e-2, 0.25, soft_reset=True, refractory=1e-3),
        {"beta": 0.25, "tau_adapt": 3e-2, "soft": True, "refractory": 1},
    ),
    "li": (snn.LI(PARAMS), {"fires": False}),
}


@pytest.mark.parametrize("synapse", ["none", "immediate", "next step"])
@pytest.mark.parametrize(("neuron", "options"), NEURONS.values(), ids=NEURONS.keys())
def test_neurons_against_a_numpy_loop(neuron, options, synapse, x64):
    xs = _currents()
    if synapse != "none":
        xs = xs / 2
        immediate = synapse == "immediate"
        options = options | {"tau_syn": TAU_SYN, "immediate": immediate}
        neuron = snn.Synapse(neuron, TAU_SYN, immediate=immediate)
    expected_v, expected_z = _loop(xs, **options)
    potentials, out = snn.trace(neuron, jnp.asarray(xs))
    np.testing.assert_allclose(potentials, expected_v, rtol=1e-11, atol=1e-12)
    if "fires" in options:
        np.testing.assert_allclose(out, expected_v, rtol=1e-11, atol=1e-12)
        return
    assert 20 < expected_z.sum() < 0.9 * expected_z.size
    np.testing.assert_array_equal(out, expected_z)
    plain = {name: options[name] for name in ("tau_syn", "immediate") if name in options}
    assert plain == options or (expected_z != _loop(xs, **plain)[1]).any()


@pytest.mark.parametrize("dt", [1e-3, 4e-4])
@pytest.mark.parametrize("params", [snn.LIFParameters(), PARAMS])
def test_other_steps_and_constants(params, dt, x64):
    xs = _currents(4)
    constants = {name: getattr(params, name) for name in CONSTANTS}
    expected_v, expected_z = _loop(xs, constants, dt)
    potentials, spikes = snn.trace(snn.LIF(params, dt), jnp.asarray(xs))
    np.testing.assert_array_equal(spikes, expected_z)
    np.testing.assert_allclose(potentials, expected_v, rtol=1e-11, atol=1e-12)
    expected_v, _ = _loop(xs, constants, dt, fires=False)
    np.testing.assert_allclose(snn.LI(params, dt)(xs), expected_v, rtol=1e-11, atol=1e-12)


def test_a_neuron_and_the_lif_encoders_have_the_same_step():
    xs = jnp.asarray(_currents(1, (60, 30)), jnp.float32)
    np.testing.assert_array_equal(snn.LIF(PARAMS)(xs), snn.LIFCurrentEncoder(PARAMS)(xs))
    constant = jnp.broadcast_to(xs[0], xs.shape)
    spikes = snn.LIF(PARAMS)(constant)
    encoded = snn.ConstantCurrentLIFEncoder(60, PARAMS)(xs[0])
    np.testing.assert_array_equal(spikes, encoded)
    spikes = np.asarray(spikes)
    first = (np.cumsum(spikes, axis=0) == 1) & (spikes == 1)
    latency = snn.LIFLatencyEncoder(60, PARAMS)(xs[0])
    np.testing.assert_array_equal(first.astype(latency.dtype), latency)


def test_float32_agrees_with_float64_away_from_ties():
    xs = _currents(1, (200, 100))
    spikes = snn.LIF(PARAMS)(jnp.asarray(xs, jnp.float32))
    assert np.mean(np.asarray(spikes) != _loop(xs)[1]) < 1e-3


def test_the_step_at_which_an_input_changes_the_potential():
    x = jnp.array([[1.0], [0.0], [0.0]])
    # by hand: v = 0.1 · 1, then 0.9 of it
    np.testing.assert_allclose(snn.LI()(x).ravel(), [0.1, 0.09, 0.081], rtol=1e-6)
    # i = 1, 0.8, 0.64 during the steps
    np.testing.assert_allclose(snn.Synapse(snn.LI())(x).ravel(), [0.1, 0.17, 0.217], rtol=1e-6)
    # one step later
    later = snn.Synapse(snn.LI(), immediate=False)
    np.testing.assert_allclose(later(x).ravel(), [0.0, 0.1, 0.17], rtol=1e-6)


def test_a_spike_raises_the_current_by_its_weight():
    synapse = snn.Synapse(snn.LIF())
    (state, _), x = synapse.step(synapse.init(jnp.zeros(1)), jnp.array([2.0])), jnp.zeros(1)
    np.testing.assert_allclose(state.current, 2.0 * (1 - 1e-3 / 5e-3))
    assert synapse.step(state, x)[0].current < state.current


def test_the_reset_goes_to_v_reset():
    for v_reset in (-0.5, 0.0, 0.1):
        params = snn.LIFParameters(v_reset=v_reset, v_th=0.25)
        traced = snn.trace(snn.LIF(params), np.full((20, 1), 3.0, np.float32))
        potentials, spikes = map(np.asarray, traced)
        assert spikes.sum() > 3
        np.testing.assert_allclose(potentials[spikes == 1], v_reset, rtol=5e-7)


def test_a_soft_reset_keeps_the_part_above_the_threshold():
    # by hand: v = 0.1 · 8 = 0.8, above 0.6 by 0.2
    params = snn.LIFParameters(v_reset=0.1)
    potentials, spikes = snn.trace(snn.LIF(params, soft_reset=True), jnp.array([[8.0]]))
    assert spikes[0, 0] == 1
    np.testing.assert_allclose(potentials[0, 0], 0.8 - (0.6 - 0.1), rtol=1e-6)


def test_nan_and_infinities():
    xs = jnp.zeros((6, 3)).at[1].set(jnp.array([jnp.nan, jnp.inf, -jnp.inf]))
    spikes = np.asarray(snn.LIF()(xs))
    np.testing.assert_array_equal(np.isnan(spikes[:, 0]), [0, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(spikes[:2, 1], [0, 1])
    assert np.isnan(spikes[2:, 1:]).all()
    assert not np.isnan(snn.LIF(dtype=jnp.bool_)(xs)).any()
    assert np.isnan(snn.LI()(xs)[1:, 0]).all()
    assert np.isinf(snn.LI()(xs)[1, 1:]).all()
    # one step later behind a synapse that acts one step later
    later = np.asarray(snn.Synapse(snn.LIF(), immediate=False)(xs))
    np.testing.assert_array_equal(np.isnan(later[:, 0]), [0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize("neuron", [snn.LIF(), snn.ALIF(), snn.Synapse(snn.LIF(dtype="uint8"))])
def test_layers_around_a_neuron_keep_its_dtype_or_the_inputs(neuron):
    own = neuron.neuron.dtype if isinstance(neuron, snn.Synapse) else None
    linear = eqx.nn.Linear(3, 3, key=jax.random.key(0))
    for layer in (neuron, snn.Synapse(neuron), snn.Recurrent(neuron, linear)):
        for dtype in (jnp.bfloat16, jnp.float32):
            out = jax.eval_shape(layer, np.ones((4, 3), dtype))
            assert out.dtype == (dtype if own is None else own)
    wide = snn.Recurrent(snn.LIF(dtype=jnp.float32), linear)
    assert jax.eval_shape(wide, np.ones((4, 3), np.float16)).dtype == jnp.float32


# -- derivatives


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_gradients_against_backpropagation_by_hand(soft, detach, x64):
    xs = jnp.asarray(_currents(2, (30, 4)) / 2)
    weights = np.random.default_rng(3).normal(size=xs.shape)
    neuron = snn.LIF(PARAMS, soft_reset=soft, detach_reset=detach)
    layer = snn.Synapse(neuron, TAU_SYN, immediate=False)
    got = jax.jit(jax.grad(lambda xs: jnp.vdot(jnp.asarray(weights), layer(xs))))(xs)

    p, dt, v, i, kept = PARAMS, 1e-3, np.zeros(4), np.zeros(4), []
    for x in np.asarray(xs):
        m = v + dt / p.tau_mem * (p.v_leak - v + i)
        z = (m > p.v_th).astype(float)
        drop = p.v_th - p.v_reset if soft else m - p.v_reset
        kept.append((m, z, drop))
        v, i = m - z * drop, i - dt / TAU_SYN * i + x
    v_bar = i_bar = np.zeros(4)
    expected = np.zeros(xs.shape)
    for t in reversed(range(30)):
        m, z, drop = kept[t]
        expected[t] = i_bar
        z_bar = weights[t] - (0 if detach else v_bar * drop)
        m_bar = v_bar * (1 if soft else 1 - z) + z_bar / (80 * abs(m - p.v_th) + 1) ** 2
        i_bar = i_bar * (1 - dt / TAU_SYN) + m_bar * dt / p.tau_mem
        v_bar = m_bar * (1 - dt / p.tau_mem)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-14)


def test_a_detached_reset_is_finite_where_potentials_are_in_millivolts():
    params = snn.LIFParameters(v_th=-50.0, v_leak=-65.0, v_reset=-65.0)
    # currents that keep the potential near the threshold
    xs = np.broadcast_to(np.linspace(14.9, 15.1, 10, dtype=np.float32), (200, 10))

    def gradient(**options):
        return jax.jit(jax.grad(lambda xs: snn.LIF(params, **options)(xs).sum()))(xs)

    assert np.sum(snn.LIF(params)(xs)) > 10
    assert not np.isfinite(gradient()).all()
    assert np.isfinite(gradient(detach_reset=True)).all()
    assert np.abs(gradient(detach_reset=True)).max() > 0


ENCODERS = [
    lambda **options: snn.ConstantCurrentLIFEncoder(40, **options),
    lambda **options: snn.LIFLatencyEncoder(40, **options),
    lambda **options: snn.LearnableLIFEncoder(5, 40, **options),
    lambda **options: lambda x: snn.LIFCurrentEncoder(**options)(jnp.tile(x, (40, 1))),
]


@pytest.mark.parametrize("make", ENCODERS)
def test_encoders_detach_the_reset_too(make):
    x = np.linspace(0.5, 3.0, 5, dtype=np.float32)
    plain, detached = make(), make(detach_reset=True)
    np.testing.assert_array_equal(plain(x), detached(x))
    w = np.sin(np.arange(200, dtype=np.float32)).reshape(40, 5)
    grads = [
        np.asarray(jax.jit(jax.grad(lambda x, e=e: jnp.vdot(w, e(x))))(x))
        for e in (plain, detached)
    ]
    assert (np.abs(grads[0] - grads[1]) > 1e-4).any()


def test_a_detached_adaptation_leaves_the_threshold_out_of_the_derivative(x64):
    xs, w = _currents(3, (40, 5)), _currents(5, (40, 5))

    def gradient(detach, beta):
        neuron = snn.ALIF(PARAMS, 3e-2, beta, detach_adaptation=detach)
        return np.asarray(jax.jit(jax.grad(lambda xs: jnp.vdot(w, neuron(xs))))(xs))

    assert np.abs(gradient(True, 0.5) - gradient(False, 0.5)).max() > 1e-4
    np.testing.assert_allclose(gradient(True, 0.0), gradient(False, 0.0), rtol=1e-9, atol=1e-15)

    def by_hand(xs):  # with the adaptation of the recorded spikes as a given input
        def step(state, x):
            potential, adaptation = state
            potential = potential + 1e-3 / PARAMS.tau_mem * (PARAMS.v_leak - potential + x)
            z = snn.SuperSpike()(potential - (PARAMS.v_th + 0.5 * adaptation))
            potential = potential - z * (potential - PARAMS.v_reset)
            adaptation = adaptation * (1 - 1e-3 / 3e-2) + jax.lax.stop_gradient(z)
            return (potential, adaptation), z

        return jnp.vdot(w, jax.lax.scan(step, (jnp.zeros(5), jnp.zeros(5)), xs)[1])

    expected = jax.jit(jax.grad(by_hand))(xs)
    np.testing.assert_allclose(gradient(True, 0.5), expected, rtol=1e-9, atol=1e-13)


# -- trained constants


def test_learnable_parameters_against_a_numpy_loop(x64):
    rng = np.random.default_rng(5)
    own = {
        "tau_mem": rng.uniform(3e-3, 2e-2, 20),
        "v_th": rng.uniform(0.2, 1.0, 20),
        "v_leak": rng.uniform(-0.2, 0.2, 20),
        "v_reset": rng.uniform(-0.5, 0.1, 20),
    }
    tau_syn = rng.uniform(3e-3, 2e-2, 20)
    neuron = snn.LIF(snn.LearnableLIFParameters(20, **own))
    xs = _currents()
    potentials, spikes = snn.trace(neuron, jnp.asarray(xs))
    expected_v, expected_z = _loop(xs, own)
    np.testing.assert_array_equal(spikes, expected_z)
    np.testing.assert_allclose(potentials, expected_v, rtol=1e-11, atol=1e-12)
    expected = _loop(xs / 3, own, tau_syn=tau_syn)[1]
    for each in (tau_syn, tuple(tau_syn), jnp.asarray(tau_syn)):
        np.testing.assert_array_equal(snn.Synapse(neuron, each)(xs / 3), expected)


def test_learnable_parameters_start_as_the_fixed_ones():
    xs = jnp.asarray(_currents(3, (100, 200)), jnp.float32)
    for shape in ((), (200,)):
        spikes = snn.LIF(snn.LearnableLIFParameters(shape, PARAMS))(xs)
        assert np.mean(np.asarray(spikes != snn.LIF(PARAMS)(xs))) < 1e-3


def test_the_gradients_of_trained_constants(x64):
    """Against autodiff of the loop, in the logarithms of the constants."""
    rng = np.random.default_rng(6)
    tau_mem, v_th = rng.uniform(3e-3, 2e-2, 4), rng.uniform(0.3, 1.0, 4)
    tau_syn = rng.uniform(3e-3, 2e-2, 4)
    xs, w = jnp.asarray(_currents(7, (50, 4))), jnp.asarray(_currents(8, (50, 4)))
    params = snn.LearnableLIFParameters(4, PARAMS, tau_mem=tau_mem, v_th=v_th)
    layer = snn.Synapse(snn.LIF(params), jnp.asarray(tau_syn))
    grads = eqx.filter_jit(eqx.filter_grad(lambda layer: jnp.vdot(w, layer(xs))))(layer)
    got = (
        grads.neuron.params.log_tau_mem,
        grads.neuron.params.log_v_th,
        grads.log_tau_syn,
    )

    def loss(log_tau_mem, log_v_th, log_tau_syn):
        tau = 1e-3 + jnp.exp(log_tau_mem)
        threshold = PARAMS.v_reset + jnp.exp(log_v_th)
        tau_s = 1e-3 + jnp.exp(log_tau_syn)

        def step(state, x):
            v, i = state
            i = i + x
            v = v + 1e-3 / tau * ((PARAMS.v_leak - v) + i)
            z = snn.SuperSpike()(v - threshold)
            return (v - z * (v - PARAMS.v_reset), i - 1e-3 / tau_s * i), z

        zeros = jnp.zeros(4)
        return jnp.vdot(w, jax.lax.scan(step, (zeros, zeros), xs)[1])

    logs = [np.log(value) for value in (tau_mem - 1e-3, v_th - PARAMS.v_reset, tau_syn - 1e-3)]
    for a, b in zip(got, jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(*logs), strict=True):
        assert (np.abs(b) > 1e-6).all()
        np.testing.assert_allclose(a, b, rtol=1e-8)


def test_a_fixed_tau_syn_is_not_a_leaf_and_a_trained_one_is_exact():
    for fixed in (4e-3, [4e-3, 5e-3], np.array([4e-3, 5e-3])):
        synapse = snn.Synapse(snn.LIF(), fixed)
        assert jax.tree.leaves(eqx.filter(synapse, eqx.is_inexact_array)) == []
        np.testing.assert_array_equal(np.float32(synapse.tau_syn), np.float32(fixed))
    taus = jnp.asarray(np.random.default_rng(0).uniform(1.1e-3, 5e-2, 10_000), jnp.float32)
    synapse = snn.Synapse(snn.LIF(), taus)
    np.testing.assert_array_equal(jax.jit(lambda s: s.tau_syn)(synapse), taus)
    trained = eqx.tree_at(lambda s: s.log_tau_syn, synapse, jnp.full(10_000, -30.0))
    assert (trained.tau_syn >= np.float32(1e-3)).all()


def test_training_changes_the_constants_of_a_network():
    params = snn.LearnableLIFParameters(5)
    model = snn.Network([snn.Synapse(snn.LIF(params), jnp.full(5, 5e-3)), snn.MeanOverTime()])
    optimizer = optax.adam(3e-2)
    state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))
    xs, target = jnp.full((100, 5), 0.3), jnp.linspace(0.1, 0.4, 5)

    @eqx.filter_jit
    def loss(model):
        return jnp.mean((model(xs) - target) ** 2)

    @eqx.filter_jit
    def update(model, state):
        updates, state = optimizer.update(eqx.filter_grad(loss)(model), state)
        return eqx.apply_updates(model, updates), state

    before = loss(model)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        for _ in range(100):
            model, state = update(model, state)
    assert loss(model) < 0.2 * before
    neuron = model[0].neuron
    assert len(set(np.asarray(neuron.params.tau_mem).tolist())) == 5
    assert (np.asarray(neuron.params.tau_mem) > 1e-3).all()


# -- lateral connections


def _weighted(weight, size):
    linear = eqx.nn.Linear(size, size, use_bias=False, key=jax.random.key(0))
    return eqx.tree_at(lambda m: m.weight, linear, jnp.asarray(weight))


@pytest.mark.parametrize("synapse", [None, True, False])
def test_recurrent_against_a_numpy_loop(synapse, x64):
    weight = np.random.default_rng(2).normal(0, 0.4, (20, 20))
    options = {} if synapse is None else {"tau_syn": TAU_SYN, "immediate": synapse}
    neuron = snn.LIF(PARAMS)
    if synapse is not None:
        neuron = snn.Synapse(neuron, TAU_SYN, immediate=synapse)
    xs = _currents() / 2
    expected = _loop(xs, weight=weight, **options)[1]
    assert (expected != _loop(xs, **options)[1]).mean() > 0.005
    recurrent = snn.Recurrent(neuron, _weighted(weight, 20))
    np.testing.assert_array_equal(recurrent(xs), expected)


@pytest.mark.parametrize("every", [None, 7])
def test_the_recurrent_gradient_outside_of_the_loop_equals_the_one_inside(every, x64):
    linear = eqx.nn.Linear(8, 8, key=jax.random.key(0), dtype=jnp.float64)
    neuron = snn.Synapse(snn.LIF(PARAMS, checkpoint_every=every), TAU_SYN)
    layer = snn.Recurrent(neuron, linear)
    xs = jnp.asarray(_currents(4, (30, 8)))
    weights = jnp.asarray(_currents(5, (30, 8)))

    def outside(layer, xs):
        state, out = layer.run(layer.init(xs[0]), xs)
        return jnp.vdot(weights, out) + state.layer.neuron.potential.sum()

    def inside(layer, xs):
        state, out = snn.integrate(lambda s, x: layer.step(s, x), layer.init(xs[0]), xs)
        return jnp.vdot(weights, out) + state.layer.neuron.potential.sum()

    def grads(f):
        return eqx.filter_grad(lambda both: f(*both))((layer, xs))

    for transform in (eqx.filter_jit, lambda f: f) if every is None else (eqx.filter_jit,):
        a, b = (jax.tree.leaves(transform(grads)(f)) for f in (outside, inside))
        for left, right in zip(a, b, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)


def test_the_step_at_which_lateral_spikes_arrive():
    weight = jnp.array([[0.0, 0.0], [20.0, 0.0]])  # the first neuron drives the second
    xs = jnp.zeros((5, 2)).at[0, 0].set(8.0)
    linear = _weighted(weight, 2)
    alone = snn.Recurrent(snn.LIF(), linear)(xs)
    np.testing.assert_array_equal(alone.T, [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    later = snn.Recurrent(snn.Synapse(snn.LIF(), immediate=False), linear)(xs)
    # input at 0, first fires at 1, its spike is input at 2, second fires at 3
    np.testing.assert_array_equal(later[:, 1], [0, 0, 0, 1, 1])
    assert later[1, 0] == 1


# -- options and bad arguments


def test_options_that_are_off_do_not_change_the_state():
    def leaves(neuron):
        return len(jax.tree.leaves(jax.eval_shape(neuron.init, np.ones(3, np.float32))))

    assert leaves(snn.LIF()) == 1
    assert leaves(snn.LIF(refractory=2e-3)) == 2
    assert leaves(snn.ALIF()) == 2
    assert leaves(snn.ALIF(refractory=2e-3)) == 3
    assert leaves(snn.Synapse(snn.LIF())) == 2


def test_options_that_are_off_add_no_operations():
    def operations(neuron):
        return str(jax.make_jaxpr(neuron)(np.ones((5, 3), np.float32))).count(" = ")

    off = operations(snn.LIF())
    assert off == operations(snn.LIFCurrentEncoder())
    assert operations(snn.LIF(detach_reset=True)) > off
    assert operations(snn.LIF(refractory=2e-3)) > off
    assert operations(snn.LIF(soft_reset=True)) <= off


def test_li_is_a_linear_filter(x64):
    # the documented update as a transfer function, by SciPy
    xs = _currents()
    a, b = 1e-3 / PARAMS.tau_mem, 1e-3 / TAU_SYN
    from scipy.signal import lfilter

    expected = lfilter([a], [1.0, -(1 - a)], xs + PARAMS.v_leak, axis=0)
    np.testing.assert_allclose(snn.LI(PARAMS)(xs), expected, rtol=1e-9, atol=1e-12)
    current = lfilter([1.0], [1.0, -(1 - b)], xs, axis=0)
    expected = lfilter([a], [1.0, -(1 - a)], current + PARAMS.v_leak, axis=0)
    synapse = snn.Synapse(snn.LI(PARAMS), TAU_SYN)
    np.testing.assert_allclose(synapse(xs), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layer", [snn.LIF, snn.LI, snn.ALIF])
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"dt": 0.0}, r"`dt` must be positive, got 0.0"),
        (
            {"dt": 3e-3, "params": snn.LIFParameters(tau_mem=2e-3)},
            r"`dt` must be at most `tau_mem`=0.002 s, got dt=0.003 s.*seconds",
        ),
        (
            {"dt": 3e-3, "params": snn.LearnableLIFParameters()},
            r"`dt` must be at most `tau_min`=0.001 s, got dt=0.003 s.*seconds",
        ),
        ({"params": 0.6}, r"`params` must be a `LIFParameters`, got 0.6 of type float"),
        ({"checkpoint_every": 0}, r"`checkpoint_every` must be at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(layer, kwargs, message):
    with pytest.raises(ValueError, match=message):
        layer(**kwargs)


@pytest.mark.parametrize("layer", [snn.LIF, snn.LI, snn.ALIF])
def test_a_membrane_alone_warns_of_an_unused_tau_syn(layer):
    name = layer.__name__
    with pytest.warns(UserWarning, match=rf"`{name}` is a membrane alone.*`Synapse\({name}"):
        layer(snn.LIFParameters(tau_syn=2e-3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(snn.LIFParameters(v_th=0.5))
        snn.ConstantCurrentLIFEncoder(5, snn.LIFParameters(tau_syn=2e-3))


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
            r"`v_th` must broadcast to `shape`=\(2,\), got shape \(3,\)",
        ),
        (
            lambda: snn.LIF(snn.LearnableLIFParameters(2))(jnp.ones((4, 3))),
            r"`tau_mem`, of shape \(2,\), must broadcast .* shape \(3,\)",
        ),
        (
            lambda: snn.Synapse(snn.MaxOverTime()),
            "`neuron` must be a layer of neurons, got `Max",
        ),
        (lambda: snn.Synapse(snn.LIF(), 0.0), "`tau_syn` must be positive, got 0.0"),
        (lambda: snn.Synapse(snn.LIF(), 5e-4), "`dt` must be at most `tau_syn`=0.0005 s"),
        (lambda: snn.Synapse(snn.LIF(), [5e-3, 5e-4]), "`dt` must be at most `tau_syn`=0.0005"),
        (
            lambda: snn.Synapse(snn.LIF(), jnp.array([5e-3, 1e-3])),
            "`tau_syn` must be finite and above `dt`=0.001",
        ),
        (lambda: snn.Recurrent(snn.MaxOverTime(), None), "`layer` must be a layer of neurons"),
        (lambda: snn.Recurrent(snn.LIF(), None), "`linear` must be callable, got None"),
    ],
)
def test_bad_neurons_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
