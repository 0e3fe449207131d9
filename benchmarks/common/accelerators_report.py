"""The counts of `accelerators.py` as a Markdown page, with a picture."""

from collections.abc import Iterator
from pathlib import Path

from .case import Case
from .pictures import STYLES, new_figure, save
from .results import label
from .targets import at_least, at_most

GPU, TPU = "h100", "v5e:2x2"
INTRODUCTION = """# Accelerators

Written by `python benchmarks/accelerators.py`; do not edit.

XLA's compilers for an NVIDIA H100 and for a TPU v5e run on a machine that has neither. These
are counts of what they make of the same work, written in several frameworks.

**No time on this page was measured on a device.** What the counts say, and what they do not:

- *Launches* are the kernels that a GPU starts, in loops as often as they run. A GPU needs some
  microseconds for each, so a loop of small steps cannot be faster than its launches; how much
  slower it is, only a device tells.
- *Traffic* is what the kernels read and write, in MB, of a slice only the slice. Caches hold
  some of it.
- *Temporary* is the memory that a program needs beside its inputs and outputs, in MB. It is
  exact.
- *Kilocycles* are XLA's own estimate for the TPU, in loops as often as they run: for comparing
  programs, and not a time.
- *Compile* is the seconds that the compiler took on this machine, which are noisy.
"""


def write_page(found: dict, folder: Path) -> None:
    (folder / "accelerators.md").write_text(page(found))
    _draw(found, folder / "accelerators.svg")


def page(found: dict) -> str:
    lines = [
        INTRODUCTION,
        "Versions: " + "; ".join(found["versions"]) + ".",
        "",
        "![Launches of each framework](accelerators.svg)",
        "",
        "## Targets",
        "",
        "Of each, the worst of its rows.",
        "",
        "| | target | found | |",
        "|---|---|---|---|",
        *_targets(found),
        "",
        "## NVIDIA H100",
        "",
        *_table(found, GPU, ("launches", "traffic", "temporary", "seconds")),
        "## TPU v5e",
        "",
        *_table(found, TPU, ("cycles", "temporary", "seconds")),
        *_pods(found),
    ]
    return "\n".join(lines).rstrip() + "\n"


_TITLES = {
    "launches": "launches",
    "traffic": "traffic",
    "temporary": "temporary",
    "cycles": "kilocycles",
    "seconds": "compile s",
}


def _table(found: dict, target: str, columns: tuple[str, ...]) -> Iterator[str]:
    yield "| | | " + " | ".join(_TITLES[c] for c in columns) + " |"
    yield "|---|---|" + "---|" * len(columns)
    last = None
    for row in sorted(_of(found, target), key=lambda row: _order(found, row)):
        case = Case(**row["case"])
        what = "" if case == last else _label(case)
        last = case
        name = f"**{row['name']}**" if row["name"].startswith("ours") else row["name"]
        if "error" in row:
            yield f"| {what} | {name} | {row['error']} |" + " |" * (len(columns) - 1)
            continue
        yield f"| {what} | {name} | " + " | ".join(_cell(row, c) for c in columns) + " |"
    yield ""


def _order(found: dict, row: dict) -> tuple[int, int]:
    names = list(dict.fromkeys(Case(**r["case"]).name for r in found["rows"]))
    every = [r["name"] for r in found["rows"]]
    return names.index(Case(**row["case"]).name), every.index(row["name"])


def _of(found: dict, target: str) -> list[dict]:
    return [row for row in found["rows"] if row["target"] == target]


def _cell(row: dict, column: str) -> str:
    value = row[column]
    if value is None:
        return "–"
    if column in ("traffic", "temporary"):
        return f"{value / 1e6:,.1f}"
    if column == "cycles":
        return f"{value / 1e3:,.0f}"
    return f"{value:.1f}" if column == "seconds" else f"{value:,}"


def _label(case: Case) -> str:
    if case.kind == "README":
        return f"training step of the README, batch {case.batch:,}"
    return label(case)


def _get(found: dict, case: Case, name: str, column: str, target: str = GPU) -> float | None:
    for row in _of(found, target):
        if row["case"] == vars(case) and row["name"] == name and "error" not in row:
            return row[column]
    return None


def _ratio(found: dict, case: Case, name: str, column: str, target: str = GPU) -> float | None:
    ours = _get(found, case, "ours", column, target)
    theirs = _get(found, case, name, column, target)
    return None if not ours or theirs is None else theirs / ours


def _targets(found: dict) -> Iterator[str]:
    """The worst of the rows that a target is for."""

    def worst(kinds: tuple[str, ...], name: str, column: str, target: str = GPU, **fields):
        ratios = [
            _ratio(found, case, name, column, target)
            for case in _cases(found)
            if case.kind in kinds and all(getattr(case, k) == v for k, v in fields.items())
        ]
        known = [ratio for ratio in ratios if ratio is not None]
        return min(known) if known else None

    for mode, least in (("forward", 6), ("gradient", 10)):
        launches = worst(("lif",), "jaxsnn", "launches", mode=mode)
        yield from at_least(f"H100, encoder {mode}: launches, jaxsnn / ours", launches, least)
        traffic = worst(("lif",), "jaxsnn", "traffic", mode=mode)
        yield from at_least(f"H100, encoder {mode}: traffic, jaxsnn / ours", traffic, 1)
    launches = worst(("LIF layer", "CubaLIF layer"), "plain JAX", "launches")
    yield from at_least("H100, layer steps: launches, plain JAX / ours", launches, 8)
    ours = [row for row in _of(found, GPU) if row["name"] == "ours" and "error" not in row]
    encoder = [row for row in ours if row["case"]["kind"] == "lif"]
    trains = [row["temporary"] / Case(**row["case"]).train_bytes for row in encoder]
    yield from at_most("H100, encoder: temporary spike trains", max(trains), 1.1, unit="")
    seconds = max(row["seconds"] for row in ours)
    yield from at_most("H100, all: seconds to compile", seconds, 3, unit=" s")
    for mode in ("forward", "gradient"):
        cycles = worst(("lif",), "jaxsnn", "cycles", TPU, mode=mode)
        yield from at_least(f"v5e, encoder {mode}: cycles, jaxsnn / ours", cycles, 1)
    moved = [row for row in _of(found, TPU) if row["name"] == "ours" and "error" not in row]
    count = sum(len(row["moved"]) for row in moved if row["case"]["kind"] == "lif")
    name = "v5e, encoder: copies and transposes of a spike train"
    yield from at_most(name, count, 0, unit="")


def _cases(found: dict) -> list[Case]:
    return list(dict.fromkeys(Case(**row["case"]) for row in found["rows"]))


def _pods(found: dict) -> list[str]:
    if "pods" not in found:
        return []
    one = next(row for row in _of(found, TPU) if row["case"]["kind"] == "README")
    lines = [
        "## From 1 chip to 256",
        "",
        "The README's training step on TPUs v5e, with 16 examples on each chip: the weights "
        "are on all chips, and the batch is divided. The one exchange adds up the gradients "
        "and the loss.",
        "",
        "| chips | batch | exchanges | exchanged by each chip (MB) | kilocycles "
        "| temporary memory of each chip (MB) | seconds to compile |",
        "|--:|--:|---|--:|--:|--:|--:|",
    ]
    for row in [{"chips": 1, **one}, *found["pods"]]:
        exchanges = ", ".join(row["collectives"]) or "none"
        lines.append(
            f"| {row['chips']} | {16 * row['chips']:,} | {exchanges} "
            f"| {row['exchanged'] / 1e6:.2f} | {row['cycles'] / 1e3:,.0f} "
            f"| {row['temporary'] / 1e6:.2f} | {row['seconds']:.1f} |"
        )
    lines += [
        "",
        "By these counts each chip does the same work and keeps the same memory, however many "
        "there are, and exchanges as much as the weights are large. Only a pod can tell how "
        "long the exchange takes over its links, whether it overlaps with the computation, how "
        "the hosts keep the chips fed with data, and how long the slowest makes all others "
        "wait.",
        "",
    ]
    return lines


def _draw(found: dict, path: Path) -> None:
    """The launches of each framework's form with the fewest, a row a line."""
    shown = [c for c in _cases(found) if _get(found, c, "ours", "launches") is not None]
    figure, ax = new_figure(1.3 + 0.3 * len(shown))
    named: set[str] = set()
    for y, case in enumerate(shown):
        fewest: dict[str, float] = {}
        for row in _of(found, GPU):
            if row["case"] == vars(case) and "error" not in row:
                framework = row["name"].split(",")[0]
                if framework != "ours" or row["name"] == "ours":
                    before = fewest.get(framework, float("inf"))
                    fewest[framework] = min(before, row["launches"])
        for name in reversed(STYLES):
            if name in fewest:
                color, marker = STYLES[name]
                size = 8 if name == "ours" else 6.5
                ax.plot(fewest[name], y, marker, color=color, ms=size, mew=1.2)
                named.add(name)
    for name in STYLES:
        if name in named:
            color, marker = STYLES[name]
            ax.plot([], [], marker, color=color, label=name)
    ax.set(xscale="log", xlabel="kernels that an H100 launches")
    ax.set_yticks(range(len(shown)), [_label(case) for case in shown])
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.grid(axis="y", alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=6, handletextpad=0.2, columnspacing=1.2)
    save(figure, path)
