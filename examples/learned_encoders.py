"""Compares trained encoders with fixed ones, in front of the same network.

    pip install "jaxsnn_eqx[examples]"
    python examples/learned_encoders.py                # all, five seeds each
    python examples/learned_encoders.py --dataset digits --encoder fields
    python examples/learned_encoders.py --validate     # validation instead of test data
    python examples/learned_encoders.py --short        # two epochs, one seed, a quick check

Two encoders, on the Yin-Yang points and on scikit-learn's digits:

- `lif`: `LearnableLIFEncoder`. Trained: gain, bias, `tau_mem` and `v_th` of each neuron.
- `fields`: `GaussianReceptiveFields` in front of `LatencyEncoder`. Trained: centres and widths
  of the fields of each feature.

A fixed and a trained encoder are compared. Both networks have the same initial weights and the
same initial encoder, and the same batches, updates and optimiser; one of them does not update
the encoder. The initial encoder is the fixed encoder that is best on validation data, or one
as good within the spread (except in the last setup).

In small networks with few steps, the accuracy depends on the encoding. `wide` networks, with
more hidden neurons or steps, show how much of the difference remains if the network can
compensate for the encoding. `distorted` digits, shifted and rotated as in digits.py, show how
much remains without overfitting.

A difference counts as "beyond the spread" if its mean exceeds the sum of the standard
deviations of both networks over seeds. Prints the table, writes it to learned_encoders.md, and
draws learned_encoders.png.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import digits
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from scipy.stats import ttest_rel
from tqdm import tqdm

import jaxsnn_eqx as snn
from jaxsnn_eqx.datasets import yin_yang

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 3  # of the points, not of the networks
SHORT_EPOCHS = 2
SIDE = 8  # pixels
DT = 1e-3


class Setup(NamedTuple):
    """One comparison, tuned on validation data.

    The initial encoder was tuned as the fixed encoder: the gain, from 2, 3, 4 on Yin-Yang and
    3, 4, 6, 8 on the digits, and `beta`, from 1.5, 2 and from 1, 1.5, 2, 2.5. Steps, hidden
    neurons and epochs were chosen so that the encoder matters.
    """

    dataset: str
    encoder: str
    steps: int
    hidden: int
    copies: int  # neurons, or fields, of each feature
    weight_gain: float  # of the hidden weights, so that their neurons fire at initialisation
    encoder_rate: float  # the learning rate of the encoder's parameters
    gain: float = 1.0  # initial gain of the currents
    gain_ratio: float = 1.0  # initial ratio of the last and the middle copy's gain
    beta: float = 1.5  # how narrow the fields are initially
    encoder_slope: float = 20.0
    variant: str = ""  # "wide", or "distorted" digits to train on

    @property
    def name(self) -> str:
        return ", ".join(filter(None, [self.dataset, self.variant, self.encoder]))


SETUPS = [
    Setup("yin_yang", "lif", 30, 60, 3, 6.0, 1e-2, gain=2.0, gain_ratio=2.0),
    Setup("yin_yang", "fields", 20, 60, 5, 12.0, 5e-3),
    Setup("digits", "lif", 5, 32, 1, 6.0, 1e-2, gain=6.0, encoder_slope=10.0),
    Setup("digits", "fields", 5, 32, 3, 6.0, 2e-2, beta=2.0),
    Setup(
        *("digits", "lif", 5, 32, 1, 6.0, 1e-2),
        gain=6.0,
        encoder_slope=10.0,
        variant="distorted",
    ),
    Setup("digits", "fields", 5, 32, 3, 6.0, 2e-2, beta=2.0, variant="distorted"),
    Setup("yin_yang", "lif", 30, 120, 3, 6.0, 5e-3, gain=2.0, gain_ratio=2.0, variant="wide"),
    Setup("yin_yang", "fields", 30, 120, 5, 12.0, 1e-2, variant="wide"),
    # narrow fields: no better than the wider ones above if fixed, but better if trained
    Setup("yin_yang", "fields", 30, 120, 5, 12.0, 3e-3, beta=2.0, variant="wide, narrow"),
]


class Budget(NamedTuple):
    """The training on a data set, the same for both encoders, fixed or trained."""

    classes: int
    batch_size: int
    epochs: int
    learning_rate: float
    weight_decay: float  # of the network's weights, not of the encoder's parameters
    slope: float  # of the surrogate of the hidden neurons


BUDGETS = {
    "yin_yang": Budget(3, 100, 60, 2e-2, 0.0, 14.0),
    "digits": Budget(10, 64, 150, 1e-2, 1e-2, 25.0),
}


class Data(NamedTuple):
    values: Float[Array, "size features"]
    classes: Int[Array, " size"]


class Twin(NamedTuple):
    """The results with a fixed or with a trained encoder, for all seeds."""

    accuracies: Float[np.ndarray, " seeds"]
    spikes: float  # of the encoder, per sample
    hidden_spikes: float
    first: snn.Preprocessed  # the encoder, as it started and as it ended, for the first seed
    last: snn.Preprocessed


def load(setup: Setup, *, validate: bool) -> tuple[Data, Data]:
    """The training data, and the test (or validation) data."""
    if setup.dataset == "yin_yang":
        # Fields cover both ends of a coordinate; a current encodes small coordinates poorly, so
        # the LIF encoder gets 1 - x too.
        mirror = setup.encoder == "lif"
        held_out_seed = VALIDATION_SEED if validate else TEST_SEED
        parts = [
            yin_yang(seed, size, mirror=mirror)
            for seed, size in [(TRAIN_SEED, 5_000), (held_out_seed, 10_000)]
        ]
    else:
        parts = [
            (part.images.reshape(-1, SIDE**2), part.classes)
            for part in digits.load(validate=validate, seed=0)
        ]
    train, held_out = (Data(jnp.asarray(x), jnp.asarray(c)) for x, c in parts)
    return train, held_out


def distort(values: Float[Array, " features"], key: PRNGKeyArray) -> Array:
    return digits.distort(values.reshape(SIDE, SIDE), key).ravel()


class Copies(eqx.Module):
    """Each value several times, on a new last axis."""

    copies: int = eqx.field(static=True)

    def __call__(self, x: Array) -> Array:
        return jnp.repeat(x[..., None], self.copies, axis=-1)


def make_encoder(setup: Setup, features: int) -> snn.Preprocessed:
    if setup.encoder == "fields":
        fields = snn.GaussianReceptiveFields.evenly(
            setup.copies, beta=setup.beta, shape=(features,)
        )
        t_late = (setup.steps - 1) * DT
        latency = snn.LatencyEncoder(setup.steps, t_late, threshold=0.1, dt=DT)
        return snn.Preprocessed(fields, latency)
    encoder = snn.LearnableLIFEncoder(
        (features, setup.copies),
        setup.steps,
        dt=DT,
        # The slope matters most for the trained encoder: on Yin-Yang, a slope of 2 gave a
        # quarter of the improvement of 20.
        surrogate=snn.SuperSpike(slope=setup.encoder_slope),
    )
    exponents = np.linspace(-1, 1, setup.copies) if setup.copies > 1 else np.zeros(1)
    gains = jnp.asarray(setup.gain * setup.gain_ratio**exponents, encoder.gain.dtype)
    gains = jnp.broadcast_to(gains, encoder.gain.shape)
    encoder = eqx.tree_at(lambda e: e.gain, encoder, gains)
    return snn.Preprocessed(Copies(setup.copies), encoder)


def make_network(setup: Setup, features: int, key: PRNGKeyArray) -> snn.Network:
    hidden_key, out_key = jr.split(key)
    budget = BUDGETS[setup.dataset]
    hidden = eqx.nn.Linear(features * setup.copies, setup.hidden, key=hidden_key)
    hidden = eqx.tree_at(
        lambda linear: linear.weight, hidden, replace_fn=lambda w: setup.weight_gain * w
    )
    out = eqx.nn.Linear(setup.hidden, budget.classes, use_bias=False, key=out_key)
    # Initialised positive: potentials start at 0, so the maximum over time of a class whose
    # potential stays below 0 is that start, which has no gradient.
    out = eqx.tree_at(lambda linear: linear.weight, out, replace_fn=jnp.abs)
    neurons = snn.LIF(dt=DT, surrogate=snn.SuperSpike(slope=budget.slope))
    return snn.Network(
        [
            make_encoder(setup, features),
            snn.OverTime(eqx.nn.Lambda(jnp.ravel)),
            snn.OverTime(hidden),
            snn.Synapse(neurons, immediate=False),
            snn.OverTime(out),
            snn.Synapse(snn.LI(dt=DT)),
            snn.MaxOverTime(),
        ]
    )


def make_optimiser(setup: Setup, weights: Any, *, updates: int, trained: bool):
    """Adam for the network; for the encoder another Adam, or no updates."""
    budget = BUDGETS[setup.dataset]

    def schedule(peak: float):
        return optax.warmup_cosine_decay_schedule(0.0, peak, updates // 20, updates)

    labels = jax.tree.map(lambda _: "network", weights)
    of_encoder = jax.tree.map(lambda _: "encoder", weights[0])
    labels = eqx.tree_at(lambda network: network[0], labels, of_encoder)
    return optax.multi_transform(
        {
            "network": optax.adamw(
                schedule(budget.learning_rate), weight_decay=budget.weight_decay
            ),
            "encoder": optax.adam(schedule(setup.encoder_rate))
            if trained
            else optax.set_to_zero(),
        },
        lambda _: labels,  # a function, because Optax would call the labels, a network
    )


def train(setup: Setup, data: Data, *, trained: bool, seeds: int, epochs: int):
    """The networks of all seeds, before and after training, stacked on axis 0."""
    budget = BUDGETS[setup.dataset]
    batches = len(data.values) // budget.batch_size
    keys = jax.vmap(jr.split)(jax.vmap(jr.key)(jnp.arange(seeds)))

    def make(key):
        return make_network(setup, data.values.shape[1], key)

    weights = eqx.filter(eqx.filter_vmap(make)(keys[:, 0]), eqx.is_inexact_array)
    # leaves that are not trained are the same for all seeds, and not stacked
    static = eqx.filter(make(keys[0, 0]), eqx.is_inexact_array, inverse=True)
    first = eqx.combine(weights, static)
    optimiser = make_optimiser(setup, weights, updates=epochs * batches, trained=trained)

    @jax.value_and_grad
    def loss_and_gradient(weights, values, classes):
        logits = jax.vmap(eqx.combine(weights, static))(values)
        return optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean()

    def train_epoch(weights, state, key):
        # the samples after the last full batch are left out of this epoch
        shuffle_key, distort_key = jr.split(key)
        order = jr.permutation(shuffle_key, len(data.values))[: batches * budget.batch_size]

        def update(carry, batch):
            (weights, state), (chosen, key) = carry, batch
            values = data.values[chosen]
            if setup.variant == "distorted":
                values = jax.vmap(distort)(values, jr.split(key, len(values)))
            loss, gradient = loss_and_gradient(weights, values, data.classes[chosen])
            change, state = optimiser.update(gradient, state, weights)
            return (eqx.apply_updates(weights, change), state), loss

        xs = (order.reshape(batches, -1), jr.split(distort_key, batches))
        carry, losses = jax.lax.scan(update, (weights, state), xs)
        return *carry, losses.mean()

    train_epochs = eqx.filter_jit(jax.vmap(train_epoch))  # of all seeds, in one program
    state = jax.vmap(optimiser.init)(weights)
    epoch_keys = jax.vmap(lambda key: jr.split(key, epochs))(keys[:, 1])
    name = f"{setup.name}, {'trained' if trained else 'fixed'}"
    with tqdm(range(epochs), desc=name, unit="epoch", leave=False) as progress:
        for epoch in progress:
            weights, state, losses = train_epochs(weights, state, epoch_keys[:, epoch])
            progress.set_postfix(loss=f"{float(losses.mean()):.3f}")
    return first, eqx.combine(weights, static)


@eqx.filter_jit
def evaluate(networks: snn.Network, data: Data) -> tuple[Array, Array, Array]:
    """Accuracy, and spikes of the encoder and of the hidden neurons per sample, by seed."""
    weights, static = eqx.partition(networks, eqx.is_inexact_array)

    def evaluate_one(weights):
        network = eqx.combine(weights, static)

        def classify(values):
            spikes = network[:1](values)
            hidden = network[1:4](spikes)
            return jnp.argmax(network[4:](hidden)), spikes.sum(), hidden.sum()

        predicted, spikes, hidden = jax.lax.map(classify, data.values, batch_size=500)
        return jnp.mean(predicted == data.classes), spikes.mean(), hidden.mean()

    return jax.lax.map(evaluate_one, weights)


def run(setup: Setup, *, trained: bool, seeds: int, epochs: int, validate: bool) -> Twin:
    data, held_out = load(setup, validate=validate)
    first, last = train(setup, data, trained=trained, seeds=seeds, epochs=epochs)
    accuracies, spikes, hidden = map(np.asarray, evaluate(last, held_out))
    encoders = [
        jax.tree.map(lambda leaf: leaf[0] if eqx.is_inexact_array(leaf) else leaf, network[0])
        for network in (first, last)
    ]
    return Twin(accuracies, float(spikes.mean()), float(hidden.mean()), *encoders)


HEAD = [
    "| data, encoder | hidden, steps | fixed | trained | difference by seed | mean | p | "
    "verdict | spikes per sample | hidden spikes |",
    "|---|---|---|---|---|---|---|---|---|---|",
]


def spread(accuracies: np.ndarray) -> float:
    return float(accuracies.std(ddof=1)) if len(accuracies) > 1 else float("nan")


def row(setup: Setup, fixed: Twin, trained: Twin) -> str:
    differences = trained.accuracies - fixed.accuracies
    p, verdict = float("nan"), "one seed"
    if len(differences) > 1:
        p = float(ttest_rel(trained.accuracies, fixed.accuracies).pvalue)
        beyond = differences.mean() > spread(fixed.accuracies) + spread(trained.accuracies)
        verdict = "gain beyond the spread" if beyond else "within the spread"
    cells = [
        setup.name,
        f"{setup.hidden}, {setup.steps}",
        *(f"{t.accuracies.mean():.2%} ± {spread(t.accuracies):.2%}" for t in (fixed, trained)),
        ", ".join(f"{100 * d:+.2f}" for d in differences),
        f"{100 * differences.mean():+.2f}",
        f"{p:.2g}",
        verdict,
        f"{fixed.spikes:.1f} → {trained.spikes:.1f}",
        f"{fixed.hidden_spikes:.0f} → {trained.hidden_spikes:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def by_seed(setup: Setup, fixed: Twin, trained: Twin) -> str:
    scores = [
        ", ".join(f"{100 * accuracy:.2f}" for accuracy in twin.accuracies)
        for twin in (fixed, trained)
    ]
    return f"- {setup.name}: fixed {scores[0]}; trained {scores[1]}"


def draw_fields(ax, twin: Twin) -> None:
    """The fields of a coordinate; with the latency encoder, high responses fire first."""
    x = jnp.linspace(0, 1, 200)
    for encoder, style in [(twin.first, "--"), (twin.last, "-")]:
        responses = encoder.fn(jnp.stack([x, x], axis=1))[:, 0]
        for i in range(responses.shape[1]):
            ax.plot(x, responses[:, i], style, c=f"C{i}", lw=1 if style == "--" else 2)
    ax.axhline(0.1, c="gray", lw=0.8, ls=":")
    ax.text(0.99, 0.11, "silent below", ha="right", va="bottom", fontsize=8, color="gray")
    ax.plot([], [], "k--", lw=1, label="initial")
    ax.plot([], [], "k-", lw=2, label="trained")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    ax.set(xlabel="coordinate x", ylabel="response", ylim=(0, 1.05), xlim=(0, 1))
    ax.set_title("Yin-Yang: the fields of x", pad=26)


def gain(encoder: snn.Preprocessed) -> Array:
    """The gain of the LIF neurons, of shape `"features copies"`."""
    lif: Any = encoder.encoder
    return lif.gain


def draw_rates(ax, twin: Twin) -> None:
    """The number of spikes of the neurons of a coordinate, for each value of it."""
    x = jnp.linspace(0, 1, 400)
    for encoder, style in [(twin.first, "--"), (twin.last, "-")]:
        features = gain(encoder).shape[0]
        spikes = jax.vmap(lambda v, f=encoder, n=features: f(jnp.full(n, v)))(x).sum(axis=1)
        for i in range(spikes.shape[2]):
            ax.plot(x, spikes[:, 0, i], style, c=f"C{i}", lw=1 if style == "--" else 2)
    ax.plot([], [], "k--", lw=1, label="initial")
    ax.plot([], [], "k-", lw=2, label="trained")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    ax.set(xlabel="coordinate x", ylabel="spikes", xlim=(0, 1))
    ax.set_title("Yin-Yang: the three LIF neurons of x", pad=26)


def draw_gains(ax, twin: Twin) -> None:
    """How training changed the gain of each pixel's neuron."""
    change = gain(twin.last) - gain(twin.first)
    limit = float(jnp.abs(change).max())
    image = np.asarray(change).reshape(SIDE, SIDE)
    shown = ax.imshow(image, cmap="coolwarm", vmin=-limit, vmax=limit)
    ax.figure.colorbar(shown, ax=ax, shrink=0.8)
    ax.set(xticks=[], yticks=[])
    first = float(gain(twin.first)[0, 0])
    ax.set_title(f"Digits: change of each pixel's gain, from {first:g}", pad=26)


def draw(path: Path, results: dict[Setup, tuple[Twin, Twin]]) -> None:
    """The encoders before and after training (first seed), and the accuracy of all seeds."""
    figure, axes = plt.subplot_mosaic("ABC;DDD", figsize=(15, 8.5), layout="constrained")
    trained = {
        (setup.dataset, setup.encoder): pair[1]
        for setup, pair in results.items()
        if not setup.variant
    }
    panels = [
        ("A", ("yin_yang", "lif"), draw_rates),
        ("B", ("yin_yang", "fields"), draw_fields),
        ("C", ("digits", "lif"), draw_gains),
    ]
    for name, which, draw_panel in panels:
        if which in trained:
            draw_panel(axes[name], trained[which])
        else:
            axes[name].set_axis_off()

    ax = axes["D"]
    for i, (fixed, trained_twin) in enumerate(results.values()):
        pair = 100 * np.stack([fixed.accuracies, trained_twin.accuracies])
        ax.plot([i - 0.18, i + 0.18], pair, c="gray", lw=0.8, zorder=1)
        for x, scores, color in zip([-0.18, 0.18], pair, ["C0", "C1"], strict=True):
            ax.scatter(np.full(len(scores), i + x), scores, s=24, c=color, zorder=2)
            ax.hlines(scores.mean(), i + x - 0.09, i + x + 0.09, color=color, lw=2.5)
        gain = (pair[1] - pair[0]).mean()
        ax.annotate(
            f"{gain:+.2f}",
            (i, pair.max()),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
        )
    ax.scatter([], [], c="C0", label="fixed encoder")
    ax.scatter([], [], c="C1", label="trained encoder")
    ax.legend(loc="lower right")
    ax.set_xticks(
        range(len(results)),
        [
            f"{s.dataset}\n{s.variant} {s.encoder}\n{s.hidden} hidden\n{s.steps} steps"
            for s in results
        ],
    )
    ax.margins(y=0.12)
    ax.grid(axis="y", alpha=0.3)
    ax.set(ylabel="accuracy (%)", title="Dots: seeds; bars: means")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", choices=list(BUDGETS), help="only this data set")
    parser.add_argument("--encoder", choices=["lif", "fields"], help="only this encoder")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument(
        "--validate", action="store_true", help="score on validation data, for tuning"
    )
    parser.add_argument(
        "--short", action="store_true", help=f"{SHORT_EPOCHS} epochs, one seed, no variants"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("learned_encoders.png"), help="the picture"
    )
    args = parser.parse_args()

    start = time.perf_counter()
    seeds = 1 if args.short else args.seeds
    lines = list(HEAD)
    print("\n".join(lines), flush=True)
    results = {}
    for setup in SETUPS:
        if args.dataset not in (None, setup.dataset) or (args.short and setup.variant):
            continue
        if args.encoder not in (None, setup.encoder):
            continue
        epochs = SHORT_EPOCHS if args.short else BUDGETS[setup.dataset].epochs
        fixed, trained = (
            run(setup, trained=t, seeds=seeds, epochs=epochs, validate=args.validate)
            for t in (False, True)
        )
        results[setup] = fixed, trained
        lines.append(row(setup, fixed, trained))
        print(lines[-1], flush=True)
    draw(args.out, results)
    seed_lines = [by_seed(setup, *twins) for setup, twins in results.items()]
    print("\n".join(seed_lines))
    held_out = "validation" if args.validate else "test"
    note = (
        f"Accuracy on {held_out} data, mean ± standard deviation over {seeds} seeds; "
        "differences in points of percent; p of a paired t-test. Spikes per sample: fixed → "
        f"trained. jax {jax.__version__}."
    )
    if not args.short:
        args.out.with_suffix(".md").write_text(
            "\n".join([*lines, "", note, "", *seed_lines, ""])
        )
    print(f"wrote {args.out} after {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
