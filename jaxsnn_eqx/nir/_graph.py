"""A NIR graph as one chain of nodes."""

import copy
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from ._common import FIRING, NEURONS, NEVER, nir


class Chain(NamedTuple):
    """Nodes from input to output, and the lateral map of each neuron that has one."""

    nodes: list[tuple[str, Any]]
    laterals: dict[str, Any]
    dts: dict[str, float]  # in the metadata of the graph, "", and of its subgraphs


def chain(graph: nir.NIRGraph) -> Chain:
    """The nodes in series; `ValueError` for a graph that has another form."""
    nodes, edges, dts = _flattened(graph)
    for name, node in nodes.items():
        try:
            _check(node)
        except ValueError as error:
            raise ValueError(f"node {name!r}: {error}") from error
    laterals = {}
    for a, b in sorted(edges):
        is_lateral = (
            (b, a) in edges
            and isinstance(nodes[a], NEURONS)
            and isinstance(nodes[b], nir.Affine | nir.Linear)
            and sum(b in edge for edge in edges) == 2
        )
        if is_lateral and a not in laterals:
            laterals[a] = nodes.pop(b)
            edges -= {(a, b), (b, a)}
    names = _in_series(nodes, edges)
    series = [(name, nodes[name]) for name in names if not isinstance(nodes[name], _PORTS)]
    return Chain(_merged(series), laterals, dts)


_PORTS = nir.Input | nir.Output


def _in_series(nodes: dict[str, Any], edges: set[tuple[str, str]]) -> list[str]:
    """The names from the input to the output."""
    for kind in (nir.Input, nir.Output):
        ports = [name for name, node in nodes.items() if isinstance(node, kind)]
        if len(ports) != 1:
            raise ValueError(
                f"the graph must have one `nir.{kind.__name__}`, got {len(ports)}: {ports}."
            )
    following = {a: sorted(y for x, y in edges if x == a) for a in nodes}
    before = {b: sorted(x for x, y in edges if y == b) for b in nodes}
    if cycle := _cycle(edges):
        raise ValueError(
            f"nodes {' -> '.join(map(repr, cycle))} form a cycle; only lateral connections may "
            "(a neuron -> `Affine` or `Linear` -> the same neuron)."
        )
    for name in nodes:
        if len(following[name]) > 1:
            raise ValueError(
                f"node {name!r} leads to {following[name]}: skip connections and branches "
                "have no layer, the graph must be one chain."
            )
        if len(before[name]) > 1:
            raise ValueError(
                f"node {name!r} gets its input from {before[name]}: skip connections and "
                "branches have no layer, the graph must be one chain."
            )
    names = [name for name, node in nodes.items() if isinstance(node, nir.Input)]
    while following[names[-1]]:
        names += following[names[-1]]
    if not isinstance(nodes[names[-1]], nir.Output):
        raise ValueError(f"node {names[-1]!r}: no edge leads from it to the output.")
    if apart := [name for name in nodes if name not in names]:
        raise ValueError(f"nodes {apart}: no edges lead from the input to them.")
    return names


def _cycle(edges: set[tuple[str, str]]) -> list[str]:
    """The nodes of a cycle, the first one also last; empty if there is none."""
    while True:
        begins, ends = {a for a, _ in edges}, {b for _, b in edges}
        inner = {(a, b) for a, b in edges if a in ends and b in begins}
        if inner == edges:
            break
        edges = inner
    path = [min(a for a, _ in edges)] if edges else []
    while path and path[-1] not in path[:-1]:
        path.append(min(b for a, b in edges if a == path[-1]))
    return path[path.index(path[-1]) :] if path else []


def _flattened(
    graph: nir.NIRGraph, name: str = ""
) -> tuple[dict[str, Any], set[tuple[str, str]], dict[str, float]]:
    """All nodes, edges and steps; subgraphs are unrolled, their inputs and outputs bridged."""
    edges = {(a, b) for a, b in graph.edges}
    for edge in sorted(edges):
        if missing := [end for end in edge if end not in graph.nodes]:
            raise ValueError(f"edge {edge}: the graph has no node {missing[0]!r}.")
    nodes, dts = {}, {}
    if "dt" in graph.metadata:
        dts[name] = float(graph.metadata["dt"])
    for key, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[key] = _in_numpy(node)
            continue
        inner, inner_edges, inner_dts = _flattened(node, f"{name}.{key}".lstrip("."))
        inner = {f"{key}.{k}": value for k, value in inner.items()}
        begin, end = _port(key, inner, nir.Input), _port(key, inner, nir.Output)
        edges = {(end if a == key else a, begin if b == key else b) for a, b in edges}
        edges |= {(f"{key}.{a}", f"{key}.{b}") for a, b in inner_edges}
        for port in (begin, end):
            into = [a for a, b in edges if b == port]
            out = [b for a, b in edges if a == port]
            edges = {edge for edge in edges if port not in edge}
            edges |= {(a, b) for a in into for b in out}
            del inner[port]
        nodes |= inner
        dts |= inner_dts
    return nodes, edges, dts


def _in_numpy(node: Any) -> Any:
    """The node with NumPy's arrays: other frameworks put their own into their graphs."""
    node = copy.copy(node)
    for name, value in vars(node).items():
        if not isinstance(value, np.ndarray | int | str | tuple | list | dict | None):
            setattr(node, name, np.asarray(value))
    return node


def _port(name: str, inner: dict[str, Any], kind: type) -> str:
    ports = [key for key, node in inner.items() if isinstance(node, kind)]
    if len(ports) != 1:
        raise ValueError(
            f"subgraph {name!r} must have one `nir.{kind.__name__}`, got {len(ports)}: {ports}."
        )
    return ports[0]


def _merged(nodes: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The nodes, with each leaky integrator that never fires as `LI` or `CubaLI`."""
    merged = []
    for name, node in nodes:
        before = merged[-1][1] if merged else None
        if isinstance(node, nir.LIF | nir.CubaLIF) and (node.v_threshold >= NEVER).all():
            node = _silent(node)
        if (
            isinstance(node, nir.LI)
            and isinstance(before, nir.LI)
            and before.metadata.get("synapse")
        ):
            merged.pop()
            values = before.tau, node.tau, node.r, node.v_leak, before.r
            node = nir.CubaLI(*values, metadata=node.metadata | before.metadata)
        merged.append((name, node))
    return merged


def _silent(node: nir.LIF | nir.CubaLIF) -> nir.LI | nir.CubaLI:
    data = node.metadata
    if isinstance(node, nir.LIF):
        return nir.LI(node.tau, node.r, node.v_leak, metadata=data)
    values = node.tau_syn, node.tau_mem, node.r, node.v_leak, node.w_in
    return nir.CubaLI(*values, metadata=data)


def _check(node: Any) -> None:
    """Refuses empty arrays, and constants that are not finite or out of range."""
    for field in dataclasses.fields(node):
        if field.name in ("input_type", "output_type", "metadata"):
            continue
        value = getattr(node, field.name)
        if value is None or isinstance(value, str):
            continue
        array = np.asarray(value)
        if field.name in ("weight", "bias") and array.size == 0:
            raise ValueError(f"`{field.name}` must not be empty, got shape {array.shape}.")
        if not np.isfinite(array).all():
            raise ValueError(f"`{field.name}` must be finite, got {array}.")
        if field.name in _POSITIVE and not (array > 0).all():
            raise ValueError(f"`{field.name}` must be positive, got {array}.")
        if field.name in _NOT_NEGATIVE and not (array >= 0).all():
            raise ValueError(f"`{field.name}` must be at least 0, got {array}.")
    if isinstance(node, FIRING) and not (node.v_reset < node.v_threshold).all():
        raise ValueError(
            f"`v_reset` must be below `v_threshold`, got {node.v_reset} and "
            f"{node.v_threshold}: the neuron would fire at every step."
        )


_POSITIVE = {"tau", "tau_mem", "tau_syn", "kernel_size", "stride", "dilation", "groups"}
_NOT_NEGATIVE = {"delay", "padding"}
