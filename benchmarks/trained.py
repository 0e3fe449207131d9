"""Is a trained encoder worth it? Trained and fixed encoders at the same number of spikes.

    pip install "jaxsnn_eqx[examples,datasets]"
    python benchmarks/trained.py                 # writes docs/choosing/trained.md, 40 minutes
    python benchmarks/trained.py --only digits   # one data set, no files
    python benchmarks/trained.py --short         # one encoder, to see that it runs

Each encoder is calibrated for a number of spikes a sample, and stands in front of the same
network of one hidden layer, with the same initial weights, batches and updates. *Fixed*, it
stays as it was calibrated. *Trained*, its parameters are trained with the network, and
`rate_penalty` of all its outputs together holds the number of spikes. Both learning rates are
those that were best, at the middle number of spikes, on a quarter of the first split's training
data.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array
from scipy.stats import ttest_rel
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit
from tqdm import tqdm

import jaxsnn_eqx as snn
from choosing import AEON, TABLES, Series, scaled

PAGE = Path(__file__).parents[1] / "docs" / "choosing" / "trained.md"
SPLITS, HIDDEN, STEPS, BATCH_SIZE, DT = 10, 128, 30, 32, 1e-3
HIDDEN_RATE = 15.0  # hertz
BUDGETS = (12, 50, 200)  # spikes a sample, each a quarter of the next
RATES, ENCODER_RATES = (3e-2, 1e-1), (3e-3, 1e-2, 3e-2)
WEIGHT_DECAY = 1e-3
SLOPE = 10.0  # of the encoders' surrogate
PENALTY = 3.0  # the loss of twice the spikes
FIXED_ONLY = ("Latency", "fields, Latency")  # a spike more has no derivative


class Task(NamedTuple):
    """Values of shape `"samples features"`, or signals of shape `"samples time features"`."""

    data: Series
    updates: int
    fields: int
    low: float  # of the fields
    high: float


def load(name: str) -> Task:
    if name == "digits":
        digits: Any = load_digits()
        xs = (digits.data / 16).astype(np.float32)
        return Task(Series(xs, digits.target, 1258), 600, 3, 0.0, 1.0)
    if name in TABLES:
        data = TABLES[name]()
        return Task(data._replace(train_size=round(0.7 * len(data.xs))), 300, 5, -2.0, 2.0)
    return Task(AEON[name](), 300, 5, -2.0, 2.0)


# -- the encoders


def encoders(task: Task) -> dict[str, snn.AbstractLayer]:
    """Each has arrays for the parameters that may be trained."""
    features = (task.data.xs.shape[-1],)
    fields = snn.GaussianReceptiveFields.evenly(
        task.fields, task.low, task.high, shape=features
    )
    many = (*features, task.fields)
    surrogate = snn.SuperSpike(slope=SLOPE)
    mixed = eqx.nn.Linear(*features, 64, key=jr.key(0))

    def latency(shape: tuple[int, ...]) -> snn.LatencyEncoder:
        return snn.LatencyEncoder(STEPS, (STEPS - 1) * DT, threshold=jnp.full(shape, 0.1))

    def lif(shape: tuple[int, ...]) -> snn.LearnableLIFEncoder:
        return snn.LearnableLIFEncoder(shape, STEPS, surrogate=surrogate)

    def current(*fns: Any, shape: tuple[int, ...]) -> snn.Network:
        layers = [snn.OverTime(fn) for fn in (*fns, scale(shape))]
        return snn.Network([*layers, snn.LIFCurrentEncoder(surrogate=surrogate)])

    def scale(shape: tuple[int, ...]) -> snn.Scale:
        return snn.Scale(jnp.ones(shape), jnp.zeros(shape))

    if task.data.xs.ndim == 2:
        return {
            "RegularRate": snn.Preprocessed(scale(features), snn.RegularRateEncoder(STEPS)),
            "Latency": latency(features),
            "LearnableLIF": lif(features),
            "fields, Latency": snn.Preprocessed(fields, latency(many)),
            "fields, LearnableLIF": snn.Preprocessed(fields, lif(many)),
            "Linear, LearnableLIF": snn.Preprocessed(mixed, lif((64,))),
        }
    return {
        "StepForward": snn.StepForwardEncoder(jnp.ones(features)),
        "LIFCurrent": current(shape=features),
        "fields, LIFCurrent": current(fields, shape=many),
        "Linear, LIFCurrent": current(mixed, shape=(64,)),
    }


# -- the network


def network(encoder: snn.AbstractLayer, train: Array, classes: int, budget: float, key: Array):
    """Calibrated: the encoder for `budget` spikes a sample, and the hidden neurons."""
    k1, k2 = jr.split(key)
    shape = outputs(encoder, train[0])
    taus = np.geomspace(5e-3, 5e-2, HIDDEN) if train.ndim > 2 else np.full(HIDDEN, 1e-2)
    layers = [
        encoder,
        snn.OverTime(jnp.ravel),
        snn.OverTime(eqx.nn.Linear(int(np.prod(shape[1:])), HIDDEN, key=k1)),
        snn.LIF(snn.LearnableLIFParameters(HIDDEN, tau_mem=taus)),
        snn.OverTime(eqx.nn.Linear(HIDDEN, classes, key=k2)),
        snn.LI(),
        snn.MeanOverTime(),
    ]
    rates = [budget / (np.prod(shape) * DT), HIDDEN_RATE]
    return snn.calibrate(snn.Network(layers), train[:300], rate=rates, tolerance=0.2)


class Run(NamedTuple):
    """What is trained on what; every field has an axis of runs in front."""

    train: Array
    classes: Array
    test: Array
    test_classes: Array
    key: Array
    rate: Array  # the learning rate of the network
    encoder_rate: Array  # and that of the encoder; 0: it is fixed


def over_budget(spikes: Array, budget: float) -> Array:
    """`rate_penalty` of all samples and outputs, laid end to end as of one neuron."""
    rate = budget / (spikes[0].size * DT)
    penalty = snn.rate_penalty(spikes.reshape(-1, 1), low=0.9 * rate, high=rate, dt=DT)
    return penalty * (1e3 / rate) ** 2


def outputs(encoder: snn.AbstractLayer, sample: Array) -> tuple[int, ...]:
    return jax.eval_shape(encoder, sample).shape


def trainer(encoder: snn.AbstractLayer, task: Task, updates: int):
    """A function of a budget and runs: accuracies and spikes a sample, on test data."""
    classes = int(task.data.labels.max()) + 1

    def loss(weights, static, xs, ys, budget):
        model = eqx.combine(weights, static)
        spikes = jax.vmap(model[:1])(xs)
        logits = jax.vmap(model[1:])(spikes)
        error = optax.softmax_cross_entropy_with_integer_labels(logits, ys).mean()
        return error + PENALTY * over_budget(spikes, budget)

    def one(budget: float, run: Run):
        make_key, batch_key = jr.split(run.key)
        first = network(encoder, run.train, classes, budget, make_key)
        weights, static = eqx.partition(first, eqx.is_inexact_array)
        schedule = optax.warmup_cosine_decay_schedule(0.0, 1.0, updates // 10, updates)
        adam = optax.chain(optax.scale_by_adam(), optax.scale_by_schedule(schedule))
        batches = len(run.train) // BATCH_SIZE
        keys = jr.split(batch_key, -(-updates // batches))
        orders = jax.vmap(lambda key: jr.permutation(key, len(run.train)))(keys)
        chosen = orders[:, : batches * BATCH_SIZE].reshape(-1, BATCH_SIZE)[:updates]

        def update(carry, rows):
            weights, state = carry
            xs, ys = run.train[rows], run.classes[rows]
            gradient = jax.grad(loss)(weights, static, xs, ys, budget)
            change: Any
            change, state = adam.update(gradient, state)
            of_network = jax.tree.map(
                lambda c, w: -run.rate * (c + WEIGHT_DECAY * w), change, weights
            )
            of_encoder = jax.tree.map(lambda c: -run.encoder_rate * c, change[0])
            change = eqx.tree_at(lambda model: model[0], of_network, of_encoder)
            return (eqx.apply_updates(weights, change), state), None

        (weights, _), _ = jax.lax.scan(update, (weights, adam.init(weights)), chosen)
        last = eqx.combine(weights, static)

        def measure(x):
            spikes = last[:1](x)
            return jnp.argmax(last[1:](spikes)), jnp.abs(spikes).sum()

        predicted, spikes = jax.lax.map(measure, run.test, batch_size=200)
        return jnp.mean(predicted == run.test_classes), spikes.mean()

    @eqx.filter_jit
    def all_runs(budget: float, runs: Run):
        return jax.vmap(lambda run: one(budget, run))(runs)

    return all_runs


# -- the comparison


class Result(NamedTuple):
    """Accuracies in percent by split, and spikes a sample, at one budget."""

    name: str
    budget: int
    trained: bool
    accuracies: np.ndarray
    spikes: float


def stacked(task: Task, splits: list) -> tuple[Array, ...]:
    """Training and test samples with their classes, by split."""
    parts = []
    for train, test in splits:
        xs = task.data.xs
        if xs.min() < 0 or xs.max() > 1:
            xs = scaled(task.data, train).astype(np.float32)
        if xs.ndim > 2:
            xs = np.repeat(xs, task.data.hold, axis=1)
        parts.append((xs[train], task.data.labels[train], xs[test], task.data.labels[test]))
    return tuple(jnp.asarray(np.stack(part)) for part in zip(*parts, strict=True))


def runs_of(parts: tuple[Array, ...], rates: list[tuple[float, float]]) -> Run:
    """One run for each split, or for each pair of learning rates."""
    n = max(len(parts[0]), len(rates))
    xs, classes, test, test_classes = (jnp.broadcast_to(p, (n, *p.shape[1:])) for p in parts)
    rate, encoder_rate = (jnp.broadcast_to(jnp.asarray(r), n) for r in zip(*rates, strict=True))
    key = jr.split(jr.key(1), n)
    return Run(xs, classes, test, test_classes, key, rate, encoder_rate)


def compared(name: str, splits: int, short: bool) -> list[Result]:
    task = load(name)
    held_out = len(task.data.xs) - task.data.train_size
    shuffled = StratifiedShuffleSplit(
        splits, train_size=task.data.train_size, test_size=held_out, random_state=0
    )
    parts = list(shuffled.split(task.data.xs, task.data.labels))
    first = parts[0][0]
    tuning = StratifiedShuffleSplit(1, test_size=0.25, random_state=0)
    (kept, checked), *_ = tuning.split(first, task.data.labels[first])
    tuned_on = stacked(task, [(first[kept], first[checked])])
    data = stacked(task, parts)
    results = []
    chosen = dict(list(encoders(task).items())[: 1 if short else None])
    with tqdm(chosen.items(), desc=name, unit="encoder") as progress:
        for label, encoder in progress:
            run = trainer(encoder, task, 4 if short else task.updates)
            most = 0.6 * np.prod(outputs(encoder, data[0][0, 0]))  # spikes that fit
            pairs = [(r, e) for r in RATES for e in (0.0, *ENCODER_RATES)]
            found, _ = run(BUDGETS[len(BUDGETS) // 2], runs_of(tuned_on, pairs))
            by_pair = dict(zip(pairs, found.tolist(), strict=True))
            for trained in (False, True)[: 1 if label in FIXED_ONLY else 2]:
                best = max(
                    (p for p in pairs if (p[1] > 0) == trained), key=lambda p: by_pair[p]
                )
                for budget in [b for b in BUDGETS if b <= most]:
                    accuracies, spikes = run(budget, runs_of(data, [best]))
                    mean = float(spikes.mean())
                    found = Result(label, budget, trained, 100 * np.asarray(accuracies), mean)
                    results.append(found)
                    progress.write(f"{label}, trained={trained}, {best}: {_cell(found)}")
            jax.clear_caches()
    return results


def _cell(result: Result) -> str:
    mean, spread = result.accuracies.mean(), result.accuracies.std(ddof=1)
    return f"{mean:.1f} ± {spread:.1f} ({result.spikes:.0f})"


def section(name: str, results: list[Result]) -> str:
    """The table of a data set, and paired tests of the best trained and the best fixed."""
    lines = [f"*{name}*", ""]
    lines.append("| accuracy (%) at spikes | " + " | ".join(f"{b}" for b in BUDGETS) + " |")
    lines.append("|---|" + "--:|" * len(BUDGETS))
    rows = dict.fromkeys((r.name, r.trained) for r in results)
    for label, trained in rows:
        found = {r.budget: r for r in results if (r.name, r.trained) == (label, trained)}
        cells = [_cell(found[b]) if b in found else "" for b in BUDGETS]
        lines.append(f"| {label}, {'trained' if trained else 'fixed'} | {' | '.join(cells)} |")
    lines.append("")

    def best(trained: bool, budget: int) -> Result | None:
        """By these accuracies, so both are a little too good."""
        found = [r for r in results if (r.trained, r.budget) == (trained, budget)]
        return max(found, key=lambda r: r.accuracies.mean(), default=None)

    for i, budget in enumerate(BUDGETS):
        for more in BUDGETS[i : i + 2]:
            trained, fixed = best(True, budget), best(False, more)
            if trained is not None and fixed is not None:
                lines.append(f"- {versus(trained, fixed)}")
    return "\n".join(lines) + "\n"


def versus(one: Result, other: Result) -> str:
    difference = one.accuracies - other.accuracies
    p: Any = ttest_rel(one.accuracies, other.accuracies)
    return (
        f"{one.name}, trained, at {one.budget} spikes against {other.name}, fixed, at "
        f"{other.budget}: {difference.mean():+.1f} points, p = {p.pvalue:.2g}"
    ).replace("-", "−")


def main() -> None:
    names = ["digits", "wine", "ItalyPowerDemand"]
    parser = argparse.ArgumentParser(description="Compares trained and fixed encoders.")
    parser.add_argument("--only", choices=names, help="one data set, and no files")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--short", action="store_true", help="one encoder of wine, few updates")
    args = parser.parse_args()
    chosen = [args.only] if args.only else ["wine"] if args.short else names
    texts = []
    for name in chosen:
        results = compared(name, 2 if args.short else args.splits, args.short)
        texts.append(section(name, results))
        print(f"\n{texts[-1]}", flush=True)
    if not (args.only or args.short):
        PAGE.write_text("\n".join(texts))


if __name__ == "__main__":
    main()
