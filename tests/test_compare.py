"""`compare`: linear readouts, what is measured, and the limits of information theory."""

import math
import re

import equinox as eqx
import jax
import jax.random as jr
import matplotlib
import numpy as np
import pytest

import jaxsnn_eqx as snn
from jaxsnn_eqx._linear import _SHRINKAGES, Classifier, Decoder, Moments, Window, ridge, snr
from jaxsnn_eqx.information import gaussian_snr, ornstein_uhlenbeck_snr, spike_bits

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from jaxsnn_eqx import plotting

VALUES = np.random.default_rng(0).uniform(0.05, 0.95, (60, 5)).astype(np.float32)
TAU = 0.1


def compare(encoders, data, **arguments):
    return snn.compare(encoders, data, **{"progress": False, "rates": 20.0} | arguments)


@pytest.fixture
def random():
    """One for each test, which so does not depend on those before it."""
    return np.random.default_rng(0)


# -- linear readouts


@pytest.mark.parametrize(("rows", "inputs"), [(30, 4), (12, 20)])
def test_ridge_has_the_least_generalised_cross_validation_error(random, rows, inputs):
    x = random.normal(size=(rows, inputs))
    y = x @ random.normal(size=(inputs, 2)) + 3 * random.normal(size=(rows, 2)) + 7
    x_, y_ = x - x.mean(axis=0), y - y.mean(axis=0)
    weights = ridge(Moments.of(x_, y_))

    powers = np.linalg.eigvalsh(x_.T @ x_)
    powers = powers[powers > 1e-9 * powers.max()]
    found = []
    for shrinkage in _SHRINKAGES * powers.mean():
        inverse = np.linalg.inv(x_.T @ x_ + shrinkage * np.eye(inputs))
        hat = x_ @ inverse @ x_.T + 1 / rows  # the mean is fitted too
        lost = y - hat @ y
        error = (lost**2).sum() / np.trace(np.eye(rows) - hat) ** 2
        found.append((error, inverse @ x_.T @ y_))
    best = min(found, key=lambda pair: pair[0])[1]
    np.testing.assert_allclose(weights, best, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("taps", "delay", "exact"), [(8, 3, True), (8, 0, False), (3, 2, False)]
)
def test_the_decoder_finds_a_filter_within_its_window(random, taps, delay, exact):
    """The signal at t is 2 z(t + 3) - z(t - 4), different by a constant for each feature."""
    trains = (random.uniform(size=(3, 400, 2, 1)) < 0.2).astype(float)
    padded = np.pad(trains[..., 0], ((0, 0), (4, 3), (0, 0)))
    signals = 2 * padded[:, 7:] - padded[:, :-7] + np.array([1.0, -5.0])
    decoder = Decoder.fit(trains, signals, Window(taps, delay))
    assert (snr(signals, decoder.decode(trains)) > 80) == exact


def test_the_decoder_integrates_changes(random):
    """Leaky sums of all spikes so far reach further back than the window."""
    changes = random.choice([-1.0, 0.0, 1.0], (1, 4000, 1, 1), p=[0.1, 0.8, 0.1])
    signals = np.zeros((1, 4000, 1))
    for t in range(4000):
        before = signals[0, t - 1] if t else 0.0
        signals[0, t] = 0.99 * before + changes[0, t, :, 0]  # remembers 100 steps
    decoder = Decoder.fit(changes, signals, Window(5, 0))
    assert snr(signals, decoder.decode(changes)) > 20


def test_snr_weighs_features_by_their_variance_and_leaves_constant_ones_out(random):
    signals = random.normal(size=(4, 100, 3)) * np.array([1.0, 1000.0, 0.0])
    decoded = signals + np.array([0.1, 200.0, 9.0])
    variances = signals.var(axis=(0, 1))
    expected = -10 * np.log10((0.01 / variances[0] + 40_000 / variances[1]) / 2)
    assert snr(signals, decoded) == pytest.approx(expected)


@pytest.mark.parametrize(("samples", "inputs"), [(60, 4), (24, 300)])
def test_the_classifier_separates_classes(random, samples, inputs):
    labels = np.arange(samples) % 3
    centres = np.zeros((3, inputs))
    for class_ in range(3):
        centres[class_, 1 + class_ :: 3] = 5.0
    train, test = (centres[labels] + random.normal(size=(samples, inputs)) for _ in range(2))
    train[:, 0] = test[:, 0] = 1.0  # constant
    classifier = Classifier.fit(train, labels)
    assert classifier.accuracy(test, labels) > 0.95
    assert classifier.accuracy(test, (labels + 1) % 3) < 0.05


# -- what is measured


@pytest.fixture(scope="module")
def values():
    encoders = {
        "rate": snn.RegularRateEncoder(50),
        "direct": snn.DirectEncoder(50),
        "once": snn.SpatioTemporalEncoder(50, 4.5e-2),
        "population": snn.Preprocessed(
            snn.GaussianReceptiveFields.evenly(4), snn.RegularRateEncoder(50)
        ),
    }
    labels = (VALUES[:, 0] > 0.5).astype(int)
    return compare(encoders, VALUES, rates=[50.0, 2000.0], labels=labels)


def test_spikes_are_counted_per_value_whatever_the_outputs(values):
    found = {(r.name, r.given_rate): r for r in values.results}
    assert set(found) == {
        ("rate", 50.0),
        ("direct", None),
        ("once", None),
        ("population", 50.0),
    } | {("population", 2000.0)}
    # 50 Hz are 2.5 spikes in 50 ms, of one output or of four
    assert found["rate", 50.0].spikes == pytest.approx(2.5, rel=0.15)
    assert found["population", 50.0].spikes == pytest.approx(2.5, rel=0.15)
    assert found["population", 2000.0].spikes == pytest.approx(100, rel=0.25)
    assert found["once", None].spikes == 1
    assert found["direct", None].bits == math.inf
    assert found["once", None].bits == pytest.approx(
        50 * (0.02 * 5.64 + 0.98 * 0.0291), rel=0.1
    )
    assert values.per == "value"


def test_a_rate_that_is_not_reached_is_in_the_notes(values):
    # one output cannot fire at 2,000 Hz with steps of 1 ms; four can, at 500 Hz each
    [note] = values.notes
    assert re.match(r"rate does not spend 2000 Hz: at most one spike a step, 1000 Hz", note)


def test_reconstruction_and_accuracy_of_values(values):
    found = {r.name: r for r in values.results if r.given_rate in (None, 50.0)}
    assert found["direct"].linear_snr > 80
    # the time of the one spike tells the value to a step: 1/45 of the range, uniformly
    error = (1 / 45) ** 2 / 12
    assert found["once"].linear_snr == pytest.approx(
        -10 * math.log10(error / VALUES.var()), abs=2.5
    )
    assert found["rate"].linear_snr < found["once"].linear_snr
    assert found["once"].accuracy >= 0.8
    assert values.data_accuracy >= 0.8
    assert all(r.own_snr is None for r in values.results)


def test_the_table(values):
    lines = repr(values).splitlines()
    # no column for what no encoder has
    columns = ["spikes/value", "bits/value", "linear", "dB", "accuracy", "ms"]
    assert lines[0].split() == ["encoder", "given", "Hz", *columns]
    assert set(lines[1]) == {"-"}
    assert lines[3].startswith("direct")
    assert " inf " in lines[3]
    assert lines[-2].startswith("The same classifier on the data: ")
    assert lines[-1] == f"! {values.notes[0]}"


def test_the_pareto_front(values):
    front = values.front("spikes")
    costs, decibels = ([getattr(r, n) for r in front] for n in ("spikes", "snr"))
    assert costs == sorted(costs)
    assert decibels == sorted(decibels)
    for result in values.results:
        assert any(f.spikes <= result.spikes and f.snr >= result.snr for f in front)
    assert "direct" not in [r.name for r in values.front("bits")]  # of infinitely many bits
    with pytest.raises(ValueError, match='`cost` must be "spikes" or "bits"'):
        values.front("seconds")


def test_signals_are_measured_on_what_they_were_not_calibrated_on():
    xs = snn.datasets.ornstein_uhlenbeck(0, 1, 2000, tau=TAU)
    other = xs.copy()
    other[:, 1400:] *= 3
    encoder = snn.StepForwardEncoder(1.0)
    [a], [b] = (compare([encoder], x).results for x in (xs, other))
    assert eqx.tree_equal(a.encoder, b.encoder)
    assert a.encoder == snn.calibrate(encoder, xs[:, :1400], rate=20.0, tolerance=0.2)
    assert b.spikes > 1.5 * a.spikes
    # per second: 600 steps are 0.6 s
    spikes = np.asarray(a.encoder(xs[0, 1400:]))
    assert a.spikes == pytest.approx((spikes != 0).sum() / 0.6)
    assert a.bits == pytest.approx(spike_bits(spikes[None]) / 0.6)
    decoded = a.encoder.decode(spikes, xs[0, 1400])
    error = np.mean((decoded - xs[0, 1400:]) ** 2)
    assert a.own_snr == pytest.approx(10 * math.log10(xs[0, 1400:].var() / error), abs=1e-3)
    assert a.snr == max(a.own_snr, a.linear_snr)


def test_a_scale_in_front_does_not_change_the_decibels_of_decode():
    xs = 20 * snn.datasets.ornstein_uhlenbeck(0, 1, 3000, tau=TAU)
    taps = tuple(np.hanning(22)[1:-1].tolist())
    encoder = snn.BensSpikerEncoder(taps, 0.9 * sum(taps))
    [result], [again] = (compare([encoder], x, rates=600.0).results for x in (xs, 7 * xs - 3))
    assert isinstance(result.encoder, snn.Network)  # a `Scale`, for the encoder needs x >= 0
    assert result.own_snr > 3
    assert result.own_snr == pytest.approx(again.own_snr, abs=0.2)


def test_the_same_key_gives_the_same_comparison():
    encoder = {"poisson": snn.PoissonEncoder(30)}
    labels = np.arange(60) % 2
    found = [compare(encoder, VALUES, labels=labels, key=jr.key(k)) for k in (1, 1, 2)]
    same, again, other = (
        (r.spikes, r.bits, r.linear_snr, r.accuracy) for [r] in (f.results for f in found)
    )
    assert same == again
    assert same != other
    [default] = compare(encoder, VALUES, labels=labels).results
    [zero] = compare(encoder, VALUES, labels=labels, key=jr.key(0)).results
    assert default.spikes == zero.spikes


def test_each_class_is_split_alike():
    labels = np.array([0] * 50 + [1] * 10)
    values = labels[:, None] * 0.8 + 0.1 * np.ones((60, 2)) + 0.01 * VALUES[:, :2]
    found = compare([snn.DirectEncoder(4)], values, labels=labels)
    assert found.results[0].accuracy == found.data_accuracy == 1.0


def test_the_numbers_of_the_measured_samples_can_be_given():
    labels = np.arange(60) % 2
    encoder = snn.LatencyEncoder(40, t_late=3.9e-2)
    [result] = compare([encoder], VALUES, labels=labels, test=list(range(40, 60))).results
    spikes = np.asarray(jax.vmap(result.encoder)(VALUES[40:]))
    assert result.bits == pytest.approx(spike_bits(spikes) / 5)
    with pytest.raises(ValueError, match=r"share, or whole numbers from 0 to 59, got int64"):
        compare([encoder], VALUES, test=[60])


def test_functions_of_each_step_may_stand_in_front_of_an_encoder_of_signals():
    xs = snn.datasets.ornstein_uhlenbeck(0, 8, 400, tau=TAU)[..., None]
    fields = snn.OverTime(snn.GaussianReceptiveFields.evenly(5, -2.0, 2.0))
    network = snn.Network([fields, snn.LIFCurrentEncoder()])
    [result] = compare({"fields": network}, xs, rates=100.0).results
    assert result.spikes == pytest.approx(100, rel=0.4)  # of five neurons together
    assert result.encoder[0] == fields
    assert result.linear_snr > 5
    other = snn.Network([fields, snn.LIF()])
    with pytest.raises(ValueError, match="`encoders` must be encoders, got `Network` as 'b'"):
        compare({"b": other}, xs)


def test_a_filter_bank_may_stand_in_front_of_an_encoder():
    xs = snn.datasets.ornstein_uhlenbeck(0, 8, 400, tau=TAU)
    bank = snn.FilterBank.butterworth(3, 2.0, 16.0, dt=1e-3)
    front = (bank, snn.OverTime(snn.OnOff()), snn.LI(snn.LIFParameters(tau_mem=5e-3)))
    ear = snn.Network([*front, snn.LIFCurrentEncoder()])
    [result] = compare({"ear": ear}, xs, rates=100.0).results
    assert result.spikes == pytest.approx(100, rel=0.4)  # of six neurons together
    assert result.encoder[0] == bank
    assert isinstance(result.encoder[-1], snn.Network)  # the calibrated encoder


def test_progress_is_shown_if_it_is_wanted(capsys):
    compare([snn.RegularRateEncoder(20)], VALUES)
    assert not capsys.readouterr().err
    compare([snn.RegularRateEncoder(20)], VALUES, progress=True)
    assert "1/1" in (shown := capsys.readouterr().err)
    assert "RegularRateEncoder" in shown


@pytest.mark.parametrize(
    ("encoders", "data", "arguments", "message"),
    [
        ([], VALUES, {}, "`encoders` must not be empty"),
        ([snn.LIF()], VALUES, {}, "`encoders` must be encoders, got `LIF` as 'LIF'"),
        (
            [snn.DeltaEncoder(1.0), snn.DirectEncoder(3)],
            VALUES,
            {},
            "all of values, or all of signals, got of signals: DeltaEncoder",
        ),
        (
            [snn.DirectEncoder(3), snn.DirectEncoder(4)],
            VALUES,
            {},
            "dict of names if a class is in it twice, got ['DirectEncoder']",
        ),
        ([snn.DirectEncoder(3)], np.ones((4, 2)), {}, "`data` must not be constant, got 1"),
        ([snn.DirectEncoder(3)], [[0.0, np.nan]], {}, "`data` must be finite"),
        ([snn.DirectEncoder(3)], VALUES[:1], {}, "more than 1 samples to be split"),
        ([snn.DeltaEncoder(1.0)], VALUES[0], {}, '"samples time *shape", got (5,)'),
        ([snn.DirectEncoder(3)], VALUES, {"rates": 0.0}, "`rates` must be"),
        ([snn.DirectEncoder(3)], VALUES, {"rates": []}, "`rates` must not be empty"),
        ([snn.DirectEncoder(3)], VALUES, {"labels": [0, 1]}, "each of the 60 samples"),
        ([snn.DirectEncoder(3)], VALUES, {"labels": VALUES[:, 0]}, "`labels` must be whole"),
        ([snn.DirectEncoder(3)], VALUES, {"test": 1.0}, "`test` must be above 0 and below 1"),
        ([snn.DeltaEncoder(1.0)], VALUES, {"taps": 3, "delay": 3}, "below `taps` = 3, got 3"),
        ([snn.DirectEncoder(3)], VALUES, {"bins": 0}, "`bins` must be"),
        (
            {"a": snn.RegularRateEncoder(3), "b": snn.RegularRateEncoder(3, dt=1e-4)},
            VALUES,
            {},
            "`dt` must be the same for all encoders, got a 0.001, b 0.0001",
        ),
    ],
)
def test_held_wrong(encoders, data, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        compare(encoders, data, **arguments)


# -- the limits of information theory


@pytest.fixture(scope="module")
def signals():
    """Encoders of an Ornstein–Uhlenbeck signal of 60 s, of which 18 s are measured."""
    taps = tuple(np.hanning(34)[1:-1].tolist())
    encoders = [
        snn.StepForwardEncoder(1.0),
        snn.SigmaDeltaEncoder(1.0),
        snn.PulseWidthEncoder(2e-2, -3.0, 3.0),
        snn.LevelCrossingEncoder((-1.0, 0.0, 1.0)),
        snn.BensSpikerEncoder(taps, 0.9 * sum(taps)),
        snn.LIFCurrentEncoder(),
        snn.DeltaEncoder(1.0),
    ]
    xs = snn.datasets.ornstein_uhlenbeck(1, 1, 60_000, tau=TAU)
    return compare(encoders, xs, rates=[10.0, 80.0])


def test_no_encoder_beats_shannon(signals):
    """Within 0.5 dB, for 18 s of the signal do not have exactly its variance."""
    assert len(signals.results) > 11
    for result in signals.results:
        limit = ornstein_uhlenbeck_snr(result.bits * 1e-3, tau=TAU)
        assert result.snr < limit + 0.5, result.name


def test_a_decoder_that_does_not_wait_does_not_beat_the_causal_limit(signals):
    waits = ("BensSpikerEncoder", "PulseWidthEncoder")  # fills in between spikes
    own = [r for r in signals.results if r.own_snr is not None and r.name not in waits]
    assert len(own) > 6
    for result in own:
        limit = ornstein_uhlenbeck_snr(result.bits * 1e-3, tau=TAU, causal=True)
        assert result.own_snr < limit + 0.5, result.name


def test_send_on_delta_comes_near_the_limit(signals):
    for result in signals.results:
        if result.name in ("StepForwardEncoder", "SigmaDeltaEncoder"):
            limit = ornstein_uhlenbeck_snr(result.bits * 1e-3, tau=TAU)
            assert limit - result.snr < (8 if result.given_rate == 10 else 6)


def test_a_telegraph_signal_beats_the_curve_of_its_spectrum():
    """Which is no limit for it: it is not Gaussian. 2 % of its steps switch."""
    random = np.random.default_rng(0)
    switches = random.uniform(size=20_000) < 0.02
    xs = np.where(np.cumsum(switches) % 2, 1.0, -1.0).astype(np.float32)
    encoder = snn.StepForwardEncoder(2.0)
    spikes = encoder(xs)
    np.testing.assert_array_equal(encoder.decode(spikes, xs[0]), xs)
    bits = spike_bits(np.asarray(spikes)[None]) / len(xs)
    # the spectrum of a telegraph signal, whose correlation is (1 - 2 · 2 %) per step
    a, phases = 0.96, np.linspace(0, math.pi, 4096)
    power = (1 - a**2) / (1 - 2 * a * np.cos(phases) + a**2)
    assert gaussian_snr(bits, power) == pytest.approx(9, abs=1)


# -- the picture


def test_the_picture(signals, values):
    limits = {"Shannon": lambda bits: ornstein_uhlenbeck_snr(bits * 1e-3, tau=TAU)}
    ax = plotting.comparison(signals, limits=limits)
    shown = ax.get_legend_handles_labels()[1]
    assert shown[-2:] == ["reached", "Shannon"]
    lines = {line.get_label(): line for line in ax.get_lines()}
    points = [(r.bits, r.snr) for r in signals.results if r.name == "StepForwardEncoder"]
    np.testing.assert_allclose(lines["StepForwardEncoder"].get_xydata(), sorted(points))
    shannon = lines["Shannon"].get_xydata()
    assert shannon[7, 1] == pytest.approx(limits["Shannon"](shannon[7, 0]))
    ax = plotting.comparison(values, cost="spikes", ax=plt.subplots()[1])
    assert ax.get_xlabel() == "spikes per value"
    assert {line.get_label() for line in ax.get_lines()} == {r.name for r in values.results}
    assert max(line.get_ydata().max() for line in ax.get_lines()) == 60  # exact ones
    plt.close("all")


def test_a_picture_of_nothing_is_refused():
    found = compare([snn.DirectEncoder(4)], VALUES)
    with pytest.raises(ValueError, match="must have a result of finite bits"):
        plotting.comparison(found)
