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
from tqdm import tqdm

import jaxsnn_eqx as snn
from choosing import AEON, Series, averaged, own_and_drawn, scaled
from jaxsnn_eqx._linear import Classifier
from jaxsnn_eqx._walk import run_on

PAGE = Path(__file__).parents[1] / "docs" / "choosing" / "motions.md"
RATE = 10.0  # samples a second
HOLD = 100  # each sample is shown for 0.1 s
BANDS, LOW, HIGH = 3, 0.5, 4.0  # octaves, in hertz
SPIKE_RATE, SPLITS = 20.0, 10


def synthetic() -> Series:
    """Oscillations of four frequencies, in the shapes of the data set."""
    random = np.random.default_rng(0)
    labels = np.arange(80) % 4
    t = np.arange(100)[:, None] / RATE
    waves = [np.sin(2 * np.pi * 0.8 * (k + 1) * t + random.uniform(0, 7, 6)) for k in labels]
    xs = np.stack(waves) + random.normal(size=(80, 100, 6))
    return Series(xs.astype(np.float32), labels, 40)


def fronts() -> dict[str, snn.Network]:
    """What is encoded: one more axis of channels, smoothed over half a second."""
    bank = snn.FilterBank.butterworth(BANDS, LOW, HIGH, dt=1 / RATE)
    smooth = snn.LI(snn.LIFParameters(tau_mem=0.5), dt=1 / RATE)
    return {
        "the signal": snn.Network([snn.OverTime(snn.OnOff()), smooth]),
        "three octaves": snn.Network([bank, snn.OverTime(jnp.abs), smooth]),
    }


def accuracy(values: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray):
    flat = values.reshape(len(values), -1).astype(float)
    model = Classifier.fit(flat[train], labels[train])
    return 100 * model.accuracy(flat[test], labels[test])


def row(name: str, front: snn.Network, data: Series, splits: int) -> str:
    counts, by_spikes, without = [], [], []
    for train, test in tqdm(own_and_drawn(data, splits), desc=name, unit="split"):
        smoothed = np.asarray(run_on(front, jnp.asarray(scaled(data, train)), None))
        currents = np.repeat(smoothed, HOLD, axis=1)
        encoder = snn.calibrate(
            snn.LIFCurrentEncoder(),
            currents[train],
            rate=SPIKE_RATE,
            tolerance=0.2,
            per_feature=True,
        )
        trains = np.asarray(jax.jit(jax.vmap(encoder))(currents))
        counts.append(trains.sum() / len(trains))
        by_spikes.append(accuracy(trains.sum(1), data.labels, train, test))
        without.append(accuracy(smoothed.mean(1), data.labels, train, test))
    return f"| {name} | {np.mean(counts):.0f} | {averaged(by_spikes)} | {averaged(without)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="one split of synthetic motions")
    short = parser.parse_args().short
    data, splits = (synthetic(), 1) if short else (AEON["BasicMotions"](), SPLITS)
    rows = [
        "| encoded | spikes/sample | accuracy (%), by spikes | without spikes |",
        "|---|--:|--:|--:|",
        *(row(name, front, data, splits) for name, front in fronts().items()),
    ]
    print("\n".join(rows))
    if not short:
        PAGE.write_text("\n".join(rows) + "\n")
        print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()
