"""A filter bank in front of spikes, on accelerations: BasicMotions with and without bands.

    pip install "jaxsnn_eqx[examples,datasets]"
    python benchmarks/motions.py           # writes docs/choosing/motions.md
    python benchmarks/motions.py --short   # one split of synthetic motions, no file

Six signals of a wrist, 10 s at 10 Hz, of four activities; 40 series for training, 40 for tests.
Each signal is divided into three octaves by Butterworth filters, whose outputs are rectified,
smoothed and encoded by LIF neurons at 20 Hz, as an ear divides a sound. Beside it the same
neurons without a bank: the signal and its negative, each cut at 0 (`OnOff`). The classifier
takes numbers of spikes in the whole series, or, as the yardstick, the mean of what is encoded.
The data set's own split and nine drawn at random.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit
from tqdm import tqdm

import jaxsnn_eqx as snn
from jaxsnn_eqx._linear import Classifier
from time_base import of_aeon

PAGE = Path(__file__).parents[1] / "docs" / "choosing" / "motions.md"
RATE = 10.0  # samples a second
DT, HOLD = 1e-3, 100  # each sample is shown for 0.1 s
BANDS, LOW, HIGH = 3, 0.5, 4.0  # octaves, in hertz
SPIKE_RATE, SPLITS = 20.0, 10


def synthetic():
    """Oscillations of four frequencies, in the shapes of the data set."""
    random = np.random.default_rng(0)
    labels = np.arange(80) % 4
    t = np.arange(100)[:, None] / RATE
    waves = [np.sin(2 * np.pi * 0.8 * (k + 1) * t + random.uniform(0, 7, 6)) for k in labels]
    xs = np.stack(waves) + random.normal(size=(80, 100, 6))
    return xs[:40], labels[:40], xs[40:], labels[40:]


def banked() -> list[snn.AbstractLayer]:
    """The amplitude in each octave."""
    bank = snn.FilterBank.butterworth(BANDS, LOW, HIGH, dt=1 / RATE)
    return [bank, snn.OverTime(jnp.abs)]


def plain() -> list[snn.AbstractLayer]:
    return [snn.OverTime(snn.OnOff())]


def currents(front: list[snn.AbstractLayer], xs: np.ndarray) -> np.ndarray:
    """What is encoded: one more axis of channels, smoothed over half a second, and held."""
    smooth = snn.LI(snn.LIFParameters(tau_mem=0.5), dt=1 / RATE)
    shown = jax.jit(jax.vmap(snn.Network([*front, smooth])))(xs)
    return np.repeat(np.asarray(shown), HOLD, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="one split of synthetic motions")
    short = parser.parse_args().short
    train_xs, train_labels, test_xs, test_labels = (
        synthetic() if short else of_aeon("load_basic_motions")
    )
    xs = np.concatenate([train_xs, test_xs]).astype(np.float32)
    labels = np.concatenate([train_labels, test_labels])
    own = np.arange(len(train_xs)), np.arange(len(train_xs), len(xs))
    drawn = StratifiedShuffleSplit(SPLITS - 1, test_size=len(own[1]), random_state=0)
    splits = [own] if short else [own, *drawn.split(xs, labels)]
    scores: dict[str, list[float]] = {}
    spikes: dict[str, list[float]] = {}
    for train, test in tqdm(splits, desc="motions", unit="split"):
        scaled = (xs - xs[train].mean((0, 1))) / xs[train].std((0, 1))
        for name, front in {"the signal": plain(), "three octaves": banked()}.items():
            shown = currents(front, scaled)
            encoder = snn.calibrate(
                snn.LIFCurrentEncoder(),
                shown[train],
                rate=SPIKE_RATE,
                tolerance=0.2,
                per_feature=True,
            )
            trains = np.asarray(jax.jit(jax.vmap(encoder))(shown))
            spikes.setdefault(name, []).append(float(trains.sum()) / len(xs))
            for what, values in {"spikes": trains.sum(1), "means": shown.mean(1)}.items():
                flat = values.reshape(len(xs), -1).astype(float)
                model = Classifier.fit(flat[train], labels[train])
                score = 100 * model.accuracy(flat[test], labels[test])
                scores.setdefault(f"{name}, {what}", []).append(score)
    rows = ["| encoded | spikes/sample | accuracy (%), by spikes | without spikes |"]
    rows.append("|---|--:|--:|--:|")
    for name, counts in spikes.items():
        by = [np.array(scores[f"{name}, {what}"]) for what in ("spikes", "means")]
        cells = (f"{each.mean():.1f} ± {each.std():.1f}" for each in by)
        rows.append(f"| {name} | {np.mean(counts):.0f} | {' | '.join(cells)} |")
    print("\n".join(rows))
    if not short:
        PAGE.write_text("\n".join(rows) + "\n")
        print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()
