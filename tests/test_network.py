"""Network and OverTime."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw

import jaxsnn_eqx as snn

K = jr.split(jr.key(0), 6)


@eqx.filter_jit
def _linear(n_in, n_out, key, bias=True):
    linear = eqx.nn.Linear(n_in, n_out, use_bias=bias, key=key)
    return eqx.tree_at(lambda m: m.weight, linear, 4 * linear.weight)


def _layers(first=None, last=None):
    return [
        *([] if first is None else [first]),
        snn.OverTime(_linear(6, 12, K[0])),
        snn.Synapse(snn.LIF(), immediate=False),
        snn.OverTime(_linear(12, 3, K[1], bias=False)),
        snn.Synapse(snn.LI()),
        *([] if last is None else [last]),
    ]


VALUES = draw.uniform(K[2], (6,), minval=0.5, maxval=3.0)
SIGNAL = (draw.uniform(K[3], (30, 6)) < 0.4).astype(jnp.float32)


def _grad(network, x):
    return eqx.filter_grad(lambda n: jnp.sum(jnp.cos(jnp.arange(3.0)) * n(x)))(network)


ENCODER = snn.ConstantCurrentLIFEncoder(30)
DECODERS = (None, snn.MaxOverTime(), snn.MeanOverTime())


@pytest.mark.parametrize(
    ("every", "first", "last"),
    [
        (4, None, None),
        (29, None, DECODERS[2]),
        (1, ENCODER, DECODERS[1]),
        (7, ENCODER, None),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in itertools.product((1, 4, 7, 29, 30, 31), (None, ENCODER), DECODERS)
        ),
    ],
)
def test_chunks_of_the_whole_network_only_change_memory(every, first, last):
    whole = snn.Network(_layers(first, last))
    chunked = snn.Network(_layers(first, last), checkpoint_every=every)
    x = SIGNAL if first is None else VALUES

    @eqx.filter_jit
    def output_and_grad(network, x):
        def loss(network):
            out = network(x)
            return jnp.sum(out**2), out

        grad, out = eqx.filter_grad(loss, has_aux=True)(network)
        return out, jax.tree.leaves(grad)

    (out, grads), (expected_out, expected_grads) = (
        output_and_grad(network, x) for network in (chunked, whole)
    )
    np.testing.assert_allclose(out, expected_out, rtol=1e-5, atol=1e-6)
    for got, expected in zip(grads, expected_grads, strict=True):
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("length", "every"),
    [(32, 32), (249, 249), (250, 25), (256, 32), (257, 25), (1003, 17), (10_000, 50)],
)
def test_long_networks_run_in_chunks_by_default(length, every):
    def program(network):
        xs = jax.ShapeDtypeStruct((length, 6), jnp.float32)
        return str(jax.make_jaxpr(lambda xs: network.run_chunk(state, xs, None, None))(xs))

    layers = _layers(last=snn.MaxOverTime())
    network = snn.Network(layers)
    state = network.init(SIGNAL[0])
    assert program(network) == program(snn.Network(layers, checkpoint_every=every))
    assert (program(network) == program(snn.Network(layers, length + 1))) is (length < 250)


def test_a_network_that_returns_every_step_runs_whole_by_default():
    xs = jax.ShapeDtypeStruct((500, 6), jnp.float32)
    state = snn.Network(_layers()).init(SIGNAL[0])
    default, whole = (
        str(jax.make_jaxpr(lambda xs, n=n: n.run_chunk(state, xs, None, None))(xs))
        for n in (snn.Network(_layers()), snn.Network(_layers(), 500))
    )
    assert default == whole


def test_a_network_of_one_layer_leaves_chunks_to_it():
    neuron = snn.LIF()
    xs = jnp.zeros((500, 3))
    state = neuron.init(xs[0])
    alone = jax.make_jaxpr(lambda xs: neuron.run_chunk(state, xs, None, None))(xs)
    network = snn.Network([neuron])
    inside = jax.make_jaxpr(lambda xs: network.run_chunk((state,), xs, None, None))(xs)
    assert str(inside) == str(alone)


def test_calls_layers_with_the_keys_of_sequential():
    layers = [*_layers(snn.ConstantCurrentLIFEncoder(30)), snn.OverTime(eqx.nn.Dropout())]
    network, sequential = snn.Network(layers), eqx.nn.Sequential(layers)
    np.testing.assert_allclose(
        network(VALUES, key=K[4]), sequential(VALUES, key=K[4]), rtol=1e-5, atol=1e-6
    )


def test_streams_one_sample_at_a_time():
    network = snn.Network(_layers(last=snn.MaxOverTime()))
    step = eqx.filter_jit(lambda network, state, x: network.step(state, x))
    state = network.init(SIGNAL[0])
    for t, x in enumerate(np.asarray(SIGNAL)):
        state, out = step(network, state, x)
        if t in (0, 1, 12, 29):
            whole = network(np.asarray(SIGNAL)[: t + 1])
            np.testing.assert_allclose(out, whole, rtol=1e-5, atol=1e-6)


def test_streams_live_input_through_an_encoder_of_values():
    network = snn.Network(_layers(snn.ConstantCurrentLIFEncoder(30), snn.SpikeCount()))
    step = eqx.filter_jit(lambda network, state, x: network.step(state, x))
    state = network.init(VALUES)
    for _ in range(30):
        state, out = step(network, state, VALUES)
    np.testing.assert_allclose(out, network(VALUES), rtol=1e-4, atol=1e-5)


def test_a_network_is_a_layer():
    inner = snn.Network(_layers()[:2])
    outer = snn.Network(
        [snn.ConstantCurrentLIFEncoder(30), inner, *_layers(last=snn.MaxOverTime())[2:]]
    )
    flat = snn.Network(_layers(snn.ConstantCurrentLIFEncoder(30), snn.MaxOverTime()))
    np.testing.assert_allclose(outer(VALUES), flat(VALUES), rtol=1e-6)
    wrapped = snn.Network([flat])
    np.testing.assert_allclose(wrapped(VALUES), flat(VALUES), rtol=1e-6)
    assert wrapped.seq_length == 30


def test_a_slice_is_a_network():
    network = snn.Network(_layers(snn.ConstantCurrentLIFEncoder(30), snn.MaxOverTime()), 7)
    front, back = network[:3], network[3:]
    assert isinstance(front, snn.Network)
    assert front.checkpoint_every == 7
    np.testing.assert_allclose(back(front(VALUES)), network(VALUES), rtol=1e-5)


def test_behaves_as_a_sequence():
    network = snn.Network(_layers())
    assert len(network) == 4
    assert network[1] is network.layers[1]
    assert [type(layer) for layer in network] == [
        snn.OverTime,
        snn.Synapse,
        snn.OverTime,
        snn.Synapse,
    ]


def test_an_ensemble_of_networks():
    @eqx.filter_jit
    def make(key):
        k1, k2 = jr.split(key)
        return snn.Network(
            [
                snn.ConstantCurrentLIFEncoder(30),
                snn.OverTime(_linear(6, 12, k1)),
                snn.Synapse(snn.LIF(), immediate=False),
                snn.OverTime(_linear(12, 3, k2, bias=False)),
                snn.Synapse(snn.LI()),
                snn.MaxOverTime(),
            ]
        )

    keys = jr.split(K[5], 4)
    ensemble = eqx.filter_vmap(make)(keys)
    call = eqx.filter_vmap(lambda n, x: n(x), in_axes=(eqx.if_array(0), None))
    outs = eqx.filter_jit(call)(ensemble, VALUES)
    for out, key in zip(np.asarray(outs), keys, strict=True):
        np.testing.assert_allclose(out, make(key)(VALUES), rtol=1e-5, atol=1e-6)


def test_gradients_reach_every_weight_inside_filter_jit():
    network = snn.Network(_layers(snn.ConstantCurrentLIFEncoder(30), snn.MaxOverTime()))
    batch = jnp.stack([VALUES, 2 * VALUES])

    @eqx.filter_jit
    def step(network, batch):
        return eqx.filter_value_and_grad(lambda n, xs: jnp.sum(jnp.abs(jax.vmap(n)(xs))))(
            network, batch
        )

    value, grads = step(network, batch)
    leaves = jax.tree.leaves(grads)
    assert len(leaves) == 3
    assert float(value) > 0
    assert all(float(jnp.abs(g).max()) > 1e-3 for g in leaves)


def _temp_gb(every, steps):
    """Temporary memory, GB, of forward and backward of a 64-128-10 network, batch 16."""
    network = snn.Network(
        [
            snn.OverTime(eqx.nn.Linear(64, 128, key=K[0])),
            snn.Synapse(snn.LIF(), immediate=False),
            snn.OverTime(eqx.nn.Linear(128, 10, key=K[1])),
            snn.Synapse(snn.LI()),
            snn.MaxOverTime(),
        ],
        checkpoint_every=every,
    )

    def loss(network, xs):
        return jnp.sum(jax.vmap(network)(xs) ** 2)

    xs = jax.ShapeDtypeStruct((16, steps, 64), jnp.float32)
    params = jax.eval_shape(lambda: eqx.filter(network, eqx.is_array))
    static = eqx.filter(network, eqx.is_array, inverse=True)
    grad = jax.jit(lambda params, xs: jax.grad(loss)(eqx.combine(params, static), xs))
    stats = grad.lower(params, xs).compile().memory_analysis()
    return stats.temp_size_in_bytes / 1e9


def test_a_hundred_thousand_steps_fit_in_under_a_gigabyte():
    assert _temp_gb(every=None, steps=100_000) < 0.1
    # without chunks it is more
    assert _temp_gb(every=None, steps=10_000) < 0.2 * _temp_gb(every=10_000, steps=10_000)


def test_linear_over_time_is_one_matrix_product_without_a_transpose():
    layer = snn.OverTime(eqx.nn.Linear(6, 12, key=K[0]))
    batched = jax.jit(lambda xs: jax.vmap(layer)(xs)).lower(jnp.ones((4, 30, 6))).as_text()
    assert batched.count("dot_general") == 1
    assert "transpose" not in batched.replace("transposed", "") or "<12x6xf32>" in batched
    assert "tensor<4x30x12xf32>" in batched
    assert "tensor<12x4x30xf32>" not in batched


def test_over_time_equals_a_loop():
    for layer, x in [
        (eqx.nn.Linear(6, 12, key=K[0]), SIGNAL),
        (eqx.nn.Conv2d(1, 2, 3, key=K[0]), jnp.ones((5, 1, 8, 8))),
        (eqx.nn.MLP(6, 3, 8, 2, key=K[0]), SIGNAL),
        (eqx.nn.Lambda(jnp.ravel), jnp.ones((5, 2, 3))),
        (eqx.nn.Linear("scalar", 2, key=K[0]), jnp.arange(4.0)),
    ]:
        each = eqx.filter_jit(layer)
        expected = np.stack([each(x_t) for x_t in np.asarray(x)])
        np.testing.assert_allclose(snn.OverTime(layer)(x), expected, rtol=1e-5, atol=1e-6)


def test_over_time_draws_from_the_key_and_the_step():
    dropout = snn.OverTime(eqx.nn.Dropout(0.5))
    out = dropout(jnp.ones((20, 100)), key=K[0])
    each = jax.jit(lambda t: eqx.nn.Dropout(0.5)(jnp.ones(100), key=jr.fold_in(K[0], t)))
    np.testing.assert_array_equal(out, np.stack([each(t) for t in range(20)]))
    assert len({row.tobytes() for row in np.asarray(out)}) == 20


@pytest.mark.parametrize("dtype", [jnp.bool_, jnp.uint8, jnp.bfloat16, jnp.float32])
def test_over_time_casts_spikes_to_the_layers_dtype(dtype):
    linear = eqx.nn.Linear(6, 12, key=K[0], dtype=jnp.bfloat16)
    out = snn.OverTime(linear)(SIGNAL.astype(dtype))
    assert out.dtype == jnp.bfloat16
    spikes = snn.ConstantCurrentLIFEncoder(30, dtype=dtype)(VALUES)
    reference = snn.OverTime(eqx.nn.Linear(6, 12, key=K[0]))
    np.testing.assert_allclose(
        reference(spikes), reference(spikes.astype(jnp.float32)), rtol=1e-6
    )


def test_a_module_with_state_such_as_batch_norm_is_refused():
    with pytest.raises(ValueError, match=r"`layer` must be stateless, got `BatchNorm`"):
        snn.OverTime(eqx.nn.BatchNorm(3, "batch", mode="batch"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: snn.Network([]), r"`layers` must have at least one layer, got none"),
        (
            lambda: snn.Network([eqx.nn.Linear(2, 2, key=K[0])]),
            r"`layers\[0\]` \(Linear\) is not a layer over time: .*`OverTime\(layer\)`",
        ),
        (
            lambda: snn.Network([snn.LIF(), snn.ConstantCurrentLIFEncoder(3)]),
            r"`layers\[1\]` \(ConstantCurrentLIFEncoder\) encodes values, so it must",
        ),
        (
            lambda: snn.Network([snn.MaxOverTime(), snn.LIF()]),
            r"`layers\[0\]` \(MaxOverTime\) reduces over time, so it must come last",
        ),
        (
            lambda: snn.Network(
                [
                    snn.LIF(dt=5e-4),
                    snn.Network([snn.LI(dt=1e-3)]),
                ]
            ),
            r"`dt` must be the same.*layers\[0\] \(LIF\): 0.0005, "
            r"layers\[1\].layers\[0\] \(LI\): 0.001",
        ),
        (
            lambda: snn.Network([snn.LIF()], 0),
            r"`checkpoint_every` must be at least 1, got 0",
        ),
        (
            lambda: snn.OverTime(snn.LIF()),
            r"`layer` must be stateless, got `LIF`",
        ),
        (lambda: snn.OverTime(3), r"`layer` must be callable, got 3"),
        (
            lambda: snn.OverTime(eqx.nn.Linear(6, 2, key=K[0]))(jnp.ones((5, 7))),
            r"input has shape \(7,\), expected \(6,\)",
        ),
        (
            lambda: snn.Network([snn.LIF()]).run((), jnp.ones((3, 2)), length=3),
            r"`length` must be given to `run` if and only if the layer.*length=3 and",
        ),
        (
            lambda: snn.Network([snn.ConstantCurrentLIFEncoder(3)]).run((), jnp.ones(2)),
            r"`length` must be given to `run`.*got length=None and seq_length=3",
        ),
        (
            lambda: snn.Network(
                [snn.GaussianReceptiveFields.evenly(4), snn.PhaseEncoder(8)],  # pyright: ignore
            ),
            r"`layers\[0\]` \(GaussianReceptiveFields\).*`Preprocessed\(layer, encoder\)`",
        ),
        (
            lambda: snn.Network([snn.OverTime(abs), snn.PhaseEncoder(8)]),
            r"`layers\[1\]` \(PhaseEncoder\).*`Preprocessed\(fn, encoder\)`",
        ),
        (
            lambda: snn.Network(
                [
                    snn.Preprocessed(abs, snn.LatencyEncoder(9, 1e-3, dt=5e-4)),
                    snn.LIF(),
                ]
            ),
            r"layers\[0\].encoder \(LatencyEncoder\): 0.0005, layers\[1\] \(LIF\): 0.001",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_missing_key_is_an_error():
    with pytest.raises(RuntimeError, match="Dropout requires a key"):
        snn.Network([snn.LIF(), snn.OverTime(eqx.nn.Dropout())])(jnp.ones((3, 2)))
