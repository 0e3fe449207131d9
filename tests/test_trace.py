"""trace: voltages beside spikes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxsnn_eqx as snn

X = jr.uniform(jr.key(0), (4,), maxval=4.0)
XS = jr.uniform(jr.key(1), (20, 4), maxval=4.0)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (snn.ConstantCurrentLIFEncoder(20), X),
        (snn.LearnableLIFEncoder(4, 20), X),
        (snn.LIFCurrentEncoder(), XS),
        (snn.LIF(), XS),
        (snn.LI(), XS),
    ],
)
def test_output_is_the_calls_and_voltages_are_the_steps(layer, x):
    voltages, out = snn.trace(layer, x)
    np.testing.assert_array_equal(out, layer(x))
    held = isinstance(layer, snn.AbstractValueEncoder)
    state = layer.init(x if held else x[0])
    for t in range(20):
        state, _ = layer.step(state, x if held else x[t])
        np.testing.assert_allclose(voltages[t], layer.voltage(state), rtol=1e-5, atol=1e-6)


def test_the_reset_shows_in_the_voltage():
    voltages, spikes = snn.trace(snn.ConstantCurrentLIFEncoder(50), X + 1)
    np.testing.assert_array_equal(voltages[spikes == 1], 0)
    assert (np.asarray(voltages) <= 0.6).all()


def test_voltages_are_differentiable():
    grad = jax.grad(lambda xs: snn.trace(snn.LIF(), xs)[0][-1].sum())(XS)
    assert float(jnp.abs(grad).max()) > 1e-4


def test_voltages_stay_float32_under_narrow_input():
    voltages, spikes = snn.trace(snn.LIF(), XS.astype(jnp.bfloat16))
    assert (voltages.dtype, spikes.dtype) == (jnp.float32, jnp.bfloat16)


@pytest.mark.parametrize(
    "layer",
    [snn.SpatioTemporalEncoder(20, 1e-2), snn.MaxOverTime(), snn.OverTime(eqx.nn.Identity())],
)
def test_a_layer_without_a_membrane_is_refused(layer):
    name = type(layer).__name__
    with pytest.raises(ValueError, match=rf"`layer` must have a membrane .*got `{name}`"):
        snn.trace(layer, XS)
