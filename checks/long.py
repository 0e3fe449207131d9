"""Sequences of a million steps, a hundred million neurons, a thousand lengths: their memory.

Writes `docs/promises/long.md`. It needs 4 GB of memory; resident memory is that of Linux.

    python checks/long.py
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from soak import resident

import jaxsnn_eqx as snn

PAGE = Path(__file__).parents[1] / "docs" / "promises" / "long.md"
INPUTS, HIDDEN, CLASSES = 4, 16, 3


def network() -> snn.Network:
    k1, k2 = jr.split(jr.key(0))
    return snn.Network(
        [
            snn.LIFCurrentEncoder(),
            snn.OverTime(eqx.nn.Linear(INPUTS, HIDDEN, key=k1)),
            snn.LIF(),
            snn.OverTime(eqx.nn.Linear(HIDDEN, CLASSES, key=k2)),
            snn.LI(),
            snn.MeanOverTime(),
        ]
    )


def long_sequences(lengths: list[int]) -> list[str]:
    """The memory that the program of a gradient needs beside its input and output."""
    model = network()
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)

    def loss(arrays, xs):
        return jnp.sum(eqx.combine(arrays, rest)(xs) ** 2)

    lines = [
        "| steps | input | forward | gradient | seconds, gradient |",
        "|--:|--:|--:|--:|--:|",
    ]
    for steps in lengths:
        xs = 2 * jr.uniform(jr.key(1), (steps, INPUTS))
        programs = [jax.jit(f).lower(arrays, xs).compile() for f in (loss, jax.grad(loss))]
        analyses = [program.memory_analysis() for program in programs]
        start = time.perf_counter()
        gradient = jax.block_until_ready(programs[1](arrays, xs))
        seconds = time.perf_counter() - start
        assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))
        assert any(bool((g != 0).any()) for g in jax.tree.leaves(gradient))
        sizes = [a.temp_size_in_bytes if a is not None else 0 for a in analyses]
        temporary = [f"{size / 1e6:.2f} MB" for size in sizes]
        lines.append(
            f"| {steps:,} | {xs.nbytes / 1e6:.1f} MB | {' | '.join(temporary)} "
            f"| {seconds:.1f} |"
        )
    return lines


def streamed(steps: int, chunk: int) -> list[str]:
    """The same network over chunks that are made as they come."""
    model = network()
    run = eqx.filter_jit(lambda model, state, xs: model.run(state, xs))
    state = model.init(jnp.zeros(INPUTS))
    first = 0.0
    for i in range(steps // chunk):
        xs = 2 * jr.uniform(jr.fold_in(jr.key(1), i), (chunk, INPUTS))
        state, out = run(model, state, xs)
        jax.block_until_ready(out)
        if i == steps // chunk // 10:
            first = resident()
    growth = resident() / first - 1
    return [
        f"Streamed in chunks of {chunk:,} steps, {steps:,} steps leave the resident memory at "
        f"{resident():.0f} MB, {100 * growth:.1f} % above that after a tenth of them."
    ]


def many_neurons(neurons: int) -> list[str]:
    """In a process of its own, whose peak is that of this run."""
    code = (
        "import resource, jax, jax.numpy as jnp, jaxsnn_eqx as snn\n"
        f"x = jnp.full({neurons}, 2.0)\n"
        "spikes = snn.ConstantCurrentLIFEncoder(10, dtype=jnp.uint8)(x)\n"
        "assert spikes[:, -1].tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0, 0]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)\n"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    inputs, outputs = 4 * neurons / 1e9, 10 * neurons / 1e9
    return [
        f"{neurons:,} neurons over 10 steps, with `dtype=jnp.uint8`, need "
        f"{float(run.stdout):.1f} GB at their peak: {inputs:.1f} GB of values, {inputs:.1f} GB "
        f"of potentials, {outputs:.1f} GB of spikes, and JAX."
    ]


def many_lengths(count: int) -> list[str]:
    """A program for each `seq_length`: their memory, and after the caches are cleared."""
    x = jnp.linspace(0.0, 3.0, 64)

    def encode(lengths: range) -> None:
        for length in lengths:
            jax.block_until_ready(snn.ConstantCurrentLIFEncoder(length)(x))

    before, start = resident(), time.perf_counter()
    encode(range(1, count + 1))
    seconds, after = time.perf_counter() - start, resident()
    jax.clear_caches()
    encode(range(count + 1, count + count // 4 + 1))
    return [
        f"{count:,} different `seq_length`s are {count:,} programs: "
        f"{1e3 * seconds / count:.0f} ms and {(after - before) / count:.1f} MB each, which JAX "
        "keeps. `jax.clear_caches()` frees them: after it, "
        f"{count // 4:,} more lengths change the memory by {resident() - after:+.0f} MB. Pad "
        "sequences to a few lengths with `run_masked`, which compiles once for all."
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="small sizes, and write nothing")
    short = parser.parse_args().short
    parts = [
        many_lengths(10 if short else 1_000),
        long_sequences([1_000] if short else [10_000, 100_000, 1_000_000]),
        streamed(*((2_000, 100) if short else (1_000_000, 1_000))),
        many_neurons(1_000 if short else 100_000_000),
    ]
    text = "\n\n".join("\n".join(part) for part in parts) + "\n"
    print(text)
    if not short:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
