"""Fast random draws: each word of random bits is used for two draws."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

_LEVELS = 2**16
_GOLDEN = np.uint32(2654435769)  # 2^32 over the golden ratio


def bernoulli(p: Float[Array, "*shape"], key: PRNGKeyArray) -> Bool[Array, "*shape"]:
    """True with probability `p`, independently for each element: never for 0, always for 1.

    A draw is True if 16 random bits are below the threshold `p · 2^16`. It uses a quarter of a
    block of random bits, where `jax.random.bernoulli` uses a whole one. The threshold is
    rounded up or down at random, so that the expectation is exactly `p`, for any small `p`. One
    random number rounds all thresholds: it is shifted for each element by a multiple of the
    golden ratio. This correlates two elements by less than `2^-34 / p`.
    """
    size = p.size
    blocks = -(-size // 4)
    # The data of new keys are random bits: all 64 of a block, of which `jax.random.bits`
    # returns only 32.
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
