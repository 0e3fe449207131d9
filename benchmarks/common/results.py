"""Reading the measurements: `found` is what `run.py` writes to its JSON file."""

import numpy as np

from .case import Case

# in the order of the tables
FRAMEWORKS = [
    "ours",
    "jaxsnn",
    "norse",
    "snntorch",
    "spikingjelly",
    "spyx",
    "snnax",
    "braintools",
    "jaxpike",
    "plain JAX",
    "floor",
]


def median(row: dict) -> float:
    return float(np.median(row["ms"]))


def timed(found: dict, case: Case) -> dict[str, dict]:
    """The rows of `case` that have times, by name."""
    rows = found["rows"].get(case.name, {"frameworks": {}})["frameworks"]
    return {name: row for name, row in rows.items() if row.get("ms")}


def fastest_forms(found: dict, case: Case) -> dict[str, tuple[str, float]]:
    """The name and the median of each framework's fastest form; of ours, the default."""
    fastest = {}
    for name, row in timed(found, case).items():
        framework = name.split(",")[0]
        if framework == "ours" and name != "ours":
            continue
        if framework not in fastest or median(row) < fastest[framework][1]:
            fastest[framework] = name, median(row)
    return fastest


def others(found: dict, case: Case) -> dict[str, tuple[str, float]]:
    """As `fastest_forms`, without ours and without the floor."""
    fastest = fastest_forms(found, case)
    return {name: row for name, row in fastest.items() if name not in ("ours", "floor")}


def ratio(found: dict, case: Case, name: str, to: str = "ours") -> float | None:
    """The time of the form `name` as a multiple of that of `to`."""
    rows = timed(found, case)
    if name not in rows or to not in rows:
        return None
    return median(rows[name]) / median(rows[to])


def cases(found: dict, *kinds: str) -> list[Case]:
    """The cases that were measured, of these kinds if any are given."""
    of_all = [Case(**row["case"]) for row in found["rows"].values()]
    return [case for case in of_all if not kinds or case.kind in kinds]


def size(case: Case) -> str:
    if case.batch > 1:
        return f"{case.steps:,} × {case.batch:,} × {case.n:,}"
    return f"{case.n:,} × {case.steps:,}"


def label(case: Case) -> str:
    """What a table and a picture call the row."""
    if case.kind == "yin yang":
        return "Yin-Yang epoch"
    kind = {"lif": "LIF encoder", "poisson": "Poisson encoder"}.get(case.kind, case.kind)
    what = "" if case.mode == "forward" else f" {case.mode}"
    dtype = "" if case.dtype == "float32" else f", {case.dtype}"
    return f"{kind}{what}, {size(case)}{dtype}"
