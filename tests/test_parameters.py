"""LIFParameters: frozen, hashable, validated."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
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
        r"shape .*To train membrane parameters, use `LearnableLIFEncoder`",
    ):
        snn.LIFParameters(**{name: array})
    assert hasattr(snn, "LearnableLIFEncoder")


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
