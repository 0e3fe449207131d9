"""Has a change made compiled programs another? Their operations and temporary bytes, in a file.

    python benchmarks/programs.py before.json            # in one version of the package
    python benchmarks/programs.py --against before.json  # in another

prints, for each program, how many operations (with their shapes) differ, and the bytes of
temporary memory. Equal counts mean that the loop is as fast as it was, without a stopwatch.
"""

import argparse
import collections
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import jaxsnn_eqx as snn

OPERATION = re.compile(r"\s*(?:ROOT )?%?[\w.\-]+ = (.*?) ([\w\-]+)\(")


def of(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def gradient(layer: Callable) -> Callable:
    return lambda x, w: jax.grad(lambda x: jnp.vdot(w, layer(x)))(x)


def programs(short: bool) -> Iterator[tuple[str, Callable, tuple]]:
    """Names, functions, and the shapes of their arguments."""
    sizes = [(784, 100)] if short else [(784, 100), (50_176, 100), (4_096, 1_000)]
    for n, steps in sizes:
        encoder = snn.ConstantCurrentLIFEncoder(steps)
        yield f"encoder {n} x {steps}", encoder, (of(n),)
        yield f"its gradient {n} x {steps}", gradient(encoder), (of(n), of(steps, n))
    encoder = snn.ConstantCurrentLIFEncoder(100)
    batch = (of(16, 784), of(16, 100, 784))
    yield "encoder, vmapped", jax.vmap(encoder), batch[:1]
    yield "its gradient, vmapped", jax.vmap(gradient(encoder)), batch
    signal = of(100, 512)
    for name, neuron in {
        "LIF": snn.LIF(),
        "LIF with synapse": snn.Synapse(snn.LIF(), immediate=False),
    }.items():
        yield name, neuron, (signal,)
        yield f"{name}, gradient", gradient(neuron), (signal, signal)
    poisson = snn.PoissonEncoder(100, 500.0)
    key = jr.key(0)
    yield "Poisson", lambda x: poisson(x, key=key), (of(784),)
    yield "Poisson, gradient", gradient(lambda x: poisson(x, key=key)), (of(784), of(100, 784))
    k1, k2 = jr.split(key)
    network = snn.Network(
        [
            snn.ConstantCurrentLIFEncoder(100),
            snn.OverTime(eqx.nn.Linear(64, 128, use_bias=False, key=k1)),
            snn.Synapse(snn.LIF(), immediate=False),
            snn.OverTime(eqx.nn.Linear(128, 10, use_bias=False, key=k2)),
            snn.Synapse(snn.LI()),
            snn.MaxOverTime(),
        ]
    )
    arrays, static = eqx.partition(network, eqx.is_array)

    def call(arrays, x):
        return jax.vmap(eqx.combine(arrays, static))(x)

    yield "network of six layers", call, (arrays, of(16, 64))
    yield (
        "its gradient",
        jax.grad(lambda arrays, x: jnp.sum(call(arrays, x) ** 2)),
        (arrays, of(16, 64)),
    )


def described(function: Callable, arguments: tuple) -> dict:
    """The operations of the compiled program, counted, and its temporary bytes."""
    compiled = jax.jit(function).lower(*arguments).compile()
    operations = collections.Counter()
    for line in (compiled.as_text() or "").splitlines():
        if match := OPERATION.match(line):
            shape = re.sub(r"{[^}]*}", "", match.group(1))
            operations[f"{match.group(2)} {shape}"] += 1
    analysis = compiled.memory_analysis()
    assert analysis is not None  # of a backend that can tell
    return {"operations": operations, "bytes": analysis.temp_size_in_bytes}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, help="the file to write")
    parser.add_argument(
        "--against", type=Path, help="a file of another version, to compare with"
    )
    parser.add_argument("--short", action="store_true", help="small programs only")
    arguments = parser.parse_args()
    before = json.loads(arguments.against.read_text()) if arguments.against else {}
    now = {}
    for name, function, shapes in programs(arguments.short):
        now[name] = program = described(function, shapes)
        line = f"{name:28} {program['operations'].total():5} operations"
        line += f" {program['bytes']:12,} bytes"
        if name in before:
            old = collections.Counter(before[name]["operations"])
            differ = ((old - program["operations"]) | (program["operations"] - old)).total()
            line += f"   before: {before[name]['bytes']:12,} bytes, {differ} operations differ"
        print(line, flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(now, indent=1))


if __name__ == "__main__":
    main()
