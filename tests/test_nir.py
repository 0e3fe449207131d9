"""Networks to NIR and back, and graphs of other frameworks (`frameworks/record_nir.py`)."""

import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import CASES, draw

import jaxsnn_eqx as snn

nir = pytest.importorskip("nir")

from jaxsnn_eqx.nir import (  # noqa: E402
    NEVER,
    from_nir,
    from_nir_data,
    to_nir,
    to_nir_data,
)

RECORDED = Path(__file__).parent / "frameworks"
FAST = snn.LIFParameters(tau_mem=4e-3, v_th=0.7, v_leak=0.1, v_reset=-0.2)
READOUTS = [None, nir.CubaLI, nir.LI, nir.CubaLIF]
KNOWN = {"dt": 1e-3, "soft_reset": False}


@eqx.filter_jit
def linear(inputs, outputs, bias=True, seed=0):
    made = eqx.nn.Linear(inputs, outputs, use_bias=bias, key=jr.key(seed))
    return eqx.tree_at(lambda m: m.weight, made, 3 * made.weight)


def through_a_file(graph, path):
    nir.write(path, graph)
    return nir.read(path)


def full(value, size=3):
    return np.full(size, value, np.float32)


DENSE = snn.Network(
    [
        snn.LIF(FAST),
        snn.OverTime(linear(5, 8)),
        snn.Synapse(snn.LIF(FAST), 2e-3),
        snn.Network([snn.OverTime(linear(8, 3, bias=False)), snn.Synapse(snn.LI(FAST), 2e-3)]),
    ]
)
IMAGES = snn.Network(
    [
        snn.OverTime(eqx.nn.Conv2d(2, 4, 3, 2, padding=1, key=jr.key(0))),
        snn.Synapse(snn.LIF()),
        snn.OverTime(eqx.nn.Conv2d(4, 3, 3, padding="SAME", use_bias=False, key=jr.key(1))),
        snn.Synapse(snn.LIF()),
        snn.OverTime(eqx.nn.Lambda(jnp.ravel)),
        snn.OverTime(eqx.nn.Dropout(inference=True)),
        snn.OverTime(linear(3 * 4 * 3, 2)),
    ]
)
SOUNDS = snn.Network(
    [
        snn.OverTime(eqx.nn.Conv1d(2, 3, 4, 2, padding=1, dilation=2, key=jr.key(0))),
        snn.Synapse(snn.LIF()),
        snn.OverTime(eqx.nn.Lambda(jnp.ravel)),
    ]
)
LATERAL = snn.Network(
    [
        snn.OverTime(linear(5, 6)),
        snn.Recurrent(snn.Synapse(snn.LIF(FAST), 2e-3), linear(6, 6, seed=1)),
        snn.Recurrent(snn.Synapse(snn.LIF()), linear(6, 6, bias=False, seed=2)),
    ]
)
EACH_ITS_OWN = snn.Network(
    [
        snn.OverTime(snn.Scale(jnp.array([1.0, 2.0, 3.0]))),
        snn.Synapse(
            snn.LIF(
                snn.LearnableLIFParameters(
                    3, FAST, tau_mem=[4e-3, 1e-2, 2e-2], v_th=[0.3, 0.5, 0.7]
                )
            ),
            [2e-3, 3e-3, 4e-3],
        ),
    ]
)
SHAPES = {
    "dense": (DENSE, (5,)),
    "images": (IMAGES, (2, 7, 6)),
    "sounds": (SOUNDS, (2, 11)),
    "lateral": (LATERAL, (5,)),
    "each": (EACH_ITS_OWN, (3,)),
}


@pytest.mark.parametrize(("network", "shape"), SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("li", READOUTS)
def test_a_network_comes_back_from_a_file_as_it_went(network, shape, li, tmp_path):
    graph = through_a_file(to_nir(network, shape, li=li), tmp_path / "network.nir")
    again = from_nir(graph)
    xs = draw.uniform(jr.key(2), (40, *shape), maxval=4.0)
    out = network(xs)
    assert len(np.unique(out)) > 1
    np.testing.assert_array_equal(again(xs), out)


def test_layers_come_back_with_the_same_parameters(tmp_path):
    again = from_nir(through_a_file(to_nir(DENSE), tmp_path / "dense.nir"))
    layers = [*DENSE[:-1], *DENSE[-1]]
    assert [type(layer) for layer in again] == [type(layer) for layer in layers]
    assert again[0].params == FAST
    assert (again[2].neuron.params, again[2].tau_syn) == (FAST, 2e-3)
    unused = {"v_th": 0.6, "v_reset": 0.0}  # in LI
    assert again[4].neuron.params == snn.LIFParameters(**vars(FAST) | unused)
    assert again[4].tau_syn == 2e-3
    np.testing.assert_array_equal(again[1].layer.weight, DENSE[1].layer.weight)
    np.testing.assert_array_equal(again[1].layer.bias, DENSE[1].layer.bias)
    assert not again[3].layer.use_bias
    synapse = from_nir(to_nir(EACH_ITS_OWN, 3))[1]
    each = synapse.neuron.params
    np.testing.assert_array_equal(each.tau_mem, np.float32([4e-3, 1e-2, 2e-2]))
    np.testing.assert_array_equal(each.v_th, np.float32([0.3, 0.5, 0.7]))
    np.testing.assert_array_equal(synapse.tau_syn, np.float32([2e-3, 3e-3, 4e-3]))


def test_membranes_alone_may_differ_neuron_by_neuron():
    own = {
        "tau_mem": [4e-3, 1e-2, 2e-2],
        "v_th": [0.3, 0.5, 0.7],
        "v_leak": [0.0, 0.1, 0.2],
        "v_reset": [-0.1, 0.0, 0.1],
    }
    neuron = snn.LIF(snn.LearnableLIFParameters(3, **own))
    again = from_nir(to_nir(neuron, 3))[0]
    for name, values in own.items():
        np.testing.assert_array_equal(getattr(again.params, name), np.float32(values))
    xs = draw.uniform(jr.key(0), (100, 3), maxval=2.0)
    np.testing.assert_array_equal(again(xs), neuron(xs))
    values = from_nir(to_nir(snn.LIF(FAST), 3), seq_length=20)
    assert isinstance(values[0], snn.ConstantCurrentLIFEncoder)
    values = from_nir(to_nir(neuron, 3), seq_length=20)
    constant = jnp.array([0.5, 1.0, 2.0])
    np.testing.assert_array_equal(values(constant), neuron(jnp.tile(constant, (20, 1))))


def test_values_come_back_with_their_number_of_steps():
    network = snn.Network([snn.ConstantCurrentLIFEncoder(20), snn.OverTime(linear(4, 2))])
    x = jnp.array([0.5, 1.0, 2.0, 4.0])
    graph = to_nir(network)
    again = from_nir(graph, seq_length=20)
    assert isinstance(again[0], snn.ConstantCurrentLIFEncoder)
    np.testing.assert_allclose(again(x), network(x))
    constant = from_nir(graph)
    assert isinstance(constant[0], snn.LIF)
    np.testing.assert_allclose(constant(jnp.broadcast_to(x, (20, 4))), network(x))
    direct = snn.Network(
        [
            snn.DirectEncoder(20),
            snn.OverTime(linear(4, 2)),
            snn.Synapse(snn.LIF()),
        ]
    )
    graph = to_nir(direct)
    assert [type(n).__name__ for n in graph.nodes.values()][1:-1] == ["Affine", "CubaLIF"]
    np.testing.assert_allclose(from_nir(graph, seq_length=20)(x), direct(x))


def assert_node(node, kind, **expected):
    assert type(node) is kind
    for name, value in expected.items():
        got = getattr(node, name)
        np.testing.assert_allclose(got, np.full(3, value), rtol=1e-6, err_msg=name)
        assert got.dtype == np.float32, name


# worked out by hand for FAST at dt = 1e-3: tau_mem / dt = 4, tau_syn / dt = 2
TAUS = {"tau_syn": 2e-3, "tau_mem": 4e-3}


def test_the_values_in_each_node():
    [_, lif, _] = to_nir(snn.LIFCurrentEncoder(FAST), 3).nodes.values()
    assert_node(lif, nir.LIF, tau=4e-3, r=1, v_leak=0.1, v_threshold=0.7, v_reset=-0.2)
    potentials = {"v_leak": 0.4, "v_threshold": 2.8, "v_reset": -0.8}
    for neurons in (
        snn.Synapse(snn.LIF(FAST), 2e-3),
        snn.Synapse(snn.LIF(snn.LearnableLIFParameters((), FAST)), 2e-3),
    ):
        [_, cuba, _] = to_nir(neurons, (3,)).nodes.values()
        assert_node(cuba, nir.CubaLIF, r=4, w_in=2, **TAUS, **potentials)
    graph = to_nir(snn.Synapse(snn.LI(FAST), 2e-3), 3)
    assert graph.metadata == {"dt": 1e-3}
    assert graph.edges == [("input", "cubali"), ("cubali", "output")]
    [_, cuba, _] = graph.nodes.values()
    assert_node(cuba, nir.CubaLI, r=1, w_in=2, v_leak=0.1, **TAUS)
    [_, synapse, membrane, _] = to_nir(
        snn.Synapse(snn.LI(FAST), 2e-3), 3, li=nir.LI
    ).nodes.values()
    assert_node(synapse, nir.LI, tau=2e-3, r=2, v_leak=0)
    assert_node(membrane, nir.LI, tau=4e-3, r=1, v_leak=0.1)
    [_, silent, _] = to_nir(snn.Synapse(snn.LI(FAST), 2e-3), 3, li=nir.CubaLIF).nodes.values()
    assert_node(silent, nir.CubaLIF, r=4, w_in=0.5, v_leak=0.1, v_threshold=NEVER, **TAUS)
    [_, affine, _] = to_nir(snn.OverTime(linear(2, 3))).nodes.values()
    np.testing.assert_array_equal(affine.weight, linear(2, 3).weight)
    np.testing.assert_array_equal(affine.bias, linear(2, 3).bias)


def test_a_reader_with_a_step_of_its_own_gets_the_time_constants_of_its_steps():
    graph = to_nir(snn.Synapse(snn.LIF(FAST), 2e-3), 3, dt=1e-4)
    assert graph.metadata == {"dt": 1e-4}
    scaled = {"tau_syn": 2e-4, "tau_mem": 4e-4}
    [_, cuba, _] = graph.nodes.values()
    assert_node(cuba, nir.CubaLIF, r=4, w_in=2, v_threshold=2.8, **scaled)
    again = from_nir(graph)
    assert again[0].dt == 1e-4
    xs = draw.uniform(jr.key(0), (50, 3))
    spikes = snn.Synapse(snn.LIF(FAST), 2e-3)(xs)
    assert 0 < spikes.sum() < spikes.size
    np.testing.assert_array_equal(again(xs), spikes)


def test_gains_of_foreign_graphs_are_taken_over():
    # in float64: tau_syn I' = -I + w_in x, tau_mem v' = v_leak - v + r I, spikes 1 ms wide
    tau_syn, tau_mem, r, w_in, v_th, v_leak, v_reset = 4e-3, 8e-3, 3.0, 7.0, 2.0, 0.25, -0.5
    xs = np.random.default_rng(0).uniform(0, 1, (60, 1))
    i, v, spikes, potentials, free = 0.0, 0.0, [], [], 0.0
    for x in xs[:, 0]:
        i += 1e-3 / tau_syn * w_in * x
        v += 1e-3 / tau_mem * (v_leak - v + r * i)
        free += 1e-3 / tau_mem * (v_leak - free + r * i)
        spikes.append(float(v > v_th))
        potentials.append(free)
        v = v_reset if v > v_th else v
        i -= 1e-3 / tau_syn * i
    assert 2 < sum(spikes) < 50
    common = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "w_in": w_in, "v_leak": v_leak}
    common = {name: full(value, 1) for name, value in common.items()}
    firing = nir.CubaLIF(**common, v_threshold=full(v_th, 1), v_reset=full(v_reset, 1))
    network = from_nir(nir.NIRGraph.from_list(firing), **KNOWN)
    np.testing.assert_array_equal(network(xs)[:, 0], spikes)
    network = from_nir(nir.NIRGraph.from_list(nir.CubaLI(**common)), **KNOWN)
    np.testing.assert_allclose(network(xs)[:, 0], potentials, rtol=1e-4, atol=1e-6)
    single = nir.LI(tau=full(tau_mem, 1), r=full(r, 1), v_leak=full(v_leak, 1))
    v, potentials = 0.0, []
    for x in xs[:, 0]:
        v += 1e-3 / tau_mem * (v_leak - v + r * x)
        potentials.append(v)
    network = from_nir(nir.NIRGraph.from_list(single), **KNOWN)
    np.testing.assert_allclose(network(xs)[:, 0], potentials, rtol=1e-4, atol=1e-6)
    constant = nir.LIF(
        tau=full(tau_mem, 1),
        r=full(2 * r, 1),
        v_leak=full(v_leak, 1),
        v_threshold=full(v_th, 1),
        v_reset=full(v_reset, 1),
    )
    v, spikes = 0.0, []
    for x in xs[:, 0]:
        v += 1e-3 / tau_mem * (v_leak - v + 2 * r * x)
        spikes.append(float(v > v_th))
        v = v_reset if v > v_th else v
    assert sum(spikes) > 2
    network = from_nir(nir.NIRGraph.from_list(constant), **KNOWN)
    np.testing.assert_array_equal(network(xs)[:, 0], spikes)


def test_lateral_connections_are_a_graph_with_a_cycle():
    graph = to_nir(LATERAL)
    for name in ("recurrent", "recurrent_1"):
        cycle = graph.nodes[name]
        assert ("lif", "w_rec") in cycle.edges
        assert ("w_rec", "lif") in cycle.edges
        # snnTorch would send the input of a cycle that is not nested through the lateral map
        assert ("input", "lif") in cycle.edges
    assert [type(layer) for layer in from_nir(graph)] == [
        snn.OverTime,
        snn.Recurrent,
        snn.Recurrent,
    ]


def test_subgraphs_are_unrolled():
    inner = to_nir(
        snn.Network([snn.Synapse(snn.LIF(FAST), 2e-3), snn.OverTime(linear(3, 2))]),
        3,
    )
    outer = nir.NIRGraph(
        {
            "in": nir.Input({"input": np.array([5])}),
            "a": nir.Affine(np.asarray(linear(5, 3).weight), np.asarray(linear(5, 3).bias)),
            "sub": inner,
            "out": nir.Output({"output": np.array([2])}),
        },
        [("in", "a"), ("a", "sub"), ("sub", "out")],
        type_check=False,
    )
    again = from_nir(outer)
    assert [type(x) for x in again] == [snn.OverTime, snn.Synapse, snn.OverTime]
    assert again[1].neuron.params == FAST


@pytest.fixture(scope="module")
def recorded():
    return np.load(RECORDED / "recorded_nir.npz")


def test_a_graph_of_norse_gives_what_norse_gave(recorded):
    network = from_nir(nir.read(RECORDED / "norse.nir"), **KNOWN)
    # Norse's potentials start at `v_leak` = -0.2, and ours at 0: that decays with 12 ms
    start = -0.2 * (1 - 1 / 12) ** np.arange(1, 41)
    out = np.asarray(network(recorded["xs"]))
    np.testing.assert_allclose(out + start[:, None], recorded["norse"], atol=1e-5)


def test_a_graph_of_snntorch_gives_what_snntorch_gave(recorded):
    with pytest.warns(UserWarning, match="`dt`=0.0001 s, from tau / r and tau_syn / w_in"):
        network = from_nir(nir.read(RECORDED / "snntorch.nir"), soft_reset=False)
    theirs = recorded["snntorch"]
    assert 0.2 < theirs.mean() < 0.8
    np.testing.assert_array_equal(network(recorded["xs"]), theirs)


def test_a_recurrent_graph_of_snntorch_loads_and_runs(recorded):
    network = from_nir(nir.read(RECORDED / "snntorch_recurrent.nir"), dt=1e-4, soft_reset=False)
    recurrent = network[1]
    assert isinstance(recurrent, snn.Recurrent)
    # alpha = 0.8 and beta = 0.9, each 1 - dt / tau
    assert np.isclose(recurrent.layer.tau_syn, 1e-4 / 0.2, rtol=1e-5)
    assert np.isclose(recurrent.layer.neuron.params.tau_mem, 1e-4 / 0.1, rtol=1e-5)
    assert 0 < network(recorded["xs"]).mean() < 1


@pytest.mark.parametrize("offset", [0.0, 0.4, (0.1, 0.2, 0.3)])
def test_a_calibrated_encoder_is_written_with_its_scale(offset):
    encoder = snn.ConstantCurrentLIFEncoder(40)
    network = snn.Network([snn.Preprocessed(snn.Scale(2.5, offset), encoder)])
    graph = to_nir(network, 3)
    kinds = [type(node) for node in graph.nodes.values()]
    assert kinds == [nir.Input, nir.Affine if offset else nir.Scale, nir.LIF, nir.Output]
    x = jnp.array([0.1, 0.4, 0.9])
    np.testing.assert_array_equal(from_nir(graph, seq_length=40)(x), network(x))
    signal = snn.Network([snn.OverTime(snn.Scale(2.5, 0.3)), snn.LIFCurrentEncoder()])
    xs = jnp.asarray(np.random.default_rng(0).normal(0, 1, (40, 3)), jnp.float32)
    np.testing.assert_array_equal(from_nir(to_nir(signal, 3))(xs), signal(xs))


def test_a_scale_with_an_offset_has_a_node_for_one_axis_only():
    with pytest.raises(ValueError, match="`Scale` with an `offset` has a NIR node, `Affine`"):
        to_nir(snn.OverTime(snn.Scale(2.0, 1.0)), (2, 3))


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.takes_values])
def test_encoders_without_a_node_are_refused_with_what_to_do(name):
    encoder = CASES[name].layer
    if isinstance(encoder, snn.Network):
        encoder = encoder[0]
    scaled = isinstance(encoder, snn.Preprocessed) and isinstance(encoder.fn, snn.Scale)
    if scaled or type(encoder) in (snn.ConstantCurrentLIFEncoder, snn.DirectEncoder):
        to_nir(encoder, 5)
        return
    match = r"has no NIR node: (record its spikes|see the table)"
    with pytest.raises(ValueError, match=match):
        to_nir(encoder, 5)


REFUSED = {
    "decoder": (snn.MaxOverTime(), r"`network\[:-1\]`"),
    "poisson": (snn.PoissonEncoder(5), r"`spikes = encoder\(x\)` \(with a `key`"),
    "alif": (snn.Synapse(snn.ALIF()), r"`Synapse\(ALIF\)` has no NIR node"),
    "function": (snn.OverTime(eqx.nn.Lambda(jnp.abs)), "jnp.ravel"),
    "layer": (snn.OverTime(eqx.nn.LayerNorm(3)), r"`OverTime\(LayerNorm\)` has no NIR node"),
    "dropout": (snn.OverTime(eqx.nn.Dropout()), "inference_mode"),
    "size": (snn.OverTime(linear(4, 3)), "takes 4 `in_features`, got an input of shape"),
    "lateral": (
        snn.Recurrent(snn.Synapse(snn.LIF()), eqx.nn.Identity()),
        "and an `eqx.nn.Linear`, got",
    ),
    "groups": (
        snn.OverTime(eqx.nn.Conv1d(4, 4, 3, groups=2, key=jr.key(0))),
        "`groups=1`",
    ),
    "one-sided": (
        snn.OverTime(eqx.nn.Conv1d(3, 4, 2, padding="SAME", key=jr.key(0))),
        "same on both sides",
    ),
}


@pytest.mark.parametrize(("layer", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_what_nir_cannot_say_is_refused(layer, match):
    conv = isinstance(layer, snn.OverTime) and isinstance(layer.layer, eqx.nn.Conv1d)
    with pytest.raises(ValueError, match=match):
        to_nir(layer, (layer.layer.in_channels, 8) if conv else 3)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`shape`, of one step's input, must be given"):
        to_nir(snn.Synapse(snn.LIF()))
    with pytest.raises(ValueError, match="`li` must be one of"):
        to_nir(snn.Synapse(snn.LI()), 3, li=nir.LIF)
    with pytest.raises(
        ValueError, match=r"`soft_reset` must name nodes that fire, .*'lif'.*'li"
    ):
        from_nir(to_nir(snn.LIF(), 3), soft_reset={"li": True})
    with pytest.raises(ValueError, match=r"`dt` must be positive, got 0\.0"):
        from_nir(to_nir(snn.LIF(), 3), dt=0.0)


def test_spike_trains_go_through_a_file(tmp_path):
    spikes = jr.bernoulli(jr.key(0), 0.3, (2, 50, 3, 4)).astype(jnp.float32)
    data = to_nir_data(spikes, dt=1e-4, node="lif")
    gridded = data.nodes["lif"].observables["spikes"]
    assert gridded.data.dtype == bool
    assert (gridded.dt, gridded.t_max) == (1e-4, pytest.approx(5e-3))
    nir.write_data(tmp_path / "spikes.nir", data)
    again = from_nir_data(nir.read_data(tmp_path / "spikes.nir"), dt=1e-4)
    np.testing.assert_array_equal(again, spikes.reshape(2, 50, 12))
    graded = to_nir_data(-2 * spikes)
    np.testing.assert_array_equal(from_nir_data(graded), -2 * again)


def test_events_fall_into_their_steps():
    # 68 of the first 1,000 multiples of 1e-4, divided by it, are a little less than whole
    steps = np.arange(1000)
    spikes = np.ones((1, 1000, 1), bool)
    events = nir.TimeGriddedData(spikes, 1e-4).to_event(n_events=1000)
    np.testing.assert_array_equal(events.time[0], steps * 1e-4)
    data = nir.NIRGraphData({"input": nir.NIRNodeData({"spikes": events})})
    np.testing.assert_array_equal(from_nir_data(data, dt=1e-4), spikes)
    idx, time = np.array([[1, 1, 0, -1]]), np.array([[0.0, 5e-4, 2.9e-3, np.inf]])
    value = np.array([[2.0, 3.0, -1.0, 7.0]])
    valued = nir.ValuedEventData(idx=idx, time=time, n_neurons=2, t_max=3e-3, value=value)
    data = nir.NIRGraphData({"input": nir.NIRNodeData({"spikes": valued})})
    np.testing.assert_array_equal(from_nir_data(data), [[[0, 5], [0, 0], [-1, 0]]])


@pytest.mark.parametrize("dt", [1e-3, 1e-4, 3e-4, 1 / 3000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_events_of_random_trains_come_back(dt, dtype):
    spikes = np.random.default_rng(0).random((3, 2000, 4)) < 0.2
    events = nir.TimeGriddedData(spikes, dt).to_event(n_events=8000)
    events.time = events.time.astype(dtype)
    data = nir.NIRGraphData({"input": nir.NIRNodeData({"spikes": events})})
    np.testing.assert_array_equal(from_nir_data(data, dt=dt), spikes)


def test_graded_trains_come_back_in_double_precision(x64, tmp_path):
    trains = np.random.default_rng(0).normal(size=(2, 5, 3))
    nir.write_data(tmp_path / "graded.nir", to_nir_data(trains))
    again = from_nir_data(nir.read_data(tmp_path / "graded.nir"))
    assert again.dtype == np.float64
    np.testing.assert_array_equal(again, trains)


def test_spike_trains_that_do_not_fit_are_refused():
    data = to_nir_data(np.ones((1, 4, 2)))
    with pytest.raises(ValueError, match=r"`dt` must be the data's, 0\.001 s"):
        from_nir_data(data, dt=2e-3)
    with pytest.raises(ValueError, match=r"`node` must be one with 'spikes', got 'lif'"):
        from_nir_data(data, node="lif")
    for idx, time in ((2, 0.0), (-2, 0.0), (0, 4e-3), (0, -1e-3)):
        events = nir.EventData(np.array([[idx]]), np.array([[time]]), n_neurons=2, t_max=3e-3)
        with pytest.raises(ValueError, match="events must lie within"):
            from_nir_data(nir.NIRGraphData({"a": nir.NIRNodeData({"spikes": events})}))


def test_without_nir_the_error_names_the_extra():
    code = "import sys; sys.modules['nir'] = None\nimport jaxsnn_eqx.nir"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "install `jaxsnn_eqx[nir]`" in run.stderr


def test_what_comes_back_trains():
    again = from_nir(to_nir(DENSE), surrogate=snn.Sigmoid())
    assert isinstance(again[0].surrogate, snn.Sigmoid)
    assert isinstance(again[2].neuron.surrogate, snn.Sigmoid)
    xs = draw.uniform(jr.key(2), (40, 5), maxval=4.0)
    grads = eqx.filter_grad(lambda n: n(xs).sum())(again)
    assert all(jnp.abs(g).sum() > 0 for g in jax.tree.leaves(grads))
