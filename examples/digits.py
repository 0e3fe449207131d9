"""Trains a spiking network on scikit-learn's handwritten digits, and draws its activity.

    pip install "jaxsnn_eqx[examples]"
    python examples/digits.py                # train, test, and write digits.png
    python examples/digits.py --seeds 3      # mean and spread of the test accuracy
    python examples/digits.py --splits 10    # the same, with other test digits for each seed
    python examples/digits.py --validate     # accuracy on a part of the training digits
    python examples/digits.py --short        # three epochs, to see that it runs

The data are 1,797 images of 8x8 pixels in 10 classes; 30 % are test digits, which by chance are
easy ones (`--splits 10` draws others). Each pixel is the
input current of a LIF neuron. Its spikes go to a hidden layer of LIF neurons, and those of the
hidden layer to ten leaky integrators, one per class. The highest potential determines the
class.
"""

import argparse
import time
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from matplotlib.ticker import MaxNLocator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import jaxsnn_eqx as snn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CLASSES = 10
SIDE = 8  # pixels
STEPS = 30  # of 1 ms
HIDDEN = 512
BATCH_SIZE = 64
EPOCHS = 60
SHORT_EPOCHS = 3
LEARNING_RATE = 5e-2
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.05
MAX_SHIFT = 0.5  # pixels
MAX_ANGLE = 0.1  # radians
MAX_ZOOM = 0.1

# A neuron with a constant input current of at most v_th = 0.6 never spikes. With a current of 4
# for a full pixel, all but the three lowest of the 17 levels spike, a full one at every other
# step.
INPUT_GAIN = 4.0
# A spike changes a potential by a tenth (dt / tau_mem) of its weight, for which Equinox's
# default weights are small; so the learning rate is large, too. A hidden neuron that stays
# below its threshold for every digit learns little; with ten times the weights one in twenty
# does so.
HIDDEN_GAIN, OUT_GAIN = 10.0, 5.0


class Digits(NamedTuple):
    """Images scaled to [0, 1], and their classes."""

    images: Float[np.ndarray, "size side side"]
    classes: Int[np.ndarray, " size"]


class History(NamedTuple):
    """Mean loss and accuracy of each epoch, on the distorted training digits."""

    losses: list[float]
    accuracies: list[float]


def load(*, validate: bool, seed: int, split: int = 0) -> tuple[Digits, Digits]:
    """The training digits, and the test digits (or, with `validate`, validation digits).

    The test digits are drawn by `split`.
    """
    data: Any = load_digits()
    images = (data.images / 16).astype(np.float32)
    train, test = _split(Digits(images, data.target), test_size=0.3, seed=split)
    # Validation digits, for tuning, are a part of the training digits: the test digits are
    # only used once, at the end.
    return _split(train, test_size=0.25, seed=seed) if validate else (train, test)


def _split(digits: Digits, *, test_size: float, seed: int) -> tuple[Digits, Digits]:
    parts: Any = train_test_split(
        *digits, test_size=test_size, stratify=digits.classes, random_state=seed
    )
    images, held_images, classes, held_classes = parts
    return Digits(images, classes), Digits(held_images, held_classes)


def make_network(key: PRNGKeyArray) -> snn.Network:
    hidden_key, out_key = jr.split(key)
    hidden = eqx.nn.Linear(SIDE**2, HIDDEN, key=hidden_key)
    hidden = eqx.tree_at(lambda linear: linear.weight, hidden, HIDDEN_GAIN * hidden.weight)
    # No bias: potentials start at 0, so with a negative bias the maximum over time of a class
    # may be that start, which has no gradient.
    out = eqx.nn.Linear(HIDDEN, CLASSES, use_bias=False, key=out_key)
    out = eqx.tree_at(lambda linear: linear.weight, out, OUT_GAIN * out.weight)
    return snn.Network(
        [
            snn.ConstantCurrentLIFEncoder(seq_length=STEPS),  # pixels -> spikes
            snn.OverTime(hidden),  # spikes -> currents
            snn.LIF(surrogate=snn.SuperSpike(slope=25.0)),  # currents -> spikes
            snn.OverTime(out),  # spikes -> currents
            snn.LI(),  # currents -> potentials
            snn.MaxOverTime(),  # potentials -> logits
        ]
    )


def to_current(image: Float[Array, "side side"]) -> Float[Array, " pixels"]:
    return INPUT_GAIN * image.ravel()


def classify(network: snn.Network, images: Float[Array, "batch side side"]) -> Array:
    """The logits, of shape `"batch classes"`."""
    return jax.vmap(lambda image: network(to_current(image)))(images)


def distort(image: Float[Array, "side side"], key: PRNGKeyArray) -> Float[Array, "side side"]:
    """The image, slightly shifted, rotated and scaled, which improves the accuracy by 1 %."""
    shift_key, angle_key, zoom_key = jr.split(key, 3)
    shift = jr.uniform(shift_key, (2, 1), minval=-MAX_SHIFT, maxval=MAX_SHIFT)
    angle = jr.uniform(angle_key, minval=-MAX_ANGLE, maxval=MAX_ANGLE)
    zoom = 1 + jr.uniform(zoom_key, (2, 1), minval=-MAX_ZOOM, maxval=MAX_ZOOM)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    rotation = jnp.array([[cos, -sin], [sin, cos]])
    centre = (SIDE - 1) / 2
    grid = jnp.indices((SIDE, SIDE)).reshape(2, -1) - centre
    rows, columns = zoom * (rotation @ grid) + centre + shift
    distorted = jax.scipy.ndimage.map_coordinates(image, [rows, columns], order=1)
    return distorted.reshape(SIDE, SIDE)


def make_optimiser(
    updates: int, learning_rate: float = LEARNING_RATE
) -> optax.GradientTransformation:
    """AdamW, with a learning rate that rises for a tenth of the updates and then falls to 0."""
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, warmup_steps=updates // 10, decay_steps=updates
    )
    return optax.adamw(schedule, weight_decay=WEIGHT_DECAY)


@eqx.filter_value_and_grad(has_aux=True)
def loss_and_gradient(network: snn.Network, images: Array, classes: Array):
    """The loss with the accuracy, and the gradient."""
    logits = classify(network, images)
    targets = optax.smooth_labels(jax.nn.one_hot(classes, CLASSES), LABEL_SMOOTHING)
    loss = optax.softmax_cross_entropy(logits, targets).mean()
    return loss, jnp.mean(jnp.argmax(logits, axis=1) == classes)


def train(
    network: snn.Network,
    digits: Digits,
    *,
    epochs: int,
    key: PRNGKeyArray,
    learning_rate: float = LEARNING_RATE,
    distorted: bool = True,
) -> tuple[snn.Network, History]:
    images, classes = jnp.asarray(digits.images), jnp.asarray(digits.classes)
    batches = len(images) // BATCH_SIZE
    optimiser = make_optimiser(epochs * batches, learning_rate)

    @eqx.filter_jit
    def train_epoch(network, optimiser_state, key):
        shuffle_key, distort_key = jr.split(key)
        # The digits after the last full batch are left out of this epoch.
        order = jr.permutation(shuffle_key, len(images))[: batches * BATCH_SIZE]
        # `lax.scan` carries arrays only
        weights, rest = eqx.partition(network, eqx.is_inexact_array)

        def update(carry, batch):
            weights, optimiser_state = carry
            network = eqx.combine(weights, rest)
            chosen, key = batch
            shown = images[chosen]
            if distorted:
                shown = jax.vmap(distort)(shown, jr.split(key, BATCH_SIZE))
            (loss, accuracy), gradient = loss_and_gradient(network, shown, classes[chosen])
            change, optimiser_state = optimiser.update(gradient, optimiser_state, weights)
            weights = eqx.apply_updates(weights, change)
            return (weights, optimiser_state), (loss, accuracy)

        (weights, optimiser_state), (losses, accuracies) = jax.lax.scan(
            update,
            (weights, optimiser_state),
            (order.reshape(batches, BATCH_SIZE), jr.split(distort_key, batches)),
        )
        network = eqx.combine(weights, rest)
        return network, optimiser_state, losses.mean(), accuracies.mean()

    optimiser_state = optimiser.init(eqx.filter(network, eqx.is_inexact_array))
    history = History([], [])
    with tqdm(jr.split(key, epochs), unit="epoch") as progress:
        for epoch_key in progress:
            network, optimiser_state, loss, accuracy = train_epoch(
                network, optimiser_state, epoch_key
            )
            history.losses.append(float(loss))
            history.accuracies.append(float(accuracy))
            progress.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.1%}")
    return network, history


@eqx.filter_jit
def accuracy_of(network: snn.Network, digits: Digits) -> Float[Array, ""]:
    predicted = jnp.argmax(classify(network, jnp.asarray(digits.images)), axis=1)
    return jnp.mean(predicted == jnp.asarray(digits.classes))


@eqx.filter_jit
def firing_fraction(network: snn.Network, images: Float[np.ndarray, "batch side side"]):
    """The fraction of hidden neurons that spike for at least one of the images."""
    to_hidden = network[:3]  # a part of a network is a network
    spikes = jax.vmap(lambda image: to_hidden(to_current(image)))(jnp.asarray(images))
    return jnp.mean(jnp.any(spikes > 0, axis=(0, 1)))


def draw(
    network: snn.Network, image: np.ndarray, class_: int, history: History, path: str
) -> None:
    """One digit in all layers of the network, and the learning curve."""
    spikes = network[0](to_current(jnp.asarray(image)))
    currents = network[1:-2](spikes)
    potentials, _ = snn.trace(network[-2], currents)
    milliseconds = np.arange(1, STEPS + 1)

    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    (digit, raster), (readout, learning) = axes

    digit.imshow(image, cmap="gray_r")
    digit.set(title=f"The input: a {class_}", xticks=[], yticks=[])

    pixels, steps = np.nonzero(np.asarray(spikes).T)
    raster.scatter(milliseconds[steps], pixels, s=10, marker="|", linewidths=2, color="black")
    raster.set(title="Encoded: spikes of the pixels' neurons", xlabel="time (ms)")
    raster.set(xlim=(0, STEPS + 1), ylabel="pixel, row by row", ylim=(SIDE**2 - 0.5, -0.5))
    raster.set_yticks(np.arange(0, SIDE**2, SIDE) - 0.5, labels=range(0, SIDE**2, SIDE))
    raster.grid(axis="y", alpha=0.4)

    for other in range(CLASSES):
        is_true = other == class_
        readout.plot(
            milliseconds,
            potentials[:, other],
            color="black" if is_true else f"C{other}",  # matplotlib's ten colours
            linewidth=3 if is_true else 1,
            zorder=3 if is_true else 2,
            label=f"{other} (true)" if is_true else str(other),
        )
    answer = int(jnp.argmax(jnp.max(potentials, axis=0)))
    readout.set(title=f"Decoded: {answer} has the highest potential", xlabel="time (ms)")
    readout.set(xlim=(0, STEPS + 1), ylabel="potential of the class")
    readout.legend(title="class", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)

    epochs = np.arange(1, len(history.losses) + 1)
    learning.plot(epochs, history.losses, color="tab:blue")
    learning.set(
        title="Learned: from distorted training digits", xlabel="epoch", ylim=(0, None)
    )
    learning.xaxis.set_major_locator(MaxNLocator(integer=True))
    learning.set_ylabel("loss", color="tab:blue")
    accuracy = learning.twinx()
    accuracy.plot(epochs, 100 * np.array(history.accuracies), color="tab:orange")
    accuracy.set_ylabel("accuracy (%)", color="tab:orange")

    figure.savefig(path, dpi=150)
    plt.close(figure)


def run(seed: int, *, epochs: int, validate: bool, out: str | None, split: int = 0) -> float:
    """Trains and tests one network; draws it if `out` names a picture."""
    start = time.perf_counter()
    train_digits, held_digits = load(validate=validate, seed=seed, split=split)
    network_key, train_key = jr.split(jr.key(seed))
    network = make_network(network_key)
    fires = firing_fraction(network, train_digits.images)
    print(f"seed {seed}: {fires:.0%} of the hidden neurons fire at initialisation")
    network, history = train(network, train_digits, epochs=epochs, key=train_key)
    accuracy = float(accuracy_of(network, held_digits))
    seconds = time.perf_counter() - start
    name = "validation" if validate else "test"
    print(f"seed {seed}: {accuracy:.2%} {name} accuracy after {seconds:.0f} s")
    if out is not None:
        draw(network, held_digits.images[0], held_digits.classes[0], history, out)
        print(f"wrote {out}")
    return accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains a spiking network on digits.")
    parser.add_argument("--seed", type=int, default=0, help="seed of the (first) run")
    parser.add_argument("--seeds", type=int, default=1, help="number of runs, one per seed")
    parser.add_argument(
        "--splits", type=int, help="number of runs, with other test digits each"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--short", action="store_true", help=f"{SHORT_EPOCHS} epochs")
    parser.add_argument(
        "--validate", action="store_true", help="score on validation digits, for tuning"
    )
    parser.add_argument("--out", default="digits.png", help="the picture, of the first run")
    args = parser.parse_args()

    epochs = SHORT_EPOCHS if args.short else args.epochs
    accuracies = []
    for seed in range(args.seed, args.seed + (args.splits or args.seeds)):
        out = args.out if seed == args.seed else None
        split = seed if args.splits else 0
        accuracies.append(
            run(seed, epochs=epochs, validate=args.validate, out=out, split=split)
        )
    if len(accuracies) > 1:
        what = "splits" if args.splits else "seeds"
        print(
            f"{len(accuracies)} {what}: {np.mean(accuracies):.2%} on average, "
            f"standard deviation {np.std(accuracies, ddof=1):.2%}"
        )


if __name__ == "__main__":
    main()
