"""snnTorch (PyTorch): steps of 1e-4 s."""

import contextlib
import io
from importlib.metadata import version

import nir
import numpy as np
import snntorch
import torch
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir

from exchange import SIZE

VERSION = (
    f"snnTorch {version('snntorch')} (nirtorch {version('nirtorch')}, nir {version('nir')})"
)


def read(path, xs):
    with contextlib.redirect_stdout(io.StringIO()):
        network = import_from_nir(nir.read(path))
    state, outs = None, []
    with torch.no_grad():
        for x in torch.from_numpy(xs)[:, None]:
            out, state = network(x, state)
            outs.append((out[0] if isinstance(out, tuple) else out)[0].numpy())
    return np.stack(outs)


def _write(cell):
    def write(path, xs):
        weight = torch.nn.Linear(SIZE, SIZE, bias=False)
        weight.weight.data = torch.eye(SIZE)
        network = torch.nn.Sequential(weight, cell())
        outs = []
        with torch.no_grad():
            for x in torch.from_numpy(xs)[:, None]:
                out = network(x)
                outs.append((out[0] if isinstance(out, tuple) else out).reshape(-1).numpy())
        network = torch.nn.Sequential(weight, cell())
        graph = export_to_nir(network, torch.from_numpy(xs[:1]), ignore_dims=[0])
        nir.write(path, graph)
        return np.stack(outs)

    return write


def _leaky(**options):
    def cell():
        beta, v_th = torch.full((SIZE,), 0.8), torch.full((SIZE,), 1.5)
        return snntorch.Leaky(beta=beta, threshold=v_th, init_hidden=True, **options)

    return cell


def _synaptic(**options):
    def cell():
        values = {"alpha": torch.full((SIZE,), 0.6), "beta": torch.full((SIZE,), 0.8)}
        v_th = torch.full((SIZE,), 2.0)
        return snntorch.Synaptic(threshold=v_th, init_hidden=True, **values, **options)

    return cell


ZERO = {"reset_mechanism": "zero", "reset_delay": False}
SUBTRACT = {"reset_mechanism": "subtract", "reset_delay": False}
WRITERS = {
    "LIF": _write(_leaky(**ZERO)),
    "LIF, subtract": _write(_leaky(**SUBTRACT)),
    "LIF, defaults": _write(_leaky()),
    "CubaLIF": _write(_synaptic(**ZERO)),
    "CubaLIF, subtract": _write(_synaptic(**SUBTRACT)),
    "CubaLIF, defaults": _write(_synaptic()),
}
