"""Does an encoder that `calibrate` set on training data spend its rate on held-out data?

Writes `docs/calibrate/held_out.md`. With aeon also on spoken vowels and on motions:

    pip install "jaxsnn_eqx[examples,datasets]"
    python checks/calibration.py
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pywt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import jaxsnn_eqx as snn

PAGE = Path(__file__).parents[1] / "docs" / "calibrate" / "held_out.md"
STEPS, SPLITS, SHORT_SPLITS = 100, 6, 1
TOLERANCE = 0.05
WINDOW, HOLD = 16, 4

OF_VALUES = [
    (snn.ConstantCurrentLIFEncoder(STEPS), 50.0),
    (snn.LIFLatencyEncoder(STEPS), 4.0),
    (snn.LearnableLIFEncoder(64, STEPS), 50.0),
    (snn.PoissonEncoder(STEPS), 100.0),
    (snn.RegularRateEncoder(STEPS), 100.0),
    (snn.BurstEncoder(STEPS), 20.0),
    (snn.LatencyEncoder(STEPS, 5e-2), 4.0),
    (snn.TimeToFirstSpikeEncoder(STEPS, 2e-2), 4.0),
]
OF_SIGNALS = [
    (snn.LIFCurrentEncoder(), 100.0),
    (snn.PoissonEncoder(None), 100.0),
    (snn.DeltaEncoder(0.1), 100.0),
    (snn.ThresholdEncoder(0.1, 0.1), 100.0),
    (snn.StepForwardEncoder(0.1), 100.0),
    (snn.MovingWindowEncoder(0.1), 100.0),
    (snn.SigmaDeltaEncoder(0.1), 100.0),
    (snn.PulseWidthEncoder(4e-3), 250.0),
    (snn.BensSpikerEncoder((0.5, 1.0, 0.5), 0.5), 100.0),
]


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray | None, list]]:
    """The inputs, their classes, and encoders for them.

    Each half of a split has the same share of each class. The ECG is one record of four beats,
    so that its windows are halved in turn.
    """
    digits: Any = load_digits()
    ecg = pywt.data.ecg().astype(np.float32)
    windows = ecg[: len(ecg) // WINDOW * WINDOW].reshape(-1, WINDOW, 1)
    found: dict[str, Any] = {
        "digits": ((digits.data / 16).astype(np.float32), digits.target, OF_VALUES),
        "ECG": (windows, None, OF_SIGNALS),
    }
    try:
        from aeon.datasets import (  # pyright: ignore[reportMissingImports]
            load_basic_motions,
            load_japanese_vowels,
        )
    except ModuleNotFoundError:
        print("vowels and motions are left out: install `jaxsnn_eqx[datasets]`")
        return found
    series, classes = load_japanese_vowels()
    steps = min(x.shape[1] for x in series)
    vowels = np.stack([np.repeat(x[:, :steps].T, HOLD, axis=0) for x in series])
    found["vowels"] = vowels.astype(np.float32), classes, OF_SIGNALS
    motions, classes = load_basic_motions()
    found["motions"] = np.moveaxis(motions, 1, 2).astype(np.float32), classes, OF_SIGNALS
    return found


@eqx.filter_jit
def rate_of(encoder, xs, key):
    keys = jax.random.split(key, len(xs))
    spikes = jax.vmap(lambda x, key: encoder(x, key=key))(xs, keys)
    return (spikes != 0).mean() / 1e-3


def deviations(encoder, rate, data, classes, splits) -> tuple[list[float], list[float]]:
    """Of the rate on training and on held-out data from that asked for, relative to it."""
    train, held = [], []
    for seed in range(splits if classes is not None else 1):
        parts: Any = data[::2], data[1::2]
        if classes is not None:
            parts = train_test_split(data, test_size=0.5, stratify=classes, random_state=seed)
        found = snn.calibrate(encoder, parts[0], rate=rate)
        for xs, into in zip(parts, (train, held), strict=True):
            into.append(abs(float(rate_of(found, xs, jax.random.key(seed))) / rate - 1))
    return train, held


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="one split, and write nothing")
    short = parser.parse_args().short
    rows, wrong = [], []
    sets = data_sets()
    cases = [(name, *case) for name, (_, _, cases) in sets.items() for case in cases]
    for name, encoder, rate in tqdm(cases[::4] if short else cases, unit="encoder"):
        data, classes, _ = sets[name]
        kind = type(encoder).__name__
        splits = SHORT_SPLITS if short else SPLITS
        try:
            train, held = deviations(encoder, rate, data, classes, splits)
        except ValueError as error:
            wrong.append(f"{name}, {kind}: {error}")
            continue
        # a train of spikes that is drawn differs from its mean
        if max(train) > TOLERANCE and not isinstance(encoder, snn.PoissonEncoder):
            wrong.append(f"{name}, {kind}: {max(train):.1%} off on the training data")
        figures = (max(train), np.mean(held), max(held))
        rows.append(
            f"| {name} | `{kind}` | {rate:g} | "
            + " | ".join(f"{100 * x:.1f} %" for x in figures)
            + " |"
        )
    head = [
        "| data | encoder | rate (Hz) | off, training data | off, held out: mean | at most |",
        "|---|---|--:|--:|--:|--:|",
    ]
    text = "\n".join([*head, *rows]) + "\n"
    print(text, *wrong, sep="\n")
    if not short:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
