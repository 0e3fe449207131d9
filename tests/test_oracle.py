"""Every encoder, neuron and decoder against its paper's formula in NumPy float64.

`checks/oracle.py` runs the same with more, and writes the shares of spikes that differ.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracle
import pytest

import jaxsnn_eqx as snn

PARAMS = snn.LIFParameters(tau_mem=7e-3, v_th=0.8, v_leak=0.1, v_reset=-0.3)
SIMPLE = snn.LIFParameters(tau_mem=8e-3, v_th=0.75, v_leak=0.0, v_reset=-0.25)
DYADIC = 2.0**-10  # seconds a step: dt / tau_mem is then 1/8 with SIMPLE_DYADIC
SIMPLE_DYADIC = snn.LIFParameters(tau_mem=8 * DYADIC, v_th=0.75, v_leak=0.0, v_reset=-0.25)


def constants(params):
    names = ("tau_mem", "v_th", "v_leak", "v_reset", "r")
    return {name: getattr(params, name) for name in names}


@dataclass(frozen=True)
class Entry:
    """A layer, and its formula."""

    make: Callable  # of the length
    formula: Callable  # of the input in float64 and the length: output, and ties or a bound
    low: float = 0.0
    high: float = 1.0
    values: bool = False
    spikes: bool = True  # else potentials, which agree up to a bound
    exact: tuple | None = None  # a layer and its formula for which numbers of 1/8 are exact
    channels: int | None = None  # of the input, where the layer fixes it


def value(make, formula, **options):
    return Entry(make, formula, values=True, **options)


def changes(layer, formula, threshold, exact, **options):
    """An encoder of changes, with a threshold, and with one of whole eighths."""
    return Entry(
        lambda n: layer(threshold, **options),
        lambda xs, n: formula(xs, threshold, **options),
        exact=(layer(exact, **options), lambda xs, n: formula(xs, exact, **options)),
    )


def _lif(xs, length, params=PARAMS, **options):
    _, spikes, ties, _ = oracle.neurons(xs, constants(params), **options)
    return spikes, ties


def _constant_lif(x, length, params=PARAMS, **options):
    return _lif(np.broadcast_to(x, (length, *np.shape(x))), length, params, **options)


def _potentials(xs, length, **options):
    v, _, _, bound = oracle.neurons(xs, constants(PARAMS), fires=False, **options)
    return v, 2 * bound + 1e-30


LEVELS = (0.2, 0.45, 0.5, 0.85)
FILTER = (0.125, 0.5, 0.75, 0.5, 0.125)
WEIGHT = np.random.default_rng(5).normal(0, 1.5, (40, 40)).astype(np.float32)
WEIGHT_BIAS = np.random.default_rng(6).normal(0, 0.2, 40).astype(np.float32)


def _lateral():
    linear = eqx.nn.Linear(40, 40, key=jr.key(0))
    return eqx.tree_at(
        lambda m: (m.weight, m.bias), linear, (jnp.asarray(WEIGHT), jnp.asarray(WEIGHT_BIAS))
    )


ENTRIES = {
    "ConstantCurrentLIFEncoder": value(
        lambda n: snn.ConstantCurrentLIFEncoder(n, PARAMS), _constant_lif, low=-1, high=9
    ),
    "LearnableLIFEncoder": value(
        lambda n: eqx.tree_at(
            lambda m: (m.gain, m.bias),
            snn.LearnableLIFEncoder(40, n),
            (jnp.full(40, 0.75), jnp.full(40, 0.25)),
        ),
        lambda x, n: _constant_lif(0.75 * x + 0.25, n, snn.LIFParameters()),
        low=-1,
        high=9,
        channels=40,
    ),
    "LIFLatencyEncoder": value(
        lambda n: snn.LIFLatencyEncoder(n, PARAMS),
        lambda x, n: oracle.lif_latency(x, n, constants(PARAMS)),
        high=9,
    ),
    "SpatioTemporalEncoder": value(
        lambda n: snn.SpatioTemporalEncoder(n, 0.85e-3 * (n - 1) + 5e-4, 4e-4),
        lambda x, n: oracle.spatio_temporal(x, n, 0.85e-3 * (n - 1) + 5e-4, 4e-4),
    ),
    "LatencyEncoder": value(
        lambda n: snn.LatencyEncoder(n, 1e-3 * (n - 1) + 1e-9, threshold=0.1),
        lambda x, n: oracle.latency(x, n, 1e-3 * (n - 1) + 1e-9, threshold=0.1),
    ),
    "LatencyEncoder(tau=...)": value(
        lambda n: snn.LatencyEncoder(n, 1e-3 * (n - 1) + 1e-9, tau=2e-2, threshold=0.2),
        lambda x, n: oracle.latency(x, n, 1e-3 * (n - 1) + 1e-9, 2e-2, 0.2),
    ),
    "TimeToFirstSpikeEncoder": value(
        lambda n: snn.TimeToFirstSpikeEncoder(n, 1.2e-2),
        lambda x, n: oracle.first_spike(x, n, 1.2e-2),
    ),
    "RegularRateEncoder": value(
        lambda n: snn.RegularRateEncoder(n, 700.0),
        lambda x, n: oracle.regular_rate(x, n, 700.0),
    ),
    "PhaseEncoder": value(
        lambda n: snn.PhaseEncoder(n, 10), lambda x, n: oracle.phase(x, n, 10)
    ),
    "BurstEncoder": value(
        lambda n: snn.BurstEncoder(n, n_max=7), lambda x, n: oracle.burst(x, n, n_max=7)
    ),
    "RankOrderEncoder": value(lambda n: snn.RankOrderEncoder(n), oracle.rank_order),
    "DirectEncoder": value(
        lambda n: snn.DirectEncoder(n),
        lambda x, n: (np.broadcast_to(x, (n, *np.shape(x))), np.zeros((n, *np.shape(x)))),
        spikes=False,
        low=-5,
        high=5,
    ),
    "GaussianReceptiveFields": value(
        lambda n: snn.Preprocessed(
            snn.GaussianReceptiveFields((0.0, 0.3, 1.0), 0.25), snn.DirectEncoder(n)
        ),
        lambda x, n: (
            np.broadcast_to(
                y := oracle.receptive_fields(x, np.array([0, 0.3, 1]), 0.25), (n, *y.shape)
            ),
            2e-6,
        ),
        spikes=False,
    ),
    "LIFCurrentEncoder": Entry(lambda n: snn.LIFCurrentEncoder(PARAMS), _lif, low=-4, high=6),
    "DeltaEncoder": changes(snn.DeltaEncoder, oracle.delta, 0.3, 0.375),
    "DeltaEncoder(signed=False)": changes(
        snn.DeltaEncoder, oracle.delta, 0.3, 0.375, signed=False
    ),
    "ThresholdEncoder": Entry(
        lambda n: snn.ThresholdEncoder(0.2, 0.1, 1.5), lambda xs, n: oracle.delta(xs, 0.35)
    ),
    "StepForwardEncoder": changes(snn.StepForwardEncoder, oracle.step_forward, 0.3, 0.25),
    "MovingWindowEncoder": changes(
        snn.MovingWindowEncoder, oracle.moving_window, 0.3, 0.25, window=4
    ),
    "SigmaDeltaEncoder": changes(snn.SigmaDeltaEncoder, oracle.sigma_delta, 0.07, 0.25),
    "SigmaDeltaEncoder(graded=False)": changes(
        snn.SigmaDeltaEncoder, oracle.sigma_delta, 0.3, 0.25, graded=False
    ),
    "PulseWidthEncoder": Entry(
        lambda n: snn.PulseWidthEncoder(9e-3, 0.1, 0.9),
        lambda xs, n: oracle.pulse_width(xs, 9, 0.1, 0.9),
        exact=(
            snn.PulseWidthEncoder(9e-3),
            lambda xs, n: oracle.pulse_width(xs, 9),
        ),
    ),
    "LevelCrossingEncoder": Entry(
        lambda n: snn.LevelCrossingEncoder(LEVELS),
        lambda xs, n: oracle.level_crossing(xs, LEVELS),
        exact=(
            snn.LevelCrossingEncoder((0.25, 0.5, 0.875)),
            lambda xs, n: oracle.level_crossing(xs, (0.25, 0.5, 0.875)),
        ),
    ),
    "BensSpikerEncoder": Entry(
        lambda n: snn.BensSpikerEncoder(FILTER, 0.3),
        lambda xs, n: oracle.bens_spiker(xs, FILTER, 0.3),
        high=2.0,
        exact=(
            snn.BensSpikerEncoder(FILTER, 0.25),
            lambda xs, n: oracle.bens_spiker(xs, FILTER, 0.25),
        ),
    ),
    "LIF": Entry(
        lambda n: snn.LIF(PARAMS),
        _lif,
        low=-4,
        high=6,
        exact=(
            snn.LIF(SIMPLE_DYADIC, dt=DYADIC),
            lambda xs, n: _lif(xs, n, SIMPLE_DYADIC, dt=DYADIC),
        ),
    ),
    "LIF(soft_reset=True, refractory=...)": Entry(
        lambda n: snn.LIF(PARAMS, soft_reset=True, refractory=2e-3),
        lambda xs, n: _lif(xs, n, soft=True, refractory=2),
        low=-4,
        high=8,
    ),
    "ALIF": Entry(
        lambda n: snn.ALIF(PARAMS, 3e-2, 0.25),
        lambda xs, n: _lif(xs, n, beta=0.25, tau_adapt=3e-2),
        low=-4,
        high=8,
    ),
    "IF": Entry(
        lambda n: snn.IF(SIMPLE),
        lambda xs, n: _lif(xs, n, SIMPLE, leaks=False),
        low=-0.2,
        high=0.4,
        exact=(snn.IF(SIMPLE), lambda xs, n: _lif(xs, n, SIMPLE, leaks=False)),
    ),
    "IF(soft_reset=True)": Entry(
        lambda n: snn.IF(SIMPLE, soft_reset=True),
        lambda xs, n: _lif(xs, n, SIMPLE, leaks=False, soft=True),
        low=-0.2,
        high=0.4,
    ),
    "Synapse(LIF)": Entry(
        lambda n: snn.Synapse(snn.LIF(PARAMS), 3e-3),
        lambda xs, n: _lif(xs, n, tau_syn=3e-3),
        low=-2,
        high=3,
    ),
    "Synapse(LIF, immediate=False)": Entry(
        lambda n: snn.Synapse(snn.LIF(PARAMS), 3e-3, immediate=False),
        lambda xs, n: _lif(xs, n, tau_syn=3e-3, immediate=False),
        low=-2,
        high=3,
    ),
    "Synapse(LIF, w_in=...)": Entry(
        lambda n: snn.Synapse(snn.LIF(PARAMS), 3e-3, w_in=4.0),
        lambda xs, n: _lif(xs, n, tau_syn=3e-3, w_in=4.0),
        low=-2,
        high=3,
    ),
    "Recurrent(Synapse(ALIF))": Entry(
        lambda n: snn.Recurrent(
            snn.Synapse(snn.ALIF(PARAMS, 3e-2, 0.25), 3e-3, immediate=False), _lateral()
        ),
        lambda xs, n: _lif(
            xs,
            n,
            beta=0.25,
            tau_adapt=3e-2,
            tau_syn=3e-3,
            immediate=False,
            weight=WEIGHT.astype(float),
            bias=WEIGHT_BIAS.astype(float),
        ),
        low=-2,
        high=3,
        channels=40,
    ),
    "LI": Entry(lambda n: snn.LI(PARAMS), _potentials, spikes=False, low=-4, high=6),
    "Integrator": Entry(
        lambda n: snn.Integrator(),
        lambda xs, n: _potentials(xs, n, leaks=False),
        spikes=False,
        low=-4,
        high=6,
    ),
    "Synapse(LI)": Entry(
        lambda n: snn.Synapse(snn.LI(PARAMS), 3e-3),
        lambda xs, n: _potentials(xs, n, tau_syn=3e-3),
        spikes=False,
        low=-4,
        high=6,
    ),
    "Delay": Entry(
        lambda n: snn.Delay(3e-3),
        lambda xs, n: (oracle.delay(xs, 3), np.zeros(xs.shape)),
        spikes=False,
        low=-4,
        high=6,
    ),
}
every_entry = pytest.mark.parametrize("name", ENTRIES)


@dataclass
class Comparison:
    """How many spikes are compared, how many trains differ, and where it is no tie."""

    spikes: int
    trains: int
    differ: int
    wrong: int


def compare(entry, x, length, pair=None) -> Comparison:
    """The layer in float32 against its formula in float64, on the same numbers.

    A train that differs at a tie is another one from there on, so only the first difference
    of each train counts.
    """
    layer, formula = (entry.make(length), entry.formula) if pair is None else pair
    out = np.asarray(layer(x), float)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected, doubt = formula(np.asarray(x, float), length)
        assert out.shape == expected.shape
        same = (out == expected) | (np.isnan(out) & np.isnan(expected))
        if not entry.spikes:
            same |= (np.abs(out - expected) <= doubt) | np.isinf(doubt)
            doubt = np.zeros(out.shape, bool)
    same, doubt = (np.broadcast_to(a, out.shape).reshape(len(out), -1) for a in (same, doubt))
    if out.size == 0:
        return Comparison(0, same.shape[1], 0, 0)
    first = (~same).argmax(axis=0)
    differ = ~same.all(axis=0)
    at_ties = doubt[first, np.arange(len(first))]
    return Comparison(
        int((expected != 0).sum()) if entry.spikes else 0,
        len(first),
        int(differ.sum()),
        int((differ & ~at_ties).sum()),
    )


def inputs(entry, length, size=40, seed=0):
    """Numbers in float32 from the range of the layer."""
    shape = (entry.channels or size,)
    shape = shape if entry.values else (length, *shape)
    numbers = np.random.default_rng(seed).uniform(entry.low, entry.high, shape)
    return numbers.astype(np.float32)


@every_entry
@pytest.mark.parametrize("length", [60, 1])
def test_random_inputs(name, length):
    entry = ENTRIES[name]
    found = compare(entry, inputs(entry, length), length)
    assert found.wrong == 0
    assert found.differ <= 0.05 * found.trains
    assert found.spikes or length == 1 or not entry.spikes


@pytest.mark.parametrize("name", [n for n, entry in ENTRIES.items() if entry.exact])
def test_exact_ties(name):
    # multiples of 1/8, for which every operation is exact, so that nothing may differ
    entry, length = ENTRIES[name], 60
    shape = (length, 40)
    x = np.random.default_rng(1).integers(0, 9, shape).astype(np.float32) / 8
    found = compare(entry, x, length, entry.exact)
    assert (found.differ, found.wrong) == (0, 0)
    assert found.spikes


def decimals(entry, length, size=40):
    """Numbers of two decimals, and the next ones in float32.

    A number and the next one may be on both sides of a threshold.
    """
    x = np.round(inputs(entry, length, size, seed=6), 2)
    return np.nextafter(x, np.float32(-np.inf)), x, np.nextafter(x, np.float32(np.inf))


@every_entry
def test_decimals_and_their_neighbours(name):
    entry, length = ENTRIES[name], 60
    for x in decimals(entry, length):
        assert compare(entry, x, length).wrong == 0


SPECIAL = {
    "zero": 0.0,
    "minus zero": -0.0,
    "subnormal": 1e-40,
    "smallest": 2.0**-126,
    "large": 1e30,
    "largest": float(np.finfo(np.float32).max),
    "infinity": np.inf,
    "minus infinity": -np.inf,
    "NaN": np.nan,
}


@every_entry
@pytest.mark.parametrize("special", SPECIAL)
def test_special_numbers(name, special):
    entry, length = ENTRIES[name], 12
    x = inputs(entry, length, seed=2)
    if entry.values:
        x[::3] = SPECIAL[special]
    else:
        x[::5, ::3] = SPECIAL[special]
    assert compare(entry, x, length).wrong == 0


@every_entry
def test_shapes(name):
    entry, length = ENTRIES[name], 12
    if entry.channels is not None:
        return
    for shape in ((), (0,), (2, 0), (1, 2, 3)):
        x = inputs(entry, length, 6, seed=3)
        flat = x.reshape(length, -1) if not entry.values else x
        size = int(np.prod(shape))
        x = flat[..., :size].reshape((*flat.shape[:-1], *shape))
        assert compare(entry, x, length).wrong == 0


@pytest.mark.parametrize("name", [n for n, entry in ENTRIES.items() if not entry.values])
def test_a_signal_without_steps(name):
    entry = ENTRIES[name]
    x = inputs(entry, 1)[:0]
    out = np.asarray(entry.make(0)(x))
    assert out.shape[0] == 0
    assert out.shape[1:] == entry.formula(np.asarray(x, float), 0)[0].shape[1:]


def test_decoders():
    xs = np.random.default_rng(4).integers(-1, 2, (30, 50)).astype(np.float32)
    xs[:, :5] = 0
    np.testing.assert_allclose(snn.FirstSpikeTime()(xs), oracle.first_spike_time(xs), rtol=1e-6)
    np.testing.assert_array_equal(snn.SpikeCount()(xs), (xs != 0).sum(axis=0))
    np.testing.assert_array_equal(snn.MaxOverTime()(xs), xs.max(axis=0))
    np.testing.assert_allclose(snn.MeanOverTime()(xs), xs.astype(float).mean(axis=0), rtol=1e-6)


def test_the_oracle_itself_notices_a_difference():
    # else nothing above could fail
    entry = ENTRIES["LIF"]
    other = snn.LIFParameters(tau_mem=7e-3, v_th=0.801, v_leak=0.1, v_reset=-0.3)
    found = compare(entry, inputs(entry, 300), 300, (snn.LIF(other), lambda xs, n: _lif(xs, n)))
    assert found.wrong
