"""Delays that are trained."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsnn_eqx as snn

DT = 1e-3
TIMES = np.array([-2e-3, 0.0, 0.4e-3, 0.6e-3, 2.5e-3, 3.5e-3, 4e-3, 9e-3])  # 2.5, 3.5: to even
STEPS = np.array([0, 0, 0, 1, 2, 4, 4, 4])
LONGEST = 4e-3


def trained(dtype=jnp.float32) -> snn.Delay:
    return snn.Delay(jnp.asarray(TIMES, dtype), longest=LONGEST)


def shifted(xs: np.ndarray, steps: np.ndarray) -> np.ndarray:
    out = np.zeros_like(xs)
    for n, d in enumerate(steps):
        out[d:, n] = xs[: len(xs) - d, n]
    return out


def test_trained_delays_are_rounded_and_clipped(x64):
    xs = np.random.default_rng(0).normal(size=(12, 8))
    delay = snn.Delay(jnp.asarray(TIMES), dt=DT, longest=LONGEST)
    np.testing.assert_array_equal(delay(xs), shifted(xs, STEPS))


def test_the_derivative_is_that_of_linear_interpolation(x64):
    rng = np.random.default_rng(1)
    xs, weights = rng.normal(size=(2, 12, 8))
    delay = snn.Delay(jnp.asarray(TIMES), longest=LONGEST)

    def loss(delay, xs):
        return (delay(xs) * weights).sum()

    of_delay, of_xs = jax.grad(loss, argnums=(0, 1))(delay, jnp.asarray(xs))
    later, earlier = np.minimum(STEPS + 1, 4), np.maximum(STEPS - 1, 0)
    change = (shifted(xs, later) - shifted(xs, earlier)) / (later - earlier)
    slope = (weights * change).sum(axis=0)
    np.testing.assert_allclose(of_delay.delays * DT, slope, rtol=1e-12)
    back = shifted(weights[::-1], STEPS)[::-1]
    np.testing.assert_array_equal(of_xs, back)


def test_it_is_the_mean_of_both_sides_of_the_interpolation(x64):
    xs = np.random.default_rng(2).normal(size=(12, 3))
    steps = np.array([1.0, 2.0, 3.0])

    def interpolated(position):
        before = np.floor(position).astype(int)
        share = position - before
        return (1 - share) * shifted(xs, before) + share * shifted(xs, before + 1)

    def delayed(steps):
        return snn.Delay(steps * DT, longest=5e-3)(xs)

    _, found = jax.jvp(delayed, (jnp.asarray(steps),), (jnp.ones(3),))
    both = (interpolated(steps + 1e-6) - interpolated(steps - 1e-6)) / 2e-6
    np.testing.assert_allclose(found, both, atol=1e-8)


def test_one_trained_delay_for_all_channels_in_a_narrow_dtype():
    delay = snn.Delay(jnp.array(0.3), longest=0.4)
    xs = jnp.zeros((304, 2), jnp.bfloat16).at[0].set(1.0)
    np.testing.assert_array_equal(jnp.argmax(delay(xs), axis=0), [300, 300])
    gradient = eqx.filter_grad(lambda d: d(xs)[301:].sum().astype(float))(delay)
    assert float(gradient.delays) > 0  # a later spike would count


def test_a_delay_of_nan_and_a_nan_in_the_input():
    delay = snn.Delay(jnp.array([jnp.nan, 1e-3]), longest=2e-3)
    out = delay(jnp.ones((5, 2)))
    np.testing.assert_array_equal(np.isnan(out), [[True, False]] * 5)
    slope = jax.grad(
        lambda d: snn.Delay(d, longest=2e-3)(jnp.ones((3, 2)).at[1].set(jnp.nan)).sum()
    )
    assert np.isnan(slope(jnp.array([0.0, 1e-3]))).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((jnp.array([1e-3]),), "`longest` must be given, in seconds, for trained"),
        ((jnp.array([1e-3]), 1e-3, 1.5e-3), "`longest` must be at least 0 and whole multiples"),
        ((3e-3, 1e-3, 2e-3), "`longest` must be at least the largest of `delays`, 0.003 s"),
        ((jnp.array([1e-3]), 1e-3, -1e-3), "`longest` must be at least 0"),
    ],
)
def test_the_longest_delay_is_known(arguments, match):
    with pytest.raises(ValueError, match=match):
        snn.Delay(*arguments)


def test_a_state_longer_than_the_fixed_delays_changes_nothing():
    xs = np.random.default_rng(3).normal(size=(9, 2)).astype(np.float32)
    for delays in (2e-3, [0.0, 3e-3]):
        longer = snn.Delay(delays, longest=6e-3)
        assert longer.init(xs[0]).shape == (6, 2)
        np.testing.assert_array_equal(longer(xs), snn.Delay(delays)(xs))


def test_a_delay_finds_its_value():
    """The derivative reaches as far as the membrane behind it, and does not push it away."""
    spikes = jnp.zeros((60, 4)).at[5].set(1.0)
    targets = jnp.array([3e-3, 8e-3, 15e-3, 22e-3])
    smooth = snn.LI(snn.LIFParameters(tau_mem=1e-2))

    def loss(delays):
        out = smooth(snn.Delay(delays, longest=25e-3)(spikes))
        aim = smooth(snn.Delay(targets, longest=25e-3)(spikes))
        return ((out - aim) ** 2).sum()

    def update(delays, _):
        return delays - 2e-4 * jnp.sign(jax.grad(loss)(delays)), None

    delays, _ = jax.lax.scan(update, jnp.full(4, 12e-3), length=80)
    np.testing.assert_allclose(delays, targets, atol=1e-3)
