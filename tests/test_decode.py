"""Decoders against NumPy."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw

import jaxsnn_eqx as snn


def count(xs, axis):
    """Signed and graded spikes count as 1, and smooth ones, below 1, as what they are."""
    return np.minimum(np.abs(xs), 1).sum(axis=axis)


DECODERS = [
    (snn.MaxOverTime(), np.max),
    (snn.MeanOverTime(), np.mean),
    (snn.SpikeCount(), count),
]


@pytest.mark.parametrize(("decoder", "expected"), DECODERS)
def test_against_numpy(decoder, expected):
    xs = np.asarray(draw.normal(jr.key(0), (17, 3, 4)))
    np.testing.assert_allclose(decoder(xs), expected(xs, axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("decoder", "expected"), DECODERS)
def test_step_returns_the_running_value(decoder, expected):
    xs = np.asarray(draw.normal(jr.key(0), (6, 3)))
    state = decoder.init(xs[0])
    for t in range(6):
        state, value = decoder.step(state, xs[t])
        np.testing.assert_allclose(value, expected(xs[: t + 1], axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("decoder", "expected"), DECODERS)
def test_nan_gives_nan(decoder, expected):
    xs = jnp.ones((5, 2)).at[1, 0].set(jnp.nan)
    np.testing.assert_array_equal(np.isnan(decoder(xs)), [True, False])


@pytest.mark.parametrize(("decoder", "expected"), DECODERS)
def test_boolean_spikes_are_counted(decoder, expected):
    spikes = jr.bernoulli(jr.key(0), 0.4, (50, 3))
    out = decoder(spikes)
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, expected(np.asarray(spikes, float), axis=0), rtol=1e-6)


def test_counts_in_a_narrow_dtype_are_summed_in_a_wide_one():
    ones = jnp.ones((300, 1), jnp.bfloat16)  # bfloat16 cannot count past 256
    state, _ = snn.SpikeCount().run(snn.SpikeCount().init(ones[0]), ones)
    np.testing.assert_array_equal(state, [300.0])
    np.testing.assert_array_equal(snn.MeanOverTime()(ones).astype(jnp.float32), [1.0])


def test_the_gradient_of_the_max_goes_to_its_step():
    grad = jax.grad(lambda xs: snn.MaxOverTime()(xs).sum())(jnp.array([[1.0], [3.0], [2.0]]))
    np.testing.assert_array_equal(grad.ravel(), [0, 1, 0])


def test_a_sequence_of_length_zero():
    empty = jnp.zeros((0, 2))
    np.testing.assert_array_equal(snn.MaxOverTime()(empty), [-np.inf, -np.inf])
    np.testing.assert_array_equal(snn.SpikeCount()(empty), [0, 0])
    assert np.isnan(snn.MeanOverTime()(empty)).all()
