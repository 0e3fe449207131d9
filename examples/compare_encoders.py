"""Compares the encoders of values: accuracy and spikes of one network behind each of them.

    pip install "jaxsnn_eqx[examples]"
    python examples/compare_encoders.py                # all encoders, three seeds each
    python examples/compare_encoders.py --only Phase   # encoders named "...Phase..."
    python examples/compare_encoders.py --short        # one epoch and one seed, a quick check

Trains the same network of 64-256-10 neurons on scikit-learn's handwritten digits behind each
encoder of values. Only the encoder differs: steps, epochs, batches and seeds are the same,
without distortions and without tuning. Encoders differ in how many spikes they give, so the
hidden weights are scaled until nine in ten of the hidden neurons fire for some training digit.
Prints the test accuracy, the spikes of the encoder and of the hidden layer per digit, and the
time of an epoch, and writes them to compare_encoders.md.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import jaxsnn_eqx as snn

CLASSES = 10
PIXELS = 64
STEPS = 32  # of 1 ms
WINDOW = 30e-3  # in which spike-time encoders fire, in seconds
HIDDEN = 256
BATCH_SIZE = 64
EPOCHS = 30
LEARNING_RATE = 5e-3
FIELDS = 4


class Setup(NamedTuple):
    """An encoder in front of the network."""

    layers: Callable[[], list[snn.AbstractLayer]]
    features: int = PIXELS
    gain: float = 1.0  # of pixels in [0, 1]: LIF encoders need currents above v_th


def flat() -> snn.OverTime:
    return snn.OverTime(eqx.nn.Lambda(jnp.ravel))


SETUPS = {
    "ConstantCurrentLIFEncoder": Setup(
        lambda: [snn.ConstantCurrentLIFEncoder(STEPS)], gain=4.0
    ),
    "LearnableLIFEncoder": Setup(
        lambda: [
            snn.LearnableLIFEncoder(PIXELS, STEPS, surrogate=snn.SuperSpike(5.0)),
        ],
        gain=4.0,
    ),
    "LIFLatencyEncoder": Setup(lambda: [snn.LIFLatencyEncoder(STEPS)], gain=4.0),
    "SpatioTemporalEncoder": Setup(lambda: [snn.SpatioTemporalEncoder(STEPS, WINDOW)]),
    "LatencyEncoder, linear": Setup(lambda: [snn.LatencyEncoder(STEPS, WINDOW)]),
    "TimeToFirstSpikeEncoder": Setup(lambda: [snn.TimeToFirstSpikeEncoder(STEPS, tau=1e-2)]),
    "LatencyEncoder, logarithmic": Setup(
        lambda: [snn.LatencyEncoder(STEPS, WINDOW, tau=WINDOW, threshold=0.03)]
    ),
    "PoissonEncoder": Setup(lambda: [snn.PoissonEncoder(STEPS, 500.0)]),
    "RegularRateEncoder": Setup(lambda: [snn.RegularRateEncoder(STEPS, 500.0)]),
    "PhaseEncoder": Setup(lambda: [snn.PhaseEncoder(STEPS, 4)]),
    "BurstEncoder": Setup(lambda: [snn.BurstEncoder(STEPS, 5, t_max=8e-3)]),
    "RankOrderEncoder": Setup(lambda: [snn.RankOrderEncoder(STEPS)]),
    "GaussianReceptiveFields, LatencyEncoder": Setup(
        lambda: [
            snn.Preprocessed(
                snn.GaussianReceptiveFields.evenly(FIELDS),
                snn.LatencyEncoder(STEPS, WINDOW, threshold=0.1),
            ),
            flat(),
        ],
        features=PIXELS * FIELDS,
    ),
    "DirectEncoder (no spikes)": Setup(lambda: [snn.DirectEncoder(STEPS)]),
}


class Digits(NamedTuple):
    images: Float[Array, "size pixels"]
    classes: Int[Array, " size"]


class Result(NamedTuple):
    accuracy: float
    spikes: float  # of the encoder, per digit
    hidden_spikes: float
    seconds: float  # per epoch


def load() -> tuple[Digits, Digits]:
    data: Any = load_digits()
    parts: Any = train_test_split(
        data.data / 16, data.target, test_size=0.3, stratify=data.target, random_state=0
    )
    images, held_images, classes, held_classes = map(jnp.asarray, parts)
    return Digits(images, classes), Digits(held_images, held_classes)


class Model(eqx.Module):
    """The encoder, and the network behind it."""

    encoder: snn.Network
    hidden: snn.Network
    readout: snn.Network
    gain: float = eqx.field(static=True)

    def spikes(self, image: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
        """The spikes of the encoder and of the hidden layer."""
        encoded = self.encoder(self.gain * image, key=key)
        return encoded, self.hidden(encoded)

    def __call__(self, image: Array, key: PRNGKeyArray) -> Array:
        return self.readout(self.spikes(image, key)[1])


def make_model(setup: Setup, images: Array, key: PRNGKeyArray) -> Model:
    hidden_key, out_key, draw_key = jr.split(key, 3)
    linear = eqx.nn.Linear(setup.features, HIDDEN, key=hidden_key)
    out = eqx.nn.Linear(HIDDEN, CLASSES, use_bias=False, key=out_key)
    # Initialised positive: potentials start at 0, so the maximum over time of a class whose
    # potential stays below 0 is that start, which has no gradient.
    out = eqx.tree_at(lambda m: m.weight, out, replace_fn=jnp.abs)
    neurons = snn.LIF(surrogate=snn.SuperSpike(25.0))
    model = Model(
        snn.Network(setup.layers()),
        snn.Network([snn.OverTime(linear), snn.Synapse(neurons, immediate=False)]),
        snn.Network([snn.OverTime(out), snn.Synapse(snn.LI()), snn.MaxOverTime()]),
        setup.gain,
    )

    @eqx.filter_jit
    def share_that_fires(model):
        spikes = jax.vmap(model.spikes)(images, jr.split(draw_key, len(images)))[1]
        return jnp.mean(spikes.any(axis=(0, 1)))

    while share_that_fires(model) < 0.9:
        model = eqx.tree_at(
            lambda m: m.hidden[0].layer.weight, model, replace_fn=lambda w: 1.5 * w
        )
    return model


def train(model: Model, digits: Digits, *, epochs: int, key: PRNGKeyArray):
    """The trained model, and the seconds of each epoch."""
    batches = len(digits.images) // BATCH_SIZE
    updates = epochs * batches
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, LEARNING_RATE, warmup_steps=updates // 10, decay_steps=updates
    )
    optimiser = optax.adam(schedule)

    @eqx.filter_value_and_grad
    def loss_and_gradient(model, images, classes, key):
        logits = jax.vmap(model)(images, jr.split(key, len(images)))
        return optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean()

    @eqx.filter_jit
    def train_epoch(model, state, key):
        shuffle_key, draw_key = jr.split(key)
        order = jr.permutation(shuffle_key, len(digits.images))[: batches * BATCH_SIZE]
        arrays, static = eqx.partition(model, eqx.is_inexact_array)

        def update(carry, batch):
            arrays, state = carry
            chosen, key = batch
            loss, gradient = loss_and_gradient(
                eqx.combine(arrays, static), digits.images[chosen], digits.classes[chosen], key
            )
            change, state = optimiser.update(gradient, state, arrays)
            return (eqx.apply_updates(arrays, change), state), loss

        xs = (order.reshape(batches, BATCH_SIZE), jr.split(draw_key, batches))
        (arrays, state), losses = jax.lax.scan(update, (arrays, state), xs)
        return eqx.combine(arrays, static), state, losses.mean()

    state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))
    seconds = []
    with tqdm(jr.split(key, epochs), unit="epoch", leave=False) as progress:
        for epoch_key in progress:
            start = time.perf_counter()
            model, state, loss = train_epoch(model, state, epoch_key)
            progress.set_postfix(loss=f"{float(loss):.3f}")
            seconds.append(time.perf_counter() - start)
    return model, seconds


@eqx.filter_jit
def evaluate(model: Model, digits: Digits, key: PRNGKeyArray):
    keys = jr.split(key, len(digits.images))
    encoded, hidden = jax.vmap(model.spikes)(digits.images, keys)
    logits = jax.vmap(model.readout)(hidden)
    accuracy = jnp.mean(jnp.argmax(logits, axis=1) == digits.classes)
    per_digit = [jnp.sum(jnp.abs(z)) / len(digits.images) for z in (encoded, hidden)]
    return accuracy, *per_digit


def run(setup: Setup, seed: int, *, epochs: int) -> Result:
    digits, held_out = load()
    model_key, train_key, test_key = jr.split(jr.key(seed), 3)
    model = make_model(setup, digits.images[:500], model_key)
    model, seconds = train(model, digits, epochs=epochs, key=train_key)
    accuracy, spikes, hidden_spikes = map(float, evaluate(model, held_out, test_key))
    # the first epoch compiles
    return Result(accuracy, spikes, hidden_spikes, float(np.median(seconds[1:] or seconds)))


def row(name: str, results: list[Result]) -> str:
    accuracy, spikes, hidden_spikes, seconds = (np.array(c) for c in zip(*results, strict=True))
    spread = f" ± {accuracy.std(ddof=1):.2%}" if len(results) > 1 else ""
    spiking = "–" if "no spikes" in name else f"{spikes.mean():.0f}"
    return (
        f"| `{name.split(' (')[0]}` | {accuracy.mean():.2%}{spread} | {spiking} | "
        f"{hidden_spikes.mean():.0f} | {np.median(seconds):.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares encoders on digits.")
    parser.add_argument("--seeds", type=int, default=3, help="number of runs, one per seed")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--only", default="", help="part of the names of encoders to run")
    parser.add_argument("--short", action="store_true", help="one epoch, one seed")
    parser.add_argument("--out", type=Path, default=Path("compare_encoders.md"))
    args = parser.parse_args()

    epochs, seeds = (1, 1) if args.short else (args.epochs, args.seeds)
    head = [
        "| in front of the same network | test accuracy | encoder's spikes per digit | "
        "hidden spikes per digit | seconds per epoch |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(head), flush=True)
    lines = head
    for name, setup in SETUPS.items():
        if args.only.lower() not in name.lower():
            continue
        results = [run(setup, seed, epochs=epochs) for seed in range(seeds)]
        lines.append(row(name, results))
        print(lines[-1], flush=True)
    if not args.short:
        note = (
            f"{seeds} seeds (mean ± standard deviation), {epochs} epochs, {STEPS} steps, "
            f"{HIDDEN} hidden neurons, 540 test digits; jax {jax.__version__}."
        )
        args.out.write_text("\n".join([*lines, "", note, ""]))
        print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
