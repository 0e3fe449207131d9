"""Rockpool (PyTorch): the steps come from the file, as the smallest `tau / (1 + r)`."""

from importlib.metadata import version

import nir
import numpy as np
import torch
from rockpool.nn.modules.torch import ExpSynTorch, LIFNeuronTorch, LIFTorch
from rockpool.nn.modules.torch.nir import from_nir, to_nir

from exchange import DT, SIZE

VERSION = (
    f"Rockpool {version('rockpool')} (nirtorch {version('nirtorch')}, nir {version('nir')})"
)


def read(path, xs):
    network, state, outs = from_nir(nir.read(path)), None, []
    with torch.no_grad():
        for x in torch.from_numpy(xs)[:, None, None]:  # batch, time
            out, state = network(x, state)
            outs.append((out[0] if isinstance(out, tuple) else out)[0, 0].numpy())
    return np.stack(outs)


def _write(make):
    def write(path, xs):
        module = make()
        with torch.no_grad():
            out = module(torch.from_numpy(0.5 * xs)[None])[0]
        nir.write(path, to_nir(make(), torch.zeros(SIZE)))
        return out[0].numpy()

    return write


WRITERS = {
    "LIF": _write(lambda: LIFNeuronTorch(SIZE, tau_mem=2e-3, threshold=0.7, dt=DT)),
    "CubaLIF": _write(lambda: LIFTorch(SIZE, tau_mem=2e-3, tau_syn=1e-3, threshold=0.7, dt=DT)),
    "LI": _write(lambda: ExpSynTorch(SIZE, tau=torch.full((SIZE,), 2e-3), dt=DT)),
}
