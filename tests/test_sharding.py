"""Layers on eight devices: divided by samples, and by features, with no communication."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import LENGTH, cases, collectives, of_each_base, slow, usual
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import jaxsnn_eqx as snn

KINDS = ("Auto", "Explicit")
FEATURES = 16  # two on each device


def mesh_of(kind: str, name: str) -> jax.sharding.Mesh:
    return jax.make_mesh((8,), (name,), axis_types=(AxisType[kind],))


def key_of(case):
    return jr.key(7) if case.draws else None


def placed(tree, mesh, spec):
    return jax.device_put(tree, NamedSharding(mesh, spec))


@pytest.mark.parametrize("kind", [KINDS[0], *slow(*KINDS[1:])])
@cases(usual, fast=of_each_base)
def test_samples_on_eight_devices_give_the_bits_of_one(case, kind):
    mesh = mesh_of(kind, "samples")
    xs = jnp.stack([jnp.asarray(case.input(seed=seed)) for seed in range(8)])
    run = jax.jit(jax.vmap(lambda x: case.layer(x, key=key_of(case))))
    with jax.set_mesh(mesh):
        sharded = placed(xs, mesh, P("samples"))
        compiled = run.lower(sharded).compile()
        out = compiled(sharded)
    assert collectives(compiled) == []
    assert len(out.sharding.device_set) == 8
    # one sample a device: of the program for one sample, as its matrix products
    one = jax.jit(jax.vmap(lambda x: case.layer(x, key=key_of(case))))
    expected = np.concatenate([one(xs[i : i + 1]) for i in range(8)])
    np.testing.assert_array_equal(np.asarray(out), expected)


def call_and_grad(layer, x, key=None):
    """The outputs, and the gradient of their squares with respect to layer and input."""
    arrays, rest = eqx.partition((layer, x), eqx.is_inexact_array)

    def call(arrays):
        layer, x = eqx.combine(arrays, rest)
        return layer(x, key=key)

    out, pull_back = jax.vjp(call, arrays)
    return out, pull_back(2 * out)[0]


@pytest.mark.parametrize("kind", KINDS)
@cases(lambda c: c.elementwise and not c.variant and not c.draws, fast=of_each_base)
def test_features_of_an_elementwise_layer_need_no_communication(case, kind):
    mesh = mesh_of(kind, "features")
    shape = (FEATURES,) if case.takes_values else (LENGTH, FEATURES)
    spec = P("features") if case.takes_values else P(None, "features")
    x = jnp.asarray(np.random.default_rng(0).uniform(case.low, case.high, shape), jnp.float32)
    run = jax.jit(lambda x: call_and_grad(case.layer, x, key_of(case)))
    expected_out, (_, expected_grad) = run(x)
    with jax.set_mesh(mesh):
        sharded = placed(x, mesh, spec)
        compiled = run.lower(sharded).compile()
        out, (_, grad) = compiled(sharded)
    assert collectives(compiled) == []
    for result in (out, grad):
        assert len(result.sharding.device_set) == 8
        assert not result.sharding.is_fully_replicated
    np.testing.assert_array_equal(np.asarray(out), np.asarray(expected_out))
    # The two programs may fuse sums in another order, which moves the distance to the threshold
    # by some 1e-7; the surrogate of slope 100 makes up to 200 times as much of it.
    np.testing.assert_allclose(grad, expected_grad, rtol=5e-5, atol=1e-6)


LEARNED = {
    "neurons": snn.LIF(snn.LearnableLIFParameters(FEATURES)),
    "adaptive": snn.ALIF(snn.LearnableLIFParameters(FEATURES), beta=jnp.full(FEATURES, 0.3)),
    "synapses": snn.Synapse(snn.LIF(), jnp.full(FEATURES, 4e-3)),
    "encoder": snn.LearnableLIFEncoder(FEATURES, LENGTH),
    "thresholds": snn.StepForwardEncoder(jnp.full(FEATURES, 0.5)),
    "rates": snn.RegularRateEncoder(LENGTH, jnp.full(FEATURES, 500.0)),
    "scales": snn.OverTime(snn.Scale(jnp.full(FEATURES, 2.0), jnp.zeros(FEATURES))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LEARNED)
def test_learned_constants_are_divided_with_their_features(name, kind):
    layer, mesh = LEARNED[name], mesh_of(kind, "features")
    values = layer.seq_length is not None
    x = np.random.default_rng(1).uniform(0, 2, (FEATURES,) if values else (LENGTH, FEATURES))
    x = jnp.asarray(x, jnp.float32)
    arrays, rest = eqx.partition(layer, eqx.is_array)
    run = jax.jit(lambda arrays, x: call_and_grad(eqx.combine(arrays, rest), x))
    expected = jax.tree.leaves(run(arrays, x))
    with jax.set_mesh(mesh):
        inputs = (
            placed(arrays, mesh, P("features")),
            placed(x, mesh, P("features") if values else P(None, "features")),
        )
        compiled = run.lower(*inputs).compile()
        results = jax.tree.leaves(compiled(*inputs))
    assert collectives(compiled) == []
    assert len(results) == len(expected) > 2
    for got, want in zip(results, expected, strict=True):
        assert not got.sharding.is_fully_replicated
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(results[0]), np.asarray(expected[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_of_a_linear_layer_are_divided(kind):
    """The output features of the weights, and the neurons behind them, on eight devices."""
    mesh = mesh_of(kind, "features")
    linear = eqx.nn.Linear(6, FEATURES, key=jr.key(0))
    linear = eqx.tree_at(lambda m: m.weight, linear, 8 * linear.weight)
    network = snn.Network(
        [snn.ConstantCurrentLIFEncoder(LENGTH), snn.OverTime(linear), snn.LIF()]
    )
    x = jnp.linspace(0.5, 4.0, 6)
    arrays, rest = eqx.partition(network, eqx.is_inexact_array)
    run = jax.jit(lambda arrays, x: eqx.combine(arrays, rest)(x))
    grad = jax.jit(jax.grad(lambda arrays, x: run(arrays, x).sum()))
    expected, expected_grad = run(arrays, x), grad(arrays, x)
    with jax.set_mesh(mesh):
        divided, whole = placed(arrays, mesh, P("features")), placed(x, mesh, P())
        compiled = run.lower(divided, whole).compile()
        out = compiled(divided, whole)
        program = grad.lower(divided, whole).compile()
        grads = program(divided, whole)
    assert collectives(compiled) == collectives(program) == []
    assert not out.sharding.is_fully_replicated
    assert float(out.sum()) > 0
    np.testing.assert_array_equal(np.asarray(out), np.asarray(expected))
    for got, want in zip(*map(jax.tree.leaves, (grads, expected_grad)), strict=True):
        assert not got.sharding.is_fully_replicated
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
