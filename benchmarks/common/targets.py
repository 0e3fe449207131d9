"""What the benchmark was built to reach, beside what it found."""

import functools as ft
from collections.abc import Iterator

import numpy as np

from .case import LAYERS, Case
from .results import cases, fastest_forms, label, median, others, ratio, timed

SIZES = [(50_176, 100), (4_096, 1_000), (1_000_000, 50)]


def targets(found: dict) -> list[str]:
    """A table of them."""
    lines = ["| | target | found | |", "|---|---|---|---|"]
    for part in (_encoder, _chunks, _narrow, _poisson, _layers, _all_rows, _package):
        lines += part(found)
    return lines


def _line(name: str, value: float | None, bound: float, sign: str, unit="×") -> Iterator[str]:
    if value is None:
        return
    digits = {"×": 2, " %": 1, " s": 2, " GB": 3}.get(unit, 2)
    shown = f"{value:.{digits}f}{unit}"
    reached = value >= bound if sign == "≥" else round(value, digits) <= bound
    verdict = "reached" if reached else "**missed**"
    yield f"| {name} | {sign} {bound:g}{unit} | {shown} | {verdict} |"


at_least = ft.partial(_line, sign="≥")
at_most = ft.partial(_line, sign="≤")


def _mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


def _known(values) -> list[float]:
    return [value for value in values if value is not None]


def _encoder(found: dict) -> Iterator[str]:
    for mode, mean, worst in [("forward", 2, 1.4), ("gradient", 5, 4)]:
        values = _known(ratio(found, Case("lif", *size, mode), "jaxsnn") for size in SIZES)
        if values:
            name = f"LIF encoder {mode}: jaxsnn / ours"
            yield from at_least(f"{name}, geometric mean", _mean(values), mean)
            yield from at_least(f"{name}, worst", min(values), worst)
    for size, bound in [((1_000_000, 50), 3), ((50_176, 100), 4.5)]:
        value = ratio(found, Case("lif", *size), "ours", "floor")
        name = f"LIF encoder forward, {size[0]:,} × {size[1]}: ours / filling the output"
        yield from at_most(name, value, bound)
    values = _known(ratio(found, Case("lif", *size, "gradient"), "norse") for size in SIZES)
    if values:
        yield from at_least("LIF encoder gradient: norse / ours, worst", min(values), 10)


def _chunks(found: dict) -> Iterator[str]:
    for size, bound in [((50_176, 100), 0.35), ((4_096, 1_000), 0.1)]:
        case = Case("lif", *size, "gradient")
        rows = timed(found, case)
        if "ours" in rows:
            memory = rows["ours"]["temporary"] / case.train_bytes
            yield from at_most(f"{label(case)}: temporary spike trains", memory, bound, unit="")
            value = ratio(found, case, "ours", "ours, one chunk")
            yield from at_most(f"{label(case)}: time / that in one chunk", value, 1.15)


def _narrow(found: dict) -> Iterator[str]:
    for dtype in ("bool", "uint8"):
        values = []
        for size in SIZES:
            wide = timed(found, Case("lif", *size)).get("ours")
            narrow = timed(found, Case("lif", *size, dtype=dtype)).get("ours")
            if wide and narrow:
                values.append(median(narrow) / median(wide))
        if values:
            name = f"LIF encoder forward: {dtype} / float32, geometric mean"
            yield from at_most(name, _mean(values), 0.6)


def _poisson(found: dict) -> Iterator[str]:
    for case in cases(found, "poisson"):
        for other, bound in (("snntorch", 3), ("plain JAX", 2)):
            value = ratio(found, case, other)
            yield from at_least(f"{label(case)}: {other} / ours", value, bound)


def _layers(found: dict) -> Iterator[str]:
    for case in cases(found, *LAYERS):
        value = ratio(found, case, "ours", "floor")
        yield from at_most(f"{label(case)}: ours / its matrix products", value, 2)
        forms = fastest_forms(found, case)
        if "jaxpike" in forms:
            value = forms["jaxpike"][1] / forms["ours"][1]
            yield from at_least(f"{label(case)}: jaxpike / ours", value, 1.4)
    for case in cases(found, "yin yang"):
        yield from at_least("Yin-Yang epoch: jaxsnn / ours", ratio(found, case, "jaxsnn"), 1.5)


def _all_rows(found: dict) -> Iterator[str]:
    worst = []
    for case in cases(found):
        ours = fastest_forms(found, case)["ours"][1]
        worst += [(ms / ours, name, case) for name, ms in others(found, case).values()]
    if worst:
        value, name, case = min(worst, key=lambda entry: entry[0])
        yield from at_least(
            f"every row: another framework / ours, lowest ({name}, {label(case)})", value, 0.95
        )


def _package(found: dict) -> Iterator[str]:
    if "overheads" in found:
        over = found["overheads"]
        calls, tracing, imports = over["us a call"], over["tracing s"], over["import s"]
        for wrapper in ("jit", "filter_jit", "scanned in one jit"):
            value = calls[f"{wrapper}, ours"] / calls[f"{wrapper}, by hand"]
            name = f"encoder at 784 × 100, {wrapper}: ours / by hand"
            yield from at_most(name, value, 1.3)
        extra = 100 * (tracing["checked"] / tracing["unchecked"] - 1)
        yield from at_most("tracing: time that shape checks add", extra, 5, unit=" %")
        extra = imports["equinox, jaxsnn_eqx"] - imports["equinox"]
        yield from at_most("import: time beside that of equinox", extra, 0.5, unit=" s")
    if "growth" in found:
        training = found["growth"]["training"]
        name = f"64-128-10 network, batch 16, {training['steps']:,} steps: temporary memory"
        yield from at_most(name, training["temporary bytes"] / 1e9, 1, unit=" GB")
