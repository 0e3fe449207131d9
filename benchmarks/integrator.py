"""The integrator against jaxsnn and against a plain `lax.scan`, side by side in one process.

Constant-current LIF, N neurons, T steps, float32: forward; the gradient of <w, spikes> for
the input, with w given as an argument; and its value and gradient, as in training, where the
spikes themselves are wanted too. Everything is compiled
and run once before it is timed, waited for, and run in alternation; the table gives medians
in ms with their quartiles, and the temporary memory of the compiled program in units of one
spike train (4·N·T bytes). Needs the extra `test`, for jaxsnn. Run

    python benchmarks/integrator.py            # writes benchmarks/integrator.md
    python benchmarks/integrator.py --short    # checks that all agree, times next to nothing
"""

import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxsnn.discrete import encode as jaxsnn

import jaxsnn_eqx as snn

SIZES = [(50_176, 100, 10), (4_096, 1_000, 25), (1_000_000, 50, 10)]  # N, T, chunk
SPIKE = snn.SuperSpike()


def plain_scan(x, length):
    """The same equation, as one writes it without this package."""

    def step(v, _):
        v = v + 0.1 * ((0.0 - v) + x)
        z = SPIKE(v - 0.6)
        return v - z * (v - 0.0), z

    return lax.scan(step, jnp.zeros_like(x), None, length)[1]


def contestants(length, chunk):
    return {
        "jaxsnn 0.3.0": lambda x: jaxsnn.constant_current_lif_encode(x, length)[1],
        "plain scan": lambda x: plain_scan(x, length),
        "ours, whole": snn.ConstantCurrentLIFEncoder(length, checkpoint_every=length),
        f"ours, chunks of {chunk}": snn.ConstantCurrentLIFEncoder(
            length, checkpoint_every=chunk
        ),
        "ours, default": snn.ConstantCurrentLIFEncoder(length),
    }


def gradient_of(encode):
    return jax.grad(lambda x, w: jnp.vdot(w, encode(x)))


def value_and_gradient_of(encode):
    return jax.value_and_grad(lambda x, w: jnp.vdot(w, encode(x)))


def _temporary_bytes(compiled) -> int:
    analysis = compiled.memory_analysis()
    assert analysis is not None, "this backend does not report memory"
    return analysis.temp_size_in_bytes


def measure(functions, arguments, repeats):
    """Per function: quartiles of its times in ms, its temporary bytes, and its result."""
    compiled = {k: jax.jit(f).lower(*arguments).compile() for k, f in functions.items()}
    results = {k: jax.block_until_ready(f(*arguments)) for k, f in compiled.items()}
    times = {k: [] for k in compiled}
    for _ in range(repeats):
        for name, f in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(f(*arguments))
            times[name].append(1e3 * (time.perf_counter() - start))
    return {
        name: (
            np.percentile(times[name], [25, 50, 75]),
            _temporary_bytes(f),
            np.asarray(jax.tree.leaves(results[name])[-1]),  # spikes, or the gradient
        )
        for name, f in compiled.items()
    }


def check(kind, rows):
    """Nothing is timed that does not compute the same."""
    reference = rows["jaxsnn 0.3.0"][2]
    for name, (_, _, result) in rows.items():
        if kind == "forward":
            assert np.mean(result != reference) <= 1e-5, name
        else:
            scale = np.abs(reference).max()
            agree = np.abs(result - reference) <= 1e-5 * scale
            assert np.mean(agree) >= 1 - 1e-4, name


def table(kind, rows, n, length):
    scan = rows["plain scan"][0][1]
    peer = rows["jaxsnn 0.3.0"][0][1]
    lines = [
        f"\n{kind}, N = {n:,}, T = {length:,}\n",
        "| | median ms (quartiles) | jaxsnn / it | plain scan / it | spike trains |",
        "|---|---|---|---|---|",
    ]
    for name, ((low, median, high), memory, _) in rows.items():
        lines.append(
            f"| {name} | {median:.1f} ({low:.1f} to {high:.1f}) | {peer / median:.1f} "
            f"| {scan / median:.1f} | {memory / (4 * n * length):.2f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="check only, on small sizes")
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).with_suffix(".md"), help="where to write"
    )
    args = parser.parse_args()
    sizes = [(784, 100, 10), (500, 101, 10)] if args.short else SIZES
    repeats = 1 if args.short else args.repeats
    device = jax.devices()[0].device_kind
    tables = [f"jax {jax.__version__}, {device}, {repeats} repeats in alternation"]
    print(tables[0], flush=True)
    for n, length, chunk in sizes:
        x = jr.uniform(jr.key(0), (n,), maxval=2.0)
        w = jr.normal(jr.key(1), (length, n))
        encoders = contestants(length, chunk)
        for kind, functions, arguments in [
            ("forward", encoders, (x,)),
            ("gradient", {k: gradient_of(f) for k, f in encoders.items()}, (x, w)),
            (
                "value and gradient",
                {k: value_and_gradient_of(f) for k, f in encoders.items()},
                (x, w),
            ),
        ]:
            rows = measure(functions, arguments, repeats)
            check(kind, rows)
            tables.append(table(kind, rows, n, length))
            print(tables[-1], flush=True)
    if not args.short:
        args.out.write_text("\n".join(tables) + "\n")


if __name__ == "__main__":
    main()
