"""Properties of every layer, surrogate, loss and metric over generated arguments and inputs.

The same cases every time, unless with `--hypothesis-profile=long`; `checks/properties.py` runs
that, and counts the cases.
"""

import contextlib
import itertools
import json
import os
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import jaxsnn_eqx as snn
from jaxsnn_eqx import metrics, spike_trains, testing

pytestmark = pytest.mark.slow

ROWS = 32  # inputs of each generated layer, of which each is a case
LENGTHS = (1, 2, 7, 12, 25)
SHAPES = ((), (1,), (3,), (2, 2))
DTS = (1e-3, 5e-4, 2.5e-3, 1.0)
DTYPES = (jnp.float32, jnp.float16, jnp.bfloat16)

INPUTS, LAYERS, REFUSED = "inputs of generated layers", "generated layers", "refused arguments"
OTHERS = "surrogates, losses and metrics"
cases = {INPUTS: 0, LAYERS: 0, REFUSED: 0, OTHERS: 0}


@pytest.fixture(scope="module", autouse=True)
def count():
    yield
    if folder := os.environ.get("PROPERTIES_COUNTS"):
        Path(folder, f"{os.getpid()}.json").write_text(json.dumps(cases))


@pytest.fixture(autouse=True)
def forget_programs():
    yield
    jax.clear_caches()


def ratio(low, high):
    """Positive numbers, as many small as large ones."""
    return st.floats(np.log(low), np.log(high)).map(lambda x: float(np.exp(x)))


@st.composite
def parameters(draw, dt, resistance=True, least=1.0):
    v_reset = draw(st.floats(-2, 0.5))
    return snn.LIFParameters(
        tau_mem=dt * draw(ratio(least, 100.0)),
        v_th=v_reset + draw(ratio(0.01, 5.0)),
        v_leak=draw(st.floats(-1, 1)),
        v_reset=v_reset,
        **({"r": draw(st.sampled_from([1.0, 0.3, 12.0, -2.0]))} if resistance else {}),
    )


@st.composite
def learnable(draw, dt, shape):
    return snn.LearnableLIFParameters(shape, draw(parameters(dt, least=1.1)), tau_min=dt)


def surrogates():
    return st.one_of(
        ratio(0.1, 200).map(snn.SuperSpike),
        ratio(0.1, 50).map(snn.Sigmoid),
        ratio(0.1, 50).map(snn.ATan),
        ratio(0.05, 5).map(snn.Triangle),
        ratio(0.05, 5).map(snn.Gaussian),
        ratio(0.05, 5).map(snn.MultiGaussian),
        ratio(0.05, 5).map(snn.Rectangle),
        st.just(snn.StraightThrough()),
    )


def checkpoints(length):
    return st.sampled_from([None, 1, 2, 5, max(length - 1, 1), length, length + 3])


@st.composite
def neuron_fields(draw, dt, length, fires=True):
    fields = {"dt": dt, "checkpoint_every": draw(checkpoints(length))}
    if fires:
        fields |= {
            "surrogate": draw(surrogates()),
            "soft_reset": draw(st.booleans()),
            "detach_reset": draw(st.booleans()),
            "refractory": dt * draw(st.sampled_from([0, 0, 1, 3])),
        }
    return fields


@st.composite
def neurons(draw, dt, length, shape):
    kind = draw(st.sampled_from([snn.LIF, snn.ALIF, snn.LI, snn.IF, snn.Integrator]))
    params = draw(st.one_of(parameters(dt), learnable(dt, shape)))
    fields = draw(neuron_fields(dt, length, kind not in (snn.LI, snn.Integrator)))
    if kind is snn.ALIF:
        return snn.ALIF(params, dt * draw(ratio(1, 100)), draw(st.floats(0, 2)), **fields)
    return kind(params, **fields)


@st.composite
def thresholds(draw, shape):
    value = draw(ratio(0.02, 3.0))
    kind = draw(st.sampled_from(["number", "array", "each"]))
    if kind == "number":
        return value
    return jnp.full(shape if kind == "each" else (), value, jnp.float32)


UNIT, WIDE, SIGNED_UNIT = (-0.2, 1.2), (-6.0, 9.0), (-1.2, 1.2)
BINARY, SIGNS, WHOLE = {0, 1}, {-1, 0, 1}, None


def _late(length, dt, share):
    return dt * max(share * (length - 1), 0.01)


@st.composite
def value_layers(draw, name, length, shape, dt):
    """A layer that takes values, the range of its inputs, and the values of its spikes."""
    spiking = {
        "seq_length": length,
        "params": draw(parameters(dt, False, least=1.1 if name == "learnable" else 1.0)),
        "dt": dt,
        "surrogate": draw(surrogates()),
        "checkpoint_every": draw(checkpoints(length)),
        "detach_reset": draw(st.booleans()),
    }
    if name == "learnable":
        return snn.LearnableLIFEncoder(shape, **spiking), WIDE, BINARY
    if name == "constant":
        return snn.ConstantCurrentLIFEncoder(**spiking), WIDE, BINARY
    if name == "lif_latency":
        return snn.LIFLatencyEncoder(**spiking), WIDE, BINARY
    late = _late(length, dt, draw(st.floats(0, 1)))
    if name == "spatio_temporal":
        early = draw(st.floats(0, 0.9)) * late
        return snn.SpatioTemporalEncoder(length, late, early, dt), UNIT, BINARY
    if name == "latency":
        tau = draw(st.one_of(st.none(), ratio(0.1, 30).map(lambda r: r * dt)))
        threshold = draw(st.floats(0.0 if tau is None else 0.01, 0.9))
        return snn.LatencyEncoder(length, late, tau, threshold, dt), UNIT, BINARY
    if name == "first_spike":
        return snn.TimeToFirstSpikeEncoder(length, dt * draw(ratio(0.1, 50)), dt), UNIT, BINARY
    rate = draw(st.floats(0.001, 1.0)) / dt
    if name == "poisson":
        signed = draw(st.booleans())
        layer = snn.PoissonEncoder(length, rate, dt, signed)
        return layer, SIGNED_UNIT, SIGNS if signed else BINARY
    if name == "regular":
        return snn.RegularRateEncoder(length, rate, dt), UNIT, BINARY
    if name == "phase":
        return snn.PhaseEncoder(length, draw(st.integers(1, 24))), UNIT, BINARY
    if name == "burst":
        t_min = dt * draw(st.integers(1, 4))
        t_max = t_min + dt * draw(st.integers(0, 9))
        return snn.BurstEncoder(length, draw(st.integers(1, 9)), t_min, t_max, dt), UNIT, BINARY
    if name == "rank":
        return snn.RankOrderEncoder(length, draw(surrogates())), WIDE, BINARY
    if name == "direct":
        return snn.DirectEncoder(length), WIDE, ()
    assert name == "fields"
    fields = snn.GaussianReceptiveFields.evenly(draw(st.integers(3, 6)))
    return snn.Preprocessed(fields, snn.PhaseEncoder(length, 5)), UNIT, BINARY


VALUE_LAYERS = (
    *("learnable", "constant", "lif_latency", "spatio_temporal", "latency", "first_spike"),
    *("poisson", "regular", "phase", "burst", "rank", "direct", "fields"),
)


@st.composite
def signal_layers(draw, name, length, shape, dt):
    """The same, for layers that take a signal."""
    surrogate, every = draw(surrogates()), draw(checkpoints(length))
    if name == "lif_current":
        layer = snn.LIFCurrentEncoder(
            draw(parameters(dt, resistance=False)), dt, surrogate, checkpoint_every=every
        )
        return layer, WIDE, BINARY
    threshold = draw(thresholds(shape))
    if name == "delta":
        signed = draw(st.booleans())
        return snn.DeltaEncoder(threshold, signed, surrogate), WIDE, SIGNS if signed else BINARY
    if name == "threshold":
        layer = snn.ThresholdEncoder(draw(st.floats(0.01, 2)), draw(st.floats(0, 2)), threshold)
        return layer, WIDE, SIGNS
    if name == "step_forward":
        return snn.StepForwardEncoder(threshold, surrogate, every), WIDE, SIGNS
    if name == "moving_window":
        window = draw(st.integers(1, 6))
        return snn.MovingWindowEncoder(threshold, window, surrogate, every), WIDE, SIGNS
    if name == "sigma_delta":
        graded = draw(st.booleans())
        layer = snn.SigmaDeltaEncoder(threshold, graded, surrogate, every)
        return layer, WIDE, WHOLE if graded else SIGNS
    if name == "pulse_width":
        low = draw(st.floats(-5, 4))
        layer = snn.PulseWidthEncoder(
            dt * draw(st.integers(2, 9)), low, low + draw(ratio(0.1, 9)), dt, surrogate, every
        )
        return layer, WIDE, BINARY
    if name == "level_crossing":
        levels = sorted(draw(st.sets(st.integers(-40, 60), min_size=2, max_size=5)))
        return snn.LevelCrossingEncoder([n / 8 for n in levels], surrogate), WIDE, BINARY
    if name == "bens_spiker":
        taps = draw(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4))
        layer = snn.BensSpikerEncoder(taps, draw(st.floats(0, 1)), surrogate, every)
        return layer, (0.0, 3.0), BINARY
    neuron = draw(neurons(dt, length, shape))
    spikes = () if isinstance(neuron, snn.LI | snn.Integrator) else BINARY
    if name == "neuron":
        return neuron, WIDE, spikes
    synapse = snn.Synapse(
        neuron,
        dt * draw(ratio(1, 50)),
        immediate=draw(st.booleans()),
        w_in=draw(st.one_of(st.none(), st.floats(-3, 3))),
    )
    if name == "synapse":
        return synapse, WIDE, spikes
    if name == "recurrent":
        linear = eqx.nn.Linear(3, 3, use_bias=draw(st.booleans()), key=jr.key(0))
        return snn.Recurrent(draw(st.sampled_from([neuron, synapse])), linear), WIDE, spikes
    assert name == "delay"
    return snn.Delay(draw(st.integers(0, 9)) * dt, dt), WIDE, ()


SIGNAL_LAYERS = (
    *("lif_current", "delta", "threshold", "step_forward", "moving_window", "sigma_delta"),
    *("pulse_width", "level_crossing", "bens_spiker", "neuron", "synapse", "recurrent"),
    "delay",
)


@st.composite
def generated(draw, name):
    length, dt = draw(st.sampled_from(LENGTHS)), draw(st.sampled_from(DTS))
    shape = (3,) if name == "recurrent" else draw(st.sampled_from(SHAPES))
    make = value_layers if name in VALUE_LAYERS else signal_layers
    layer, (low, high), spikes = draw(make(name, length, shape, dt))
    dtype = draw(st.sampled_from(DTYPES))
    seed = draw(st.integers(0, 2**32 - 1))
    axes = (ROWS, *shape) if name in VALUE_LAYERS else (ROWS, length, *shape)
    random = np.random.default_rng(seed)
    xs = random.uniform(low, high, axes)
    # some of a few decimals, which meet thresholds, and some constant ones
    xs[::4] = np.round(xs[::4], 1)
    xs[1::8] = random.choice([low, 0.0, high, 0.5])
    cuts = sorted(draw(st.lists(st.integers(0, length), max_size=2)))
    if name in VALUE_LAYERS:  # whose chunks have at least one step
        cuts = sorted({min(max(cut, 1), length - 1) for cut in cuts} - {0})
    return layer, jnp.asarray(xs.astype(dtype)), spikes, length, cuts, jr.key(seed)


def in_chunks(layer, x, length, cuts, key=None):
    """The outputs of the chunks between the cuts; of a decoder, the last one."""
    takes_values = layer.seq_length is not None
    state, outs = layer.init(x if takes_values else x[0]), []
    for start, stop in itertools.pairwise((0, *cuts, length)):
        if takes_values:
            state, out = layer.run(state, x, length=stop - start, key=key)
        else:
            state, out = layer.run(state, x[start:stop], key=key)
        outs.append(out)
    return outs[-1] if decodes(layer) else jnp.concatenate(outs)


def in_steps(layer, x, length, cuts, key=None):
    """The same, step by step."""
    takes_values = layer.seq_length is not None

    def step(state, x_t):
        return layer.step(state, x if takes_values else x_t, key=key)

    first = layer.init(x if takes_values else x[0])
    outs = jax.lax.scan(step, first, None if takes_values else x, length)[1]
    return outs[-1] if decodes(layer) else outs


def decodes(layer):
    last = layer[-1] if isinstance(layer, snn.Network) else layer
    return isinstance(last, snn.AbstractDecoder)


def close(a, b):
    a, b = (np.asarray(v, np.float64) for v in (a, b))
    # programs that are compiled apart may round differently: one train of a batch may differ
    same = np.isclose(a, b, rtol=1e-4, atol=1e-4, equal_nan=True).reshape(ROWS, -1)
    return same.all(axis=1).mean() >= 0.9


def few(examples, share=1):
    """How many examples of a property; those of the profile, if it is the long one."""
    profile = settings()
    if not profile.derandomize:
        examples = max(examples, profile.max_examples // share)
    return settings(
        max_examples=examples, suppress_health_check=list(HealthCheck), deadline=None
    )


@pytest.mark.parametrize("name", [*VALUE_LAYERS, *SIGNAL_LAYERS])
def test_layers(name):
    @few(2, share=3)
    @given(generated(name))
    def laws(case):
        layer, xs, spikes, length, cuts, key = case
        note(f"{layer}, {xs.dtype}{list(xs.shape)}, cut at {cuts}")
        takes_values, draws = layer.seq_length is not None, name == "poisson"
        key = key if draws else None
        cases[LAYERS] += 1
        cases[INPUTS] += ROWS

        whole = eqx.filter_jit(lambda layer, xs: jax.vmap(lambda x: layer(x, key=key))(xs))
        out = np.asarray(whole(layer, xs))
        # shape, dtype and the values of spikes
        per_row = xs.shape[1:] if takes_values else xs.shape[2:]
        extra = out.shape[2 + len(per_row) :]
        assert out.shape == (ROWS, length, *per_row, *extra)
        own = any(eqx.is_inexact_array(a) for a in jax.tree.leaves(layer))
        assert out.dtype == xs.dtype or own
        assert np.isfinite(out.astype(float)).all()
        if spikes != ():
            seen = set(np.unique(out.astype(float)).tolist())
            assert all(v == round(v) for v in seen) if spikes is WHOLE else seen <= spikes
        # the same again
        np.testing.assert_array_equal(whole(layer, xs), out)

        for form in (in_chunks, in_steps):
            call = eqx.filter_jit(jax.vmap(form, (None, 0, None, None, None)))
            assert close(call(layer, xs, length, tuple(cuts), key), out)

        # forward and reverse mode agree
        wide = xs.astype(jnp.float32)
        arrays, static = eqx.partition(layer, eqx.is_inexact_array)
        random = np.random.default_rng(0)
        dot = jax.tree.map(
            lambda a: jnp.asarray(random.normal(size=a.shape), a.dtype), (arrays, wide)
        )
        weights = jnp.asarray(random.normal(size=out.shape), jnp.float32)

        @jax.jit
        def both(primals, dot, weights):
            def f(arrays, xs):
                layer = eqx.combine(arrays, static)
                return jnp.vdot(jax.vmap(lambda x: layer(x, key=key))(xs), weights)

            forward = jax.jvp(f, primals, dot)[1]
            reverse = jax.tree.map(jnp.vdot, jax.grad(f, (0, 1))(*primals), dot)
            return forward, sum(jax.tree.leaves(reverse))

        forward, reverse = both((arrays, wide), dot, weights)
        if np.isfinite(forward) and abs(forward) < 1e6:
            assert np.isclose(forward, reverse, rtol=1e-2, atol=1e-2 * np.sqrt(weights.size))

    laws()


@pytest.mark.parametrize("name", [*VALUE_LAYERS, *SIGNAL_LAYERS])
def test_the_laws_of_check_layer(name):
    @few(1, share=12)
    @given(generated(name))
    def laws(case):
        layer, xs, _, length, _, key = case
        note(f"{layer}, {xs.shape}")
        if length < 6:
            return
        cases[LAYERS] += 1
        row = np.asarray(xs[0], np.float32)
        with contextlib.suppress(ValueError):  # a case that shows nothing
            testing.check_layer(layer, row, key=key if name == "poisson" else None)

    laws()


@st.composite
def networks(draw):
    """An encoder of values, neurons and a decoder, with weights between them; and its input."""
    length, dt = draw(st.sampled_from((7, 12, 25))), 1e-3
    encoder, (low, high), _ = draw(
        value_layers(draw(st.sampled_from(VALUE_LAYERS[1:-1])), length, (3,), dt)
    )
    neuron, _, _ = draw(
        signal_layers(draw(st.sampled_from(["neuron", "synapse"])), length, (4,), dt)
    )
    layers = [
        encoder,
        snn.OverTime(eqx.nn.Linear(3, 4, key=jr.key(0))),
        neuron,
        snn.OverTime(eqx.nn.Linear(4, 2, use_bias=draw(st.booleans()), key=jr.key(1))),
        draw(st.sampled_from([snn.LI(), snn.Synapse(snn.LI()), snn.Delay(2e-3)])),
    ]
    if (decoder := draw(st.sampled_from([None, *DECODERS]))) is not None:
        layers.append(decoder())
    network = snn.Network(layers, draw(checkpoints(length)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    xs = jnp.asarray(random.uniform(low, high, (ROWS, 3)), jnp.float32)
    return network, xs, draw(st.integers(1, length - 1)), jr.key(draw(st.integers(0, 99)))


DECODERS = (snn.MaxOverTime, snn.MeanOverTime, snn.SpikeCount, snn.FirstSpikeTime)


@few(4, share=2)
@given(networks())
def test_networks(case):
    network, xs, cut, key = case
    note(f"{network}, cut at {cut}")
    cases[LAYERS] += 1
    cases[INPUTS] += ROWS
    length = network.seq_length
    forms = (
        lambda x: network(x, key=key),
        lambda x: in_chunks(network, x, length, [cut], key),
        lambda x: in_steps(network, x, length, [cut], key),
    )
    whole, *others = (eqx.filter_jit(jax.vmap(form))(xs) for form in forms)
    assert np.isfinite(whole).all()
    for other in others:
        assert close(other, whole)
    grads = eqx.filter_jit(
        eqx.filter_grad(lambda both: jax.vmap(lambda x: both[0](x, key=key))(both[1]).sum())
    )((network, xs))
    for whole_grad, leaf in zip(
        jax.tree.leaves(grads),
        jax.tree.leaves(eqx.filter((network, xs), eqx.is_inexact_array)),
        strict=True,
    ):
        assert whole_grad.shape == leaf.shape


@pytest.mark.parametrize("decoder", DECODERS)
def test_decoders(decoder):
    @few(3, share=3)
    @given(
        st.sampled_from(LENGTHS),
        st.sampled_from(SHAPES),
        st.sampled_from(DTYPES),
        st.integers(0, 2**32 - 1),
        st.data(),
    )
    def laws(length, shape, dtype, seed, data):
        layer, random = decoder(), np.random.default_rng(seed)
        cases[LAYERS] += 1
        cases[INPUTS] += ROWS
        xs = jnp.asarray(random.integers(-1, 2, (ROWS, length, *shape)).astype(dtype))
        cut = data.draw(st.integers(0, length))

        out = jax.jit(jax.vmap(layer))(xs)
        assert out.shape == (ROWS, *shape)
        assert out.dtype == dtype
        signs = np.asarray(xs, float)
        wide = jax.jit(jax.vmap(lambda x: in_chunks(layer, x, length, [cut])))(xs)
        np.testing.assert_allclose(np.asarray(wide, float), np.asarray(out, float), rtol=1e-2)
        expected = {
            snn.MaxOverTime: signs.max(axis=1),
            snn.MeanOverTime: signs.mean(axis=1),
            snn.SpikeCount: (signs != 0).sum(axis=1),
            snn.FirstSpikeTime: 1e-3
            * np.where((signs != 0).any(axis=1), (signs != 0).argmax(axis=1), length),
        }[decoder]
        np.testing.assert_allclose(np.asarray(out, float), expected, rtol=1e-2, atol=1e-2)

    laws()


# -- arguments just inside and just outside of their ranges

DT = st.sampled_from(DTS)
up, down = (
    (lambda x: float(np.nextafter(x, np.inf))),
    (lambda x: float(np.nextafter(x, -np.inf))),
)
# make(dt, bound): a layer; the last allowed value, the first refused one; the argument's name
EDGES = {
    "lif": (
        lambda dt, tau: snn.LIF(snn.LIFParameters(tau_mem=tau), dt=dt),
        lambda dt: (dt, down(dt * (1 - 1e-6))),
        "tau_mem",
    ),
    "synapse": (
        lambda dt, tau: snn.Synapse(snn.IF(dt=dt), tau),
        lambda dt: (dt, down(dt * (1 - 1e-6))),
        "tau_syn",
    ),
    "alif": (
        lambda dt, tau: snn.ALIF(snn.LIFParameters(tau_mem=9 * dt), tau, dt=dt),
        lambda dt: (dt, down(dt * (1 - 1e-6))),
        "tau_adapt",
    ),
    "v_th": (
        lambda dt, v_th: snn.LIF(
            snn.LIFParameters(tau_mem=9 * dt, v_th=v_th, v_reset=0.25), dt=dt
        ),
        lambda dt: (up(0.25), 0.25),
        "v_th",
    ),
    "refractory": (
        lambda dt, time: snn.IF(dt=dt, refractory=time),
        lambda dt: (0.0, -dt),
        "refractory",
    ),
    "latency": (
        lambda dt, late: snn.LatencyEncoder(8, late, dt=dt),
        lambda dt: (7.4 * dt, 7.6 * dt),
        "t_late",
    ),
    "latency_threshold": (
        lambda dt, threshold: snn.LatencyEncoder(8, 7 * dt, dt, threshold, dt=dt),
        lambda dt: (1e-30, 0.0),
        "threshold",
    ),
    "spatio_temporal": (
        lambda dt, early: snn.SpatioTemporalEncoder(8, 7 * dt, early, dt),
        lambda dt: (0.0, -1e-30),
        "t_early",
    ),
    "poisson": (
        lambda dt, rate: snn.PoissonEncoder(8, rate, dt=dt),
        lambda dt: (1 / dt, 1.001 / dt),
        "max_rate",
    ),
    "regular": (
        lambda dt, rate: snn.RegularRateEncoder(8, rate, dt=dt),
        lambda dt: (1 / dt, 1.001 / dt),
        "max_rate",
    ),
    "phase": (lambda dt, bits: snn.PhaseEncoder(8, bits), lambda dt: (24, 25), "bits"),
    "phase_low": (lambda dt, bits: snn.PhaseEncoder(8, bits), lambda dt: (1, 0), "bits"),
    "burst": (
        lambda dt, t_min: snn.BurstEncoder(8, 3, t_min, 4 * dt, dt),
        lambda dt: (4 * dt, 5 * dt),
        "t_min",
    ),
    "burst_count": (
        lambda dt, n: snn.BurstEncoder(8, n, dt, dt, dt),
        lambda dt: (1, 0),
        "n_max",
    ),
    "seq_length": (lambda dt, n: snn.DirectEncoder(n), lambda dt: (1, 0), "seq_length"),
    "delta": (lambda dt, th: snn.DeltaEncoder(th), lambda dt: (1e-30, 0.0), "threshold"),
    "step_forward": (
        lambda dt, th: snn.StepForwardEncoder(th),
        lambda dt: (1e-30, -1e-30),
        "threshold",
    ),
    "window": (
        lambda dt, n: snn.MovingWindowEncoder(1.0, n),
        lambda dt: (1, 0),
        "window",
    ),
    "pulse_width": (
        lambda dt, period: snn.PulseWidthEncoder(period, dt=dt),
        lambda dt: (2 * dt, 1.4 * dt),
        "period",
    ),
    "pulse_width_range": (
        lambda dt, high: snn.PulseWidthEncoder(9 * dt, 0.5, high, dt),
        lambda dt: (up(0.5), 0.5),
        "high",
    ),
    "levels": (
        lambda dt, second: snn.LevelCrossingEncoder((0.5, second)),
        lambda dt: (0.500001, 0.5),
        "levels",
    ),
    "delay": (lambda dt, d: snn.Delay(d, dt), lambda dt: (0.0, -dt), "delays"),
    "checkpoint_every": (
        lambda dt, n: snn.IF(checkpoint_every=n),
        lambda dt: (1, 0),
        "checkpoint_every",
    ),
    "dt": (lambda dt, d: snn.IF(dt=d), lambda dt: (dt, 0.0), "dt"),
}


@pytest.mark.parametrize("name", EDGES)
def test_the_edges_of_a_range(name):
    make, edges, argument = EDGES[name]

    @few(4, share=4)
    @given(DT)
    def property(dt):
        inside, outside = edges(dt)
        layer = make(dt, inside)
        x = np.full((3,) if layer.seq_length else (8, 3), 0.7, np.float32)
        key = jr.key(0) if isinstance(layer, snn.PoissonEncoder) else None
        assert np.isfinite(np.asarray(layer(x, key=key))).all()
        for bad in (outside, np.nan, np.inf, -np.inf):
            if name == "levels" and bad == np.inf:
                continue
            with pytest.raises((ValueError, TypeError)) as error:
                make(dt, bad)
            assert argument in str(error.value), (bad, error.value)
            cases[REFUSED] += 1

    property()


# -- surrogates, losses and metrics


@few(40)
@given(surrogates(), st.integers(0, 2**32 - 1), st.sampled_from(DTYPES))
def test_surrogates(surrogate, seed, dtype):
    cases[OTHERS] += 1
    random = np.random.default_rng(seed)
    x = jnp.asarray(random.normal(0, random.choice([0.01, 1.0, 1e3]), 40).astype(dtype))
    x = jnp.concatenate([x, jnp.asarray([0.0, -0.0, jnp.inf, -jnp.inf, jnp.nan], dtype)])
    spikes = np.asarray(surrogate(x), float)
    x_ = np.asarray(x, float)
    np.testing.assert_array_equal(spikes, np.where(np.isnan(x_), np.nan, x_ > 0))
    finite = x[:-3].astype(jnp.float32)
    slope = np.asarray(surrogate.derivative(finite))
    assert np.isfinite(slope).all()
    if not isinstance(surrogate, snn.MultiGaussian):
        assert (slope >= 0).all()
    np.testing.assert_allclose(slope, surrogate.derivative(-finite), rtol=1e-4, atol=1e-5)
    _, forward = jax.jvp(surrogate, (finite,), (jnp.ones_like(finite),))
    np.testing.assert_allclose(forward, slope, rtol=1e-5, atol=1e-7)
    reverse = jax.grad(lambda x: surrogate(x).sum())(finite)
    np.testing.assert_allclose(reverse, slope, rtol=1e-5, atol=1e-7)
    _, smooth = jax.jvp(surrogate.smooth, (finite,), (jnp.ones_like(finite),))
    inner = np.abs(slope) < 1e3
    np.testing.assert_allclose(
        np.asarray(smooth)[inner], slope[inner], rtol=2e-3, atol=2e-3 * max(1, slope.max())
    )


def trains(rows=3, length=30):
    return st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 1)).map(
        lambda drawn: (
            np.random.default_rng(drawn[0]).uniform(size=(rows, length)) < drawn[1] ** 2
        ).astype(np.float32)
    )


@few(25)
@given(trains(), ratio(0.3, 100), st.sampled_from(DTS))
def test_distances_are_metrics(zs, steps, dt):
    cases[OTHERS] += 1
    tau = steps * dt

    def rossum(a, b):
        return float(metrics.van_rossum_distance(a, b, tau=tau, dt=dt))

    def victor(a, b):
        return float(metrics.victor_purpura_distance(a, b, cost=1 / tau, dt=dt))

    for distance in (rossum, victor):
        a, b, c = zs
        assert distance(a, a) == 0
        assert np.isclose(distance(a, b), distance(b, a), rtol=1e-4, atol=1e-4)
        assert distance(a, b) >= 0
        assert (distance(a, b) > 0) == bool((a != b).any())
        assert distance(a, c) <= (distance(a, b) + distance(b, c)) * (1 + 1e-4) + 1e-4
    assert victor(a, b) <= a.sum() + b.sum() + 1e-4
    assert victor(a, b) >= abs(a.sum() - b.sum()) - 1e-4


@few(25)
@given(trains(rows=4), st.sampled_from(DTS), ratio(0.01, 1), ratio(1.01, 5))
def test_rates_and_penalties(zs, dt, low, factor):
    cases[OTHERS] += 1
    xs = zs.T
    rates = np.asarray(metrics.firing_rate(xs, dt=dt))
    assert ((rates >= 0) & (rates <= 1.0001 / dt)).all()
    np.testing.assert_allclose(rates * len(xs) * dt, xs.sum(axis=0), rtol=1e-4, atol=1e-4)
    share = float(metrics.sparsity(xs))
    assert np.isclose(share, 1 - xs.mean(), atol=1e-5)
    assert np.isclose(float(snn.activity_penalty(xs)), xs.sum(axis=0).mean(), atol=1e-4)
    bounds = {"low": low * rates.mean() / 2, "high": max(rates.mean(), 1e-3 / dt) * factor}
    penalty = float(snn.rate_penalty(xs, **bounds, dt=dt))
    inside = ((rates >= bounds["low"]) & (rates <= bounds["high"])).all()
    assert penalty >= 0
    if inside:
        assert penalty <= 1e-8
    gradient = jax.grad(lambda xs: snn.rate_penalty(xs, **bounds, dt=dt))(jnp.asarray(xs))
    assert np.isfinite(gradient).all()


@few(25)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=6), st.integers(0, 5), ratio(0.5, 50))
def test_the_loss_of_spike_times(steps, label, tau):
    cases[OTHERS] += 1
    times, label = 1e-3 * np.asarray(steps, np.float32), label % len(steps)
    loss = float(snn.spike_time_loss(times, label, tau=1e-3 * tau))
    assert loss >= -1e-6
    later = times + 0.25  # the times' differences alone matter
    moved = float(snn.spike_time_loss(later, label, tau=1e-3 * tau))
    assert np.isclose(moved, loss, rtol=2e-3, atol=2e-3)
    every = [
        np.exp(-float(snn.spike_time_loss(times, c, tau=1e-3 * tau))) for c in range(len(steps))
    ]
    assert np.isclose(sum(every), 1, atol=1e-3)
    slope = jax.grad(lambda t: snn.spike_time_loss(t, label, tau=1e-3 * tau))(times)
    assert slope[label] >= 0
    assert (np.delete(slope, label) <= 0).all()


@few(25)
@given(trains(rows=8, length=20), st.sampled_from([np.float32, np.int8, bool]))
def test_spike_trains_are_kept(zs, dtype):
    cases[OTHERS] += 1
    xs = zs.T.astype(dtype)
    packed = spike_trains.pack(xs)
    np.testing.assert_array_equal(spike_trains.unpack(packed), xs)
