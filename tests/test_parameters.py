"""LIFParameters: frozen, hashable, validated."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsnn_eqx as snn

NAMES = ["tau_syn", "tau_mem", "v_th", "v_leak", "v_reset"]


def test_frozen_and_hashable():
    params = snn.LIFParameters()
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.v_th = 1.0  # pyright: ignore
    assert {params: 1}[snn.LIFParameters()] == 1
    assert hash(snn.LIFParameters(v_th=1)) == hash(snn.LIFParameters(v_th=1.0))


def test_integers_and_numpy_scalars_are_stored_as_floats():
    params = snn.LIFParameters(tau_syn=1, tau_mem=np.int64(2), v_th=np.float64(1.5), v_leak=0)
    assert all(type(getattr(params, name)) is float for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("array", [jnp.array(0.5), np.array([0.5]), jnp.ones(3)], ids=str)
def test_arrays_are_refused_with_the_trainable_alternative(name, array):
    with pytest.raises(
        ValueError,
        match=rf"`{name}` must be a Python number, because it is static.*got an array of "
        r"shape .*To train it, .*`LearnableLIFParameters`; in an .*`LearnableLIFEncoder`",
    ):
        snn.LIFParameters(**{name: array})


def test_tracers_are_refused_too():
    with pytest.raises(ValueError, match="`v_th` must be a Python number"):
        jax.jit(lambda v: snn.LIFParameters(v_th=v).v_th)(1.0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"tau_mem": 0}, "`tau_mem` must be positive, got 0.0"),
        ({"tau_syn": -1e-3}, "`tau_syn` must be positive, got -0.001"),
        ({"tau_mem": float("inf")}, "`tau_mem` must be finite, got inf"),
        ({"v_th": float("nan")}, "`v_th` must be finite, got nan"),
        ({"v_leak": "0"}, "`v_leak` must be a Python number, got '0' of type str"),
        ({"v_th": None}, "`v_th` must be a Python number, got None"),
        ({"v_th": True}, "`v_th` must be a Python number, got True of type bool"),
        ({"v_reset": 0.6}, "`v_reset` must be below `v_th`, got v_reset=0.6 and v_th=0.6"),
        ({"v_th": -1.0}, "`v_reset` must be below `v_th`"),
    ],
)
def test_bad_values_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        snn.LIFParameters(**kwargs)


# -- learnable


def test_constants_are_exactly_the_given_ones_before_training():
    rng = np.random.default_rng(0)
    given = {
        "tau_mem": rng.uniform(1.1e-3, 5e-2, 10_000),
        "v_th": rng.uniform(0.1, 3.0, 10_000),
        "v_leak": rng.uniform(-1.0, 1.0, 10_000),
        "v_reset": rng.uniform(-1.0, 0.09, 10_000),
    }
    params = snn.LearnableLIFParameters(10_000, **given)
    for read in (lambda p: p, jax.jit(lambda p: [getattr(p, name) for name in given])):
        constants = read(params)
        if constants is params:
            constants = [getattr(params, name) for name in given]
        for name, constant in zip(given, constants, strict=True):
            np.testing.assert_array_equal(constant, given[name].astype(np.float32))


@pytest.mark.parametrize("log", [-200.0, -20.0, -1.0, 1.0, 5.0])
def test_trained_constants_stay_in_their_range(log):
    params = snn.LearnableLIFParameters(3, tau_mem=[2e-3, 1e-2, 3e-2], v_reset=-0.3)
    moved = eqx.tree_at(
        lambda p: (p.log_tau_mem, p.log_v_th), params, (jnp.full(3, log), jnp.full(3, log))
    )
    assert (moved.tau_mem >= np.float32(1e-3)).all()
    assert (moved.v_th >= np.float32(-0.3)).all()
    expected = 1e-3 + (np.array([2e-3, 1e-2, 3e-2]) - 1e-3) * np.exp(log)
    np.testing.assert_allclose(moved.tau_mem, expected, rtol=1e-5)
    np.testing.assert_allclose(moved.v_th, -0.3 + 0.9 * np.exp(log), rtol=1e-5)


def test_an_optimiser_does_not_change_the_given_constants():
    neurons = snn.LIF(snn.LearnableLIFParameters(4))
    trained = eqx.filter(neurons, eqx.is_inexact_array)
    assert len(jax.tree.leaves(trained)) == 2
    optimizer = optax.adamw(1e-1, weight_decay=0.5)
    grads = jax.tree.map(jnp.zeros_like, trained)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        updates, _ = optimizer.update(grads, optimizer.init(trained), trained)
    decayed = eqx.apply_updates(neurons, updates)
    for name in ("tau_mem", "v_th", "v_leak", "v_reset"):
        constant = getattr(neurons.params, name)
        np.testing.assert_array_equal(getattr(decayed.params, name), constant)


@pytest.mark.parametrize(
    ("layer", "used"),
    [
        (snn.LI(snn.LearnableLIFParameters(4)), {"log_tau_mem"}),
        (snn.LIF(snn.LearnableLIFParameters(4)), {"log_tau_mem", "log_v_th"}),
        (snn.ALIF(snn.LearnableLIFParameters(4)), {"log_tau_mem", "log_v_th"}),
        (snn.LearnableLIFEncoder(4, 9), {"log_tau_mem", "log_v_th"}),
    ],
)
def test_a_layer_has_only_the_leaves_that_it_uses(layer, used):
    logs = {name for name in vars(layer.params) if name.startswith("log_")}
    assert {name for name in logs if getattr(layer.params, name) is not None} == used


def test_learnable_parameters_are_constructed_under_jit_vmap_and_filter_eval_shape():
    taus = jnp.array([[5e-3, 1e-2], [2e-2, 3e-2]])

    def neurons(tau_mem):
        return snn.LIF(snn.LearnableLIFParameters(2, tau_mem=tau_mem))

    xs = jnp.full((40, 2), 2.0)
    each = jnp.stack([neurons(tau)(xs) for tau in taus])
    ensemble = eqx.filter_vmap(neurons)(taus)
    assert ensemble.params.log_tau_mem.shape == (2, 2)
    run = eqx.filter_vmap(lambda n: n(xs), in_axes=eqx.if_array(0))
    np.testing.assert_array_equal(run(ensemble), each)
    np.testing.assert_array_equal(eqx.filter_jit(neurons)(taus[0])(xs), each[0])
    shapes = eqx.filter_eval_shape(neurons, taus[0])
    assert jax.tree.structure(shapes) == jax.tree.structure(neurons(taus[0]))


def test_parameters_are_static_in_every_layer():
    assert jax.tree.leaves((snn.LIFParameters(), {"a": snn.LIFParameters(v_th=2)})) == []
    doubled = jax.jit(lambda params, x: params.v_th * x)(snn.LIFParameters(v_th=3), 2.0)
    assert doubled == 6
