"""The step `dt` of a NIR graph, which NIR does not have."""

from typing import Any

import numpy as np

from .._types import positive_number
from ._common import LEAKY, exact, nir
from ._graph import Chain

_DEFAULT = 1e-3


def step_of(graph: Chain, dt: float | None) -> tuple[float, str]:
    """The step, and where it is from if neither the call nor the graph says it, else ''."""
    if dt is not None:
        return positive_number("dt")(dt), ""
    written = {
        name: positive_number(f"dt of the metadata{f' of {name!r}' if name else ''}")(value)
        for name, value in graph.dts.items()
    }
    if written:
        first, *others = written.values()
        if not np.allclose(others, first, rtol=1e-6, atol=0):
            raise ValueError(
                f"the graph and its subgraphs must have the same `dt`, got {written} s: pass "
                "`dt=` to use one."
            )
        return first, ""
    nodes = [node for _, node in graph.nodes]
    inferred = _inferred(nodes)
    if inferred is not None:
        why = f"`dt`={inferred} s, from tau / r and tau_syn / w_in, the same in all neurons"
        return inferred, why
    timed = any(isinstance(node, LEAKY | nir.Delay) for node in nodes)
    return _DEFAULT, f"`dt`={_DEFAULT} s, which nothing in the graph tells" if timed else ""


def _inferred(nodes: list[Any]) -> float | None:
    """The `dt` in `r = tau / dt` and `w_in = tau_syn / dt`, if all neurons have the same.

    Frameworks without units write these, and add a spike's weight as it is.
    """
    taus, gains = [], []
    for node in nodes:
        if isinstance(node, nir.LIF | nir.LI):
            taus, gains = [*taus, node.tau], [*gains, node.r]
        if isinstance(node, nir.CubaLIF | nir.CubaLI):
            taus = [*taus, node.tau_mem, node.tau_syn]
            gains = [*gains, node.r, node.w_in]
    if not taus:
        return None
    tau, gain = (np.concatenate([exact(a).ravel() for a in arrays]) for arrays in (taus, gains))
    # at a gain of 1, `dt` would be the time constant
    if not (gain >= 1).all() or (gain == 1).all():
        return None
    dt = float(f"{np.median(tau / gain):.6g}")
    return dt if np.allclose(tau / gain, dt, rtol=2e-6, atol=0) else None


def caveats(nodes: list[tuple[str, Any]], dt: float) -> list[str]:
    """What looks like another framework's meaning of a constant, by node."""
    spyx, sinabs = [], []
    for name, node in nodes:
        if not isinstance(node, LEAKY) or "soft_reset" in node.metadata:
            continue
        tau = exact(node.tau if isinstance(node, nir.LIF | nir.LI) else node.tau_mem)
        r = exact(node.r)
        if ((r > 0) & (r < 1) & np.isclose(r, 1 - dt / tau, rtol=1e-5, atol=0)).all():
            spyx.append(name)
        if (tau >= 1).all() and dt < 0.1:
            sinabs.append(name)
    found = ((spyx, _SPYX), (sinabs, _SINABS))
    return [f"nodes {names}: {caveat}" for names, caveat in found if names]


_SPYX = (
    "`r` is 1 - dt / tau, as in files of spyx, where it is the decay, inputs are added as they "
    "are, and spikes subtract the threshold; read here as a resistance. To read what spyx "
    "means, set `r` to tau / dt and pass `soft_reset=True`; in a `CubaLIF` also set `w_in` to "
    "tau_syn / dt and `metadata['immediate']` to False."
)
_SINABS = (
    "time constants of 1 s and more, as in files of sinabs, which counts them in steps, decays "
    "by exp(-1 / tau), and subtracts the threshold at a spike; read here as seconds. To read "
    "what sinabs means, set `tau` to dt / (1 - exp(-1 / tau)), and pass `soft_reset=True`."
)
