"""Parity with the released jaxsnn (a test extra, never a dependency)."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw, slow
from jax import lax

import jaxsnn_eqx as snn
from jaxsnn_eqx.functional import (
    constant_current_lif_encode,
    lif_current_encoder,
    one_hot,
    spatio_temporal_encode,
)

jaxsnn = pytest.importorskip("jaxsnn.discrete.encode")
from jaxsnn.discrete.functional.li import LIState, li_step  # noqa: E402
from jaxsnn.discrete.functional.lif import LIFState, lif_step  # noqa: E402
from jaxsnn.discrete.functional.threshold import superspike  # noqa: E402

LENGTH = 40
ONE_IN = 100_000  # spikes that may differ, at inputs within rounding of the threshold


@pytest.fixture(autouse=True)
def standard_promotion():
    """jaxsnn mixes dtypes."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@jax.jit
def _both_encoders(x, weights):
    def theirs(x):
        final, spikes = jaxsnn.constant_current_lif_encode(x, LENGTH)
        return jnp.vdot(weights, spikes), (final, spikes)

    def ours(x):
        potentials, spikes = constant_current_lif_encode(x, LENGTH)
        return jnp.vdot(weights, spikes), (potentials[-1], spikes)

    return tuple(jax.grad(f, has_aux=True)(x) for f in (theirs, ours))


def _assert_gradients_agree(theirs, ours, same):
    largest = np.abs(theirs).max()
    assert largest > 0
    np.testing.assert_allclose(ours[same], theirs[same], rtol=0, atol=1e-5 * largest)


# 100 shapes, ten a test
@pytest.mark.parametrize("group", [0, *slow(*range(1, 10))])
def test_constant_current_encoder_on_random_1d_inputs(group):
    rng = np.random.default_rng(group)
    differ = total = 0
    for n in rng.integers(1, 3000, 10):
        x = rng.uniform(-1, 12, n).astype(np.float32)
        weights = rng.normal(size=(LENGTH, n)).astype(np.float32)
        (g, (v, z)), (g_, (v_, z_)) = jax.tree.map(np.asarray, _both_encoders(x, weights))
        same = (z == z_).all(axis=0)
        differ, total = differ + (z != z_).sum(), total + z.size
        np.testing.assert_allclose(v_[same], v[same], rtol=1e-5, atol=1e-6)
        _assert_gradients_agree(g, g_, same)
    assert differ * ONE_IN <= total
    assert total > 100_000


def _draw_parameters(rng):
    values = {
        "tau_syn": rng.uniform(2e-3, 2e-2),
        "tau_mem": rng.uniform(2e-3, 4e-2),
        "v_th": rng.uniform(0.3, 1.5),
        "v_leak": rng.uniform(-0.2, 0.2),
        "v_reset": rng.uniform(-0.5, 0.2),
    }
    return values, rng.uniform(1e-4, 2e-3)


def _distance_to_threshold(params, dt, potentials, xs, where):
    """How far from the threshold the membrane was, at the first spike that differs."""
    j = np.flatnonzero(where.any(axis=0))
    t = np.argmax(where, axis=0)[j]
    before = np.where(t > 0, potentials[np.maximum(t - 1, 0), j], 0)
    v = before + dt / params.tau_mem * (params.v_leak - before + xs[t, j])
    return np.abs(v - params.v_th)


@pytest.mark.parametrize("seeds", [range(3), *slow(range(3, 12))], ids=str)
def test_lif_current_encoder_scanned_over_parameter_draws(seeds):
    differ = total = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        values, dt = _draw_parameters(rng)
        n = 1500
        xs = rng.normal(1.5, 2.0, (100, n)).astype(np.float32)
        weights = rng.normal(size=xs.shape).astype(np.float32)
        theirs, ours = jaxsnn.LIFParameters(**values), snn.LIFParameters(**values)

        def scanned(xs, step, params, dt=dt, n=n, weights=weights):
            def body(v, x):
                v, z = step(v, x, params, dt)
                return v, (v, z)

            _, (v, z) = lax.scan(body, jnp.zeros(n), xs)
            return jnp.vdot(weights, z), (v, z)

        def module(xs, params=ours, dt=dt, weights=weights):
            v, z = snn.trace(snn.LIFCurrentEncoder(params, dt), xs)
            return jnp.vdot(weights, z), (v, z)

        runs = [
            functools.partial(scanned, step=jaxsnn.lif_current_encoder, params=theirs),
            functools.partial(scanned, step=lif_current_encoder, params=ours),
            module,
        ]
        (g, (v, z)), *others = [
            jax.tree.map(np.asarray, jax.jit(jax.grad(f, has_aux=True))(xs)) for f in runs
        ]
        assert z.sum() > 100
        for g_, (v_, z_) in others:
            where = z != z_
            same = ~where.any(axis=0)
            assert (_distance_to_threshold(ours, dt, v, xs, where) < 1e-5).all()
            differ, total = differ + where.sum(), total + z.size
            np.testing.assert_allclose(v_[:, same], v[:, same], rtol=1e-4, atol=1e-5)
            _assert_gradients_agree(g, g_, (slice(None), same))
    assert total > 800_000
    assert differ * ONE_IN <= total, (differ, total)


@pytest.mark.parametrize("seed", range(5))
def test_spatio_temporal_except_at_half_bin_ties(seed):
    rng = np.random.default_rng(seed)
    length, dt = int(rng.integers(5, 80)), float(rng.uniform(1e-4, 1e-3))
    t_late = float(rng.uniform(2, 1.5 * length)) * dt
    x = rng.uniform(0, 1, (30, 40)).astype(np.float32)
    theirs = jax.jit(lambda x: jaxsnn.spatio_temporal_encode(x, length, t_late, dt))(x)
    ours = spatio_temporal_encode(x, length, t_late, dt)
    position = x.astype(float) * t_late / dt
    tie = np.abs(position - np.floor(position) - 0.5) < 1e-4
    np.testing.assert_array_equal(np.asarray(ours)[:, ~tie], np.asarray(theirs)[:, ~tie])
    assert tie.mean() < 0.01


def test_one_hot():
    x = jnp.array([3, 0, 7, -2])
    np.testing.assert_array_equal(one_hot(x, 5), jaxsnn.one_hot(x, 5))


def test_lif_and_li_steps():
    rng = np.random.default_rng(0)
    values = {"tau_mem": 9e-3, "v_leak": 0.05}
    xs = rng.normal(0.5, 1.0, (60, 50)).astype(np.float32)
    params = snn.LIFParameters(**values, v_th=0.7, v_reset=-0.1)

    def lif(state, x):
        return lif_step({"in": x}, state, None, superspike, 0.05, 0.7, -0.1, 9e-3, 4e-3, 1e-3)

    def li(state, x):
        return li_step({"in": x}, state, None, 0.05, 9e-3, 4e-3, 1e-3)

    zeros = jnp.zeros(50)
    _, spikes = lax.scan(lif, LIFState(zeros, zeros), xs)
    assert 50 < spikes.sum() < 2000
    np.testing.assert_array_equal(
        snn.Synapse(snn.LIF(params), 4e-3, immediate=False)(xs), spikes
    )
    _, potentials = lax.scan(li, LIState(zeros, zeros), xs)
    np.testing.assert_allclose(
        snn.Synapse(snn.LI(params), 4e-3)(xs), potentials, rtol=1e-5, atol=1e-6
    )


def test_recurrent_spikes_and_gradients():
    params = snn.LIFParameters(tau_mem=9e-3, v_th=0.7, v_leak=0.05, v_reset=-0.1)
    xs = 0.6 * draw.normal(jr.key(0), (60, 30)) + 0.4
    weight = 0.5 * draw.normal(jr.key(1), (30, 30))
    weights = draw.normal(jr.key(2), (60, 30))

    def theirs(weight):
        def step(carry, x):
            state, z = carry
            inputs = {"in": x, "lateral": weight @ z}
            carry = lif_step(inputs, state, None, superspike, 0.05, 0.7, -0.1, 9e-3, 4e-3, 1e-3)
            return carry, carry[1]

        zeros = jnp.zeros(30)
        _, spikes = lax.scan(step, (LIFState(zeros, zeros), zeros), xs)
        return jnp.vdot(weights, spikes), spikes

    def ours(weight):
        linear = eqx.nn.Linear(30, 30, use_bias=False, key=jr.key(3))
        linear = eqx.tree_at(lambda m: m.weight, linear, weight)
        spikes = snn.Recurrent(snn.Synapse(snn.LIF(params), 4e-3, immediate=False), linear)(xs)
        return jnp.vdot(weights, spikes), spikes

    (a, expected), (b, spikes) = (
        jax.jit(jax.grad(f, has_aux=True))(weight) for f in (theirs, ours)
    )
    assert 100 < expected.sum() < 1500
    np.testing.assert_array_equal(spikes, expected)
    np.testing.assert_allclose(b, a, rtol=0, atol=1e-5 * float(np.abs(a).max()))
