"""A framework's work, ready to be timed: `Call`."""

import gc
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .case import SLOPE


def version_of(package: str) -> str:
    """`package` with its released version."""
    return f"{package} {importlib.metadata.version(package)}"


@dataclass
class Call:
    """`run()` does the work and waits for it; `result(out)` brings it into the common shape.

    `slope` of the surrogate and `reset` are what the framework computes with, where it leaves
    no choice. `temporary_bytes()` is what the compiled program needs beside its inputs and
    outputs, where known. `function` of `arguments` is what is compiled, where it is JAX's.
    """

    run: Callable[[], Any]
    result: Callable[[Any], np.ndarray] = np.asarray
    note: str = ""
    slope: float = SLOPE
    reset: str = "to zero"
    temporary_bytes: Callable[[], int | None] = lambda: None
    function: Callable | None = None
    arguments: tuple = ()


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
