"""What the package costs beyond the arithmetic: calls, checks of shapes, imports.

A process of its own; prints JSON. `python -m common.overheads [--short]`
"""

import json
import os
import subprocess
import sys
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import jaxsnn_eqx as snn
from frameworks.plain_jax import membrane

from .growth import small_network

STEPS, N = 100, 784


def main(short: bool) -> None:
    repeats = 3 if short else 41
    answer = {**_calls(repeats), **_tracing(3 if short else 15), **_imports(1 if short else 9)}
    print(json.dumps(answer))


def by_hand(x):
    """The encoder's equation, as one writes it without this package."""
    return jax.lax.scan(lambda v, _: membrane(v, x), jnp.zeros_like(x), None, STEPS)[1]


def _calls(repeats: int) -> dict:
    encoder = snn.ConstantCurrentLIFEncoder(STEPS)
    x = 2 * jr.uniform(jr.key(0), (N,))
    images = 2 * jr.uniform(jr.key(1), (100, N))

    def epoch(encode):
        """100 images, encoded one after the other inside one call."""

        def body(total, image):
            return total + encode(image).sum(), None

        return lambda images: jax.lax.scan(body, 0.0, images)[0]

    functions = {
        "jit, by hand": (jax.jit(by_hand), x, 20, 1),
        "jit, ours": (jax.jit(encoder), x, 20, 1),
        "filter_jit, by hand": (eqx.filter_jit(by_hand), x, 20, 1),
        "filter_jit, ours": (eqx.filter_jit(encoder), x, 20, 1),
        "scanned in one jit, by hand": (jax.jit(epoch(by_hand)), images, 1, 100),
        "scanned in one jit, ours": (jax.jit(epoch(encoder)), images, 1, 100),
    }
    times = {name: [] for name in functions}
    for function, argument, _, _ in functions.values():
        jax.block_until_ready(function(argument))
    for _ in range(repeats):
        for name, (function, argument, loops, images_each) in functions.items():
            start = time.perf_counter()
            for _ in range(loops):
                jax.block_until_ready(function(argument))
            took = time.perf_counter() - start
            times[name].append(1e6 * took / loops / images_each)
    return {"us a call": {name: float(np.median(values)) for name, values in times.items()}}


def _tracing(repeats: int) -> dict:
    """Seconds to trace a network's gradient, with and without the shape checks."""
    times = {"0": [], "1": []}
    for _ in range(repeats):
        for disabled, values in times.items():
            environment = {**os.environ, "JAXTYPING_DISABLE": disabled}
            command = [sys.executable, "-m", __spec__.name, "--trace"]
            out = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            values.append(float(out.stdout))
    checked, unchecked = (float(np.median(times[d])) for d in ("0", "1"))
    return {"tracing s": {"checked": checked, "unchecked": unchecked}}


def trace() -> None:
    """Prints how long a network's gradient takes to trace, the second time."""
    times = []
    for length in range(100, 112):  # each is another program
        model = small_network(length)
        images = jnp.ones((16, 64))

        def loss(model, images):
            return jax.vmap(model)(images).sum()

        start = time.perf_counter()
        gradient: Any = eqx.filter_jit(eqx.filter_grad(loss))
        gradient.lower(model, images)
        times.append(time.perf_counter() - start)
    print(np.median(times[2:]))


def _imports(repeats: int) -> dict:
    """Seconds that `import jaxsnn_eqx` adds to `import equinox`."""
    times = {"equinox": [], "equinox, jaxsnn_eqx": []}
    for _ in range(repeats):
        for modules, values in times.items():
            code = f"import time; s = time.perf_counter(); import {modules}; "
            code += "print(time.perf_counter() - s)"
            out = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            values.append(float(out.stdout))
    medians = {modules: float(np.median(values)) for modules, values in times.items()}
    return {"import s": medians}


if __name__ == "__main__":
    if "--trace" in sys.argv:
        trace()
    else:
        main("--short" in sys.argv)
