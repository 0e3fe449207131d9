"""Stateless layers as nodes of NIR."""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .._encoder.scale import Scale
from ._common import Flatten, Threshold, nir
from ._write_neurons import Target


@ft.singledispatch
def stateless_nodes(layer: Any, to: Target) -> list[nir.NIRNode]:
    raise ValueError(
        f"`OverTime({type(layer).__name__})` has no NIR node: see the table in "
        "`jaxsnn_eqx.nir` for what has."
    )


@stateless_nodes.register
def _(layer: eqx.nn.Linear, to: Target) -> list[nir.NIRNode]:
    if to.shape != (layer.in_features,):
        raise ValueError(
            f"`eqx.nn.Linear` takes {layer.in_features} `in_features`, got an input of shape "
            f"{to.shape} at one step."
        )
    weight = np.asarray(layer.weight, np.float32)
    if layer.bias is None:
        return [nir.Linear(weight)]
    return [nir.Affine(weight, np.asarray(layer.bias, np.float32))]


@stateless_nodes.register(eqx.nn.Conv1d)
@stateless_nodes.register(eqx.nn.Conv2d)
def _(layer, to: Target) -> list[nir.NIRNode]:
    if layer.groups != 1 or layer.padding_mode != "ZEROS" or len({*layer.kernel_size}) > 1:
        raise ValueError(
            f"`{type(layer).__name__}` must have `groups=1`, a square `kernel_size` and "
            "`padding_mode='ZEROS'`, since the shapes that nir works out are wrong for others; "
            f"got {layer.groups}, {layer.kernel_size} and {layer.padding_mode!r}."
        )
    sizes = zip(to.shape[1:], layer.kernel_size, layer.stride, layer.dilation, strict=True)
    pads = layer.padding
    if isinstance(pads, str):  # NIR's own words for it differ between readers
        pads = jax.lax.padtype_to_pads(
            to.shape[1:], [d * (k - 1) + 1 for _, k, _, d in sizes], layer.stride, pads
        )
    if any(low != high for low, high in pads):
        raise ValueError(
            f"`padding` must be the same on both sides for NIR, got {tuple(pads)} for an input "
            f"of shape {to.shape} at one step."
        )
    out_channels = layer.weight.shape[0]
    bias = np.zeros(out_channels) if layer.bias is None else np.asarray(layer.bias).ravel()
    weight, bias = np.asarray(layer.weight, np.float32), bias.astype(np.float32)
    padding: Any = tuple(int(low) for low, _ in pads)
    if isinstance(layer, eqx.nn.Conv1d):
        [size], [stride], [pad], [dilation] = (
            to.shape[1:],
            layer.stride,
            padding,
            layer.dilation,
        )
        return [nir.Conv1d(size, weight, stride, pad, dilation, 1, bias)]
    height, width = to.shape[1:]
    return [nir.Conv2d((height, width), weight, layer.stride, padding, layer.dilation, 1, bias)]


@stateless_nodes.register
def _(layer: eqx.nn.Lambda, to: Target) -> list[nir.NIRNode]:
    if layer.fn is not jnp.ravel:
        raise ValueError(
            f"`eqx.nn.Lambda({layer.fn})` has no NIR node; `eqx.nn.Lambda(jnp.ravel)` has."
        )
    return [nir.Flatten({"input": np.array(to.shape, int)}, start_dim=0, end_dim=-1)]


@stateless_nodes.register
def _(layer: Flatten, to: Target) -> list[nir.NIRNode]:
    return [nir.Flatten({"input": np.array(to.shape, int)}, layer.start_dim, layer.end_dim)]


@stateless_nodes.register
def _(layer: eqx.nn.Pool, to: Target) -> list[nir.NIRNode]:
    if layer.operation is not lax.add or layer.num_spatial_dims != 2 or layer.init != 0:
        raise ValueError(
            f"`{type(layer).__name__}` has no NIR node; `eqx.nn.AvgPool2d` and "
            "`eqx.nn.Pool(0, jax.lax.add, 2, ...)` have."
        )
    return [nir.SumPool2d(*_windows(layer))]


@stateless_nodes.register
def _(layer: eqx.nn.AvgPool2d, to: Target) -> list[nir.NIRNode]:
    return [nir.AvgPool2d(*_windows(layer))]


def _windows(layer: eqx.nn.Pool) -> list[np.ndarray]:
    if layer.use_ceil or any(low != high for low, high in layer.padding):
        raise ValueError(
            f"`{type(layer).__name__}` must have `use_ceil=False` and the same `padding` on "
            f"both sides for NIR, got {layer.use_ceil} and {layer.padding}."
        )
    padding = [low for low, _ in layer.padding]
    return [np.array(value) for value in (layer.kernel_size, layer.stride, padding)]


@stateless_nodes.register
def _(layer: Threshold, to: Target) -> list[nir.NIRNode]:
    return [nir.Threshold(to.full(layer.threshold))]


@stateless_nodes.register
def _(layer: Scale, to: Target) -> list[nir.NIRNode]:
    if isinstance(layer.offset, float) and layer.offset == 0:
        return [nir.Scale(to.full(layer.scale))]
    if len(to.shape) != 1:
        raise ValueError(
            "`Scale` with an `offset` has a NIR node, `Affine`, for an input of one axis, got "
            f"the shape {to.shape} at one step."
        )
    return [nir.Affine(np.diag(to.full(layer.scale)), to.full(layer.offset))]


@stateless_nodes.register
def _(layer: eqx.nn.Identity, to: Target) -> list[nir.NIRNode]:
    return []


@stateless_nodes.register
def _(layer: eqx.nn.Dropout, to: Target) -> list[nir.NIRNode]:
    if not layer.inference:
        raise ValueError(
            "`OverTime(Dropout)` has no NIR node: export `eqx.nn.inference_mode(network)`."
        )
    return []
