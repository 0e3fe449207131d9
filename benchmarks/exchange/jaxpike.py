"""jaxpike (JAX)."""

from importlib.metadata import version

import jax.numpy as jnp
import jaxpike
import jaxpike.nir
import nir
import numpy as np

from exchange import DT, SIZE

VERSION = f"jaxpike {version('jaxpike')} (nir {version('nir')})"


def read(path, xs):
    return _run(jaxpike.nir.from_nir(nir.read(path), dt_seconds=DT), xs)


def _run(network, xs):
    x = xs.transpose(0, 2, 3, 1) if xs.ndim == 4 else xs
    outs = np.asarray(jaxpike.unroll(network, jnp.asarray(x)[:, None])[0])[:, 0]
    return outs.transpose(0, 3, 1, 2) if outs.ndim == 4 else outs


def _write(cell):
    def write(path, xs):
        network = jaxpike.Sequential(cell())
        nir.write(path, jaxpike.nir.to_nir(network, (1, SIZE), dt_seconds=DT))
        return _run(network, 5 * xs)

    return write


WRITERS = {
    "LIF": _write(lambda: jaxpike.LIF(tau=5.0, threshold=0.7, reset="zero")),
    "LIF, subtract": _write(lambda: jaxpike.LIF(tau=5.0, threshold=0.7, reset="subtract")),
    "LI": _write(lambda: jaxpike.LeakyIntegrator(tau=5.0)),
}
