"""What `calibrate` is worth: the same network as it comes, set by hand, and calibrated.

    pip install "jaxsnn_eqx[examples,datasets]"
    python benchmarks/calibrated.py              # writes docs/calibrate/, in 20 minutes
    python benchmarks/calibrated.py --short      # one seed, few epochs, to see that it runs

Table 1: networks of one hidden layer, trained by the same code from three initialisations:

- *as it comes*: Equinox's weights, the data as they are, a maximum over time.
- *by hand*: the inputs times 4, the hidden weights times 6, no bias in front of the maximum.
- *calibrated*: `calibrate(model, data, rate=...)`, a mean over time, biases and all.

Table 2: calibrated to other rates of the hidden neurons.

Each row is trained with each of three learning rates. Its accuracy is that of the learning rate
with the best mean accuracy on validation data, a fifth of the training data.
"""

import argparse
import functools as ft
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import jaxsnn_eqx as snn

PAGES = Path(__file__).parents[1] / "docs" / "calibrate"
HIDDEN = 128
STEPS = 30
LEARNING_RATES = (5e-3, 2e-2, 5e-2)
BATCH_SIZE = 32
WEIGHT_DECAY = 1e-3
INPUT_GAIN, HIDDEN_GAIN = 4.0, 6.0  # by hand
ENCODER_RATE, HIDDEN_RATE = 100.0, 10.0  # hertz
HIDDEN_RATES = (0.5, 2.0, 10.0, 50.0, 150.0)
HOLD = 4  # steps for each sample of a vowel
CALIBRATION = 300  # samples


class Data(NamedTuple):
    """Inputs and classes, for training, validation and test."""

    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    test: tuple[Array, Array]


class Task(NamedTuple):
    """A data set, and what its network needs."""

    load: Callable[[int], tuple[np.ndarray, ...]]  # inputs and classes to train and to test
    encoder: snn.AbstractEncoder
    epochs: int


def digits(seed: int) -> tuple[np.ndarray, ...]:
    data: Any = load_digits()
    return _held_out(data.data / 16, data.target, 0.3, seed)


def wine(seed: int) -> tuple[np.ndarray, ...]:
    """Each feature scaled to [0, 1] by the training data."""
    data: Any = load_wine()
    train, classes, test, test_classes = _held_out(data.data, data.target, 0.3, seed)
    low, high = train.min(axis=0), train.max(axis=0)
    return (train - low) / (high - low), classes, (test - low) / (high - low), test_classes


def yin_yang(seed: int) -> tuple[np.ndarray, ...]:
    train, test = (snn.datasets.yin_yang(s, 3000) for s in (2 * seed + 1, 2 * seed + 2))
    return tuple(map(np.asarray, (*train, *test)))


def vowels(seed: int) -> tuple[np.ndarray, ...]:
    """The split is that of the data set."""
    train, classes, test, test_classes = stretched_vowels()
    train, test = (np.repeat(series, HOLD, axis=1) for series in (train, test))
    return train, classes, test, test_classes


def stretched_vowels() -> tuple[np.ndarray, ...]:
    """The series, stretched to the 29 steps of the longest."""
    from aeon.datasets import load_japanese_vowels  # pyright: ignore[reportMissingImports]

    parts: list[np.ndarray] = []
    for split in ("train", "test"):
        series, labels = load_japanese_vowels(split=split)
        parts += [np.stack([_stretched(x.T, 29) for x in series]), labels.astype(int) - 1]
    return tuple(parts)


def _stretched(series: np.ndarray, steps: int) -> np.ndarray:
    at = np.minimum(np.arange(steps) * len(series) // steps, len(series) - 1)
    return series[at]


def _held_out(x: np.ndarray, y: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, ...]:
    parts: Any = train_test_split(x, y, test_size=share, stratify=y, random_state=seed)
    train, test, classes, test_classes = parts
    return train, classes, test, test_classes


TASKS = {
    "digits": Task(digits, snn.ConstantCurrentLIFEncoder(STEPS), 15),
    "wine": Task(wine, snn.ConstantCurrentLIFEncoder(STEPS), 100),
    "Yin-Yang": Task(yin_yang, snn.SpatioTemporalEncoder(STEPS, (STEPS - 2.5) * 1e-3), 20),
    "vowels": Task(vowels, snn.LIFCurrentEncoder(), 30),
}


def load(task: Task, seed: int) -> Data:
    train, classes, test, test_classes = task.load(seed)
    train, classes, validation, held_classes = _held_out(train, classes, 0.2, seed)
    pairs = (train, classes), (validation, held_classes), (test, test_classes)
    return Data(*((jnp.asarray(x, jnp.float32), jnp.asarray(y)) for x, y in pairs))


def network(
    encoder: snn.AbstractEncoder, data: Data, key: Array, *, biased: bool, mean: bool
) -> snn.Network:
    k1, k2 = jr.split(key)
    inputs, classes = data.train[0].shape[-1], int(data.train[1].max()) + 1
    out = eqx.nn.Linear(HIDDEN, classes, use_bias=biased, key=k2)
    decoder = snn.MeanOverTime() if mean else snn.MaxOverTime()
    layers = [
        encoder,
        snn.OverTime(eqx.nn.Linear(inputs, HIDDEN, key=k1)),
        snn.LIF(),
        snn.OverTime(out),
        snn.LI(),
        decoder,
    ]
    return snn.Network(layers)


def as_it_comes(task: Task, data: Data, key: Array) -> snn.Network:
    return network(task.encoder, data, key, biased=True, mean=False)


def by_hand(task: Task, data: Data, key: Array) -> snn.Network:
    encoder, scale = task.encoder, snn.Scale(INPUT_GAIN)
    if isinstance(encoder, snn.ConstantCurrentLIFEncoder):
        encoder = snn.Preprocessed(scale, encoder)
    found = network(encoder, data, key, biased=False, mean=False)
    if isinstance(encoder, snn.LIFCurrentEncoder):
        scaled = snn.Network([snn.OverTime(scale), encoder])
        found = eqx.tree_at(lambda n: n.layers[0], found, scaled)
    return eqx.tree_at(
        lambda n: n.layers[1].layer.weight, found, replace_fn=lambda w: HIDDEN_GAIN * w
    )


def calibrated(
    task: Task, data: Data, key: Array, hidden_rate: float = HIDDEN_RATE
) -> snn.Network:
    found = network(task.encoder, data, key, biased=True, mean=True)
    one_spike = isinstance(task.encoder, snn.SpatioTemporalEncoder)
    rates = [None if one_spike else ENCODER_RATE, hidden_rate]
    return snn.calibrate(found, data.train[0][:CALIBRATION], rate=rates)


@eqx.filter_jit
def trained(network, xs: Array, classes: Array, rate: Array, key: Array, epochs: int):
    """The network after some epochs, by AdamW with a learning rate that falls to 0."""
    batches = len(xs) // BATCH_SIZE
    schedule = optax.cosine_decay_schedule(1.0, epochs * batches)
    optimiser = optax.chain(
        optax.scale_by_adam(),
        optax.add_decayed_weights(WEIGHT_DECAY),
        optax.scale_by_schedule(schedule),
        optax.scale(-1.0),
    )
    weights, rest = eqx.partition(network, eqx.is_inexact_array)

    def loss(weights, x, y):
        logits = jax.vmap(eqx.combine(weights, rest))(x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def update(carry, batch):
        weights, state = carry
        gradient = jax.grad(loss)(weights, xs[batch], classes[batch])
        change, state = optimiser.update(gradient, state, weights)
        change = jax.tree.map(lambda c: rate * c, change)
        return (eqx.apply_updates(weights, change), state), None

    def epoch(carry, key):
        order = jr.permutation(key, len(xs))[: batches * BATCH_SIZE]
        return jax.lax.scan(update, carry, order.reshape(batches, BATCH_SIZE))

    carry = weights, optimiser.init(weights)
    (weights, _), _ = jax.lax.scan(epoch, carry, jr.split(key, epochs))
    return eqx.combine(weights, rest)


@eqx.filter_jit
def accuracy(network, xs: Array, classes: Array) -> Array:
    return jnp.mean(jnp.argmax(jax.vmap(network)(xs), axis=1) == classes)


@eqx.filter_jit
def share_that_fires(network: snn.Network, xs: Array) -> Array:
    return jnp.mean(jax.vmap(lambda x: network[:3](x))(xs).any(axis=(0, 1)))


def measure(task: Task, make: Callable, seeds: int, epochs: int, progress: tqdm) -> str:
    """A row: the accuracy in percent, the learning rate, and what fires at initialisation."""
    scores = np.zeros((len(LEARNING_RATES), seeds, 2))
    firing = []
    for seed in range(seeds):
        data = load(task, seed)
        network_key, train_key = jr.split(jr.key(seed))
        first = make(task, data, network_key)
        firing.append(float(share_that_fires(first, data.train[0][:CALIBRATION])))
        for i, rate in enumerate(LEARNING_RATES):
            last = trained(first, *data.train, jnp.asarray(rate), train_key, epochs)
            scores[i, seed] = accuracy(last, *data.validation), accuracy(last, *data.test)
            progress.update()
    best = int(scores[:, :, 0].mean(axis=1).argmax())
    test = 100 * scores[best, :, 1]
    spread = f" ± {test.std(ddof=1):.2f}" if seeds > 1 else ""
    return (
        f"{test.mean():.2f}{spread} | {LEARNING_RATES[best]:g} | {100 * np.mean(firing):.0f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what `calibrate` is worth.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="one seed, two epochs")
    args = parser.parse_args()
    tasks = dict(TASKS)
    try:
        import aeon  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        print("the vowels are left out: install `jaxsnn_eqx[datasets]`")
        del tasks["vowels"]
    if args.short:
        tasks = {name: tasks[name]._replace(epochs=2) for name in ("digits",)}
    seeds = 1 if args.short else args.seeds
    rates = HIDDEN_RATES[:1] if args.short else HIDDEN_RATES
    inits: dict[str, Callable] = {
        "as it comes": as_it_comes,
        "by hand": by_hand,
        "calibrated": calibrated,
    }
    if args.short:
        inits = {"calibrated": calibrated}
    at_rates = {f"{rate:g} Hz": ft.partial(calibrated, hidden_rate=rate) for rate in rates}
    tables = {"inits": ("network", inits), "rates": ("hidden neurons at", at_rates)}
    total = len(tasks) * (len(inits) + len(rates)) * seeds * len(LEARNING_RATES)
    with tqdm(total=total, unit="run") as progress:
        for page, (column, makers) in tables.items():
            lines = [f"| data | {column} | accuracy (%) | learning rate | fire at first |"]
            lines.append("|---|---|---|---|---|")
            for name, task in tasks.items():
                for maker, make in makers.items():
                    try:
                        row = measure(task, make, seeds, task.epochs, progress)
                    except ValueError as error:  # a rate that is not reached
                        row = f"{str(error).partition(': ')[2].partition('. ')[0]} | – | –"
                    lines.append(f"| {name} | {maker} | {row} |")
                    jax.clear_caches()
            text = "\n".join(lines) + "\n"
            print(f"\n{text}")
            if not args.short:
                PAGES.mkdir(exist_ok=True)
                (PAGES / f"{page}.md").write_text(text)
    print(f"{seeds} seeds (mean ± standard deviation), {HIDDEN} hidden neurons.")


if __name__ == "__main__":
    main()
