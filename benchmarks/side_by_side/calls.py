"""A contestant's work, ready to be timed: compiled where it can be, and waited for."""

import gc
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workloads import SLOPE


def version_of(package: str) -> str:
    """`package` with its released version."""
    return f"{package} {importlib.metadata.version(package)}"


@dataclass
class Call:
    """`run()` does the work and waits for it; `result(out)` brings it into the common shape."""

    run: Callable[[], Any]
    result: Callable[[Any], np.ndarray] = np.asarray
    temporary_bytes: int | None = None
    note: str = ""
    slope: float = SLOPE
    reset: str = "to zero"


def jax_call(function: Callable, *arguments, result: Callable = np.asarray, note="") -> Call:
    """`function` under `jax.jit`, its data as arguments (closed over, XLA would fold it)."""
    import jax

    arguments = jax.device_put(arguments)
    jitted = jax.jit(function)
    analysis = jitted.lower(*arguments).compile().memory_analysis()
    return Call(
        run=lambda: jax.block_until_ready(jitted(*arguments)),
        result=lambda out: np.asarray(result(out)),
        temporary_bytes=None if analysis is None else analysis.temp_size_in_bytes,
        note=note,
    )


def jax_spikes_or_gradient(encode: Callable, case, data, note="") -> Call:
    """The forward row of an encoder of values, or its gradient of <w, spikes>."""
    import jax
    import jax.numpy as jnp

    if case.mode == "forward":
        return jax_call(encode, data["x"], note=note)

    def weighted(x, w):
        return jnp.vdot(w, encode(x))

    if case.mode == "gradient":
        return jax_call(jax.grad(weighted), data["x"], data["w"], note=note)
    both = jax.value_and_grad(weighted)
    return jax_call(both, data["x"], data["w"], result=lambda out: out[1], note=note)


def jax_training_step(spikes: Callable, weight, data, *, batch_axis=1, note="") -> Call:
    """A step of gradient descent on <w, spikes(weight, x)>; its result are the spikes.

    `spikes` takes and gives the batch on `batch_axis`, 0 or 1, and time on the other.
    """
    import jax
    import jax.numpy as jnp

    def step(weight, x, w):
        return weight - 1e-3 * jax.grad(lambda *a: jnp.vdot(w, spikes(*a)))(weight, x)

    x, w = (np.moveaxis(data[name], 1, batch_axis) for name in ("x", "w"))
    call = jax_call(step, weight, x, w, note=note)
    call.result = lambda _: np.moveaxis(jax.jit(spikes)(weight, x), batch_axis, 1)
    return call


def peak_growth(run: Callable[[], Any]) -> tuple[Any, int | None]:
    """What `run()` returns, and by how many bytes this process grew meanwhile, at most."""
    gc.collect()
    try:
        _trim()
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")  # the peak starts from what is resident now
    except OSError:
        return run(), None
    before = _status("VmRSS")
    out = run()
    return out, max(0, _status("VmHWM") - before)


def _trim() -> None:
    import ctypes

    if os.uname().sysname == "Linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _status(field: str) -> int:
    with open("/proc/self/status") as f:
        line = next(line for line in f if line.startswith(field + ":"))
    return 1024 * int(line.split()[1])
