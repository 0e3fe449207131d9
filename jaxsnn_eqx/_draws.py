"""Random draws, fast: a word of random bits serves two draws."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

_LEVELS = 2**16
_GOLDEN = np.uint32(2654435769)  # 2^32 over the golden ratio


def bernoulli(p: Float[Array, "*shape"], key: PRNGKeyArray) -> Bool[Array, "*shape"]:
    """True with probability `p`, independently in each place: never for 0, always for 1.

    A draw is 16 random bits below a threshold `p · 2^16`, a quarter of a block of random
    bits (`jax.random.bernoulli` takes a block). The threshold is rounded up or down at random,
    with the chance that makes the expectation `p` exactly, however small `p` is. One random
    number, spread over the places in steps of the golden ratio, rounds them all: that
    correlates two places by less than `2^-34 / p`, and their sum not at all.
    """
    size = p.size
    blocks = -(-size // 4)
    # the data of fresh keys are random bits: all 64 of a block, where `bits` gives 32
    words = jr.key_data(jr.split(key, blocks + 1))[:, :2]
    dither = words[blocks, 0] + jnp.arange(size, dtype=jnp.uint32) * _GOLDEN
    dither = (dither >> 8).astype(p.dtype) * 2.0**-24
    threshold = jnp.floor(p.ravel() * _LEVELS + dither).astype(jnp.uint32)
    threshold = jnp.pad(threshold, (0, 4 * blocks - size)).reshape(4, blocks)
    first, second = words[:blocks, 0], words[:blocks, 1]
    low = jnp.uint32(_LEVELS - 1)
    draws = (first & low, first >> 16, second & low, second >> 16)
    fires = jnp.concatenate([d < t for d, t in zip(draws, threshold, strict=True)])
    return fires[:size].reshape(p.shape)
