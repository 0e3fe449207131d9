"""spyx (JAX, Flax)."""

import contextlib
import io
from importlib.metadata import version

import jax.numpy as jnp
import nir
import numpy as np
import spyx.nir
from flax import nnx
from spyx import nn

from exchange import DT, SIZE

VERSION = f"spyx {version('spyx')} (nir {version('nir')})"


def read(path, xs):
    images = xs.ndim == 4
    x = jnp.asarray(xs.transpose(0, 2, 3, 1) if images else xs)[:, None]
    with contextlib.redirect_stdout(io.StringIO()):
        _, out = spyx.nir.from_nir(nir.read(path), x, dt=DT)
    out = np.asarray(out)[:, 0]
    return out.transpose(0, 3, 1, 2) if out.ndim == 4 else out


def _write(cell):
    def write(path, xs):
        def shape(end):
            return {end: np.array([SIZE])}

        weight = nnx.Linear(SIZE, SIZE, use_bias=False, rngs=nnx.Rngs(0))
        weight.kernel[...] = jnp.eye(SIZE)
        network = nn.Sequential(weight, cell())
        nir.write(path, spyx.nir.to_nir(network, shape("input"), shape("output"), dt=DT))
        return np.asarray(nn.run(network, jnp.asarray(xs)[:, None])[0])[:, 0]

    return write


WRITERS = {
    "IF": _write(lambda: nn.IF((SIZE,), threshold=1.5)),
    "LIF": _write(lambda: nn.LIF((SIZE,), beta=0.8, threshold=1.5, rngs=nnx.Rngs(0))),
    "CubaLIF": _write(
        lambda: nn.CuBaLIF((SIZE,), alpha=0.6, beta=0.8, threshold=1.5, rngs=nnx.Rngs(0))
    ),
}
