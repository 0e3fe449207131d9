"""Filter banks against SciPy in float64, and what stands behind them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

import jaxsnn_eqx as snn

RATE = 16_000
DT = 1 / RATE
BANKS = {
    "gammatone": lambda **k: snn.FilterBank.gammatone(8, 50.0, 6000.0, dt=DT, **k),
    "gammatone, log": lambda: snn.FilterBank.gammatone(4, 90.0, 900.0, dt=DT, spacing="log"),
    "butterworth": lambda: snn.FilterBank.butterworth(5, 50.0, 7000.0, dt=DT),
    "butterworth, 3": lambda: snn.FilterBank.butterworth(
        3, 100.0, 2000.0, dt=DT, order=3, spacing="erb"
    ),
    "of SciPy": lambda: snn.FilterBank(
        2 * signal.cheby1(4, 1, [300.0, 500.0], "bandpass", fs=RATE, output="sos")[None], DT
    ),
}
every_bank = pytest.mark.parametrize("bank", [make() for make in BANKS.values()], ids=BANKS)


def noise(length: int = 2000, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(length, *shape))


def filtered(bank: snn.FilterBank, xs: np.ndarray, dtype: type = float) -> np.ndarray:
    """SciPy's output, with the channels on a new last axis."""
    sections = bank.sos().astype(dtype)
    return np.stack([signal.sosfilt(s, xs.astype(dtype), axis=0) for s in sections], axis=-1)


@every_bank
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_it_is_scipys_filter_in_float64(bank, shape, x64):
    xs = noise(2000, *shape)
    expected = filtered(bank, xs)
    np.testing.assert_allclose(bank(xs), expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["noise", "step", "tone"])
def test_in_float32_it_is_nearer_to_float64_than_scipy(kind):
    bank, t = snn.FilterBank.gammatone(1, 50.0, 50.0, dt=DT), np.arange(8000) / RATE
    xs = {"noise": noise(8000), "step": np.ones(8000), "tone": np.sin(2 * np.pi * 50 * t)}[kind]
    xs = xs.astype(np.float32)
    exact = filtered(bank, xs.astype(float))
    ours, scipys = (
        np.abs(out - exact).max() / np.abs(exact).max()
        for out in (np.asarray(bank(xs)), filtered(bank, xs, np.float32))
    )
    assert scipys > 4e-4
    assert ours < 2e-5
    assert ours < scipys / 20


@pytest.mark.slow
def test_it_stays_stable():
    bank = snn.FilterBank.gammatone(3, 50.0, 5000.0, dt=DT)
    xs = noise(1_000_000).astype(np.float32)
    exact = filtered(bank, xs.astype(float))
    error = np.abs(np.asarray(bank(xs)) - exact).max(axis=0) / np.abs(exact).max(axis=0)
    assert error.max() < 2e-5
    silence = np.zeros(1_000_000, np.float32)
    state, _ = bank.run(bank.init(xs[0]), xs[:1000])
    state, out = bank.run(state, silence)
    assert np.abs(out[-1]).max() < 1e-30


@pytest.mark.parametrize("centre", [500.0, 1000.0, 4000.0])
def test_a_gammatone_filter_has_scipys_response(centre):
    bank = snn.FilterBank.gammatone(1, centre, centre, dt=DT)
    frequencies, response = signal.sosfreqz(bank.sos()[0], worN=2000, fs=RATE)
    # as one fraction, which is right for centres that are not low
    _, expected = signal.freqz(*signal.gammatone(centre, "iir", fs=RATE), worN=2000, fs=RATE)
    np.testing.assert_allclose(np.abs(response), np.abs(expected), atol=1e-5)
    _, [at_centre] = signal.sosfreqz(bank.sos()[0], worN=[centre], fs=RATE)
    np.testing.assert_allclose(np.abs(at_centre), 1)
    # the rectangle of the same power and height is one equivalent rectangular bandwidth wide
    power = np.trapezoid(np.abs(response) ** 2, frequencies)
    np.testing.assert_allclose(power, 24.7 * (1 + 4.37e-3 * centre), rtol=0.01)


def test_butterworth_bands_are_adjacent():
    bank = snn.FilterBank.butterworth(3, 100.0, 2700.0, dt=DT)
    edges = np.array([100.0, 300.0, 900.0, 2700.0])
    np.testing.assert_allclose(bank.centres, np.sqrt(edges[1:] * edges[:-1]))
    for i, section in enumerate(bank.sos()):
        _, response = signal.sosfreqz(section, worN=edges[i : i + 2], fs=RATE)
        np.testing.assert_allclose(np.abs(response), np.sqrt(0.5), rtol=1e-6)


def test_centres_are_equally_many_critical_bands_apart():
    bank = snn.FilterBank.gammatone(5, 100.0, 6000.0, dt=DT)
    bands = 21.4 * np.log10(1 + 4.37e-3 * np.array(bank.centres))
    np.testing.assert_allclose(np.diff(bands), np.diff(bands)[0])
    np.testing.assert_allclose(bank.centres[-1], 6000.0)


def test_the_derivative_of_trained_coefficients(x64):
    bank = snn.FilterBank.gammatone(2, 200.0, 900.0, dt=DT, trained=True)
    xs, weights = noise(300), noise(300, 2)

    def loss(coefficients):
        model = eqx.tree_at(lambda b: b.coefficients, bank, coefficients)
        return (model(xs) * weights).sum()

    gradient = jax.grad(loss)(bank.coefficients)
    assert gradient.shape == (2, 4, 5)
    direction = np.random.default_rng(1).normal(size=gradient.shape) * 1e-3
    step = 1e-5
    ahead, behind = (loss(bank.coefficients + s * step * direction) for s in (1, -1))
    np.testing.assert_allclose(
        (gradient * direction).sum(), (ahead - behind) / (2 * step), rtol=1e-5
    )


@every_bank
def test_its_sections_come_back(bank):
    again = snn.FilterBank(bank.sos(), DT, centres=bank.centres)
    np.testing.assert_allclose(again.sos(), bank.sos(), rtol=1e-12, atol=1e-15)


def test_a_jax_array_is_trained_and_numbers_are_fixed():
    sos = snn.FilterBank.gammatone(2, 200.0, 900.0, dt=DT).sos()
    assert len(jax.tree.leaves(eqx.filter(snn.FilterBank(jnp.asarray(sos)), eqx.is_array))) == 1
    assert not jax.tree.leaves(eqx.filter(snn.FilterBank(sos), eqx.is_array))
    doubled = snn.FilterBank(2 * sos)  # numerator and denominator
    np.testing.assert_allclose(doubled.sos(), sos)


BAD = {
    "half": (lambda: snn.FilterBank.gammatone(2, 100.0, 500.0, dt=1e-3), "below half the sam"),
    "order": (lambda: snn.FilterBank.gammatone(2, 900.0, 500.0, dt=DT), "`low` must be below"),
    "spacing": (
        lambda: snn.FilterBank.butterworth(2, 90.0, 500.0, dt=DT, spacing="mel"),
        '`spacing` must be "erb" or "log", got',
    ),
    "shape": (lambda: snn.FilterBank(np.ones((2, 6))), r'"channels sections 6".*\(2, 6\)'),
    "a0": (lambda: snn.FilterBank(np.zeros((1, 1, 6))), "no `a0`"),
    "centres": (
        lambda: snn.FilterBank(np.ones((2, 1, 6)), centres=(1.0,)),
        r"`centres` must have one frequency for each of 2 channels, got \(1.0,\)",
    ),
}


@pytest.mark.parametrize(("make", "match"), BAD.values(), ids=BAD)
def test_bad_banks_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_another_sampling_rate_behind_it_is_refused():
    bank = snn.FilterBank.gammatone(2, 200.0, 900.0, dt=DT)
    with pytest.raises(ValueError, match="`dt`"):
        snn.Network([bank, snn.LIFCurrentEncoder()])


def test_on_and_off():
    xs = jnp.array([2.0, -3.0, 0.0])
    np.testing.assert_array_equal(snn.OnOff()(xs), [[2, 0], [0, 3], [0, 0]])
    both = jax.jvp(snn.OnOff(), (xs,), (jnp.ones(3),))[1]
    np.testing.assert_array_equal(both, [[1, 0], [0, -1], [0.5, -0.5]])
    assert np.isnan(snn.OnOff()(jnp.array(jnp.nan))).all()


COMPRESSIONS = {
    "log": (snn.LogCompression, lambda x, f: np.sign(x) * np.log1p(np.abs(x) / f)),
    "power": (
        lambda floor: snn.PowerCompression(0.3, floor),
        lambda x, f: np.sign(x) * ((np.abs(x) + f) ** 0.3 - f**0.3),
    ),
}


@pytest.mark.parametrize(("make", "formula"), COMPRESSIONS.values(), ids=COMPRESSIONS)
def test_compression_is_odd_and_smooth_at_zero(make, formula, x64):
    xs = np.array([-3.0, -1e-3, 0.0, 1e-4, 0.5, 20.0])
    np.testing.assert_allclose(make(1e-2)(xs), formula(xs, 1e-2), rtol=1e-12, atol=1e-15)
    slope = jax.grad(lambda x: make(1e-2)(x).sum())(jnp.asarray(xs))
    about = (formula(xs + 1e-7, 1e-2) - formula(xs - 1e-7, 1e-2)) / 2e-7
    np.testing.assert_allclose(slope, about, rtol=1e-5)
    trained = jax.grad(lambda floor: make(floor)(xs).sum())(jnp.array(1e-2))
    about = (formula(xs, 1e-2 + 1e-7) - formula(xs, 1e-2 - 1e-7)).sum() / 2e-7
    np.testing.assert_allclose(trained, about, rtol=1e-4)
    extremes = make(1e-2)(jnp.array([jnp.nan, jnp.inf, -jnp.inf]))
    np.testing.assert_array_equal(extremes, [np.nan, np.inf, -np.inf])
