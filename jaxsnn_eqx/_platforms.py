"""How loops over time run on CPUs, GPUs and TPUs."""

import functools as ft
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.tree_util as jtu
from jax import lax
from jaxtyping import PyTree

from ._chunks import nearest_divisor


@dataclass(frozen=True)
class Platform:
    """Loops run `steps` steps in one iteration, and compute none twice unless told to.

    More steps at once take longer to compile. If no divisor of the number of steps is near,
    there is a remainder, which is compiled in addition, and the output is copied.
    """

    steps: int

    def at_once(self, length: int) -> int:
        """The steps in one iteration, of `length` steps in all."""
        return 1 if self == CPU else nearest_divisor(length, self.steps)


CPU = Platform(1)
"""Memory access takes the time: loops keep few states, and compute the others again."""

GPU = Platform(10)
"""Each iteration launches some kernels: with 10 steps at once, a tenth as many."""

TPU = Platform(16)
"""Some 16 steps at once fill the tiles of a TPU's memory."""

traced_for = jax.make_user_context(None)
"""The platform of the program that is being traced, inside of `by_platform`."""


def by_platform(choose: Callable[[Platform], Callable], *args: PyTree) -> PyTree:
    """`choose(platform)(*args)` for the platform that the program is lowered for.

    The program is traced for all platforms, as it may be lowered after it was traced, for
    another platform than that of this process. The outermost call decides for those inside of
    it, which would multiply the traced program. Where JAX has only the CPU, to trace the
    others would be for nothing: it takes longer, and `lax.platform_dependent` moves the batch
    of `jax.vmap` in front of the time axis.
    """
    if traced_for.value is not None:
        return choose(traced_for.value)(*args)
    if not _has_accelerator():
        return choose(CPU)(*args)

    def traced(platform: Platform, *args: PyTree) -> PyTree:
        with traced_for(platform):
            return choose(platform)(*args)

    cpu, gpu, tpu = (ft.partial(traced, platform) for platform in (CPU, GPU, TPU))
    return lax.platform_dependent(*args, cpu=cpu, tpu=tpu, default=gpu)


@ft.cache
def _has_accelerator() -> bool:
    """Whether JAX finds a plugin for another platform: a GPU's, or that of TPUs."""
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return bool(plugins) or importlib.util.find_spec("libtpu") is not None


def at_once_without_derivative(platform: Platform, state: Any, length: int) -> int:
    """The steps in one iteration of a loop over no inputs that is not differentiated.

    On CPUs XLA's loops copy the state in each iteration. With two steps per iteration, large
    states are copied half as often: 1.0 to 1.3 times faster above about 50,000 numbers, and up
    to 1.8 times slower below (the sizes of `benchmarks/run.py`, two cores). More steps are
    slower for all sizes, and an odd length would copy the outputs. With inputs two steps are
    two to four times slower, since the second computes the first again.
    """
    if platform != CPU:
        return platform.at_once(length)
    size = max((leaf.size for leaf in jtu.tree_leaves(state)), default=0)
    return 2 if size >= 48_000 and length % 2 == 0 and length else 1
