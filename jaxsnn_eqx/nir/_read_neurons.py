"""The neurons of NIR as layers."""

import functools as ft
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .._encoder.direct import DirectEncoder
from .._encoder.lif import ConstantCurrentLIFEncoder
from .._layer import AbstractLayer
from .._neuron.base import AbstractNeuron
from .._neuron.integrate_and_fire import IF, Integrator
from .._neuron.li import LI
from .._neuron.lif import LIF
from .._neuron.synapse import Synapse
from .._parameters import AnyLIFParameters, LearnableLIFParameters, LIFParameters
from .._surrogate import AbstractSurrogate
from ._common import LEAKY, exact, nir, scaled, silent_gains, unit_gain


class Reading(NamedTuple):
    """What a node is read with."""

    dt: float
    surrogate: AbstractSurrogate
    soft_reset: bool
    seq_length: int | None  # if the node is to encode values


def neuron_layers(node: Any, reading: Reading) -> list[AbstractLayer]:
    """The layers of a neuron, in series: an encoder, if it is to encode values."""
    layer = neuron(node, reading)
    if reading.seq_length is None:
        return [layer]
    if (
        isinstance(layer, LIF)
        and isinstance(layer.params, LIFParameters)
        and not (layer.soft_reset or layer.refractory)
    ):
        encoder = ConstantCurrentLIFEncoder(
            reading.seq_length,
            layer.params,
            layer.dt,
            layer.surrogate,
            detach_reset=layer.detach_reset,
        )
        return [encoder]
    return [DirectEncoder(reading.seq_length), layer]


def neuron(node: Any, reading: Reading) -> AbstractNeuron:
    """The layer of a neuron."""
    if isinstance(node, LEAKY):
        _check_times(node, reading.dt)
    return _neuron(node, reading)


def _check_times(node: Any, dt: float) -> None:
    for name in ("tau", "tau_mem", "tau_syn"):
        tau = exact(getattr(node, name, np.inf))
        if (tau < dt * (1 - 1e-6)).any():
            raise ValueError(
                f"`{name}` must be at least `dt`={dt} s, where explicit Euler is stable, got "
                f"{tau.min()} s: pass `dt=`, the step that the graph was made for."
            )


@ft.singledispatch
def _neuron(node: Any, reading: Reading) -> AbstractNeuron:
    raise NotImplementedError(type(node))


@_neuron.register
def _(node: nir.LIF, reading: Reading) -> AbstractNeuron:
    params = _parameters(
        node, reading.dt, {"tau_mem": node.tau, "r": node.r} | _potentials(node)
    )
    return LIF(params, reading.dt, reading.surrogate, **_resets(node, reading))


@_neuron.register
def _(node: nir.IF, reading: Reading) -> AbstractNeuron:
    params = _parameters(
        node, reading.dt, {"v_th": node.v_threshold, "v_reset": node.v_reset, "r": node.r}
    )
    return IF(params, reading.dt, reading.surrogate, **_resets(node, reading))


@_neuron.register
def _(node: nir.I, reading: Reading) -> AbstractNeuron:
    return Integrator(_parameters(node, reading.dt, {"r": node.r}), reading.dt)


@_neuron.register
def _(node: nir.LI, reading: Reading) -> AbstractNeuron:
    params = _parameters(
        node, reading.dt, {"tau_mem": node.tau, "v_leak": node.v_leak, "r": node.r}
    )
    return LI(params, reading.dt)


@_neuron.register
def _(node: nir.CubaLIF, reading: Reading) -> AbstractNeuron:
    constants = _potentials(node) | {"r": node.r}
    unit = unit_gain(node.tau_mem, reading.dt)
    own = {name: _own(node, name) for name in _potentials(node)}
    written = {name: scaled(value, node.tau_mem, reading.dt) for name, value in own.items()}
    if all(np.array_equal(constants[n], v) for n, v in (written | {"r": unit}).items()):
        constants = own | {"r": np.ones_like(unit)}
    params = _parameters(node, reading.dt, {"tau_mem": node.tau_mem} | constants)
    membrane = LIF(params, reading.dt, reading.surrogate, **_resets(node, reading))
    return _synapse(membrane, node, node.w_in, reading)


@_neuron.register
def _(node: nir.CubaLI, reading: Reading) -> AbstractNeuron:
    r, w_in, unit = node.r, node.w_in, unit_gain(node.tau_syn, reading.dt)
    if "r" in node.metadata:
        own_w_in = _own(node, "own_w_in") if "own_w_in" in node.metadata else None
        own = _own(node, "r"), unit if own_w_in is None else own_w_in
        written = silent_gains(node.tau_mem, node.tau_syn, own[0], own_w_in, reading.dt)
        if all(map(np.array_equal, (r, w_in), written)):
            r, w_in = own
    arrays = {"tau_mem": node.tau_mem, "v_leak": node.v_leak, "r": r}
    membrane = LI(_parameters(node, reading.dt, arrays), reading.dt)
    if node.metadata.get("membrane_alone") and (unit == 1).all() and (w_in == 1).all():
        return membrane
    return _synapse(membrane, node, w_in, reading)


def _synapse(membrane: LIF | LI, node: Any, w_in: np.ndarray, reading: Reading) -> Synapse:
    immediate = bool(node.metadata.get("immediate", True))
    weight = _constant(w_in)
    unit = unit_gain(node.tau_syn, reading.dt)
    if node.metadata.get("w_in") == "tau_syn / dt" and np.array_equal(w_in, unit):
        weight = None
    tau_syn = _constant(node.tau_syn, reading.dt)
    if not isinstance(tau_syn, float):
        tau_syn = np.maximum(exact(tau_syn), reading.dt)
    trained = node.metadata.get("tau_syn_trained")
    if trained is not None:
        tau_syn = jnp.asarray(
            _of_shape(np.asarray(node.tau_syn), trained), jnp.result_type(float)
        )
    return Synapse(membrane, tau_syn, immediate=immediate, w_in=weight)


def _potentials(node: nir.LIF | nir.CubaLIF) -> dict[str, Any]:
    return {"v_th": node.v_threshold, "v_leak": node.v_leak, "v_reset": node.v_reset}


def _own(node: Any, name: str) -> np.ndarray:
    """A constant of the layer that was written, from the metadata; NaN if it is not there."""
    return np.broadcast_to(np.asarray(node.metadata.get(name, np.nan)), node.v_leak.shape)


def _resets(node: Any, reading: Reading) -> dict[str, Any]:
    return {
        "soft_reset": reading.soft_reset,
        "refractory": float(node.metadata.get("refractory", 0.0)),
        "detach_reset": bool(node.metadata.get("detach_reset", False)),
    }


def _parameters(node: Any, dt: float, arrays: dict[str, Any]) -> AnyLIFParameters:
    """One set of constants where all neurons have the same, else each its own."""
    learnable = node.metadata.get("learnable")
    if learnable is None:
        constants = {
            name: _constant(value, dt if name == "tau_mem" else None)
            for name, value in arrays.items()
        }
        if all(isinstance(value, float) for value in constants.values()):
            return LIFParameters(**constants)
        return _learnable(np.shape(arrays["r"]), dt, arrays)
    reduced = {name: _of_shape(value, learnable) for name, value in arrays.items()}
    shape = np.broadcast_shapes(*(value.shape for value in reduced.values()))
    if (reduced["r"] == 1).all():
        del reduced["r"]
    return _learnable(shape, max(float(node.metadata["tau_min"]), dt), reduced)


def _learnable(
    shape: tuple[int, ...], tau_min: float, arrays: dict[str, Any]
) -> LearnableLIFParameters:
    if "tau_mem" not in arrays:  # neurons without a leak
        return LearnableLIFParameters(shape, **arrays)
    return LearnableLIFParameters(shape, LIFParameters(), tau_min, **arrays)


def _of_shape(array: np.ndarray, written: str) -> np.ndarray:
    """The array before it was broadcast from the shape in the metadata, if it was."""
    shape = tuple(map(int, written.split()))
    last = array[(0,) * (array.ndim - len(shape))]
    reduced = last[tuple(slice(1 if n == 1 else None) for n in shape)]
    return reduced if (reduced == array).all() else array


def _constant(value: np.ndarray, dt: float | None = None) -> Any:
    """A number if it is the same for all neurons; at least `dt`, rounding errors aside."""
    array = np.asarray(value)
    first = array.ravel()[:1]
    if array.size == 0 or not (array == first).all():
        return array
    number = float(exact(first)[0])
    return number if dt is None or number > dt or not np.isclose(number, dt, rtol=1e-6) else dt
