"""`trace`: recorded potentials and spikes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw

import jaxsnn_eqx as snn

X = np.asarray(draw.uniform(jr.key(0), (4,), maxval=4.0))
XS = np.asarray(draw.uniform(jr.key(1), (20, 4), maxval=4.0))


@pytest.mark.parametrize(
    ("layer", "x", "potential"),
    [
        (snn.ConstantCurrentLIFEncoder(20), X, lambda s: s),
        (snn.LearnableLIFEncoder(4, 20), X, lambda s: s),
        (snn.LIFCurrentEncoder(), XS, lambda s: s),
        (snn.LIFLatencyEncoder(20), X, lambda s: s.potential),
        (snn.Preprocessed(abs, snn.LIFLatencyEncoder(20)), X, lambda s: s.potential),
        (snn.LIF(), XS, lambda s: s.potential),
        (snn.LI(), XS, lambda s: s.potential),
        (snn.ALIF(refractory=2e-3), XS, lambda s: s.potential),
        (snn.Synapse(snn.LIF()), XS, lambda s: s.neuron.potential),
        (
            snn.Recurrent(snn.Synapse(snn.LIF()), eqx.nn.Linear(4, 4, key=jr.key(2))),
            XS,
            lambda s: s.layer.neuron.potential,
        ),
    ],
)
def test_output_equals_the_calls_and_potentials_equal_the_steps(layer, x, potential):
    potentials, out = snn.trace(layer, x)
    np.testing.assert_array_equal(out, layer(x))
    values = layer.seq_length is not None
    step = eqx.filter_jit(lambda layer, state, x: layer.step(state, x)[0])
    state = layer.init(x if values else x[0])
    for t, expected in enumerate(np.asarray(potentials)):
        state = step(layer, state, x if values else x[t])
        np.testing.assert_allclose(expected, potential(state), rtol=1e-5, atol=1e-6)


def test_any_part_of_a_state_is_recorded():
    (currents, above), spikes = snn.trace(
        snn.Synapse(snn.LIF(), immediate=False),
        XS,
        record=lambda state: (state.current, state.neuron.potential[0] > 0),
    )
    np.testing.assert_allclose(np.asarray(currents)[1], 0.8 * XS[0] + XS[1], rtol=1e-6)
    assert (above.dtype, above.shape, spikes.shape) == (bool, (20,), (20, 4))


def test_the_states_of_a_network_are_recorded():
    linear = snn.OverTime(eqx.nn.Linear(4, 3, key=jr.key(2)))
    network = snn.Network([snn.LIFCurrentEncoder(), linear, snn.LI(), snn.MaxOverTime()])
    (first, nothing, third, no_potential), best = snn.trace(network, XS)
    assert (nothing, no_potential) == (None, None)
    np.testing.assert_array_equal(first, snn.trace(network[0], XS)[0])
    np.testing.assert_allclose(third, network[:3](XS), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(best)[-1], network(XS), rtol=1e-5, atol=1e-6)
    steps, _ = snn.trace(network, XS, record=lambda states: states[1])
    np.testing.assert_array_equal(steps, np.arange(1, 21))


def test_the_reset_shows_in_the_potential():
    potentials, spikes = snn.trace(snn.ConstantCurrentLIFEncoder(50), X + 1)
    potentials = np.asarray(potentials)
    np.testing.assert_array_equal(potentials[np.asarray(spikes) == 1], 0)
    assert (potentials <= 0.6).all()


def test_potentials_are_differentiable():
    def last(xs):
        return snn.trace(snn.Synapse(snn.LIF(), immediate=False), xs)[0][-1].sum()

    assert np.abs(jax.jit(jax.grad(last))(XS)).max() > 1e-4


def test_potentials_stay_float32_under_narrow_input():
    potentials, spikes = snn.trace(
        snn.Synapse(snn.LIF(), immediate=False), XS.astype(jnp.bfloat16)
    )
    assert (potentials.dtype, spikes.dtype) == (jnp.float32, jnp.bfloat16)


@pytest.mark.parametrize(
    "layer",
    [
        snn.SpatioTemporalEncoder(20, 1e-2),
        snn.SigmaDeltaEncoder(0.5),
        snn.MaxOverTime(),
        snn.OverTime(eqx.nn.Identity()),
    ],
)
def test_a_layer_without_a_potential_needs_record(layer):
    name = type(layer).__name__
    with pytest.raises(
        ValueError, match=rf"`layer` must have a membrane potential, got `{name}`"
    ):
        snn.trace(layer, XS)
    recorded, out = snn.trace(layer, XS, record=lambda state: state)
    assert all(len(leaf) == len(out) == 20 for leaf in jax.tree.leaves(recorded))
