"""Other forms of the forward pass, tried because the encoder's is far from its floor.

Each computes the same spikes in a loop of another shape. A process of its own; prints JSON.
`python -m common.forms [--short]`
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxsnn.discrete import encode

import jaxsnn_eqx as snn
from frameworks.plain_jax import membrane, spike

from .case import LEAK, V_TH

SIZES = [(50_176, 100), (4_096, 1_000), (1_000_000, 50)]


def main(short: bool) -> None:
    sizes = [(512, 20)] if short else SIZES
    answer = {f"{n:,} × {t:,}": _measure(n, t, 2 if short else 15) for n, t in sizes}
    print(json.dumps(answer))


def _measure(n: int, steps: int, repeats: int) -> dict[str, float]:
    x = 2 * jr.uniform(jr.key(0), (n,))
    forms = {
        "jaxsnn": lambda x: encode.constant_current_lif_encode(x, steps)[1],
        "ours": snn.ConstantCurrentLIFEncoder(steps),
        "a plain scan": _scan(steps, 1),
        "two steps an iteration": _scan(steps, 2),
        "four steps an iteration": _scan(steps, 4),
        "the state before the reset carried": _before_reset(steps),
        "blocks of neurons, one after the other": _blocks(steps, max(1, n // 8)),
        "filling the output (no spikes)": lambda x: jnp.full((steps, n), (x[0] > 2) * 1.0),
    }
    compiled = {name: jax.jit(form) for name, form in forms.items()}
    expected = np.asarray(compiled["ours"](x))
    for name, form in compiled.items():
        found = np.asarray(form(x))
        assert "filling" in name or np.mean(found != expected) < 1e-5, name
    times = {name: [] for name in forms}
    for _ in range(repeats):
        for name, form in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(form(x))
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def _scan(steps: int, unroll: int):
    def encode(x):
        def step(v, _):
            return membrane(v, x)

        return lax.scan(step, jnp.zeros_like(x), None, steps, unroll=unroll)[1]

    return encode


def _before_reset(steps: int):
    def encode(x):
        def step(v, _):
            z = spike(v - V_TH)
            v = v - z * v
            return v + LEAK * ((0.0 - v) + x), z

        return lax.scan(step, LEAK * x, None, steps)[1]

    return encode


def _blocks(steps: int, block: int):
    """Each block of neurons runs through all steps, its state small enough for a cache."""

    def encode(x):
        def run(b, out):
            held = lax.dynamic_slice(x, (b * block,), (block,))

            def body(t, carry):
                v, out = carry
                v, z = membrane(v, held)
                return v, lax.dynamic_update_slice(out, z[None], (t, b * block))

            return lax.fori_loop(0, steps, body, (jnp.zeros_like(held), out))[1]

        return lax.fori_loop(0, x.size // block, run, jnp.zeros((steps, x.size)))

    return encode


if __name__ == "__main__":
    main("--short" in sys.argv)
