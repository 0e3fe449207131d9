"""Graphs of NIR as other frameworks write them, against NumPy loops in float64."""

import itertools
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsnn_eqx as snn

nir = pytest.importorskip("nir")

from jaxsnn_eqx.nir import Flatten, Threshold, from_nir, to_nir  # noqa: E402

RNG = np.random.default_rng
KNOWN = {"dt": 1e-3, "soft_reset": False}


def graph_of(*nodes):
    """A chain of nodes, named by their positions, without metadata."""
    inputs = {"input": nir.Input({"input": nodes[0].input_type["input"]})}
    named = {f"{i}": node for i, node in enumerate(nodes)}
    outputs = {"output": nir.Output({"output": np.array(nodes[-1].output_type["output"])})}
    names = [*inputs, *named, *outputs]
    edges = list(itertools.pairwise(names))
    return nir.NIRGraph({**inputs, **named, **outputs}, edges)


def each(seed, *bounds, size=4, dtype=np.float32):
    return RNG(seed).uniform(*bounds, size).astype(dtype)


def spikes(*shape, p=0.3, seed=0):
    return (RNG(seed).random(shape) < p).astype(np.float32)


# -- recurrent networks as those of the NIR paper that read Braille


def snntorch_node(alpha, beta, size, dt=1e-4, dtype=np.float64):
    """A `Synaptic` as snnTorch writes it."""
    tau_syn, tau_mem = dt / (1 - np.float32(alpha)), dt / (1 - np.float32(beta))
    values = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": tau_mem / dt, "w_in": tau_syn / dt}
    values |= {"v_threshold": 1.0, "v_leak": 0.0, "v_reset": 0.0}
    return nir.CubaLIF(**{name: np.full(size, v, dtype) for name, v in values.items()})


def braille_like(bias, dtype):
    rng = RNG(7)

    def affine(outputs, inputs, gain):
        weight = gain * rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)
        weight = weight.astype(np.float32)
        offset = rng.normal(0.0, 0.1, outputs).astype(np.float32)
        return nir.Affine(weight, offset) if bias else nir.Linear(weight)

    nodes = {
        "input": nir.Input({"input": np.array([12])}),
        "fc1": affine(38, 12, 2.0),
        "lif1.lif": snntorch_node(0.55, 0.9, 38, dtype=dtype),
        "lif1.w_rec": affine(38, 38, 1.0),
        "fc2": affine(7, 38, 1.5),
        "lif2": snntorch_node(0.5, 0.55, 7, dtype=dtype),
        "output": nir.Output({"output": np.array([7])}),
    }
    edges = [
        *[("input", "fc1"), ("fc1", "lif1.lif"), ("lif1.lif", "fc2"), ("fc2", "lif2")],
        *[("lif1.lif", "lif1.w_rec"), ("w_rec", "lif1.lif"), ("lif2", "output")],
    ]
    edges[5] = ("lif1.w_rec", "lif1.lif")
    return nir.NIRGraph(nodes, edges)


def as_snntorch_runs_it(graph, xs, soft):
    """Hidden and output spikes, in snnTorch's order: input, synapse, membrane, reset."""

    def linear(node, x):
        return node.weight.astype(float) @ x + getattr(node, "bias", 0.0)

    def synaptic(node, state, x):
        i, v = state
        i = (1 - 1 / node.w_in) * i + x
        v = (1 - 1 / node.r) * v + i
        z = (v > node.v_threshold).astype(float)
        v = v - z * node.v_threshold if soft else v * (1 - z)
        return (i, v), z

    nodes, hidden, out = graph.nodes, [], []
    first = second = (0.0, 0.0)
    z = np.zeros(38)
    for x in xs:
        x = linear(nodes["fc1"], x) + linear(nodes["lif1.w_rec"], z)
        first, z = synaptic(nodes["lif1.lif"], first, x)
        second, y = synaptic(nodes["lif2"], second, linear(nodes["fc2"], z))
        hidden.append(z)
        out.append(y)
    return np.stack(hidden), np.stack(out)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_recurrent_network_as_snntorch_runs_it(soft, bias, dtype):
    graph, xs = braille_like(bias, dtype), spikes(256, 12, p=0.1)
    with pytest.warns(UserWarning, match=r"`dt`=0\.0001 s, from tau / r and tau_syn / w_in"):
        network = from_nir(graph, soft_reset=soft)
    hidden, out = as_snntorch_runs_it(graph, xs, soft)
    other, _ = as_snntorch_runs_it(graph, xs, not soft)
    assert 0.01 < hidden.mean() < 0.5
    assert 0.01 < out.mean() < 0.5
    assert (hidden != other).any()
    np.testing.assert_array_equal(network[1](network[0](xs)), hidden)
    np.testing.assert_array_equal(network(xs), out)


def test_the_order_in_the_metadata_is_another_network():
    graph, xs = braille_like(True, np.float32), spikes(256, 12, p=0.1)
    _, out = as_snntorch_runs_it(graph, xs, False)
    for name in ("lif1.lif", "lif2"):
        graph.nodes[name].metadata["immediate"] = False
        network = from_nir(graph, dt=1e-4, soft_reset=False)
        assert (np.asarray(network(xs)) != out).sum() > 20
    assert not any(network[i].layer.immediate for i in (1,))
    assert not network[3].immediate


def test_what_is_assumed_is_said_by_node():
    graph = braille_like(False, np.float32)
    match = (
        r"`soft_reset=False` at nodes \['lif1.lif', 'lif2'\], whose `v_reset` is 0. Pass `dt="
    )
    with pytest.warns(UserWarning, match=match):
        from_nir(graph)
    match = r"assumes `soft_reset=False` at nodes \['lif2'\].*Pass `soft_reset=` to say"
    with pytest.warns(UserWarning, match=match):
        network = from_nir(graph, dt=1e-4, soft_reset={"lif1.lif": True})
    assert network[1].layer.neuron.soft_reset
    assert not network[3].neuron.soft_reset
    network = from_nir(graph, dt=1e-4, soft_reset=True)
    assert network[1].layer.neuron.soft_reset
    assert network[3].neuron.soft_reset
    graph.nodes["lif2"].v_reset = np.full(7, -0.5)  # set to it, as NIR has it
    assert not from_nir(graph, dt=1e-4, soft_reset={"lif1.lif": True})[3].neuron.soft_reset


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_our_recurrent_layers_are_written_as_snntorch_runs_them(own, bias):
    """snnTorch asks for r = tau_mem / dt and w_in = tau_syn / dt, to four digits."""
    params = snn.LIFParameters(tau_mem=7e-3, v_th=0.3)
    if own:
        params = snn.LearnableLIFParameters(6, params, tau_mem=each(1, 4e-3, 9e-3, size=6))
    made = eqx.nn.Linear(6, 6, use_bias=bias, key=jax.random.key(0))
    linear = eqx.tree_at(lambda m: m.weight, made, 3 * made.weight)
    recurrent = snn.Recurrent(snn.Synapse(snn.LIF(params), 3e-3), linear)
    graph = to_nir(recurrent, 6)
    cycle = graph.nodes["recurrent"].nodes
    node, lateral = cycle["lif"], cycle["w_rec"]
    np.testing.assert_allclose(node.r, node.tau_mem / 1e-3, rtol=1e-6)
    np.testing.assert_allclose(node.w_in, node.tau_syn / 1e-3, rtol=1e-6)
    assert "immediate" not in node.metadata
    xs, i, v, z, expected = spikes(100, 6), 0.0, 0.0, np.zeros(6), []
    for x in xs:
        i = (1 - 1 / node.w_in.astype(float)) * i + x + lateral.weight @ z
        i = i + getattr(lateral, "bias", 0.0)
        v = (1 - 1 / node.r.astype(float)) * v + i
        z = (v > node.v_threshold).astype(float)
        v = v * (1 - z)
        expected.append(z)
    assert 0.1 < np.mean(expected) < 0.9
    np.testing.assert_array_equal(recurrent(xs), expected)


# -- a convolutional network as that of the NIR paper


def windows(x, size, stride, pad):
    """All windows: of shape (height, width, channels, size, size)."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return view[:, ::stride, ::stride].transpose(1, 2, 0, 3, 4)


def if_node(shape, soft_reset=None, v_th=1.0):
    metadata = {} if soft_reset is None else {"soft_reset": soft_reset}
    full = [np.full(shape, value, np.float32) for value in (1.0, v_th, 0.0)]
    return nir.IF(*full, metadata=metadata)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("pool", ["SumPool2d", "AvgPool2d"])
def test_a_convolutional_network_of_integrate_and_fire_neurons(soft, pool):
    rng = RNG(3)
    kernel = rng.normal(0.1, 0.4, (3, 2, 3, 3)).astype(np.float32)
    weight = rng.normal(0.1, 0.5, (5, 12)).astype(np.float32)
    two, zero = np.array([2, 2]), np.array([0, 0])
    graph = graph_of(
        nir.Conv2d((8, 8), kernel, 2, 1, 1, 1, np.zeros(3, np.float32)),
        if_node((3, 4, 4)),
        getattr(nir, pool)(two, two, zero),
        nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1),
        nir.Affine(weight, np.zeros(5, np.float32)),
        if_node(5),
    )
    network = from_nir(graph, soft_reset=soft)  # without a `dt` that matters: no warning
    xs = spikes(60, 2, 8, 8)
    first, second, expected = np.zeros((3, 4, 4)), np.zeros(5), []

    def fire(v):
        z = (v > 1).astype(float)
        return (v - z if soft else v * (1 - z)), z

    for x in xs:
        conv = np.einsum("hwcij,ocij->ohw", windows(x, 3, 2, 1), kernel.astype(float))
        first, z = fire(first + conv)
        pooled = windows(z, 2, 2, 0).sum((-2, -1)).transpose(2, 0, 1)
        pooled = pooled / (4 if pool == "AvgPool2d" else 1)
        second, z = fire(second + weight.astype(float) @ pooled.ravel())
        expected.append(z)
    assert 0.05 < np.mean(expected) < 0.95
    np.testing.assert_array_equal(network(xs), expected)


@pytest.mark.parametrize("pool", ["SumPool2d", "AvgPool2d"])
def test_pools_with_padding_and_windows_that_are_no_squares(pool):
    x = RNG(0).normal(size=(1, 2, 6, 7))
    values = np.array([2, 3]), np.array([2, 1]), np.array([1, 0])
    node = getattr(nir, pool)(*values)
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([2, 6, 7])}),
            "pool": node,
            "output": nir.Output({"output": np.array([2, 4, 5])}),
        },
        [("input", "pool"), ("pool", "output")],
    )
    padded = np.pad(x[0], ((0, 0), (1, 1), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (2, 3), axis=(1, 2))
    expected = view[:, ::2].sum((-2, -1)) / (6 if pool == "AvgPool2d" else 1)
    layer = from_nir(graph)
    np.testing.assert_allclose(layer(x)[0], expected, rtol=1e-5, atol=1e-6)
    [_, again, _] = to_nir(layer, (2, 6, 7)).nodes.values()
    assert type(again) is type(node)
    for name, value in zip(("kernel_size", "stride", "padding"), values, strict=True):
        np.testing.assert_array_equal(getattr(again, name), value)


# -- every node of neurons, each neuron with its own constants


def own_constants(size=4, dtype=np.float32):
    signs = np.array([1.0, -1.0, 1.0, -1.0], dtype)
    return {
        "tau_mem": each(0, 4e-3, 2e-2, dtype=dtype),
        "tau_syn": each(1, 2e-3, 9e-3, dtype=dtype),
        "r": signs * each(2, 1.0, 4.0, dtype=dtype),
        "w_in": each(3, 2.0, 9.0, dtype=dtype),
        "v_leak": each(4, -0.2, 0.2, dtype=dtype),
        "v_threshold": each(5, 0.3, 0.6, dtype=dtype),
        "v_reset": each(6, -0.3, 0.0, dtype=dtype),
    }


USED = {
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "IF": ("r", "v_threshold", "v_reset"),
    "I": ("r",),
}


def neuron_node(kind, constants):
    constants = constants | {"tau": constants["tau_mem"]}
    return getattr(nir, kind)(**{name: constants[name] for name in USED[kind]})


def run_node(kind, constants, xs, dt=1e-3, weight=None, bias=0.0):
    """NIR's equations by Euler steps: synapse, membrane, threshold, in this order."""
    p = {name: value.astype(float) for name, value in constants.items()}
    i = v = z = np.zeros(len(p["r"]))
    out = []
    for x in xs:
        x = x if weight is None else x + weight @ z + bias
        if kind.startswith("Cuba"):
            i = i + dt / p["tau_syn"] * p["w_in"] * x
            x = i
            i = i - dt / p["tau_syn"] * i
        if kind in ("I", "IF"):
            v = v + p["r"] * x
        else:
            v = v + dt / p["tau_mem"] * (p["v_leak"] - v + p["r"] * x)
        z = v
        if kind.endswith("F"):
            z = (v > p["v_threshold"]).astype(float)
            v = np.where(z == 1, p["v_reset"], v)
        out.append(z)
    return np.stack(out)


def assert_same(got, expected):
    if set(np.unique(expected)) <= {0.0, 1.0}:
        assert 0.02 < np.mean(expected) < 0.9
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lateral", ["none", "linear", "affine"])
@pytest.mark.parametrize("kind", USED)
def test_neurons_of_nir_that_differ_one_by_one(kind, lateral):
    constants = own_constants()
    xs = RNG(8).normal(0.2, 1.0, (80, 4)).astype(np.float32)
    node, weight, bias = neuron_node(kind, constants), None, 0.0
    graph = graph_of(node)
    if lateral != "none":
        weight = (0.2 * RNG(9).normal(size=(4, 4))).astype(np.float32)
        bias = each(10, -0.1, 0.1) if lateral == "affine" else 0.0
        back = nir.Linear(weight) if lateral == "linear" else nir.Affine(weight, bias)
        graph.nodes["back"] = back
        graph.edges += [("0", "back"), ("back", "0")]
    layer = from_nir(graph, **KNOWN)
    assert_same(layer(xs), run_node(kind, constants, xs, weight=weight, bias=bias))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = to_nir(layer, 4, li=nir.LI if kind == "LI" else None)
    if lateral != "none":
        again = again.nodes["recurrent"]
    [written] = [n for n in again.nodes.values() if type(n) is type(node)]
    for name in USED[kind]:
        got = getattr(written, name)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, getattr(node, name), err_msg=name)


@pytest.mark.parametrize("kind", USED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_constants_come_back_to_the_bit(kind, dtype, seed):
    """Also those that all neurons share, and that have no short decimals."""
    shared = {
        name: np.full(4, value[seed]) for name, value in own_constants(dtype=dtype).items()
    }
    assert shared["r"].dtype == dtype
    node = neuron_node(kind, shared)
    layer = from_nir(graph_of(node), **KNOWN)
    assert type(getattr(layer[0], "neuron", layer[0]).params) is snn.LIFParameters
    [_, again, _] = to_nir(layer, 4).nodes.values()
    assert type(again) is type(node)
    for name in USED[kind]:
        got, expected = getattr(again, name), getattr(node, name)
        if dtype == np.float32:
            assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected, err_msg=name)


def test_a_threshold_of_two_stays_two():
    # snnTorch refuses layers whose thresholds differ
    graph = graph_of(
        nir.CubaLIF(
            tau_syn=each(0, 2e-4, 9e-4),
            tau_mem=(tau := each(1, 2e-4, 9e-4)),
            r=tau / np.float32(1e-4),
            v_leak=np.zeros(4, np.float32),
            v_threshold=np.full(4, 2, np.float32),
            v_reset=np.zeros(4, np.float32),
            w_in=each(0, 2e-4, 9e-4) / np.float32(1e-4),
        )
    )
    layer = from_nir(graph, dt=1e-4, soft_reset=False)
    np.testing.assert_array_equal(layer[0].neuron.params.v_th, np.full(4, 2, np.float32))
    [_, again, _] = to_nir(layer, 4).nodes.values()
    np.testing.assert_array_equal(again.v_threshold, np.full(4, 2, np.float32))


# -- nodes without a state


def test_a_threshold_fires_above_its_constants():
    threshold = np.float32([0.5, 1.0, -1.0])
    graph = graph_of(nir.Threshold(threshold))
    layer = from_nir(graph, surrogate=snn.SuperSpike(10.0))
    x = np.float32([[0.5, 0.5, 0.5], [0.6, 1.1, -1.5]])
    np.testing.assert_array_equal(layer(x), [[0, 0, 1], [1, 1, 0]])
    grad = jax.grad(lambda x: layer(x).sum())(jnp.asarray(x))
    np.testing.assert_allclose(grad, 1 / (1 + 10 * np.abs(x - threshold)) ** 2, rtol=1e-5)
    [_, again, _] = to_nir(layer, 3).nodes.values()
    np.testing.assert_array_equal(again.threshold, threshold)
    assert isinstance(layer[0].layer, Threshold)


@pytest.mark.parametrize("delays", [[2e-4] * 3, [0.0, 1e-4, 5e-4]])
def test_a_delay_is_read_in_whole_steps(delays):
    graph = graph_of(nir.Delay(np.float32(delays)))
    layer, xs = from_nir(graph, dt=1e-4), spikes(10, 3)
    for n, steps in enumerate(np.round(np.array(delays) / 1e-4).astype(int)):
        np.testing.assert_array_equal(layer(xs)[steps:, n], xs[: len(xs) - steps, n])
        assert not np.asarray(layer(xs))[:steps, n].any()
    [_, again, _] = to_nir(layer, 3).nodes.values()
    np.testing.assert_array_equal(again.delay, np.float32(delays))
    with pytest.raises(
        ValueError, match="node '0': `delays` must be at least 0 and whole mult"
    ):
        from_nir(graph, dt=7e-5)


@pytest.mark.parametrize(("start", "end"), [(1, -1), (0, 1), (1, 2), (0, 2), (-2, -1)])
def test_flatten_of_some_axes(start, end):
    x = RNG(0).normal(size=(1, 2, 3, 4)).astype(np.float32)
    node = nir.Flatten({"input": np.array([2, 3, 4])}, start, end)
    layer = from_nir(graph_of(node))
    expected = x[0].reshape(node.output_type["output"])
    np.testing.assert_array_equal(layer(x)[0], expected)
    [_, again, _] = to_nir(layer, (2, 3, 4)).nodes.values()
    assert (again.start_dim, again.end_dim) == (start, end)
    assert isinstance(layer[0].layer, Flatten)


class Tensor:
    """An array of another framework."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize("kind", ["LIF", "CubaLI", "IF"])
def test_the_arrays_of_another_framework_are_read(kind):
    constants = own_constants()
    node = neuron_node(kind, constants)
    expected = from_nir(graph_of(node), **KNOWN)
    for name in USED[kind]:
        setattr(node, name, Tensor(getattr(node, name)))
    assert eqx.tree_equal(from_nir(graph_of(node), **KNOWN), expected)
    assert isinstance(node.r, Tensor)  # the graph itself is not changed


# -- the step


def nested(dt, inner):
    """A graph with the metadata of `inner` in a subgraph only."""
    return nir.NIRGraph(
        {
            "in": nir.Input({"input": np.array([3])}),
            "sub": inner,
            "out": nir.Output({"output": np.array([3])}),
        },
        [("in", "sub"), ("sub", "out")],
        metadata={} if dt is None else {"dt": dt},
        type_check=False,
    )


def test_the_step_of_a_subgraph_is_read():
    neuron = snn.LIF(snn.LIFParameters(v_th=0.3), 5e-4)
    inner = to_nir(neuron, 3)
    for graph in (nested(None, inner), nested(None, nested(None, inner)), nested(5e-4, inner)):
        [layer] = from_nir(graph)
        assert eqx.tree_equal(layer, neuron)
    match = r"must have the same `dt`, got \{'': 0.001, 'sub': 0.0005\} s: pass `dt=`"
    with pytest.raises(ValueError, match=match):
        from_nir(nested(1e-3, inner))
    assert from_nir(nested(1e-3, inner), dt=2e-4)[0].dt == 2e-4


def test_the_call_overrides_the_step_of_the_metadata():
    # metadata is a hint: with another step, the constants are NIR's
    constants = {"tau_mem": 8e-3, "tau_syn": 4e-3, "r": 8.0, "w_in": 4.0, "v_leak": 0.0}
    constants |= {"v_threshold": 4.8, "v_reset": 0.0}
    arrays = {name: np.full(3, value, np.float32) for name, value in constants.items()}
    graph = to_nir(snn.Synapse(snn.LIF(snn.LIFParameters(tau_mem=8e-3)), 4e-3), 3)
    xs = spikes(200, 3)
    for dt in (1e-3, 5e-4):
        layer = from_nir(graph, dt=dt)
        assert layer[0].dt == dt
        assert_same(layer(xs), run_node("CubaLIF", arrays, xs, dt))


RATIOS = each(0, 2.0, 20.0)
NO_LEAK = np.zeros(4, np.float32)
INFERRED = {
    "two layers": ((snntorch_node(0.55, 0.9, 3), snntorch_node(0.2, 0.3, 3)), 1e-4),
    "another step": ((snntorch_node(0.55, 0.9, 3, 2e-3, np.float32),), 2e-3),
    "Leaky": ((nir.LIF(1e-4 * RATIOS, RATIOS, NO_LEAK, NO_LEAK + 1),), 1e-4),
}


@pytest.mark.parametrize(("nodes", "dt"), INFERRED.values(), ids=INFERRED.keys())
def test_the_step_is_inferred_if_all_neurons_have_the_same(nodes, dt):
    with pytest.warns(UserWarning, match=rf"assumes `dt`={dt} s, from tau / r") as caught:
        network = from_nir(graph_of(*nodes), soft_reset=False)
    assert network[0].dt == dt
    assert caught[0].filename == __file__


UNKNOWN = {
    # `dt` would be the time constant
    "a resistance of 1": (nir.LIF(1e-3 * RATIOS, NO_LEAK + 1, NO_LEAK, NO_LEAK + 1),),
    "another node": (
        snntorch_node(0.55, 0.9, 4, 2e-3),
        nir.LI(1e-3 * RATIOS, NO_LEAK + 1, NO_LEAK),
    ),
    "other weights": (neuron_node("CubaLIF", own_constants()),),
    "a delay": (nir.Delay(np.float32([1e-3])),),
}


@pytest.mark.parametrize("nodes", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_a_step_that_nothing_tells_is_warned_of(nodes):
    match = r"assumes `dt`=0\.001 s, which nothing in the graph tells. Pass `dt=` to say"
    with pytest.warns(UserWarning, match=match):
        network = from_nir(graph_of(*nodes), soft_reset=False)
    assert network[0].dt == 1e-3


def test_a_graph_without_time_constants_needs_no_step():
    from_nir(
        graph_of(nir.Linear(np.eye(4, dtype=np.float32)), neuron_node("I", own_constants()))
    )


# -- the meanings that other frameworks give to constants


def test_the_decay_of_spyx_in_place_of_a_resistance_is_warned_of():
    """spyx writes `r = beta` and `tau = dt / (1 - beta)`; its CuBaLIF in NumPy."""
    alpha, beta, xs = 0.6, 0.8, 1.3 * spikes(200, 4)
    i, v, expected = 0.0, 0.0, []
    for x in xs:
        z = (v > 1).astype(float) if np.ndim(v) else np.zeros(4)
        v = v - z
        i = alpha * i + x
        v = beta * v + i
        expected.append(z)
    values = (1e-3 / (1 - alpha), 1e-3 / (1 - beta), beta, 0.0, 1.0)
    node = nir.CubaLIF(*(np.full(4, value, np.float32) for value in values))
    match = r"nodes \['0'\]: `r` is 1 - dt / tau, as in files of spyx"
    with pytest.warns(UserWarning, match=match) as caught:
        layer = from_nir(graph_of(node), dt=1e-3, soft_reset=True)
    assert caught[0].filename == __file__
    assert (layer(xs) != np.stack(expected)).any()
    node.r, node.w_in = node.tau_mem / np.float32(1e-3), node.tau_syn / np.float32(1e-3)
    node.metadata["immediate"] = False
    layer = from_nir(graph_of(node), dt=1e-3, soft_reset=True)
    assert 0.1 < np.mean(expected) < 0.9
    np.testing.assert_array_equal(layer(xs), expected)


def test_the_time_constants_of_sinabs_in_steps_are_warned_of():
    xs, v, expected = 3 * RNG(0).random((200, 4)).astype(np.float32), 0.0, []
    for x in xs:
        v = np.exp(-1 / 20) * v + (1 - np.exp(-1 / 20)) * x
        z = (v >= 0.7).astype(float)
        v = v - 0.7 * z
        expected.append(z)
    node = changed("LIF", tau=20.0, v_leak=0.0, v_threshold=0.7, v_reset=0.0)
    match = r"nodes \['0'\]: time constants of 1 s and more, as in files of sinabs"
    with pytest.warns(UserWarning, match=match):
        layer = from_nir(graph_of(node), dt=1e-3, soft_reset=True)
    assert not layer(xs).any()
    node.tau = (1e-3 / (1 - np.exp(-1 / node.tau))).astype(np.float32)
    layer = from_nir(graph_of(node), dt=1e-3, soft_reset=True)
    assert 0.01 < np.mean(expected) < 0.9
    np.testing.assert_array_equal(layer(xs), expected)


# -- refusals, by the name of the node


def changed(kind, **values):
    constants = own_constants() | {"r": np.ones(4, np.float32)}
    values = {name: np.broadcast_to(np.float32(v), 4) for name, v in values.items()}
    node = neuron_node(kind, constants)
    for name, value in values.items():
        setattr(node, name, value)
    return node


WINDOW = np.array([2, 2]), np.array([2, 2]), np.array([0, 0])
BAD = {
    "fast": (changed("CubaLIF", tau_syn=1e-4), r"`tau_syn` must be at least `dt`.*pass `dt=`"),
    "fast membrane": (
        changed("LI", tau=1e-4),
        r"`tau` must be at least `dt`=0.001 s, where exp",
    ),
    "nan": (changed("LIF", tau=np.nan), "`tau` must be finite, got"),
    "infinite": (changed("LIF", v_threshold=np.inf), "`v_threshold` must be finite, got"),
    "negative time": (changed("LIF", tau=-1e-2), "`tau` must be positive, got"),
    "no time": (changed("CubaLI", tau_syn=0.0), "`tau_syn` must be positive, got"),
    "reset": (changed("IF", v_reset=2.0), "`v_reset` must be below `v_threshold`, got"),
    "one of them": (changed("LIF", r=[1, 2, np.nan, 1]), "`r` must be finite"),
    "empty": (
        nir.Linear(np.zeros((3, 0), np.float32)),
        r"`weight` must not be empty.*\(3, 0\)",
    ),
    "weight": (nir.Linear(np.full((3, 4), np.nan, np.float32)), "`weight` must be finite"),
    "bias": (nir.Affine(np.ones((1, 4)), np.array([np.inf])), "`bias` must be finite"),
    "matrix": (nir.Linear(np.ones((2, 3, 4))), r"`weight` must be a matrix, got shape \(2, 3"),
    "delay": (nir.Delay(np.float32([-1e-3])), "`delay` must be at least 0, got"),
    "scale": (nir.Scale(np.float32([np.inf])), "`scale` must be finite"),
    "threshold": (nir.Threshold(np.float32([np.nan])), "`threshold` must be finite"),
}


@pytest.mark.parametrize(("node", "match"), BAD.values(), ids=BAD.keys())
def test_nodes_with_bad_constants_are_refused_by_name(node, match):
    with pytest.raises(ValueError, match=rf"node '0': {match}"):
        from_nir(graph_of(node), **KNOWN)


def test_pools_with_bad_windows_are_refused_by_name():
    for i, name in enumerate(("kernel_size", "stride")):
        window = [value.copy() for value in WINDOW]
        window[i][1] = 0
        graph = chain_of(
            {"pool": nir.SumPool2d(*window)}, [("input", "pool"), ("pool", "output")]
        )
        with pytest.raises(ValueError, match=f"node 'pool': `{name}` must be positive"):
            from_nir(graph)


def chain_of(nodes, edges, outputs=("output",)):
    ports = {"input": nir.Input({"input": np.array([4])})}
    ends = {name: nir.Output({"output": np.array([4])}) for name in outputs}
    return nir.NIRGraph({**ports, **nodes, **ends}, edges, type_check=False)


def lif():
    return changed("LIF")


WEIGHT = np.eye(4, dtype=np.float32)
AB = {"a": lif(), "b": lif()}
FORMS = {
    "skip": (
        AB,
        [("input", "a"), ("a", "b"), ("a", "output"), ("b", "output")],
        r"node 'a' leads to \['b', 'output'\]: skip connections and branches have no layer",
    ),
    "split": (
        AB,
        [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")],
        r"node 'input' leads to \['a', 'b'\]",
    ),
    "joined": (
        AB,
        [("input", "a"), ("a", "output"), ("b", "output")],
        r"node 'output' gets its input from \['a', 'b'\]",
    ),
    "cycle": (
        AB,
        [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")],
        "nodes 'a' -> 'b' -> 'a' form a cycle; only lateral connections may",
    ),
    "self": (
        {"a": lif()},
        [("input", "a"), ("a", "a"), ("a", "output")],
        "nodes 'a' -> 'a' form a cycle",
    ),
    "cycle through a delay": (
        {"a": lif(), "d": nir.Delay(np.zeros(4)), "w": nir.Linear(WEIGHT)},
        [("input", "a"), ("a", "d"), ("d", "w"), ("w", "a"), ("a", "output")],
        "nodes 'a' -> 'd' -> 'w' -> 'a' form a cycle",
    ),
    "two lateral maps": (
        {"a": lif(), "v": nir.Linear(WEIGHT), "w": nir.Linear(WEIGHT)},
        [("input", "a"), ("a", "v"), ("v", "a"), ("a", "w"), ("w", "a"), ("a", "output")],
        "nodes 'a' -> 'w' -> 'a' form a cycle",
    ),
    "no edge to the output": (
        AB,
        [("input", "a"), ("a", "b")],
        "node 'b': no edge leads from it to the output",
    ),
    "no edge from the input": (
        AB,
        [("input", "a"), ("b", "output")],
        "node 'a': no edge leads from it to the output",
    ),
    "apart": (
        {"a": lif(), "b": lif()},
        [("input", "a"), ("a", "output")],
        r"nodes \['b'\]: no edges lead from the input to them",
    ),
    "missing": (
        {"a": lif()},
        [("input", "a"), ("a", "c"), ("a", "output")],
        r"edge \('a', 'c'\): the graph has no node 'c'",
    ),
}


@pytest.mark.parametrize(("nodes", "edges", "match"), FORMS.values(), ids=FORMS.keys())
def test_graphs_of_another_form_are_refused_by_name(nodes, edges, match):
    with pytest.raises(ValueError, match=match):
        from_nir(chain_of(dict(nodes), edges), **KNOWN)


def test_graphs_with_two_outputs_are_refused_by_name():
    edges = [("input", "a"), ("a", "out"), ("a", "out2")]
    graph = chain_of({"a": lif()}, edges, outputs=("out", "out2"))
    match = r"must have one `nir.Output`, got 2: \['out', 'out2'\]"
    with pytest.raises(ValueError, match=match):
        from_nir(graph, **KNOWN)
    with pytest.raises(ValueError, match=r"subgraph 'sub' must have one `nir.Output`, got 2"):
        from_nir(nested(1e-3, graph))


def test_a_branch_within_a_subgraph_is_refused_by_name():
    edges = [("input", "a"), ("a", "b"), ("a", "output"), ("b", "output")]
    with pytest.raises(ValueError, match=r"node 'sub.a' leads to \['out', 'sub.b'\]"):
        from_nir(nested(1e-3, chain_of(dict(AB), edges)), **KNOWN)
