"""Trains for 100,000 steps and streams 1,000,000: memory, compilations, and drift.

Writes `docs/promises/soak.md`. Resident memory is that of Linux; elsewhere its peak.

    python checks/soak.py
"""

import argparse
import os
import resource
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from tqdm import tqdm

import jaxsnn_eqx as snn

PAGE = Path(__file__).parents[1] / "docs" / "promises" / "soak.md"
WARM_UP = 0.1  # of all steps
ALLOWED = 0.05  # how much memory may grow after that


class Watch:
    """Resident memory and compilations since the end of the warm-up."""

    def __init__(self, steps: int):
        self.steps, self.memory, self.compiled = steps, [], 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_):
        self.compiled += event.endswith("backend_compile_duration")

    def look(self, step: int) -> None:
        if step >= WARM_UP * self.steps and step % max(self.steps // 200, 1) == 0:
            if not self.memory:
                self.compiled = 0
            self.memory.append(resident())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        jax.monitoring.unregister_event_duration_listener(self._listen)

    @property
    def growth(self) -> float:
        """The largest later memory against the first, so that nothing is averaged away."""
        return max(self.memory) / self.memory[0] - 1


def resident() -> float:
    """Megabytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def train(steps: int) -> tuple[Watch, bool]:
    """A small classifier, one batch a step; whether all losses are finite."""
    k1, k2 = jr.split(jr.key(0))
    model = snn.Network(
        [
            snn.PoissonEncoder(seq_length=16, max_rate=500.0),
            snn.OverTime(eqx.nn.Linear(8, 16, key=k1)),
            snn.LIF(),
            snn.OverTime(eqx.nn.Linear(16, 3, key=k2)),
            snn.Synapse(snn.LI()),
            snn.MaxOverTime(),
        ]
    )
    optimiser = optax.adam(1e-3)
    state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit(donate="all-except-first")
    def step(data, model, state, worst):
        xs, labels, key, i = data
        keys = jr.split(jr.fold_in(key, i), len(xs))

        def loss(model):
            logits = jax.vmap(lambda x, key: model(x, key=key))(xs, keys)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean()

        value, grads = eqx.filter_value_and_grad(loss)(model)
        updates, state = optimiser.update(grads, state)
        return eqx.apply_updates(model, updates), state, jnp.maximum(worst, value)

    random = np.random.default_rng(0)
    xs = jnp.asarray(random.uniform(size=(8, 8)), jnp.float32)
    labels, key, worst = jnp.asarray(random.integers(0, 3, 8)), jr.key(1), jnp.zeros(())
    bar = tqdm(range(steps), desc="training", unit="step", mininterval=1)
    with Watch(steps) as watch:
        for i in bar:
            data = (xs, labels, key, jnp.asarray(i))
            model, state, worst = step(data, model, state, worst)
            watch.look(i)
    return watch, bool(jnp.isfinite(worst))


def stream(steps: int) -> tuple[Watch, int]:
    """One sample after the other; how many outputs differ from those of whole chunks."""
    network = snn.Network(
        [
            snn.StepForwardEncoder(0.05),
            snn.OverTime(eqx.nn.Linear(3, 12, key=jr.key(0))),
            snn.Synapse(snn.ALIF(), immediate=False),
            snn.OverTime(eqx.nn.Linear(12, 4, key=jr.key(1))),
            snn.LIF(),
        ]
    )
    every = min(steps, 1000)
    random = np.random.default_rng(0)
    step = jax.jit(lambda state, x: network.step(state, x))
    chunk = jax.jit(lambda state, xs: network.run(state, xs))
    state = whole = network.init(jnp.zeros(3))
    differ, bar = 0, tqdm(total=steps, desc="streaming", unit="step", mininterval=1)
    with Watch(steps) as watch, bar:
        for begin in range(0, steps, every):
            t = np.arange(begin, begin + every)[:, None]
            noise = random.normal(0, 0.02, (every, 3))
            xs = (np.sin(t / [37.0, 53.0, 11.0]) + noise).astype(np.float32)
            outs = []
            for x in xs:
                state, out = step(state, x)
                outs.append(out)
                watch.look(begin + len(outs) - 1)
            whole, expected = chunk(whole, xs)
            differ += int((np.stack(outs) != np.asarray(expected)).sum())
            bar.update(every)
    return watch, differ


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--short", action="store_true", help="a hundredth of the steps, and write nothing"
    )
    short = parser.parse_args().short
    scale = 100 if short else 1
    training, finite = train(100_000 // scale)
    streaming, differ = stream(1_000_000 // scale)
    lines = ["| | steps | resident memory | growth | compilations | result |"]
    lines.append("|---|--:|--:|--:|--:|---|")
    failed = not finite or differ > 0
    for name, watch, result in (
        ("training", training, "all losses finite" if finite else "a loss is not finite"),
        ("streaming", streaming, f"{differ:,} outputs differ from those of whole chunks"),
    ):
        lines.append(
            f"| {name} | {watch.steps:,} | {watch.memory[-1]:.0f} MB | {watch.growth:.1%} | "
            f"{watch.compiled} | {result} |"
        )
        failed |= watch.compiled > 0 or (watch.growth > ALLOWED and not short)
    text = "\n".join(lines) + "\n"
    print(text)
    if not short:
        PAGE.write_text(text)
    sys.exit(failed)


if __name__ == "__main__":
    main()
