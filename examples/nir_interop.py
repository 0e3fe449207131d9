"""Trains a network on digits, writes it as NIR, and runs it in other simulators.

    pip install "jaxsnn_eqx[examples,nir]"
    python examples/nir_interop.py                  # write digits.nir, read it, compare
    python examples/nir_interop.py --short          # three epochs, to see that it runs
    pip install norse snntorch spyx
    python examples/nir_interop.py --norse --snntorch --spyx

The network is that of `digits.py` with synapses in front of its neurons (`CubaLIF`). Every
simulator runs the same graph on the test digits; the maximum over time is taken here, since NIR
has no decoders. Prints how often each simulator agrees with this package, its accuracy, and the
difference of the potentials.
"""

import argparse
import contextlib
import io
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import nir
import numpy as np
from digits import (
    CLASSES,
    EPOCHS,
    HIDDEN,
    SHORT_EPOCHS,
    SIDE,
    STEPS,
    load,
    to_current,
    train,
)
from jaxtyping import PRNGKeyArray

import jaxsnn_eqx as snn
from jaxsnn_eqx import nir as snn_nir

SNNTORCH_DT = 1e-4  # the only step that snnTorch's reader supports
HIDDEN_GAIN = 3.0  # less than in `digits.py`: a current adds up several spikes
LEARNING_RATE = 1e-2


def make_network(key: PRNGKeyArray) -> snn.Network:
    hidden_key, out_key = jr.split(key)
    hidden = eqx.nn.Linear(SIDE**2, HIDDEN, key=hidden_key)
    hidden = eqx.tree_at(lambda linear: linear.weight, hidden, HIDDEN_GAIN * hidden.weight)
    out = eqx.nn.Linear(HIDDEN, CLASSES, use_bias=False, key=out_key)
    neurons = snn.LIF(surrogate=snn.SuperSpike(slope=25.0))
    return snn.Network(
        [
            snn.ConstantCurrentLIFEncoder(seq_length=STEPS),  # pixels -> spikes
            snn.OverTime(hidden),  # spikes -> currents
            snn.Synapse(neurons),  # currents -> spikes
            snn.OverTime(out),  # spikes -> currents
            snn.Synapse(snn.LI()),  # currents -> potentials
            snn.MaxOverTime(),  # potentials -> logits
        ]
    )


def run_here(network: snn.Network, inputs) -> np.ndarray:
    """The readout's potentials, of shape `"batch time classes"`."""
    return np.asarray(eqx.filter_jit(lambda layer, xs: jax.vmap(layer)(xs))(network, inputs))


def run_in_norse(path: Path, currents: np.ndarray) -> np.ndarray:
    import norse.torch  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]

    module = norse.torch.from_nir(nir.read(path), dt=1e-3)
    potentials, state = [], None
    with torch.no_grad():
        for _ in range(STEPS):
            _, state = module(torch.from_numpy(currents), state)
            [(_, membrane)] = state.state["cubalif_1"]
            potentials.append(membrane.v.numpy())
    return np.stack(potentials, axis=1)


def run_in_snntorch(path: Path, currents: np.ndarray) -> np.ndarray:
    import torch  # pyright: ignore[reportMissingImports]
    from snntorch.import_nir import import_from_nir  # pyright: ignore[reportMissingImports]

    graph: Any = nir.read(path)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints all of `w_in`
        module = import_from_nir(graph)
    potentials = []
    with torch.no_grad():
        for _ in range(STEPS):
            module(torch.from_numpy(currents))
            # snnTorch ignores the readout's `r * w_in`
            readout = module.get_submodule("cubalif_1")
            potentials.append(readout.mem.numpy() / graph.nodes["cubalif_1"].r)
    return np.stack(potentials, axis=1)


def run_in_spyx(path: Path, spikes: np.ndarray) -> np.ndarray:
    import spyx.nir  # pyright: ignore[reportMissingImports]

    graph: Any = nir.read(path)
    time_first = jnp.asarray(np.swapaxes(spikes, 0, 1))
    _, (_, states) = spyx.nir.from_nir(graph, time_first, dt=1e-3, return_all_states=True)
    potentials = np.split(np.asarray(states[-1]), 2, axis=-1)[0]
    # spyx ignores the readout's `r * w_in` too
    return np.swapaxes(potentials, 0, 1) / graph.nodes["cubalif_1"].r


def compare(name: str, theirs: np.ndarray, ours: np.ndarray, classes: np.ndarray, late: int):
    """Predictions, and potentials at the same step of the network, `late` steps apart."""
    answers, expected = (v.max(axis=1).argmax(axis=1) for v in (theirs, ours))
    error = np.abs(theirs[:, late:] - ours[:, : STEPS - late]).max()
    here = "those here" if late == 0 else f"those {late} step earlier here"
    print(
        f"{name}: the same answer for {np.mean(answers == expected):.2%} of {len(classes)} "
        f"digits, accuracy {np.mean(answers == classes):.2%} (here "
        f"{np.mean(expected == classes):.2%}), potentials within {error:.1e} of {here}, which "
        f"reach {np.abs(ours).max():.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs a trained network in other simulators.")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_EPOCHS} epochs")
    parser.add_argument("--norse", action="store_true")
    parser.add_argument("--snntorch", action="store_true")
    parser.add_argument("--spyx", action="store_true")
    parser.add_argument("--out", default="digits.nir", help="where to write the graph")
    args = parser.parse_args()

    train_digits, test_digits = load(validate=False, seed=0)
    network_key, train_key = jr.split(jr.key(0))
    epochs = SHORT_EPOCHS if args.short else EPOCHS
    network, _ = train(
        make_network(network_key),
        train_digits,
        epochs=epochs,
        key=train_key,
        learning_rate=LEARNING_RATE,
    )
    network = network[:-1]  # NIR has no maximum over time
    currents = np.asarray(jax.vmap(to_current)(jnp.asarray(test_digits.images)))
    classes = test_digits.classes
    ours = run_here(network, currents)

    path = Path(args.out)
    nir.write(path, snn_nir.to_nir(network))
    again = snn_nir.from_nir(nir.read(path), seq_length=STEPS)
    compare(f"{path}, read here", run_here(again, currents), ours, classes, late=0)

    # None of these readers supports `CubaLI`, and Norse drops it without a warning. So the
    # readout is written as neurons that never fire, and its output is read from their
    # membranes.
    for_others = path.with_suffix(".others.nir")
    if args.norse:
        nir.write(for_others, snn_nir.to_nir(network, li=nir.CubaLIF))
        compare("Norse", run_in_norse(for_others, currents), ours, classes, late=0)
    if args.snntorch:
        graph = snn_nir.to_nir(network, li=nir.CubaLIF, dt=SNNTORCH_DT)
        nir.write(for_others, graph)
        compare("snnTorch", run_in_snntorch(for_others, currents), ours, classes, late=0)
    if args.spyx:
        # spyx ignores the `r` of a `LIF`, so its input is the encoder's spikes. It resets by
        # subtraction, and adds the input of a step after it integrates the hidden neurons.
        spikes = run_here(network[:1], currents)
        nir.write(for_others, snn_nir.to_nir(network[1:], li=nir.CubaLIF))
        theirs = run_in_spyx(for_others, spikes)
        compare("spyx", theirs, ours, classes, late=1)
        soft = snn.Synapse(snn.LIF(soft_reset=True), immediate=False)
        soft = eqx.tree_at(lambda n: n.layers[2], network, soft)
        compare("spyx, soft reset here", theirs, run_here(soft, currents), classes, late=0)


if __name__ == "__main__":
    main()
