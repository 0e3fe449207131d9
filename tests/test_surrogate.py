"""Each surrogate against its formula, in NumPy float64."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxsnn_eqx as snn
from jaxsnn_eqx._surrogate import fire


def _normal(mean, deviation):
    return stats.norm(mean, deviation).pdf


def _multi_gaussian(x, h=0.15, s=6.0, sigma=0.5, gamma=0.5):
    flanks = _normal(sigma, s * sigma)(x) + _normal(-sigma, s * sigma)(x)
    return gamma * ((1 + h) * _normal(0, sigma)(x) - h * flanks)


# surrogate, its formula, its maximum, and where its derivative jumps or kinks
SURROGATES = {
    "super_spike": (snn.SuperSpike(), lambda x: 1 / (80 * abs(x) + 1) ** 2, 1.0, [0]),
    "super_spike_10": (snn.SuperSpike(10), lambda x: 1 / (10 * abs(x) + 1) ** 2, 1.0, [0]),
    "sigmoid": (snn.Sigmoid(), lambda x: 4 / (2 * np.cosh(2 * x)) ** 2, 1.0, []),
    "atan": (snn.ATan(), lambda x: 1 / (1 + (np.pi * x) ** 2), 1.0, []),
    "triangle": (snn.Triangle(), lambda x: 0.3 * np.maximum(0, 1 - abs(x)), 0.3, [0, -1, 1]),
    "triangle_2": (
        snn.Triangle(2.0, 1.0),
        lambda x: np.maximum(0, 1 - 2 * abs(x)),
        1.0,
        [0, -0.5, 0.5],
    ),
    "gaussian": (snn.Gaussian(), _normal(0, 0.5), 2 / np.sqrt(2 * np.pi), []),
    "multi_gaussian": (snn.MultiGaussian(), _multi_gaussian, _multi_gaussian(0.0), []),
    "rectangle": (snn.Rectangle(), lambda x: 1.0 * (abs(x) < 0.5), 1.0, [-0.5, 0.5]),
    "straight_through": (snn.StraightThrough(), lambda x: np.ones_like(x), 1.0, []),
}


@pytest.fixture(params=SURROGATES.values(), ids=SURROGATES.keys())
def entry(request):
    return request.param


@pytest.fixture
def grid():
    return np.linspace(-3, 3, 2402)  # even: neither 0 nor a kink of any of them is on it


@jax.jit
def functions(surrogate, x):
    """All that a surrogate has, in one compiled program."""
    _, forward = jax.jvp(surrogate, (x,), (2 * jnp.ones_like(x),))
    return dict(
        spikes=surrogate(x),
        derivative=surrogate.derivative(x),
        smooth=surrogate.smooth(x),
        reverse=jax.vmap(jax.grad(surrogate))(x),
        forward=forward,
        second=jax.vmap(jax.grad(jax.grad(surrogate)))(x),
        of_smooth=jax.vmap(jax.grad(surrogate.smooth))(x),
    )


def of(surrogate, x, dtype=np.float32):
    return SimpleNamespace(**jax.tree.map(np.asarray, functions(surrogate, x.astype(dtype))))


def test_forward_is_the_step_with_zero_at_the_threshold(entry):
    x = np.array([-np.inf, -1e4, -1e-30, -0.0, 0.0, 1e-30, 1e4, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(entry[0](x), [0, 0, 0, 0, 0, 1, 1, 1, np.nan])


def test_derivative_is_the_formula(entry, grid):
    surrogate, formula, _, _ = entry
    derivative = of(surrogate, grid).derivative
    np.testing.assert_allclose(derivative, formula(grid), rtol=2e-5, atol=1e-6)


def test_autodiff_gives_the_derivative_in_both_modes(entry, grid):
    surrogate, formula, _, _ = entry
    got = of(surrogate, grid)
    np.testing.assert_allclose(got.reverse, formula(grid), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(got.forward, 2 * formula(grid), rtol=2e-5, atol=2e-6)


def test_maximum_is_at_the_threshold(entry, grid):
    surrogate, _, maximum, _ = entry
    derivative = of(surrogate, np.append(grid[1:], 0.0)).derivative
    np.testing.assert_allclose(derivative[-1], maximum, rtol=1e-6)
    assert derivative.max() <= maximum * (1 + 1e-6)


def test_derivative_is_even_and_smooth_is_odd_about_one_half(entry, grid):
    x = np.append(grid[1:], 0.0)
    got, mirrored = of(entry[0], x), of(entry[0], -x)
    np.testing.assert_allclose(got.derivative, mirrored.derivative, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(got.smooth + mirrored.smooth, 1, atol=2e-6)
    np.testing.assert_allclose(got.smooth[-1], 0.5, atol=1e-7)


def test_smooth_is_an_antiderivative(entry, grid, x64):
    surrogate, _, _, kinks = entry
    away = np.all([abs(grid - k) > 1e-2 for k in [*kinks, 10]], axis=0)
    eps = 1e-6
    got, up, down = (of(surrogate, grid + e, np.float64) for e in (0, eps, -eps))
    numeric = ((up.smooth - down.smooth) / (2 * eps))[away]
    np.testing.assert_allclose(numeric, got.derivative[away], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(got.of_smooth[away], got.derivative[away], rtol=1e-9, atol=1e-12)


def test_no_nan_in_float32_from_minus_to_plus_ten_thousand(entry):
    magnitude = np.concatenate([[0.0], np.logspace(-30, 4, 1200)])
    for values in vars(of(entry[0], np.concatenate([-magnitude, magnitude]))).values():
        assert np.isfinite(values).all()


def test_nan_passes_through_the_derivative(entry, grid):
    assert np.isnan(of(entry[0], 0 * grid + np.nan).derivative).all()


def test_only_the_multi_gaussian_is_negative_anywhere(entry):
    # in one released framework the triangle is negative for x >= 0
    lowest = of(entry[0], np.linspace(-5, 5, 2402)).derivative.min()
    assert (lowest < 0) == isinstance(entry[0], snn.MultiGaussian)


def test_super_spike_is_squared():
    # in one released framework the square is missing
    np.testing.assert_allclose(jax.grad(snn.SuperSpike(100.0))(0.01), 0.25, rtol=1e-6)


def test_multi_gaussian_turns_negative_where_its_docstring_says():
    d = snn.MultiGaussian().derivative
    assert float(d(jnp.array(1.26))) > 0 > float(d(jnp.array(1.28)))
    np.testing.assert_allclose(d(jnp.array(0.0)), 0.439, atol=5e-4)


def test_any_shape_and_list_input():
    assert snn.SuperSpike()(jnp.zeros((2, 0, 3))).shape == (2, 0, 3)
    np.testing.assert_array_equal(snn.ATan()([-1, 2]), [0.0, 1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: snn.SuperSpike(0), r"`slope` must be positive, got 0.0"),
        (lambda: snn.Sigmoid(-1.0), r"`slope` must be positive, got -1.0"),
        (lambda: snn.ATan(jnp.array(2.0)), r"`slope` must be a Python number.*got an array"),
        (lambda: snn.Gaussian(float("nan")), r"`sigma` must be finite, got nan"),
        (lambda: snn.Rectangle("1"), r"`width` must be a Python number, got '1' of type str"),
        (lambda: snn.Triangle(1.0, 0.0), r"`dampening` must be positive"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_nan_is_nan_in_the_spikes_and_zero_in_fired():
    x = jnp.array([jnp.nan, -1.0, 0.0, 1.0])
    for surrogate in (snn.SuperSpike(), snn.Rectangle()):
        fired, spikes = fire(surrogate, x)
        np.testing.assert_array_equal(fired, [0, 0, 0, 1])
        np.testing.assert_array_equal(spikes, [np.nan, 0, 0, 1])
        for which in (0, 1):
            slope = jax.jit(jax.grad(lambda x, i=which, s=surrogate: fire(s, x)[i].sum()))(x)
            np.testing.assert_array_equal(slope, surrogate.derivative(x))


def test_a_function_in_place_of_a_surrogate_is_not_changed():
    x = jnp.linspace(-1, 1, 5)
    for out in fire(snn.SuperSpike().smooth, x):
        np.testing.assert_array_equal(out, snn.SuperSpike().smooth(x))
