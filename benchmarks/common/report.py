"""The measurements as a Markdown page: tables, and sentences that say what was measured."""

from pathlib import Path

import numpy as np

from .case import Case
from .pictures import draw_frameworks, draw_growth
from .results import (
    FRAMEWORKS,
    cases,
    fastest_forms,
    label,
    median,
    others,
    size,
    timed,
)
from .targets import targets

TITLES = {
    "lif": "Constant-current LIF encoder",
    "poisson": "Poisson encoder",
    "latency": "Latency encoder",
    "delta": "Delta encoder",
    "phase": "Phase encoder",
    "LIF layer": "Training step of Linear and LIF, the membrane alone",
    "CubaLIF layer": "Training step of Linear and LIF with a synapse",
    "yin yang": "Yin-Yang epoch of jaxsnn's example: 5-120-3, recurrent, 78 batches of 64",
}
REMARKS = {
    "lif": "*Gradient* returns the gradient alone. *Value and gradient* returns both, without "
    "the spikes.",
    "LIF layer": "Sizes are steps × batch × width.",
    "CubaLIF layer": "Sizes are steps × batch × width.",
    "yin yang": "The floor is the epoch's matrix products, those of the recurrence in order.",
}
START, END = "<!-- benchmarks/run.py: start -->", "<!-- benchmarks/run.py: end -->"


def write_report(found: dict, folder: Path) -> None:
    (folder / "benchmarks.md").write_text(page(found))
    draw_frameworks(found, folder / "benchmarks.svg")
    if "growth" in found:
        draw_growth(found["growth"], folder / "benchmarks_growth.svg")


def write_summary(found: dict, measured: Path) -> None:
    """Puts the medians between the two marks of `docs/measured.md`."""
    before, rest = measured.read_text().split(START)
    after = rest.split(END)[1]
    measured.write_text("\n".join([before + START, *summary(found), END]) + after)


def summary(found: dict) -> list[str]:
    """Medians in milliseconds of float32 rows: of each framework, its fastest form."""
    rows = {case: fastest_forms(found, case) for case in cases(found)}
    names = [name for name in FRAMEWORKS if any(name in row for row in rows.values())]
    lines = ["| ms | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for case, row in rows.items():
        if case.mode == "value and gradient" or case.dtype != "float32":
            continue
        cells = [f"{row[name][1]:.3g}" if name in row else "" for name in names]
        lines.append(f"| {label(case)} | " + " | ".join(cells) + " |")
    return lines


def page(found: dict) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `python benchmarks/run.py`; do not edit.",
        "",
        *method(found),
        "![Time of each framework as a multiple of ours](benchmarks.svg)",
        "",
        "## Targets",
        "",
        *targets(found),
        "",
        *ahead(found),
        "",
    ]
    for kind, title in TITLES.items():
        of_kind = cases(found, kind)
        if of_kind:
            lines += [f"## {title}", ""]
        for case in of_kind:
            lines += table(case, found["rows"][case.name]["frameworks"])
        if of_kind and kind in REMARKS:
            lines += [REMARKS[kind], ""]
    lines += forms(found) + growth(found) + overheads(found)
    return "\n".join(lines).rstrip() + "\n"


def method(found: dict) -> list[str]:
    machine = found["machine"]
    on_cpu = machine["device"] == "cpu"
    device = f"{machine['cores']} CPU cores" if on_cpu else machine["device"]
    lines = [
        f"On {device} ({machine['system']}, Python {machine['python']}), {machine['date']}, "
        f"{machine['repeats']} repeats. Each framework runs in its own process, on the same "
        "data, which are arguments of the timed function. It is compiled before, and called "
        "once before each measurement. The processes take turns. Each framework's output "
        "(spikes, rates or gradients) is checked against a loop in NumPy before it is timed "
        "(`benchmarks/common/workloads.py`).",
        "",
        "Times are medians in milliseconds with their quartiles; *×* is the time as a multiple "
        "of ours. *Temporary* is the memory that the compiled program needs beside its inputs "
        "and outputs. *Growth* is how much the process grew during a call, outputs included; "
        "it is smaller where memory of an earlier call is used again. Both are in units of one "
        "float32 spike train of that size. *Floor* is the time to fill the output, or of the "
        "matrix products alone. eventax, another framework on JAX and Equinox, computes in "
        "continuous time, from event to event, and has no row.",
        "",
        "Versions: " + "; ".join(dict.fromkeys(found["versions"].values())) + ".",
        "",
    ]
    if on_cpu:
        lines += [
            "**None of these times was measured on an accelerator.** The same command runs on "
            'a GPU, with `pip install -e ".[cuda]"` and a CUDA build of PyTorch, and adds the '
            "sizes that SpikingJelly publishes for its kernel.",
            "",
        ]
    return lines


def table(case: Case, rows: dict[str, dict]) -> list[str]:
    what = f"{case.mode}, {size(case)}"
    if case.kind == "yin yang":
        what = "epoch"
    if case.dtype != "float32":
        what += f", {case.dtype}"
    ours = median(rows["ours"])
    lines = [
        f"**{what}**",
        "",
        "| | ms (quartiles) | × | temporary | growth | |",
        "|---|---|---|---|---|---|",
    ]

    def trains(number):
        if number is None or case.kind == "yin yang":
            return "–"
        return f"{number / case.train_bytes:.2f}"

    order = sorted(rows.items(), key=lambda item: median(item[1]) if item[1].get("ms") else 1e9)
    for name, row in order:
        if not row.get("ms"):
            last = row["error"].strip().splitlines()[-1]
            lines.append(f"| {name} | – | – | – | – | {last} |")
            continue
        low, middle, high = np.percentile(row["ms"], [25, 50, 75])
        shown = f"**{name}**" if name.startswith("ours") else name
        lines.append(
            f"| {shown} | {middle:.3g} ({low:.3g} to {high:.3g}) | {middle / ours:.2f} "
            f"| {trains(row['temporary'])} | {trains(row['peak'])} | {row['note']} |"
        )
    return [*lines, ""]


def ahead(found: dict) -> list[str]:
    """Every framework that was faster than this package in a row."""
    lines = []
    for case in cases(found):
        forms = timed(found, case)
        ours = min(median(row) for name, row in forms.items() if name.startswith("ours"))
        faster = [
            f"{name} ({ms / ours:.2f})"
            for name, ms in others(found, case).values()
            if ms < ours
        ]
        if faster:
            lines.append(f"- {label(case)}: {', '.join(faster)}")
    if not lines:
        return ["No framework is faster than ours in any row."]
    return [
        "Rows in which another framework is faster than our fastest form, and its time as a "
        "share of ours:",
        "",
        *lines,
    ]


def forms(found: dict) -> list[str]:
    """Loops of other shapes for the forward pass."""
    if "forms" not in found:
        return []
    sizes = list(found["forms"])
    lines = [
        "## Other loops for the forward pass",
        "",
        "The encoder's spikes from loops of other shapes; ms, in one process.",
        "",
        "| | " + " | ".join(sizes) + " |",
        "|---|" + "---|" * len(sizes),
    ]
    for name in found["forms"][sizes[0]]:
        times = (f"{found['forms'][size][name]:.3g}" for size in sizes)
        lines.append(f"| {name} | " + " | ".join(times) + " |")
    return [*lines, ""]


def growth(found: dict) -> list[str]:
    if "growth" not in found:
        return []
    lines = [
        "## Cost as work grows",
        "",
        "![Time and memory as steps and neurons grow](benchmarks_growth.svg)",
        "",
    ]
    header = (
        "| | forward ms | gradient ms | temporary, forward MB | temporary, gradient MB "
        "| compile s |"
    )
    for axis, title in [("steps", "1,000 neurons, steps"), ("neurons", "10 steps, neurons")]:
        lines += [header.replace("| |", f"| {title} |", 1), "|---|---|---|---|---|---|"]
        for row in found["growth"][axis]:
            number = row["steps"] if axis == "steps" else row["n"]
            seconds = row["forward compile s"] + row["gradient compile s"]
            lines.append(
                f"| {number:,} | {row['forward ms']:.3g} | {row['gradient ms']:.3g} "
                f"| {row['forward bytes'] / 1e6:.3g} | {row['gradient bytes'] / 1e6:.3g} "
                f"| {seconds:.2f} |"
            )
        lines.append("")
    training = found["growth"]["training"]
    return [
        *lines,
        "One training step of a 64-128-10 network, batch 16, over "
        f"{training['steps']:,} steps: "
        f"{training['seconds']:.1f} s, {training['temporary bytes'] / 1e9:.3f} GB of temporary "
        f"memory, compiled in {training['compile s']:.1f} s.",
        "",
    ]


def overheads(found: dict) -> list[str]:
    if "overheads" not in found:
        return []
    over = found["overheads"]
    calls, tracing, imports = over["us a call"], over["tracing s"], over["import s"]
    lines = [
        "## Overheads",
        "",
        "| encoder at 784 × 100, µs a call | by hand | ours |",
        "|---|---|---|",
    ]
    for wrapper in ("jit", "filter_jit", "scanned in one jit"):
        hand, ours = calls[f"{wrapper}, by hand"], calls[f"{wrapper}, ours"]
        lines.append(f"| {wrapper} | {hand:.0f} | {ours:.0f} |")
    return [
        *lines,
        "",
        "*Scanned in one jit* encodes 100 images, one after the other, in one compiled call, "
        "and divides its time.",
        "",
        "Tracing the gradient of a 64-128-10 network takes "
        f"{tracing['checked']:.3f} s with the checks of shapes and "
        f"{tracing['unchecked']:.3f} s without. `import equinox` takes "
        f"{imports['equinox']:.2f} s, with `jaxsnn_eqx` "
        f"{imports['equinox, jaxsnn_eqx']:.2f} s.",
        "",
    ]
