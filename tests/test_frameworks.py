"""The same input gives the same spikes as in released versions of other frameworks.

`frameworks/record.py` records their spikes in `frameworks/recorded.npz`.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxsnn_eqx as snn


@pytest.fixture(scope="module")
def recorded():
    return np.load(Path(__file__).parent / "frameworks" / "recorded.npz")


def assert_equal_except_ties(ours, theirs, allowed):
    """Equal, except for the allowed number of values halfway between two steps."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert theirs.any()
    differs = (ours != theirs).reshape(len(ours), -1).any(axis=0)
    assert differs.sum() <= allowed


def test_norse_constant_current_lif_encode(recorded):
    ours = snn.ConstantCurrentLIFEncoder(40)(recorded["currents"])
    assert_equal_except_ties(ours, recorded["norse.constant_current_lif_encode"], 1)


def test_norse_spike_latency_lif_encode(recorded):
    ours = snn.LIFLatencyEncoder(40)(recorded["currents"])
    assert_equal_except_ties(ours, recorded["norse.spike_latency_lif_encode"], 1)


def test_norse_population_encode_of_values_up_to_one(recorded):
    # norse scales by the maximum of the batch, here 1, so that values affect each other
    fields = snn.GaussianReceptiveFields(np.linspace(0, 1, 7), 1.0)
    theirs = recorded["norse.population_encode"]
    np.testing.assert_allclose(fields(recorded["unit"]), theirs, rtol=1e-5)


def test_norse_poisson_encode_has_the_same_rates(recorded):
    x = jnp.linspace(0, 1, 11)
    spikes = snn.PoissonEncoder(100_000, 400.0, dtype=jnp.uint8)(x, key=jr.key(0))
    rates = np.asarray(spikes, float).mean(axis=0) / 1e-3
    # two estimates of 100,000 draws each: five standard deviations of their difference
    p = np.linspace(0, 0.4, 11)
    bound = 5 * np.sqrt(2 * p * (1 - p) / 100_000) / 1e-3
    assert (np.abs(rates - recorded["norse.poisson_encode.rate"]) <= bound).all()


def test_snntorch_latency_linear(recorded):
    ours = snn.LatencyEncoder(21, 2e-2, threshold=0.01)(recorded["unit"])
    assert_equal_except_ties(ours, recorded["snntorch.latency.linear"], 1)


def test_snntorch_latency_logarithmic(recorded):
    # their last step is our t_late plus half a step, since they round before they cut off
    encoder = snn.LatencyEncoder(21, 2.05e-2, tau=6e-3, threshold=0.2)
    assert_equal_except_ties(encoder(recorded["unit"]), recorded["snntorch.latency.log"], 1)


def test_snntorch_delta_with_the_first_sample_repeated(recorded):
    # by default snntorch compares the first sample with 0, and fires there
    ours = snn.DeltaEncoder(0.5)(recorded["signal"])
    np.testing.assert_array_equal(ours, recorded["snntorch.delta"])


def test_spikingjelly_weighted_phase_encoder(recorded):
    ours = snn.PhaseEncoder(8, 8)(recorded["unit"])
    np.testing.assert_array_equal(ours, recorded["spikingjelly.phase"])


def test_spikingjelly_latency_encoder(recorded):
    ours = snn.LatencyEncoder(21, 2e-2)(recorded["unit"])
    assert_equal_except_ties(ours, recorded["spikingjelly.latency"], 1)


def test_braintools_rank_order_encoder(recorded):
    spikes = snn.RankOrderEncoder(300)(recorded["unit"])
    ours = np.argmax(spikes, axis=0)
    np.testing.assert_array_equal(ours, recorded["braintools.rank_order"])


def test_braintools_delta_encoder_has_the_sizes(recorded):
    ours = snn.DeltaEncoder(0.5)(recorded["signal"])
    np.testing.assert_array_equal(jnp.abs(ours), recorded["braintools.delta"])


# -- neurons (`frameworks/record_neurons.py`)


@pytest.fixture(scope="module")
def neurons():
    return np.load(Path(__file__).parent / "frameworks" / "neurons.npz")


def test_norse_lif_refrac_step(neurons):
    ours = snn.Synapse(snn.LIF(refractory=3e-3))(neurons["currents"])
    assert_equal_except_ties(ours, neurons["lif_refrac"], 1)
    plain = snn.Synapse(snn.LIF())(neurons["currents"])
    assert (np.asarray(plain) != ours).mean() > 0.05


def test_norse_lsnn_step(neurons):
    # in norse the threshold decays once more before the comparison
    beta = 0.25 * (1 - 1e-3 / 5e-2)
    adaptive = snn.ALIF(tau_adapt=5e-2, beta=beta)
    ours = snn.Synapse(adaptive, immediate=False)(neurons["currents"])
    assert_equal_except_ties(ours, neurons["lsnn"], 1)
    plain = snn.Synapse(snn.LIF(), immediate=False)(neurons["currents"])
    assert (np.asarray(plain) != ours).mean() > 0.05


# -- membranes and synapses (`frameworks/record_membranes.py`): beta = 0.9 and v_th = 1

BETA = 0.9
HARD, LATE = snn.LIFParameters(v_th=1.0), snn.LIFParameters(v_th=1.0, v_reset=1 - 1 / BETA)


@pytest.fixture(scope="module")
def membranes():
    return np.load(Path(__file__).parent / "frameworks" / "membranes.npz")


def _ours(neuron, currents):
    synapse = isinstance(neuron, snn.Synapse)
    return neuron(currents * np.float32(0.2) if synapse else currents)


@pytest.mark.parametrize(
    ("name", "neuron"),
    [
        ("snntorch.leaky.zero", snn.LIF(HARD)),
        ("snntorch.leaky.zero.no_delay", snn.LIF(HARD)),
        # subtracts the threshold one step later, after the decay
        ("snntorch.leaky.subtract", snn.LIF(LATE, soft_reset=True)),
        ("snntorch.synaptic.subtract", snn.Synapse(snn.LIF(LATE, soft_reset=True))),
        # its reset, one step later, also removes the input of that step
        ("snntorch.synaptic.zero", snn.Synapse(snn.LIF(HARD, refractory=1e-3))),
        ("snntorch.synaptic.zero.no_delay", snn.Synapse(snn.LIF(HARD))),
        ("spikingjelly.lif.hard", snn.LIF(HARD)),
        ("spikingjelly.lif.hard.input_undecayed", snn.LIF(HARD)),
        ("spikingjelly.lif.soft", snn.LIF(HARD, soft_reset=True)),
        ("norse.lif_box", snn.LIF(HARD)),
        ("norse.lif", snn.Synapse(snn.LIF(HARD))),
        ("norse.lsnn", snn.Synapse(snn.LIF(HARD), immediate=False)),
    ],
)
def test_spikes_equal_those_of_another_library(membranes, name, neuron):
    expected = membranes[f"{name}.spikes"]
    spikes = np.asarray(_ours(neuron, membranes["currents"]))
    assert 1000 < expected.sum() < 9000
    np.testing.assert_array_equal(spikes, expected)


def test_without_a_reset_leaky_is_li(membranes):
    ours = snn.LI()(membranes["currents"])
    v = membranes["snntorch.leaky.none.v"]
    np.testing.assert_allclose(ours[:, ::5], v, rtol=1e-5, atol=1e-5)


def test_spyx_fires_one_step_later(membranes):
    currents = membranes["currents"]
    late = _ours(snn.LIF(LATE, soft_reset=True), currents)
    theirs = membranes["spyx.lif.spikes"]
    np.testing.assert_array_equal(theirs[1:], late[:-1])
    assert not theirs[0].any()
    cuba = snn.Synapse(snn.LIF(HARD, soft_reset=True), immediate=False)
    np.testing.assert_array_equal(membranes["spyx.cuba_lif.spikes"], _ours(cuba, currents))


def test_subtracting_one_step_later_differs_from_subtracting_in_the_step(membranes):
    same_step = np.asarray(snn.LIF(HARD, soft_reset=True)(membranes["currents"]))
    assert (membranes["snntorch.leaky.subtract.spikes"] != same_step).sum() > 500


@pytest.mark.parametrize(
    ("name", "neuron"),
    [
        (
            "snntorch.leaky.subtract",
            snn.LIF(LATE, surrogate=snn.SuperSpike(25.0), soft_reset=True, detach_reset=True),
        ),
        (
            "snntorch.leaky.zero",
            snn.LIF(HARD, surrogate=snn.SuperSpike(25.0), detach_reset=True),
        ),
        ("snntorch.leaky.zero.no_delay", snn.LIF(HARD, surrogate=snn.SuperSpike(25.0))),
        ("spikingjelly.lif.hard", snn.LIF(HARD, surrogate=snn.Sigmoid(4.0))),
        (
            "spikingjelly.lif.hard.detach_reset",
            snn.LIF(HARD, surrogate=snn.Sigmoid(4.0), detach_reset=True),
        ),
        (
            "spikingjelly.lif.soft",
            snn.LIF(HARD, surrogate=snn.Sigmoid(4.0), soft_reset=True),
        ),
        (
            "spikingjelly.lif.soft.detach_reset",
            snn.LIF(HARD, surrogate=snn.Sigmoid(4.0), soft_reset=True, detach_reset=True),
        ),
    ],
)
def test_gradients_equal_those_of_another_library(membranes, name, neuron):
    expected = membranes[f"{name}.gradient"]
    weights, currents = membranes["weights"], membranes["currents"][:, ::5]
    got = jax.grad(lambda x: jnp.vdot(weights, neuron(x)))(currents)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-5 * largest)
