"""Norse (PyTorch)."""

from importlib.metadata import version

import nir
import norse.torch as norse
import numpy as np
import torch

from exchange import DT, SIZE

VERSION = f"Norse {version('norse')} (nirtorch {version('nirtorch')}, nir {version('nir')})"


def read(path, xs):
    return _run(norse.from_nir(nir.read(path), dt=DT, ignore_warnings=True), xs)


def _run(network, xs):
    state, outs = None, []
    with torch.no_grad():
        for x in torch.from_numpy(xs)[:, None]:
            out, state = network(x, state)
            outs.append(out[0].numpy())
    return np.stack(outs)


def _write(cell):
    def write(path, xs):
        network = norse.SequentialState(cell())
        # its constants come out multiplied by this `dt`
        nir.write(path, norse.to_nir(network, torch.from_numpy(xs[0]), dt=1.0))
        return _run(network, 50 * xs)

    return write


def _lif():
    parameters = norse.LIFBoxParameters(
        tau_mem_inv=torch.full((SIZE,), 1 / 2e-3),
        v_leak=torch.zeros(SIZE),
        v_th=torch.full((SIZE,), 0.7),
    )
    return norse.LIFBoxCell(parameters, dt=DT)


def _li():
    parameters = norse.LIBoxParameters(
        tau_mem_inv=torch.full((SIZE,), 1 / 2e-3), v_leak=torch.zeros(SIZE)
    )
    return norse.LIBoxCell(parameters, dt=DT)


WRITERS = {"LIF": _write(_lif), "LI": _write(_li)}
