"""Two spike patterns that differ in their order alone, told apart by trained delays.

    pip install "jaxsnn_eqx[examples]"
    python examples/delays.py              # train, test, and write delays.png
    python examples/delays.py --seeds 10   # mean and spread of the accuracies
    python examples/delays.py --short      # a few updates, to see that it runs

Five channels fire once each, 12 ms apart, in one order or in the reverse one; each spike is up
to 1 ms early or late, and the pattern starts at random. The neurons behind them have a time
constant of 3 ms, so a spike finds 3 % of the trace of the one before. With a delay for each
channel, which is trained, some spikes of one order arrive together, and not those of the other.

Three networks of the same neurons, with the same batches: without delays, with random delays,
and with trained ones.
"""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray
from tqdm import tqdm

import jaxsnn_eqx as snn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CHANNELS, APART, JITTER, START = 5, 12, 1, 20  # steps of 1 ms
STEPS = 150
LONGEST = 50e-3  # seconds
TAU = 3e-3  # of all neurons
HIDDEN, CLASSES = 16, 2
BATCH_SIZE, UPDATES, SHORT_UPDATES, TEST_SIZE = 64, 1000, 10, 2000
RATES = {"network": 1e-2, "delays": 1e-3}  # the second in seconds
KINDS = ("no delays", "random delays", "trained delays")


def draw(key: PRNGKeyArray) -> tuple[Array, Array]:
    """A pattern of shape `"time channels"` and its class: 1 is the reverse order."""
    class_key, start_key, jitter_key = jr.split(key, 3)
    reverse = jr.bernoulli(class_key)
    order = jnp.arange(CHANNELS)
    order = jnp.where(reverse, order[::-1], order)
    start = jr.randint(start_key, (), JITTER, START)
    steps = start + APART * order + jr.randint(jitter_key, (CHANNELS,), -JITTER, JITTER + 1)
    return jax.nn.one_hot(steps, STEPS, axis=0), reverse.astype(int)


def make_network(kind: str, key: PRNGKeyArray) -> snn.Network:
    hidden_key, out_key, delay_key = jr.split(key, 3)
    params = snn.LIFParameters(tau_mem=TAU)
    # no bias: neurons that fire on their own would tell the time
    hidden = eqx.nn.Linear(CHANNELS, HIDDEN, use_bias=False, key=hidden_key)
    layers = [
        snn.OverTime(hidden),
        snn.LIF(params, surrogate=snn.SuperSpike(slope=2.0)),
        snn.OverTime(eqx.nn.Linear(HIDDEN, CLASSES, key=out_key)),
        snn.LI(params),
        snn.MeanOverTime(),
    ]
    if kind != "no delays":
        delays = jr.uniform(delay_key, (CHANNELS,), maxval=LONGEST)
        layers.insert(0, snn.Delay(delays, longest=LONGEST))
    return snn.Network(layers)


def train(kind: str, key: PRNGKeyArray, updates: int) -> tuple[snn.Network, snn.Network]:
    """The network before and after training."""
    make_key, scale_key, train_key = jr.split(key, 3)
    patterns, _ = jax.vmap(draw)(jr.split(scale_key, 256))
    network = make_network(kind, make_key)
    first = snn.calibrate(network, patterns, rate=5.0, tolerance=0.3)
    weights, static = eqx.partition(first, eqx.is_inexact_array)

    def label(path, _) -> str:
        of_delays = jax.tree_util.keystr(path).endswith(".delays")
        return "delays" if of_delays else "network"

    rates = dict(RATES) if kind == "trained delays" else {**RATES, "delays": 0.0}
    schedules = {name: optax.cosine_decay_schedule(r, updates) for name, r in rates.items()}
    optimiser = optax.multi_transform(
        {name: optax.adam(schedule) for name, schedule in schedules.items()},
        lambda tree: jax.tree_util.tree_map_with_path(label, tree),
    )

    @jax.grad
    def gradient_of_loss(weights, xs, classes):
        logits = jax.vmap(eqx.combine(weights, static))(xs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean()

    @jax.jit
    def update(weights, state, key):
        xs, classes = jax.vmap(draw)(jr.split(key, BATCH_SIZE))
        gradient = gradient_of_loss(weights, xs, classes)
        change, state = optimiser.update(gradient, state, weights)
        weights = eqx.apply_updates(weights, change)
        if kind != "no delays":  # kept in their range
            delays = jnp.clip(weights[0].delays, 0.0, LONGEST)
            weights = eqx.tree_at(lambda model: model[0].delays, weights, delays)
        return weights, state

    state = optimiser.init(weights)
    with tqdm(jr.split(train_key, updates), desc=kind, unit="update", leave=False) as bar:
        for update_key in bar:
            weights, state = update(weights, state, update_key)
    return first, eqx.combine(weights, static)


@eqx.filter_jit
def accuracy(network: snn.Network, key: PRNGKeyArray) -> Array:
    xs, classes = jax.vmap(draw)(jr.split(key, TEST_SIZE))
    return jnp.mean(jnp.argmax(jax.vmap(network)(xs), axis=1) == classes)


def draw_picture(first: snn.Network, last: snn.Network, out: str) -> None:
    """Both orders as they come, and as they are behind the delays, before and after."""
    keys = jr.split(jr.key(0), 64)
    xs, classes = jax.vmap(draw)(keys)
    columns = {"the pattern": None, "behind random delays": first, "behind trained": last}
    figure, axes = plt.subplots(2, 3, figsize=(9, 3.6), sharex=True, sharey=True)
    for row, order in zip(axes, (0, 1), strict=True):
        pattern = xs[int(jnp.argmax(classes == order))]
        for ax, (title, network) in zip(row, columns.items(), strict=True):
            spikes = pattern if network is None else network[:1](pattern)
            steps, channels = np.nonzero(np.asarray(spikes))
            ax.plot(steps, channels, "|", ms=14, mew=2.5, c=f"C{order}")
            ax.set_title(title if order == 0 else "")
        row[0].set_ylabel(f"class {order}\nchannel")
    for ax in axes[-1]:
        ax.set_xlabel("time (ms)")
    axes[0, 0].set_ylim(-0.7, CHANNELS - 0.3)
    figure.tight_layout()
    figure.savefig(out, dpi=150)
    print(f"wrote {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Tells patterns apart by trained delays.")
    parser.add_argument("--seeds", type=int, default=1, help="networks of each kind (1)")
    parser.add_argument("--short", action="store_true", help="a few updates")
    parser.add_argument("--out", default="delays.png", help="the picture (delays.png)")
    args = parser.parse_args()
    updates = SHORT_UPDATES if args.short else UPDATES
    networks = {}
    for kind in KINDS:
        scores = []
        for seed in range(args.seeds):
            first, last = train(kind, jr.key(seed), updates)
            networks.setdefault(kind, (first, last))
            scores.append(100 * float(accuracy(last, jr.key(1000))))
        spread = f" ± {np.std(scores, ddof=1):.1f}" if args.seeds > 1 else ""
        print(f"{kind}: {np.mean(scores):.1f}{spread} %", flush=True)
    first, last = networks["trained delays"]
    draw_picture(first, last, args.out)


if __name__ == "__main__":
    main()
