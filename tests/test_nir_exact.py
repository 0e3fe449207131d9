"""Layers that are written as NIR come back as they were, through files, to the bit."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsnn_eqx as snn

nir = pytest.importorskip("nir")

from jaxsnn_eqx.nir import Flatten, Threshold, from_nir, to_nir  # noqa: E402

RNG = np.random.default_rng(0)
FAST = snn.LIFParameters(tau_mem=7.3e-3, v_th=0.7, v_leak=0.1, v_reset=-0.2)
LI_FAST = snn.LIFParameters(tau_mem=7.3e-3, v_leak=0.1)
PARAMS = {
    "fixed": FAST,
    "long decimals": snn.LIFParameters(tau_mem=1 / 300, v_th=1 / 3, v_leak=np.pi / 30),
    "resistance": snn.LIFParameters(tau_mem=7.3e-3, v_th=0.7, r=-3.7),
    "trained": snn.LearnableLIFParameters((), FAST),
    "trained each": snn.LearnableLIFParameters(3, FAST, 2e-3),
    "each": snn.LearnableLIFParameters(
        3, FAST, tau_mem=RNG.uniform(2e-3, 2e-2, 3), v_th=RNG.uniform(0.3, 2.0, 3)
    ),
    "each resistance": snn.LearnableLIFParameters(3, FAST, r=[1.0, -2.0, 0.3]),
}
LINEAR = eqx.nn.Linear(3, 3, key=jax.random.key(0))


def synapses(neuron):
    return {
        "synapse": snn.Synapse(neuron, 3.3e-3),
        "later": snn.Synapse(neuron, 3.3e-3, immediate=False),
        "each synapse": snn.Synapse(neuron, [2e-3, 3e-3, 4.7e-3], w_in=2.5),
        "each weight": snn.Synapse(neuron, 3.3e-3, w_in=[1.0, -2.0, 0.3]),
        "trained synapse": snn.Synapse(neuron, jnp.array(3.3e-3)),
        "trained synapses": snn.Synapse(neuron, jnp.array([2e-3, 3e-3, 4.7e-3])),
    }


LAYERS = {
    "integrator": snn.Integrator(),
    "integrator, resistance": snn.Integrator(snn.LIFParameters(r=-0.3)),
    "integrator, trained": snn.Integrator(snn.LearnableLIFParameters(3)),
    "if": snn.IF(snn.LIFParameters(v_th=2.0, v_reset=-0.1, r=0.3), soft_reset=True),
    "if, each": snn.IF(snn.LearnableLIFParameters(3, v_th=[1.0, 2.0, 3.0]), refractory=2e-3),
    "delay": snn.Delay(3e-3),
    "delay, each": snn.Delay([0.0, 1e-3, 7e-3]),
    "linear": snn.OverTime(LINEAR),
    "scale": snn.OverTime(snn.Scale(jnp.array([0.1, 1 / 3, 7.0]))),
    "threshold": snn.OverTime(Threshold(jnp.array([0.1, 1 / 3, 7.0]))),
    "flatten": snn.OverTime(Flatten(0, 0)),
    "flatten all": snn.OverTime(eqx.nn.Lambda(jnp.ravel)),
}
for name, params in PARAMS.items():
    lif = snn.LIF(params)
    LAYERS[f"lif, {name}"] = lif
    LAYERS |= {f"{key}, {name}": layer for key, layer in synapses(lif).items()}
    LAYERS[f"recurrent lif, {name}"] = snn.Recurrent(lif, LINEAR)
    LAYERS[f"recurrent, {name}"] = snn.Recurrent(snn.Synapse(lif), LINEAR)
for name, options in {
    "soft": {"soft_reset": True},
    "detached": {"detach_reset": True},
    "refractory": {"refractory": 2e-3},
    "all": {"soft_reset": True, "detach_reset": True, "refractory": 3e-3},
}.items():
    LAYERS[f"lif, {name}"] = snn.LIF(FAST, **options)
    LAYERS[f"recurrent, {name}"] = snn.Recurrent(snn.Synapse(snn.LIF(FAST, **options)), LINEAR)
READOUTS = {}
for name, params in {
    "fixed": LI_FAST,
    "resistance": snn.LIFParameters(tau_mem=1 / 300, v_leak=0.1, r=-3.7),
    "trained": snn.LearnableLIFParameters(3, LI_FAST),
}.items():
    READOUTS[f"li, {name}"] = snn.LI(params)
    READOUTS |= {f"li, {k}, {name}": x for k, x in synapses(snn.LI(params)).items()}
KINDS = [None, nir.CubaLI, nir.LI, nir.CubaLIF]
CASES = {name: (layer, None) for name, layer in LAYERS.items()} | {
    f"{name}, {getattr(kind, '__name__', None)}": (layer, kind)
    for (name, layer), kind in itertools.product(READOUTS.items(), KINDS)
}


@pytest.mark.filterwarnings("ignore:NIR has no fields for")
@pytest.mark.parametrize(("layer", "li"), CASES.values(), ids=CASES.keys())
def test_a_layer_and_its_nodes_come_back(layer, li, tmp_path):
    graph = to_nir(layer, 3, li=li)
    nir.write(tmp_path / "layer.nir", graph)
    network = from_nir(nir.read(tmp_path / "layer.nir"))
    assert len(network) == 1
    assert eqx.tree_equal(network[0], layer)
    assert_same(to_nir(network, 3, li=li), graph)


def assert_same(got, expected):
    """The same nodes and edges, to the bit."""
    if isinstance(expected, nir.NIRGraph):
        assert got.edges == expected.edges
        for name, node in expected.nodes.items():
            assert_same(got.nodes[name], node)
        return
    for field in vars(expected).keys() - {"metadata", "input_type", "output_type"}:
        value, right = getattr(got, field), getattr(expected, field)
        if isinstance(right, np.ndarray):
            assert value.dtype == right.dtype
        np.testing.assert_array_equal(value, right)


def test_constants_of_each_channel_come_back():
    params = snn.LearnableLIFParameters((3, 1, 1), FAST, v_th=[[[0.3]], [[0.5]], [[0.7]]])
    for layer in (snn.LIF(params), snn.Synapse(snn.LIF(params), jnp.full((3, 1, 1), 3.3e-3))):
        assert eqx.tree_equal(from_nir(to_nir(layer, (3, 2, 5)))[0], layer)


def test_constants_with_short_decimals_are_float32_and_others_float64():
    short, long = (
        to_nir(snn.Synapse(snn.LIF(PARAMS[name])), 3).nodes["cubalif"]
        for name in ("fixed", "long decimals")
    )
    assert {getattr(short, n).dtype for n in ("tau_mem", "v_leak", "r")} == {np.dtype("f4")}
    assert (long.tau_mem.dtype, long.r.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(long.tau_mem, np.full(3, 1 / 300))


def test_a_node_that_was_changed_is_read_as_it_is():
    """The metadata has the layer's own constants, which hold only for the written node."""
    graph = to_nir(snn.Synapse(snn.LIF(FAST)), 3)
    graph.nodes["cubalif"].v_threshold = np.full(3, 2.5, np.float32)
    [synapse] = from_nir(graph)
    params = synapse.neuron.params
    assert (params.v_th, params.v_leak, params.r) == (2.5, 0.73, 7.3)
    assert synapse.w_in is None
    trained = to_nir(snn.LIF(PARAMS["trained"]), 3)
    trained.nodes["lif"].v_leak = np.float32([0.0, 0.1, 0.2])
    [layer] = from_nir(trained)
    np.testing.assert_array_equal(layer.params.v_leak, np.float32([0.0, 0.1, 0.2]))
    np.testing.assert_array_equal(layer.params.v_th, np.full(3, 0.7, np.float32))


@pytest.mark.parametrize("name", ["fixed", "trained each", "each"])
@pytest.mark.parametrize("dt", [1e-4, 2e-3])
def test_layers_stretched_for_a_reader_have_the_same_spikes(name, dt):
    layer = snn.Synapse(snn.LIF(PARAMS[name], refractory=2e-3), 3.3e-3)
    with pytest.warns(UserWarning, match="'cubalif': 'refractory'"):
        graph = to_nir(layer, 3, dt=dt)
    [again] = from_nir(graph)
    assert again.dt == dt
    xs = 2 * np.random.default_rng(1).random((50, 3)).astype(np.float32)
    assert 0.02 < layer(xs).mean() < 0.9
    np.testing.assert_array_equal(again(xs), layer(xs))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (snn.LIF(soft_reset=True), "{'lif': 'soft_reset'}"),
        (snn.IF(refractory=2e-3), "{'if': 'refractory'}"),
        (
            snn.Synapse(snn.LIF(detach_reset=True), immediate=False),
            "{'cubalif': 'detach_reset, immediate=False'}",
        ),
        (snn.ConstantCurrentLIFEncoder(9, detach_reset=True), "{'lif': 'detach_reset'}"),
        (snn.Synapse(snn.LI(), immediate=False), "{'cubali': 'immediate=False'}"),
    ],
)
def test_what_other_readers_do_not_find_is_warned_of_by_node(layer, words):
    with pytest.warns(UserWarning, match=rf"NIR has no fields for {words}: they") as caught:
        to_nir(layer, 3)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:NIR has no fields for")
def test_an_encoder_with_a_detached_reset_comes_back():
    encoder = snn.ConstantCurrentLIFEncoder(9, FAST, detach_reset=True)
    assert eqx.tree_equal(from_nir(to_nir(encoder, 3), seq_length=9)[0], encoder)
    soft = snn.LIF(FAST, soft_reset=True)
    [direct, neuron] = from_nir(to_nir(soft, 3), seq_length=9)
    assert direct.seq_length == 9
    assert eqx.tree_equal(neuron, soft)
    assert not from_nir(to_nir(soft, 3), soft_reset=False)[0].soft_reset
