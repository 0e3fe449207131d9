"""How time is cut into chunks."""

import functools as ft
import math

import jax
import jax.tree_util as jtu
from jax import lax
from jaxtyping import Array


def chunk_length(length: int) -> int:
    """The default `checkpoint_every` without inputs: about the square root of `length`.

    The divisor of `length` nearest the square root, where there is one within a factor of
    two (no remainder chunk, so nothing is concatenated); else the root, rounded. 1 for short
    sequences, of which chunks would save little and compute every step twice.
    """
    if length < 64:
        return 1
    root = math.sqrt(length)
    near = range(math.ceil(root / 2), math.floor(2 * root) + 1)
    divisors = [c for c in near if length % c == 0]
    return min(divisors or [round(root)], key=lambda c: abs(math.log(c / root)))


def rows(tree, which):
    """The chosen steps of every array."""
    return jtu.tree_map(lambda a: a[which], tree)


def split(tree, length: int, every: int):
    """The full chunks of `every` steps, stacked, and how many steps they have in all."""
    full = length - length % every
    return (
        jtu.tree_map(
            lambda a: (a if full == length else a[:full]).reshape(-1, every, *a.shape[1:]),
            tree,
        ),
        full,
    )


def chunk_of(xs, begin: Array, every: int, scanned):
    """The `every` steps of `xs` from `begin` on; `scanned` are the same ones.

    The values are sliced out of `xs`, which under `jax.vmap` costs no transposed copy of the
    whole sequence; the derivative goes by `scanned`, an input of the scan over chunks, whose
    transpose does not add up a whole sequence per chunk.
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
