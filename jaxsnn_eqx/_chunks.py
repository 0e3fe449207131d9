"""How time is split into chunks, and how a chunk of a sequence is read."""

import functools as ft
import math

import jax
import jax.tree_util as jtu
from jax import lax
from jaxtyping import Array, PyTree


def chunk_length(length: int) -> int:
    """The default `checkpoint_every` without inputs: about the square root of `length`.

    1 for short sequences, where chunks would save little memory and compute every step twice.
    """
    return 1 if length < 64 else nearest_divisor(length, math.sqrt(length))


def nearest_divisor(length: int, chunk: float) -> int:
    """The divisor of `length` nearest to `chunk`, if there is one within a factor of two.

    Else the rounded `chunk`, so that there is a remainder, which is compiled in addition and
    concatenated.
    """
    near = range(math.ceil(chunk / 2), math.floor(2 * chunk) + 1)
    divisors = [c for c in near if length % c == 0]
    return min(divisors or [round(chunk)], key=lambda c: abs(math.log(c / chunk)))


def split(tree, length: int, every: int):
    """The full chunks of `every` steps, stacked, and their total number of steps."""
    full = length - length % every
    return (
        jtu.tree_map(
            lambda a: (a if full == length else a[:full]).reshape(-1, every, *a.shape[1:]),
            tree,
        ),
        full,
    )


def chunk_of(xs: PyTree, begin: Array, every: int, scanned: PyTree) -> PyTree:
    """The `every` steps of `xs` from `begin` on; `scanned` has the same steps.

    The values are sliced from `xs`, because under `jax.vmap` a scan over chunks would copy the
    transposed sequence. The derivative is taken through `scanned`, an input of that scan,
    because the transpose of a slice would add a whole sequence for each chunk.
    """

    def read(a, moving):
        known = lax.dynamic_slice_in_dim(lax.stop_gradient(a), begin, every)
        return _first_with_tangent_of_second(known, moving)

    return jtu.tree_map(read, xs, scanned)


@jax.custom_jvp
def _first_with_tangent_of_second(first: Array, second: Array) -> Array:
    return first


@ft.partial(_first_with_tangent_of_second.defjvp, symbolic_zeros=True)
def _first_with_tangent_of_second_jvp(primals, tangents):
    return _first_with_tangent_of_second(*primals), tangents[1]
