"""Yin-Yang: a spiking network classifies points in the plane, with one spike per coordinate.

`SpatioTemporalEncoder` turns the four coordinates of a point (x, y, 1 - x, 1 - y) and a bias
into one spike each; one hidden layer of LIF neurons and three leaky integrators classify it.
`python examples/yin_yang.py` trains on 5,000 points, prints the accuracy on 10,000 points of
another seed, and writes `yin_yang.png`. It needs the extra `jaxsnn_eqx[examples]`. `--help`
lists the options; `--short` is a quick check.
"""

import argparse
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
import optax
from jaxtyping import Array
from tqdm import tqdm

import jaxsnn_eqx as snn
from jaxsnn_eqx.datasets import yin_yang

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 3  # of the points, not of the network
TRAIN_SIZE, HELD_OUT_SIZE = 5_000, 10_000
HIDDEN, CLASSES = 120, 3
BATCH_SIZE, LEARNING_RATE = 100, 0.02
STEPS, DT = 56, 1e-3
# Spikes are rounded to whole steps. With a window of a whole number of steps and a half, the
# spike of 1 - x is rounded half a step differently than that of x, which doubles the
# resolution.
T_LATE = 50.5 * DT


def make_network(key: Array) -> snn.Network:
    hidden_key, output_key = jr.split(key)
    hidden = eqx.nn.Linear(5, HIDDEN, key=hidden_key)
    # A point has only five spikes: with the default weights few hidden neurons would fire.
    hidden = eqx.tree_at(lambda linear: linear.weight, hidden, replace_fn=lambda w: 12 * w)
    output = eqx.nn.Linear(HIDDEN, CLASSES, use_bias=False, key=output_key)
    # Initialised positive: potentials start at 0, so the maximum over time of a class whose
    # potential stays below 0 is that start, which has no gradient.
    output = eqx.tree_at(lambda linear: linear.weight, output, replace_fn=jnp.abs)
    # Wider than the default surrogate (80), so that more neurons learn from each point.
    neurons = snn.LIF(dt=DT, surrogate=snn.SuperSpike(slope=14.0))
    return snn.Network(
        [
            snn.SpatioTemporalEncoder(seq_length=STEPS, t_late=T_LATE, dt=DT),
            snn.OverTime(hidden),
            snn.Synapse(neurons, immediate=False),
            snn.OverTime(output),
            snn.Synapse(snn.LI(dt=DT)),
            snn.MaxOverTime(),
        ]
    )


def layer_outputs(network: snn.Network, point: Array) -> list[Array]:
    """What each layer of the network returns for one point."""
    outputs = [point]
    for layer in network:
        outputs.append(layer(outputs[-1]))
    return outputs[1:]


def loss_and_accuracy(network: snn.Network, points: Array, classes: Array):
    logits = jax.vmap(network)(points)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean()
    return loss, jnp.mean(logits.argmax(axis=1) == classes)


@eqx.filter_jit
def train_epoch(network, opt_state, optimizer, points, classes, key):
    """One pass over the points in a random order, as one compiled scan."""
    weights, static = eqx.partition(network, eqx.is_inexact_array)
    value_and_grad = eqx.filter_value_and_grad(loss_and_accuracy, has_aux=True)

    def update(carry, batch):
        weights, opt_state = carry
        network = eqx.combine(weights, static)
        (loss, accuracy), grads = value_and_grad(network, points[batch], classes[batch])
        updates, opt_state = optimizer.update(grads, opt_state, weights)
        return (eqx.apply_updates(weights, updates), opt_state), (loss, accuracy)

    batches = jr.permutation(key, len(points)).reshape(-1, BATCH_SIZE)
    (weights, opt_state), (losses, accuracies) = jax.lax.scan(
        update, (weights, opt_state), batches
    )
    return eqx.combine(weights, static), opt_state, losses.mean(), accuracies.mean()


@eqx.filter_jit
def predict(network: snn.Network, points: Array) -> Array:
    return jax.lax.map(lambda point: network(point).argmax(), points, batch_size=500)


@eqx.filter_jit
def share_that_fires(network: snn.Network, points: Array) -> Array:
    """The fraction of hidden neurons that spike for at least one of the points."""
    spikes = jax.vmap(lambda point: layer_outputs(network, point)[2])(points)
    return jnp.mean(spikes.any(axis=(0, 1)))


def train(seed: int, epochs: int, points: Array, classes: Array):
    """A trained network, and its loss and accuracy on the training points by epoch."""
    init_key, order_key = jr.split(jr.key(seed))
    network = make_network(init_key)
    fires = share_that_fires(network, points[:500])
    print(f"{fires:.0%} of hidden neurons fire at initialisation")

    updates = epochs * (len(points) // BATCH_SIZE)
    schedule = optax.warmup_cosine_decay_schedule(0.0, LEARNING_RATE, updates // 20, updates)
    optimizer = optax.adam(schedule)
    opt_state = optimizer.init(eqx.filter(network, eqx.is_inexact_array))

    curve = []
    with tqdm(jr.split(order_key, epochs), desc=f"seed {seed}", unit="epoch") as bar:
        for key in bar:
            network, opt_state, loss, accuracy = train_epoch(
                network, opt_state, optimizer, points, classes, key
            )
            curve.append((float(loss), float(accuracy)))
            bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.1%}")
    return network, np.array(curve)


def draw(path: Path, network: snn.Network, curve: np.ndarray, points, classes, predicted):
    """Predictions, one point in all layers of the network, and the learning curve."""
    colors = np.array(["tab:blue", "tab:orange", "tab:green"])
    wrong = predicted != classes
    figure, axes = plt.subplot_mosaic(
        "AAABBCC;AAADDEE", figsize=(16, 7.5), layout="constrained"
    )

    ax = axes["A"]
    shown = points[:, :2]
    ax.scatter(*shown.T, s=4, c=colors[predicted], alpha=0.6, linewidths=0)
    ax.scatter(*shown[wrong].T, s=22, marker="x", c="black", linewidths=0.9, label="wrong")
    for class_, name in enumerate(["yang", "yin", "dots"]):
        ax.scatter([], [], s=30, c=colors[class_], label=name)
    example = int(np.flatnonzero(~wrong)[0])
    ax.scatter(*shown[example], s=160, marker="*", c="red", edgecolors="white", label="shown")
    ax.set(aspect="equal", xlabel="x", ylabel="y")
    ax.set_title(f"Predictions: {1 - wrong.mean():.2%} of {len(points):,} correct")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=5, frameon=False)

    inputs, _, hidden, _, potentials, _ = layer_outputs(network, points[example])
    milliseconds = np.arange(STEPS) * DT * 1e3
    rasters = {
        "B": (inputs, "Input spikes of the starred point"),
        "D": (hidden, f"Its {int(hidden.sum())} spikes in {HIDDEN} hidden neurons"),
    }
    for name, (spikes, title) in rasters.items():
        t, neuron = np.nonzero(np.asarray(spikes))
        axes[name].scatter(milliseconds[t], neuron, s=60 if name == "B" else 12, marker="|")
        axes[name].set(title=title, xlim=(-0.5, milliseconds[-1] + 0.5))
    axes["B"].set_yticks(range(5), ["x", "y", "1 - x", "1 - y", "bias"])
    axes["B"].set_ylim(-0.5, 4.5)
    axes["D"].set(ylabel="neuron", xlabel="time (ms)")

    for class_, name in enumerate(["yang", "yin", "dots"]):
        axes["C"].plot(milliseconds, potentials[:, class_], c=colors[class_], label=name)
    axes["C"].set(title="Its output potentials: the highest peak wins", xlabel="time (ms)")
    axes["C"].legend()

    ax = axes["E"]
    ax.plot(np.arange(1, len(curve) + 1), 100 * (1 - curve[:, 1]), c="tab:red")
    ax.set(title="Training error", xlabel="epoch", ylabel="% wrong", yscale="log")
    ax.set_xlim(0, len(curve))
    ax.set_yticks(ticks := [1, 2, 5, 10, 20, 50], map(str, ticks), minor=False)
    ax.set_yticks([], minor=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and the order")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--short", action="store_true", help="5 epochs, to see that it runs")
    parser.add_argument("--out", type=Path, default=Path("yin_yang.png"), help="the picture")
    parser.add_argument(
        "--validate", action="store_true", help="score on validation points, for tuning"
    )
    args = parser.parse_args()

    points, classes = yin_yang(TRAIN_SEED, TRAIN_SIZE, bias=0.0)
    held_out, held_out_seed = (
        ("validation", VALIDATION_SEED) if args.validate else ("test", TEST_SEED)
    )
    new_points, new_classes = yin_yang(held_out_seed, HELD_OUT_SIZE, bias=0.0)

    scores = []
    for seed in range(args.seed, args.seed + args.seeds):
        start = time.perf_counter()
        epochs = 5 if args.short else args.epochs
        network, curve = train(seed, epochs, jnp.asarray(points), jnp.asarray(classes))
        predicted = np.asarray(predict(network, jnp.asarray(new_points)))
        scores.append(np.mean(predicted == new_classes))
        seconds = time.perf_counter() - start
        print(f"seed {seed}: {held_out} accuracy {scores[-1]:.2%} in {seconds:.0f} s")
        if seed == args.seed:
            draw(args.out, network, curve, new_points, new_classes, predicted)
            print(f"wrote {args.out}")
    if args.seeds > 1:
        print(f"{args.seeds} seeds: {np.mean(scores):.2%} ± {np.std(scores, ddof=1):.2%}")


if __name__ == "__main__":
    main()
