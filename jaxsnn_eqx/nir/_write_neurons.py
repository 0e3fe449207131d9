"""Layers of neurons as nodes of NIR."""

import functools as ft
from typing import Any, NamedTuple

import numpy as np

from .._decode import AbstractDecoder
from .._encoder.lif import ConstantCurrentLIFEncoder, LIFCurrentEncoder
from .._layer import AbstractEncoder
from .._neuron.base import AbstractMembrane
from .._neuron.integrate_and_fire import IF, Integrator
from .._neuron.li import LI
from .._neuron.lif import LIF
from .._neuron.synapse import Synapse
from .._parameters import AnyLIFParameters, LearnableLIFParameters
from ._common import NEVER, exact, narrow, nir, scaled, silent_gains, unit_gain


class Target(NamedTuple):
    """What a layer's nodes are written for."""

    shape: tuple[int, ...]  # of one step's input
    own: float  # the network's step
    dt: float  # the reader's
    li: type | None

    def full(self, value: Any) -> np.ndarray:
        """An array of the layer's shape."""
        return np.array(np.broadcast_to(narrow(value), self.shape))

    def time(self, tau: Any) -> np.ndarray:
        """Time constants, stretched if the reader's step is another."""
        if self.dt == self.own:
            return self.full(tau)
        return self.full(np.float32(np.asarray(tau, float) * (self.dt / self.own)))

    def steps(self, tau: np.ndarray) -> np.ndarray:
        """`tau / dt` of a written `tau`."""
        return unit_gain(tau, self.dt)


@ft.singledispatch
def neuron_nodes(layer: Any, to: Target) -> list[nir.NIRNode]:
    """The nodes of one layer, in series."""
    name = f"`{type(layer).__name__}`"
    if isinstance(layer, AbstractDecoder):
        hint = "export the network before it, `network[:-1]`, and reduce the reader's output."
    elif isinstance(layer, AbstractEncoder):
        hint = (
            "record its spikes, `spikes = encoder(x)` (with a `key` if it draws), hand them "
            "over by `to_nir_data`, and export the network behind it, `network[1:]`."
        )
    else:
        hint = "see the table in `jaxsnn_eqx.nir` for what has."
    raise ValueError(f"{name} has no NIR node: {hint}")


@neuron_nodes.register(LIFCurrentEncoder)
@neuron_nodes.register(ConstantCurrentLIFEncoder)
def _(layer, to: Target) -> list[nir.NIRNode]:
    metadata: dict[str, Any] = {"soft_reset": False}
    if layer.detach_reset:
        metadata["detach_reset"] = True
    return [_lif(layer.params, to, metadata)]


@neuron_nodes.register
def _(layer: LIF, to: Target) -> list[nir.NIRNode]:
    return [_lif(layer.params, to, _resets(layer, to) | _trained(layer.params, to))]


def _lif(params: AnyLIFParameters, to: Target, metadata: dict[str, Any]) -> nir.NIRNode:
    return nir.LIF(
        tau=to.time(params.tau_mem),
        r=to.full(params.r),
        v_leak=to.full(params.v_leak),
        v_threshold=to.full(params.v_th),
        v_reset=to.full(params.v_reset),
        metadata=metadata,
    )


@neuron_nodes.register
def _(layer: IF, to: Target) -> list[nir.NIRNode]:
    params = layer.params
    metadata = _resets(layer, to) | _trained(params, to)
    values = (params.r, params.v_th, params.v_reset)
    return [nir.IF(*map(to.full, values), metadata=metadata)]


@neuron_nodes.register
def _(layer: Integrator, to: Target) -> list[nir.NIRNode]:
    return [nir.I(to.full(layer.params.r), metadata=_trained(layer.params, to))]


def _resets(layer: AbstractMembrane, to: Target) -> dict[str, Any]:
    metadata: dict[str, Any] = {"soft_reset": layer.soft_reset}
    if layer.detach_reset:
        metadata["detach_reset"] = True
    if layer.refractory:
        metadata["refractory"] = layer.refractory * (to.dt / to.own)
    return metadata


def _trained(params: AnyLIFParameters, to: Target) -> dict[str, Any]:
    if not isinstance(params, LearnableLIFParameters):
        return {}
    tau_min = params.tau_min * (to.dt / to.own)
    return {"learnable": _words(params.v_leak), "tau_min": tau_min}


def _words(array: Any) -> str:
    return " ".join(map(str, np.shape(array)))


@neuron_nodes.register
def _(layer: Synapse, to: Target) -> list[nir.NIRNode]:
    if isinstance(layer.neuron, LI):
        return _cuba_li(layer.neuron.params, layer.tau_syn, layer.w_in, to, _order(layer))
    if isinstance(layer.neuron, LIF):
        return [_cuba_lif(layer.neuron, layer, to)]
    raise ValueError(f"`Synapse({type(layer.neuron).__name__})` has no NIR node.")


def _order(synapse: Synapse) -> dict[str, Any]:
    metadata: dict[str, Any] = {} if synapse.immediate else {"immediate": False}
    if synapse.log_tau_syn is not None:
        metadata["tau_syn_trained"] = _words(synapse.log_tau_syn)
    return metadata


def _cuba_lif(neuron: LIF, synapse: Synapse, to: Target) -> nir.NIRNode:
    params, w_in = neuron.params, synapse.w_in
    tau_mem, tau_syn = to.time(params.tau_mem), to.time(synapse.tau_syn)
    metadata = _resets(neuron, to) | _trained(params, to) | _order(synapse)
    own = {"v_th": params.v_th, "v_leak": params.v_leak, "v_reset": params.v_reset}
    r = to.full(params.r)
    if w_in is None:
        metadata["w_in"] = "tau_syn / dt"
        w_in = to.steps(tau_syn)
        if (r == 1).all():
            metadata |= {name: _stored(value) for name, value in own.items()}
            own = {name: scaled(v, tau_mem, to.dt) for name, v in own.items()}
            r = to.steps(tau_mem)
    return nir.CubaLIF(
        tau_mem=tau_mem,
        tau_syn=tau_syn,
        r=r,
        w_in=to.full(w_in),
        v_leak=to.full(own["v_leak"]),
        v_threshold=to.full(own["v_th"]),
        v_reset=to.full(own["v_reset"]),
        metadata=metadata,
    )


def _stored(value: Any) -> Any:
    # nir does not write arrays without axes
    return np.asarray(value) if np.ndim(value) else float(exact(value))


@neuron_nodes.register
def _(layer: LI, to: Target) -> list[nir.NIRNode]:
    params = layer.params
    if to.li in (None, nir.LI):
        values = to.time(params.tau_mem), to.full(params.r), to.full(params.v_leak)
        return [nir.LI(*values, metadata=_trained(params, to))]
    # a current that lasts for one step is the input itself
    return _cuba_li(params, to.own, None, to, {"membrane_alone": True})


def _cuba_li(
    params: AnyLIFParameters, tau_syn_: Any, own_w_in: Any, to: Target, metadata: dict[str, Any]
) -> list[nir.NIRNode]:
    tau_mem, tau_syn = to.time(params.tau_mem), to.time(tau_syn_)
    metadata = metadata | _trained(params, to)
    if own_w_in is None:
        metadata["w_in"] = "tau_syn / dt"
    w_in = to.steps(tau_syn) if own_w_in is None else to.full(own_w_in)
    r, v_leak = to.full(params.r), to.full(params.v_leak)
    if to.li is nir.LI:
        synapse = nir.LI(tau_syn, w_in, to.full(0.0), metadata={"synapse": True} | metadata)
        return [synapse, nir.LI(tau_mem, r, v_leak)]
    if to.li in (None, nir.CubaLI):
        return [nir.CubaLI(tau_syn, tau_mem, r, v_leak, w_in, metadata=metadata)]
    metadata["r"] = _stored(params.r)
    if own_w_in is not None:
        metadata["own_w_in"] = _stored(own_w_in)
    # snnTorch asks for this `r`
    r, w_in = silent_gains(tau_mem, tau_syn, params.r, own_w_in, to.dt)
    never, zero = to.full(NEVER), to.full(0.0)
    return [
        nir.CubaLIF(tau_syn, tau_mem, r, v_leak, never, zero, to.full(w_in), metadata=metadata)
    ]
