"""Trains a network that encodes and classifies digits by *when* its neurons fire first.

    pip install "jaxsnn_eqx[examples]"
    python examples/spike_times.py              # train, test, and write spike_times.png
    python examples/spike_times.py --seeds 3    # mean and spread of the test accuracy
    python examples/spike_times.py --validate   # accuracy on a part of the training digits
    python examples/spike_times.py --short      # three epochs, to see that it runs

The digits are those of `digits.py`. Each pixel fires once, a darker one earlier
(`LatencyEncoder`), and the output neuron that fires first determines the class. The network is
trained with `spike_time_loss` on the times of `FirstSpikeTime`.
"""

import argparse
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
import optax
from digits import SIDE, Digits, distort, load
from jaxtyping import Array, PRNGKeyArray
from tqdm import tqdm

import jaxsnn_eqx as snn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CLASSES = 10
STEPS = 40  # of 1 ms
WINDOW = 20e-3  # the faintest pixels fire at its end
HIDDEN = 256
TAU = 3e-3  # time difference of the loss, in seconds
BATCH_SIZE = 64
EPOCHS = 80
SHORT_EPOCHS = 3
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2


def make_network(key: PRNGKeyArray) -> snn.Network:
    hidden_key, out_key = jr.split(key)
    # A digit has only about 25 spikes: with the default weights few neurons would fire.
    hidden = eqx.nn.Linear(SIDE**2, HIDDEN, key=hidden_key)
    hidden = eqx.tree_at(lambda linear: linear.weight, hidden, replace_fn=lambda w: 6 * w)
    # Initialised positive: an output neuron that never fires learns little.
    out = eqx.nn.Linear(HIDDEN, CLASSES, use_bias=False, key=out_key)
    out = eqx.tree_at(lambda linear: linear.weight, out, replace_fn=lambda w: 2 * jnp.abs(w))
    # A wide surrogate gives a derivative also at steps where a neuron almost fires.
    neurons = snn.LIF(surrogate=snn.SuperSpike(slope=10.0))
    return snn.Network(
        [
            snn.LatencyEncoder(seq_length=STEPS, t_late=WINDOW),  # pixels -> spikes
            snn.OverTime(hidden),  # spikes -> currents
            snn.Synapse(neurons, immediate=False),  # currents -> spikes
            snn.OverTime(out),  # spikes -> currents
            snn.Synapse(neurons, immediate=False),  # currents -> spikes
            snn.FirstSpikeTime(),  # spikes -> times
        ]
    )


def train(network: snn.Network, digits: Digits, *, epochs: int, key: PRNGKeyArray):
    images, classes = jnp.asarray(digits.images), jnp.asarray(digits.classes)
    batches = len(images) // BATCH_SIZE
    updates = epochs * batches
    schedule = optax.warmup_cosine_decay_schedule(0.0, LEARNING_RATE, updates // 10, updates)
    optimiser = optax.adamw(schedule, weight_decay=WEIGHT_DECAY)

    @eqx.filter_value_and_grad
    def loss_and_gradient(network, images, classes):
        times = jax.vmap(network)(images.reshape(len(images), -1))
        losses = jax.vmap(lambda t, c: snn.spike_time_loss(t, c, tau=TAU))(times, classes)
        return losses.mean()

    @eqx.filter_jit
    def train_epoch(network, state, key):
        shuffle_key, distort_key = jr.split(key)
        order = jr.permutation(shuffle_key, len(images))[: batches * BATCH_SIZE]
        # `lax.scan` carries arrays only; fixed constants are Python numbers
        weights, rest = eqx.partition(network, eqx.is_inexact_array)

        def update(carry, batch):
            weights, state = carry
            chosen, key = batch
            distorted = jax.vmap(distort)(images[chosen], jr.split(key, BATCH_SIZE))
            network = eqx.combine(weights, rest)
            loss, gradient = loss_and_gradient(network, distorted, classes[chosen])
            change, state = optimiser.update(gradient, state, weights)
            return (eqx.apply_updates(weights, change), state), loss

        xs = (order.reshape(batches, BATCH_SIZE), jr.split(distort_key, batches))
        (weights, state), losses = jax.lax.scan(update, (weights, state), xs)
        return eqx.combine(weights, rest), state, losses.mean()

    state = optimiser.init(eqx.filter(network, eqx.is_inexact_array))
    with tqdm(jr.split(key, epochs), unit="epoch") as progress:
        for epoch_key in progress:
            network, state, loss = train_epoch(network, state, epoch_key)
            progress.set_postfix(loss=f"{loss:.3f}")
    return network


@eqx.filter_jit
def evaluate(network: snn.Network, digits: Digits) -> tuple[Array, Array, Array]:
    """The accuracy, the mean time of the decision, and the spikes per digit up to it."""
    images = jnp.asarray(digits.images).reshape(len(digits.images), -1)
    encoded = jax.vmap(network[0])(images)
    hidden = jax.vmap(network[1:3])(encoded)
    times = jax.vmap(network[3:])(hidden)
    decided = times.min(axis=1)
    before = jnp.arange(STEPS)[None] * network[0].dt <= decided[:, None]
    spikes = jnp.einsum("nt,nth->n", before, hidden) + jnp.einsum("nt,nth->n", before, encoded)
    correct = times.argmin(axis=1) == jnp.asarray(digits.classes)
    return correct.mean(), decided.mean(), spikes.mean()


def draw(network: snn.Network, digits: Digits, path: str) -> None:
    """One digit's spikes, layer by layer, up to the decision and after it."""
    image, class_ = digits.images[0], digits.classes[0]
    encoded = network[0](image.ravel())
    hidden = network[1:3](encoded)
    potentials, spikes = snn.trace(network[4], network[3](hidden))
    times = 1e3 * np.asarray(network[5](spikes))
    figure, axes = plt.subplots(
        1, 4, figsize=(13, 3.6), layout="constrained", width_ratios=(2, 3, 3, 4)
    )
    axes[0].imshow(image, cmap="gray_r")
    axes[0].set(title=f"The input: a {class_}", xticks=[], yticks=[])
    for ax, z, title in zip(
        axes[1:3],
        (encoded, hidden),
        ("Pixels: darker ones fire earlier", "Hidden neurons"),
        strict=True,
    ):
        t, neuron = np.nonzero(np.asarray(z))
        ax.scatter(t, neuron, s=6, color="black", linewidths=0)
        ax.axvline(times.min(), color="tab:red", linewidth=1)
        ax.set(title=title, xlabel="time (ms)", xlim=(-1, STEPS), ylabel="neuron")
    for other in range(CLASSES):
        true = other == class_
        style = {"color": "black", "linewidth": 2.5} if true else {"linewidth": 1}
        axes[3].plot(
            potentials[:, other], label=f"{other} (true)" if true else str(other), **style
        )
    axes[3].axvline(times.min(), color="tab:red", linewidth=1)
    axes[3].axhline(network[4].neuron.params.v_th, color="grey", linestyle="--", linewidth=1)
    axes[3].set(
        title=f"Output potentials: {times.argmin()} fires first, at {times.min():.0f} ms",
        xlabel="time (ms)",
        xlim=(-1, STEPS),
    )
    axes[3].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def run(seed: int, *, epochs: int, validate: bool, out: str | None) -> float:
    start = time.perf_counter()
    train_digits, held_digits = load(validate=validate, seed=seed)
    network_key, train_key = jr.split(jr.key(seed))
    network = make_network(network_key)
    network = train(network, train_digits, epochs=epochs, key=train_key)
    accuracy, decided, spikes = map(float, evaluate(network, held_digits))
    seconds = time.perf_counter() - start
    name = "validation" if validate else "test"
    print(
        f"seed {seed}: {accuracy:.2%} {name} accuracy after {seconds:.0f} s; decides at "
        f"{1e3 * decided:.1f} ms, after {spikes:.0f} spikes in all"
    )
    if out is not None:
        draw(network, held_digits, out)
        print(f"wrote {out}")
    return accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains a network of first-spike times.")
    parser.add_argument("--seed", type=int, default=0, help="seed of the (first) run")
    parser.add_argument("--seeds", type=int, default=1, help="number of runs, one per seed")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--short", action="store_true", help=f"{SHORT_EPOCHS} epochs")
    parser.add_argument(
        "--validate", action="store_true", help="score on validation digits, for tuning"
    )
    parser.add_argument(
        "--out", default="spike_times.png", help="the picture, of the first run"
    )
    args = parser.parse_args()

    epochs = SHORT_EPOCHS if args.short else args.epochs
    accuracies = []
    for seed in range(args.seed, args.seed + args.seeds):
        out = args.out if seed == args.seed else None
        accuracies.append(run(seed, epochs=epochs, validate=args.validate, out=out))
    if len(accuracies) > 1:
        print(
            f"{len(accuracies)} seeds: {np.mean(accuracies):.2%} on average, "
            f"standard deviation {np.std(accuracies, ddof=1):.2%}"
        )


if __name__ == "__main__":
    main()
