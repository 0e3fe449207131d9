"""How long to hold each sample of a series: the same network, from 1 to 10 steps a sample.

    pip install "jaxsnn_eqx[examples,datasets]"
    python benchmarks/time_base.py               # writes docs/calibrate/time_base.md
    python benchmarks/time_base.py --short       # one seed, few epochs, to see that it runs

The network: receptive fields, `LIFCurrentEncoder`, recurrent LIF neurons with time constants of
5 to 100 ms, and leaky integrators, whose mean is the answer; `calibrate` sets its scales.
Without aeon the series are sines of two frequencies in noise.
"""

import argparse
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array
from tqdm import tqdm

import jaxsnn_eqx as snn
from calibrated import BATCH_SIZE, accuracy, stretched_vowels, trained

PAGE = Path(__file__).parents[1] / "docs" / "calibrate" / "time_base.md"
HELD = (1, 2, 5, 10)
FIELDS, HIDDEN = 6, 64
ENCODER_RATE, HIDDEN_RATE = 60.0, 15.0
LEARNING_RATE, UPDATES = 2e-2, 600

Series = tuple[np.ndarray, ...]  # inputs and classes, to train and to test


def sines() -> Series:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 200)
    t = np.arange(24)
    phase = rng.uniform(0, 2 * np.pi, (200, 1))
    xs = np.sin(2 * np.pi * t / np.where(classes, 6, 8)[:, None] + phase)
    xs = (xs + 0.3 * rng.normal(size=xs.shape))[..., None]
    return xs[:100], classes[:100], xs[100:], classes[100:]


def of_aeon(name: str) -> Series:
    """A data set of aeon whose series are equally long, by the name of its loader."""
    from aeon import datasets  # pyright: ignore[reportMissingImports]

    parts: list[np.ndarray] = []
    for split in ("train", "test"):
        xs, labels = getattr(datasets, name)(split=split)
        parts += [np.moveaxis(xs, 1, 2), np.unique(labels, return_inverse=True)[1]]
    return tuple(parts)


def italy() -> Series:
    return of_aeon("load_italy_power_demand")


def network(train: Array, classes: int, key: Array) -> snn.Network:
    k1, k2, k3 = jr.split(key, 3)
    low, high = float(train.min()), float(train.max())
    fields = snn.GaussianReceptiveFields.evenly(FIELDS, low, high)
    inputs = train.shape[-1] * FIELDS
    taus = np.geomspace(5e-3, 100e-3, HIDDEN)
    neurons = snn.LIF(snn.LearnableLIFParameters(HIDDEN, tau_mem=taus))
    lateral = eqx.nn.Linear(HIDDEN, HIDDEN, use_bias=False, key=k2)
    layers = [
        snn.OverTime(fields),
        snn.OverTime(jnp.ravel),
        snn.LIFCurrentEncoder(),
        snn.OverTime(eqx.nn.Linear(inputs, HIDDEN, key=k1)),
        snn.Recurrent(neurons, lateral),
        snn.OverTime(eqx.nn.Linear(HIDDEN, classes, key=k3)),
        snn.LI(),
        snn.MeanOverTime(),
    ]
    return snn.calibrate(snn.Network(layers), train, rate=[ENCODER_RATE, HIDDEN_RATE])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures how long to hold each sample.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="one seed, a few updates")
    args = parser.parse_args()
    try:
        import aeon  # noqa: F401  # pyright: ignore[reportMissingImports]

        tasks = {
            "ItalyPowerDemand (24 samples)": italy,
            "JapaneseVowels (29)": stretched_vowels,
        }
    except ModuleNotFoundError:
        print("series of sines only: install `jaxsnn_eqx[datasets]` for the others")
        tasks = {"sines": sines}
    seeds, updates = (1, 4) if args.short else (args.seeds, UPDATES)
    held = HELD[:1] if args.short else HELD
    lines = ["| accuracy (%) | " + " | ".join(f"{n} steps a sample" for n in held) + " |"]
    lines[0] = lines[0].replace("| 1 steps", "| 1 step")
    lines.append("|---|" + "---|" * len(held))
    with tqdm(total=len(tasks) * len(held) * seeds, unit="run") as progress:
        for name, load in tasks.items():
            train, classes, test, test_classes = load()
            epochs = updates // (len(train) // BATCH_SIZE)
            cells = []
            for steps in held:
                xs, ts = (
                    jnp.asarray(np.repeat(x, steps, axis=1), jnp.float32) for x in (train, test)
                )
                scores = []
                for seed in range(seeds):
                    key, train_key = jr.split(jr.key(seed))
                    first = network(xs, int(classes.max()) + 1, key)
                    rate = jnp.asarray(LEARNING_RATE)
                    last = trained(first, xs, jnp.asarray(classes), rate, train_key, epochs)
                    scores.append(100 * float(accuracy(last, ts, jnp.asarray(test_classes))))
                    progress.update()
                spread = f" ± {np.std(scores, ddof=1):.1f}" if seeds > 1 else ""
                cells.append(f"{np.mean(scores):.1f}{spread}")
                jax.clear_caches()
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    print(f"\n{text}\n{seeds} seeds, mean ± standard deviation")
    if not args.short:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
