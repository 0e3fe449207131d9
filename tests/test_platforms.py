"""The loops of all platforms, which are lowered here and, except for the CPU's, not run."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import collectives
from jax import export, lax
from jax.sharding import PartitionSpec as P

import jaxsnn_eqx as snn
from jaxsnn_eqx import _platforms

LENGTH = 100
ENCODER = snn.ConstantCurrentLIFEncoder(LENGTH)
VALUES = np.linspace(0.0, 4.0, 8, dtype=np.float32)
SIGNAL = np.random.default_rng(0).uniform(0, 4, (21, 8)).astype(np.float32)


@pytest.fixture
def with_accelerator(monkeypatch):
    """As where JAX finds a GPU's plugin."""
    monkeypatch.setattr(_platforms, "_has_accelerator", lambda: True)
    jax.clear_caches()
    yield
    jax.clear_caches()


def neuron(rate, xs, every=None):
    """Potentials and spikes by `integrate`."""
    return snn.integrate(_step(rate), jnp.zeros_like(xs[0]), xs, checkpoint_every=every)[1]


def scanned(rate, xs):
    return lax.scan(_step(rate), jnp.zeros_like(xs[0]), xs)[1]


def _step(rate):
    def step(v, x):
        v = v + rate * (x - v)
        z = snn.SuperSpike(5.0)(v - 0.5)
        v = v - z * v
        return v, (z, v)

    return step


def loss_of(run, **kwargs):
    def loss(rate, xs):
        z, v = run(rate, xs, **kwargs)
        weights = jnp.cos(jnp.arange(z.size, dtype=z.dtype)).reshape(z.shape)
        return jnp.sum(weights * z) + jnp.sum(v**2)

    return loss


RATE = np.linspace(0.1, 0.4, 8, dtype=np.float32)


@pytest.mark.parametrize("at_once", [4, 7])  # of 21 steps: with and without a remainder
@pytest.mark.parametrize("every", [None, 6])
def test_several_steps_at_once_are_the_same_loop(at_once, every):
    platform = _platforms.Platform(at_once)
    ours, plain = loss_of(neuron, every=every), loss_of(scanned)

    def all_of(rate, xs):
        tangents = (jnp.ones_like(rate), jnp.ones_like(xs))
        return [
            (
                jax.value_and_grad(loss, argnums=(0, 1))(rate, xs),
                jax.jvp(loss, (rate, xs), tangents)[1],
            )
            for loss in (ours, plain)
        ]

    with _platforms.traced_for(platform):
        got, expected = jax.jit(all_of)(RATE, SIGNAL)
    assert np.abs(expected[0][1][0]).max() > 1
    jax.tree.map(
        lambda g, e: np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5), got, expected
    )


TRANSFORMATIONS = {
    "eager gradient": lambda loss: jax.grad(loss, argnums=(0, 1)),
    "compiled gradient": lambda loss: jax.jit(jax.grad(loss, argnums=(0, 1))),
    "gradient of compiled": lambda loss: jax.grad(jax.jit(loss), argnums=(0, 1)),
    "forward mode": lambda loss: jax.jit(lambda *a: jax.jvp(loss, a, a)[1]),
    "vmap of gradient": lambda loss: jax.jit(
        lambda rate, xs: jax.vmap(jax.grad(loss, 1), (None, 1), 1)(rate[:1], xs[..., None])
    ),
    "forward over forward": lambda loss: jax.jit(
        lambda rate, xs: jax.jacfwd(jax.jacfwd(loss))(rate, xs)
    ),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_choice_between_platforms_can_be_transformed(with_accelerator, name):
    transform = TRANSFORMATIONS[name]
    got = transform(loss_of(neuron))(RATE, SIGNAL)
    expected = transform(loss_of(scanned))(RATE, SIGNAL)
    assert "cond" in str(jax.make_jaxpr(neuron)(RATE, SIGNAL))
    jax.tree.map(
        lambda g, e: np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-4), got, expected
    )


def test_a_choice_between_platforms_can_be_sharded(with_accelerator):
    auto = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((4,), ("neurons",), axis_types=auto)
    specs = (P("neurons"), P(None, "neurons"))

    def potential(rate, xs):  # of each neuron, so that there is nothing to add up
        return jax.grad(lambda rate, xs: jnp.sum(neuron(rate, xs)[1]), (0, 1))(rate, xs)

    sharded = jax.jit(jax.shard_map(potential, mesh=mesh, in_specs=specs, out_specs=specs))
    assert collectives(sharded.lower(RATE, SIGNAL).compile()) == []
    jax.tree.map(
        lambda g, e: np.testing.assert_allclose(g, e, rtol=1e-5),
        sharded(RATE, SIGNAL),
        potential(RATE, SIGNAL),
    )


def test_the_cpu_keeps_its_program(with_accelerator, monkeypatch):
    def gradient(x):
        return jax.grad(lambda x: ENCODER(x).sum())(x)

    def compiled():
        jax.clear_caches()
        program = jax.jit(gradient).lower(VALUES).compile()
        return program.as_text(), program.memory_analysis().temp_size_in_bytes

    text, temporary = compiled()
    monkeypatch.setattr(_platforms, "_has_accelerator", lambda: False)
    text_alone, temporary_alone = compiled()
    assert temporary == temporary_alone
    assert text.count(" fusion(") == text_alone.count(" fusion(")
    assert " conditional(" not in text


def test_a_cpu_alone_traces_only_its_own_loop(monkeypatch):
    monkeypatch.setattr(_platforms, "_has_accelerator", lambda: False)
    assert "cond" not in str(jax.make_jaxpr(neuron)(RATE, SIGNAL))


@pytest.mark.parametrize(
    ("platform", "spikes"), [("cpu", "100x8"), ("cuda", "10x10x8"), ("tpu", "5x20x8")]
)
def test_steps_in_an_iteration_of_each_platform(with_accelerator, platform, spikes):
    text = jax.jit(ENCODER).trace(VALUES).lower(lowering_platforms=(platform,)).as_text()
    [loop] = [line for line in text.splitlines() if "stablehlo.while" in line]
    assert f"tensor<{spikes}xf32>" in loop


def _network():
    linear = eqx.nn.Linear(8, 4, key=jr.key(0))
    return snn.Network([ENCODER, snn.OverTime(linear), snn.LIF(), snn.MaxOverTime()])


def _recurrent():
    lateral = eqx.nn.Linear(4, 4, use_bias=False, key=jr.key(1))
    return snn.Network([*_network()[:2], snn.Recurrent(snn.LIF(), lateral), snn.SpikeCount()])


@pytest.mark.parametrize("network", [_network(), _recurrent()], ids=["network", "recurrent"])
def test_the_outermost_layer_chooses_the_platform_once(with_accelerator, network):
    def gradient(x):
        return jax.grad(lambda x: network(x).sum())(x)

    assert str(jax.make_jaxpr(network)(VALUES)).count("platform_index[") == 1
    assert str(jax.make_jaxpr(gradient)(VALUES)).count("platform_index[") == 1


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
def test_long_networks_run_in_chunks_on_a_cpu_only(with_accelerator, platform):
    network = snn.Network([snn.LIF(), snn.SpikeCount()])
    signal = jax.ShapeDtypeStruct((500, 8), jnp.float32)
    lowered = jax.jit(network).trace(signal).lower(lowering_platforms=(platform,))
    assert ("tensor<25x8xf32>" in lowered.as_text()) is (platform == "cpu")


@pytest.mark.parametrize("layer", [ENCODER, _network()], ids=["encoder", "network"])
def test_exports_for_all_platforms(with_accelerator, layer):
    function = jax.jit(lambda x: layer(x))
    exported = export.export(function, platforms=["cpu", "cuda", "tpu"])(VALUES)
    read = export.deserialize(exported.serialize())
    assert read.platforms == ("cpu", "cuda", "tpu")
    np.testing.assert_array_equal(read.call(VALUES), function(VALUES))
