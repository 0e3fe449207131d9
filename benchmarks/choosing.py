"""Which encoder? `compare` on eight data sets, accuracies by one recipe, and Shannon's limit.

    pip install "jaxsnn_eqx[examples,datasets]"
    python benchmarks/choosing.py                # writes docs/choosing/, in half an hour
    python benchmarks/choosing.py --only wine    # one data set, no files
    python benchmarks/choosing.py --short        # two encoders on the ECG, to see that it runs

The recipe, of which nothing is tuned for a data set:

- *Tables* (wine, breast cancer): features in units of their spread; the value and its negative,
  each by `RegularRateEncoder` at 100 Hz for both, over 100 steps. Logistic regression of the
  counts, whose shrinkage is chosen by cross-validation on training data.
- *Series* (the four of aeon): the value and its change in units of their spread, eight fields
  for each, `LIFCurrentEncoder` at 80 Hz an output, each sample held so that the series has 100
  steps and more. The linear classifier of `compare`.
- *Digits*: the network of `examples/digits.py` behind `RegularRateEncoder` at 100 Hz a pixel.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
import pywt
from jaxtyping import Array
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    RepeatedStratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

import jaxsnn_eqx as snn
from calibrated import stretched_vowels
from jaxsnn_eqx import plotting
from jaxsnn_eqx._comparison import decibels
from jaxsnn_eqx._linear import Classifier, binned
from jaxsnn_eqx.information import gaussian_snr, ornstein_uhlenbeck_snr, spike_bits
from time_base import italy, of_aeon

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PAGES = Path(__file__).parents[1] / "docs" / "choosing"
SEEDS, DIGIT_SPLITS, FOLDS, REPEATS = 5, 10, 10, 5
STEPS = 100  # of a value
RATES = [10.0, 40.0, 160.0]  # hertz
FIELDS, WIDTH = 8, 2.0  # receptive fields, over so many standard deviations
FIELD_RATE, PIXEL_RATE = 80.0, 100.0
BINS = (5, 10, 20)
TAU = 0.1  # seconds, of the Ornstein–Uhlenbeck signal


class Series(NamedTuple):
    """Values of shape `"samples features"`, or series of shape `"samples time features"`."""

    xs: np.ndarray
    labels: np.ndarray
    train_size: int  # the samples before it are the data set's own training part
    hold: int = 1


# -- the data


def series(load: Callable, hold: int) -> Series:
    train, labels, test, test_labels = load()
    xs = np.concatenate([train, test]).astype(np.float32)
    return Series(xs, np.concatenate([labels, test_labels]), len(train), hold)


def table(load: Callable) -> Series:
    data: Any = load()
    return Series(data.data.astype(np.float32), data.target, len(data.target))


AEON: dict[str, Callable[[], Series]] = {
    "JapaneseVowels": lambda: series(stretched_vowels, 5),
    "BasicMotions": lambda: series(lambda: of_aeon("load_basic_motions"), 2),
    "GunPoint": lambda: series(lambda: of_aeon("load_gunpoint"), 2),
    "ItalyPowerDemand": lambda: series(italy, 5),
}
TABLES: dict[str, Callable[[], Series]] = {
    "wine": lambda: table(load_wine),
    "breast cancer": lambda: table(load_breast_cancer),
}


def own_and_drawn(data: Series, splits: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test samples: the data set's own split, and random ones as large."""
    own = np.arange(data.train_size), np.arange(data.train_size, len(data.xs))
    if splits == 1:
        return [own]
    drawn = StratifiedShuffleSplit(
        splits - 1, train_size=len(own[0]), test_size=len(own[1]), random_state=0
    )
    return [own, *drawn.split(data.xs, data.labels)]


def scaled(data: Series, train: np.ndarray) -> np.ndarray:
    """In units of the training samples' standard deviation."""
    axes = tuple(range(data.xs.ndim - 1))
    part = data.xs[train]
    spread = part.std(axis=axes)
    return (data.xs - part.mean(axis=axes)) / np.where(spread > 0, spread, 1)


def with_changes(data: Series, train: np.ndarray) -> np.ndarray:
    """The value and, as further features, its change; held for several steps."""
    changes = np.diff(data.xs, axis=1, prepend=data.xs[:, :1])
    both = scaled(data, train), scaled(data._replace(xs=changes), train)
    return np.concatenate(both, axis=2).astype(np.float32)


# -- the encoders


def value_encoders(low: float, high: float) -> dict[str, snn.AbstractEncoder]:
    last = (STEPS - 1) * 1e-3
    fields = snn.GaussianReceptiveFields.evenly(FIELDS, low, high)
    latency = snn.LatencyEncoder(STEPS, t_late=last, threshold=0.1)
    return {
        "ConstantCurrentLIF": snn.ConstantCurrentLIFEncoder(STEPS),
        "RegularRate": snn.RegularRateEncoder(STEPS),
        "Poisson": snn.PoissonEncoder(STEPS),
        "Burst": snn.BurstEncoder(STEPS),
        "LIFLatency": snn.LIFLatencyEncoder(STEPS),
        "Latency": snn.LatencyEncoder(STEPS, t_late=last),
        "TimeToFirstSpike": snn.TimeToFirstSpikeEncoder(STEPS, 2e-2),
        "SpatioTemporal": snn.SpatioTemporalEncoder(STEPS, last),
        "RankOrder": snn.RankOrderEncoder(STEPS),
        "Phase": snn.PhaseEncoder(STEPS),
        "fields, Latency": snn.Preprocessed(fields, latency),
        "fields, LIF": snn.Preprocessed(fields, snn.ConstantCurrentLIFEncoder(STEPS)),
        "Direct": snn.DirectEncoder(STEPS),
    }


def signal_encoders(low: float, high: float) -> dict[str, snn.AbstractLayer]:
    levels = tuple(np.linspace(low, high, 8).tolist())
    taps = np.hanning(18)[1:-1]
    fields = snn.OverTime(snn.GaussianReceptiveFields.evenly(FIELDS, low, high))
    return {
        "StepForward": snn.StepForwardEncoder(1.0),
        "SigmaDelta": snn.SigmaDeltaEncoder(1.0),
        "LevelCrossing": snn.LevelCrossingEncoder(levels),
        "PulseWidth": snn.PulseWidthEncoder(1e-2, low, high),
        "BensSpiker": snn.BensSpikerEncoder(tuple(taps.tolist()), 0.9 * float(taps.sum())),
        "LIFCurrent": snn.LIFCurrentEncoder(),
        "Delta": snn.DeltaEncoder(1.0),
        "Threshold": snn.ThresholdEncoder(1.0, 1.0),
        "MovingWindow": snn.MovingWindowEncoder(1.0),
        "Poisson": snn.PoissonEncoder(seq_length=None),
        "fields, LIF": snn.Network([fields, snn.LIFCurrentEncoder()]),
    }


# -- the tables of `compare`


def ecg() -> np.ndarray:
    """One signal, with four steps of interpolation between samples."""
    samples = np.asarray(pywt.data.ecg(), float)
    t = np.arange(4 * (len(samples) - 1) + 1) / 4
    signal = np.interp(t, np.arange(len(samples)), samples)
    return ((signal - signal.mean()) / signal.std()).astype(np.float32)[None]


def comparisons(only: str) -> dict[str, snn.Comparison]:
    makers: dict[str, Callable[[], snn.Comparison]] = {"ECG": compared_ecg}
    digits: Any = load_digits()
    pixels = Series((digits.data / 16).astype(np.float32), digits.target, len(digits.target))
    for name, load in {"digits": lambda: pixels, **TABLES}.items():
        makers[name] = lambda load=load: compared_values(load())
    for name, load in AEON.items():
        makers[name] = lambda load=load: compared_series(load())
    return {
        name: show(name, make())
        for name, make in makers.items()
        if only.lower() in name.lower()
    }


def show(name: str, found: snn.Comparison) -> snn.Comparison:
    print(f"\n{name}\n{found}", flush=True)
    jax.clear_caches()
    return found


def compared_ecg() -> snn.Comparison:
    return snn.compare(signal_encoders(-2.0, 6.0), ecg(), rates=RATES)


def compared_values(data: Series) -> snn.Comparison:
    xs = data.xs if data.xs.max() <= 1 else scaled(data, np.arange(len(data.xs)))
    low, high = (float(q) for q in np.quantile(xs, [0.01, 0.99]))
    encoders = value_encoders(low, high)
    return snn.compare(encoders, xs, rates=RATES, labels=data.labels)


def compared_series(data: Series) -> snn.Comparison:
    train = np.arange(data.train_size)
    xs = np.repeat(scaled(data, train), data.hold, axis=1).astype(np.float32)
    test = np.arange(data.train_size, len(xs))
    encoders = signal_encoders(-WIDTH, WIDTH)
    return snn.compare(encoders, xs, rates=RATES, labels=data.labels, test=test)


def as_table(found: snn.Comparison) -> str:
    """In Markdown, the best of each column in bold."""
    has_labels = found.data_accuracy is not None
    names = ["encoder", "given Hz", f"spikes/{found.per}", f"bits/{found.per}", "own dB"]
    names += ["linear dB", *(["accuracy (%)"] if has_labels else [])]
    lines = ["| " + " | ".join(names) + " |", "|---|" + "--:|" * (len(names) - 1)]
    most = max((r.accuracy or 0 for r in found.results), default=0)
    for r in found.results:
        cells = [r.name, "own" if r.given_rate is None else f"{r.given_rate:g}"]
        cells += [f"{r.spikes:.3g}", "∞" if np.isinf(r.bits) else f"{r.bits:.3g}"]
        for snr in (r.own_snr, r.linear_snr):
            cells.append("" if snr is None else decibels(snr))
        if r.accuracy is not None:
            text = f"{100 * r.accuracy:.1f}"
            cells.append(f"**{text}**" if r.accuracy == most else text)
        lines.append("| " + " | ".join(cells).replace("-", "−") + " |")
    if has_labels:
        accuracy = f"{100 * (found.data_accuracy or 0):.1f}"
        lines += ["", f"The same classifier on the data themselves: {accuracy} %."]
    if found.notes:
        lines += ["", *(f"- {note}" for note in found.notes)]
    return "\n".join(lines) + "\n"


# -- the accuracies of the recipe


class Row(NamedTuple):
    """Accuracies in percent, one for each split, and spikes of a sample."""

    name: str
    data: list[float]  # a linear model of the data
    features: list[float]  # of the same features, without spikes
    spikes: list[float]
    per_sample: float

    def line(self) -> str:
        cells = [
            averaged(self.data),
            averaged(self.features),
            f"**{averaged(self.spikes)}**",
        ]
        return f"| {self.name} | {' | '.join(cells)} | {self.per_sample:.0f} |"


def averaged(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


class BothSigns(eqx.Module):
    """A value and its negative, both from 0 to 1 over six standard deviations."""

    def __call__(self, x: Array, *, key: Any = None) -> Array:
        return jnp.stack([(3 + x) / 6, (3 - x) / 6], axis=-1).clip(0, 1)


def logistic(train: np.ndarray, labels: np.ndarray, test: np.ndarray, held: np.ndarray):
    shrinkages = {"logisticregression__C": [0.01, 0.03, 0.1, 0.3, 1.0]}
    model = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        shrinkages,
        cv=5,
        scoring="neg_log_loss",
        refit=True,
    )
    model.fit(train, labels)
    return 100 * model.best_estimator_.score(test, held)


def table_row(name: str, data: Series, repeats: int) -> Row:
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=0)
    scores: list[list[float]] = [[], [], []]
    spikes = []
    splits = list(folds.split(data.xs, data.labels))
    for train, test in tqdm(splits, desc=name, unit="fold"):
        xs = scaled(data, train).astype(np.float32)
        encoder = snn.calibrate(
            snn.Preprocessed(BothSigns(), snn.RegularRateEncoder(STEPS)),
            xs[train],
            rate=PIXEL_RATE,
            tolerance=0.2,
        )
        trains = np.asarray(jax.jit(jax.vmap(encoder))(xs))
        spikes.append(trains.sum() / len(xs))
        both = np.asarray(jax.vmap(BothSigns())(jnp.asarray(xs))).reshape(len(xs), -1)
        for found, inputs in zip(
            scores, (xs, both, trains.sum(axis=1).reshape(len(xs), -1)), strict=True
        ):
            found.append(
                logistic(inputs[train], data.labels[train], inputs[test], data.labels[test])
            )
    # one number a repetition: the mean of its folds
    each = [np.reshape(found, (repeats, FOLDS)).mean(axis=1).tolist() for found in scores]
    of_data, of_features, of_spikes = each
    per_sample = float(np.mean(spikes))
    return Row(
        f"{name}, {repeats} × {FOLDS} folds", of_data, of_features, of_spikes, per_sample
    )


def series_row(name: str, data: Series, seeds: int) -> Row:
    scores: list[list[float]] = [[], [], []]
    spikes = []
    for train, test in tqdm(own_and_drawn(data, seeds), desc=name, unit="split"):
        xs = np.repeat(with_changes(data, train), data.hold, axis=1)
        fields = snn.GaussianReceptiveFields.evenly(FIELDS, -WIDTH, WIDTH)
        shown = jax.vmap(fields)(xs)
        encoder = snn.calibrate(
            snn.LIFCurrentEncoder(), shown[train][:300], rate=FIELD_RATE, tolerance=0.2
        )
        trains = np.asarray(jax.jit(jax.vmap(encoder))(shown), float)
        spikes.append(trains.sum() / len(xs))
        flat = data.xs.reshape(len(xs), -1).astype(float)
        for found, inputs in zip(
            scores,
            (flat, binned(np.asarray(shown, float), BINS), binned(trains, BINS)),
            strict=True,
        ):
            model = Classifier.fit(inputs[train], data.labels[train])
            found.append(100 * model.accuracy(inputs[test], data.labels[test]))
    of_data, of_features, of_spikes = scores
    per_sample = float(np.mean(spikes))
    return Row(f"{name}, {seeds} splits", of_data, of_features, of_spikes, per_sample)


def digit_rows(splits: int, epochs: int) -> list[str]:
    """The network of the example, without and with distorted digits, and other models."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    import digits as example  # pyright: ignore[reportMissingImports]

    data: Any = load_digits()
    images, classes = (data.images / 16).astype(np.float32), data.target
    found: dict[str, list[float]] = {"linear": [], "kernel": [], "plain": [], "distorted": []}
    spent = []
    shuffled = StratifiedShuffleSplit(splits, test_size=0.3, random_state=0)
    for seed, (train, test) in enumerate(shuffled.split(images, classes)):
        flat = images.reshape(len(images), -1)
        held = flat[test], classes[test]
        found["linear"].append(logistic(flat[train], classes[train], *held))
        kernel = SVC(C=10.0, gamma="scale").fit(flat[train], classes[train])
        found["kernel"].append(100 * kernel.score(*held))
        network_key, train_key = jr.split(jr.key(seed))
        first = example.make_network(network_key)
        currents = jax.vmap(example.to_current)(images[train])
        encoder = snn.RegularRateEncoder(example.STEPS)
        encoder = snn.calibrate(encoder, currents, rate=PIXEL_RATE, tolerance=0.1)
        spent.append(float(jax.vmap(encoder)(currents).sum() / len(train)))
        network = snn.Network([encoder, *list(first)[1:]])
        for name in ("plain", "distorted"):
            trained, _ = example.train(
                network,
                example.Digits(images[train], classes[train]),
                epochs=epochs,
                key=train_key,
                distorted=name == "distorted",
            )
            held_digits = example.Digits(images[test], classes[test])
            found[name].append(100 * float(example.accuracy_of(trained, held_digits)))
            print(f"digits, split {seed}, {name}: {found[name][-1]:.2f} %", flush=True)
        jax.clear_caches()
    linear, kernel, plain, distorted = (averaged(scores) for scores in found.values())
    spikes = f"{np.mean(spent):.0f}"
    return [
        f"| digits, {splits} splits | {linear} | {kernel} (kernel) | **{plain}** | {spikes} |",
        f"| the same, trained on distorted ones | – | – | **{distorted}** | {spikes} |",
    ]


def accuracies(only: str) -> str:
    lines = [
        "| data | linear, data (%) | linear, features (%) | spikes (%) | spikes a sample |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, load in TABLES.items():
        if only.lower() in name.lower():
            lines.append(table_row(name, load(), REPEATS).line())
    for name, load in AEON.items():
        if only.lower() in name.lower():
            lines.append(series_row(name, load(), SEEDS).line())
    if only.lower() in "digits":
        lines += digit_rows(DIGIT_SPLITS, 60)
    return "\n".join(lines) + "\n"


# -- the limits


def limits(path: Path | None) -> str:
    """Encoders of an Ornstein–Uhlenbeck signal, and how far they are from Shannon's limit."""
    xs = snn.datasets.ornstein_uhlenbeck(0, 1, 100_000, tau=TAU)
    found = snn.compare(signal_encoders(-2.0, 2.0), xs, rates=RATES)
    lines = [
        "| encoder | spikes/s | bits/s | SNR (dB) | Shannon (dB) | distance (dB) "
        "| causal (dB) |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for r in found.results:
        limit, causal = (
            ornstein_uhlenbeck_snr(r.bits * 1e-3, tau=TAU, causal=c) for c in (False, True)
        )
        line = f"| {r.name} | {r.spikes:.1f} | {r.bits:.0f} | {r.snr:.1f} | {limit:.1f} "
        lines.append(f"{line}| {limit - r.snr:.1f} | {causal:.1f} |")
    text = "\n".join(lines) + "\n"
    if path is not None:
        curves = {
            "Shannon": lambda b: ornstein_uhlenbeck_snr(b * 1e-3, tau=TAU),
            "causal": lambda b: ornstein_uhlenbeck_snr(b * 1e-3, tau=TAU, causal=True),
        }
        figure, axes = plt.subplots(2, 1, figsize=(8, 9), layout="constrained")
        plotting.comparison(found, cost="spikes", ax=axes[0]).set_title("The same spikes")
        plotting.comparison(found, limits=curves, ax=axes[1]).set_title("The same bits")
        figure.savefig(path, dpi=100)
        plt.close("all")
    return text


def telegraph() -> str:
    """A signal that switches at 2 % of its steps."""
    switches = np.random.default_rng(0).uniform(size=20_000) < 0.02
    xs = np.where(np.cumsum(switches) % 2, 1.0, -1.0).astype(np.float32)
    encoder = snn.StepForwardEncoder(2.0)
    spikes = encoder(xs)
    wrong = int((np.asarray(encoder.decode(spikes, xs[0])) != xs).sum())
    bits = spike_bits(np.asarray(spikes)[None]) / len(xs)
    a, phases = 0.96, np.linspace(0, np.pi, 4096)
    curve = gaussian_snr(bits, (1 - a**2) / (1 - 2 * a * np.cos(phases) + a**2))
    return (
        f"A telegraph signal, which switches at 2 % of its steps, is decoded by "
        f"`StepForwardEncoder` with {wrong} wrong samples of {len(xs):,}, at {bits:.2f} bits a "
        f"step. The curve for a Gaussian signal of the same spectrum says {curve:.1f} dB.\n"
    )


def yin_yang() -> str:
    """How much of the Yin-Yang dataset a linear model of receptive fields solves."""
    fields = snn.GaussianReceptiveFields.evenly(5)
    scores = []
    for seed in range(SEEDS):
        sizes = {2 * seed + 1: 5000, 2 * seed + 2: 10_000}
        drawn = [snn.datasets.yin_yang(number, size) for number, size in sizes.items()]
        (train, labels), (test, held) = (
            (np.asarray(jax.vmap(fields)(xs)).reshape(len(xs), -1), ys) for xs, ys in drawn
        )
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1e3, max_iter=5000))
        scores.append(100 * model.fit(train, labels).score(test, held))
    return (
        "Logistic regression on five receptive fields a coordinate, without a network and "
        f"without spikes, has {averaged(scores)} % on the Yin-Yang dataset ({SEEDS} seeds).\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="two encoders on the ECG")
    parser.add_argument("--only", default="", help="part of the names of data sets; no files")
    parser.add_argument(
        "--part", choices=("compare", "accuracy", "limits"), help="only this part"
    )
    args = parser.parse_args()
    if args.short:
        chosen = dict(list(signal_encoders(-2.0, 6.0).items())[:2])
        print(as_table(snn.compare(chosen, ecg(), rates=40.0)))
        print(telegraph())
        return
    try:
        import aeon  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        sys.exit("the series need aeon: `pip install jaxsnn_eqx[datasets]`")
    write = not args.only
    PAGES.mkdir(exist_ok=True)
    if args.part in (None, "limits") and write:
        texts = {
            "limits": limits(PAGES / "limits.png"),
            "telegraph": telegraph(),
            "yin_yang": yin_yang(),
        }
        for name, text in texts.items():
            print(text)
            (PAGES / f"{name}.md").write_text(text)
    if args.part in (None, "accuracy"):
        text = accuracies(args.only)
        print(text)
        if write:
            (PAGES / "accuracy.md").write_text(text)
    if args.part in (None, "compare"):
        for name, found in comparisons(args.only).items():
            if write:
                (PAGES / f"{name.replace(' ', '_').lower()}.md").write_text(as_table(found))


if __name__ == "__main__":
    main()
