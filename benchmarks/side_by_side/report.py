"""The measurements as a Markdown page and a picture."""

from pathlib import Path

import numpy as np

from .workloads import LAYERS, Case

TITLES = {
    "lif": "Constant-current LIF encoder",
    "poisson": "Poisson encoder",
    "latency": "Latency encoder",
    "delta": "Delta encoder",
    "phase": "Phase encoder",
    "LIF layer": "Training step of Linear(512, 512) and LIF, the membrane alone, batch 16",
    "CubaLIF layer": "Training step of Linear(512, 512) and LIF with synapse, batch 16",
    "yin yang": "Yin-Yang epoch of jaxsnn's example: 5-120-3, recurrent, 78 batches of 64",
}


REMARKS = {
    "lif": "*Gradient* drops the spikes, and is what the aim's baseline was taken of (5.0 "
    "spike trains of temporary memory for jaxsnn); for *value and gradient* they are wanted as "
    "well, and are themselves one spike train that has to be written.",
    "delta": "All subtract one array from another. Ours does so where the signal has no NaN, "
    "which it looks for first, and runs the loop that carries a NaN on where it has one.",
    "yin yang": "Most of the epoch is matrix products, those of the recurrence one after "
    "the other. Tried: keeping every step's potential instead of computing the steps again "
    "(faster by a third, and the default now), time first and the batch second (faster by a "
    "tenth, and what is timed here), the batch last (slower), two steps an iteration (slower "
    "by a fifth), and products with the weights on the left (two thirds of the time each, but "
    "the transposes around them cost more: slower by a tenth).",
}
START, END = "<!-- benchmarks/run.py: start -->", "<!-- benchmarks/run.py: end -->"


def write_report(found: dict, folder: Path) -> None:
    (folder / "benchmarks.md").write_text(page(found))
    draw(found, folder / "benchmarks.png")


def write_summary(found: dict, measured: Path) -> None:
    """Puts the medians between the two marks of `docs/measured.md`."""
    before, rest = measured.read_text().split(START)
    after = rest.split(END)[1]
    measured.write_text("\n".join([before + START, *summary(found), END]) + after)


def summary(found: dict) -> list[str]:
    """Medians in milliseconds of float32 rows, one contestant a column."""
    rows = [r for r in found["rows"].values() if r["case"]["dtype"] == "float32"]
    names = [name for name in COLORS if any(name in r["contestants"] for r in rows)]
    lines = ["| ms | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for row in rows:
        case = Case(**row["case"])
        if case.mode == "value and gradient":
            continue
        contestants = timed(found, case)
        cells = [f"{median(contestants[n]):.3g}" if n in contestants else "" for n in names]
        lines.append(f"| {label(case)} | " + " | ".join(cells) + " |")
    return lines


def label(case: Case) -> str:
    if case.kind == "yin yang":
        return "Yin-Yang epoch"
    kind = "LIF encoder" if case.kind == "lif" else case.kind
    what = "" if case.mode == "forward" else f" {case.mode}"
    return f"{kind}{what}, {case.n:,} × {case.steps:,}"


def median(row: dict) -> float:
    return float(np.median(row["ms"]))


def timed(found: dict, case: Case) -> dict[str, dict]:
    rows = found["rows"].get(case.name, {"contestants": {}})["contestants"]
    return {name: row for name, row in rows.items() if row.get("ms")}


def ratio(found: dict, case: Case, other: str, ours: str = "ours") -> float | None:
    """How many times as long as ours the other takes."""
    rows = timed(found, case)
    if other not in rows or ours not in rows:
        return None
    return median(rows[other]) / median(rows[ours])


def page(found: dict) -> str:
    machine = found["machine"]
    device = f"{machine['cores']} CPU cores"
    if machine["device"] != "cpu":
        device = machine["device"]
    lines = [
        "# Benchmarks",
        "",
        "Written by `python benchmarks/run.py`; do not edit.",
        "",
        f"On {device} ({machine['system']}, Python {machine['python']}), {machine['date']}, "
        f"{machine['repeats']} repeats. One process a framework; the same data, given as "
        "arguments; compiled before, warmed up at every turn, waited for; run in alternation. "
        "Nothing is timed whose spikes (or rates, or gradient) are not what a loop in NumPy "
        "gives, in `benchmarks/side_by_side/workloads.py`. Times are medians in milliseconds "
        "with their quartiles; *×* is how many times as long as ours. *Temporary* is what the "
        "compiled program needs beside its inputs and outputs, and *growth* by how much the "
        "process grew during a call, outputs included (less, where an earlier call had left "
        "memory to use again), both in units of one float32 spike train of that size.",
        "",
        "Versions: " + "; ".join(dict.fromkeys(found["versions"].values())) + ".",
        "",
    ]
    if machine["device"] == "cpu":
        lines += [
            "**Nothing here has been measured on an accelerator yet.** The same command runs "
            'on a GPU, with `pip install -e ".[cuda]"` and a CUDA build of PyTorch, and adds '
            "the sizes of SpikingJelly's published kernel, in float32 and bfloat16.",
            "",
        ]
    lines += ["![Times of every contestant, and how cost grows](benchmarks.png)", ""]
    lines += ["## Against what was aimed at", "", *targets(found), "", *ahead(found), ""]
    for kind, title in TITLES.items():
        of_kind = [r for r in found["rows"].values() if r["case"]["kind"] == kind]
        if of_kind:
            lines += [f"## {title}", ""]
        for row in of_kind:
            lines += table(Case(**row["case"]), row["contestants"])
        if of_kind and kind in REMARKS:
            lines += [REMARKS[kind], ""]
        if of_kind and kind == "yin yang":
            lines += beside_products(found, Case(**of_kind[0]["case"]))
    lines += forms(found) + growth(found) + overheads(found)
    return "\n".join(lines).rstrip() + "\n"


def table(case: Case, rows: dict[str, dict]) -> list[str]:
    what = f"{case.mode}, {case.n:,} × {case.steps:,}"
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


def beside_products(found: dict, case: Case) -> list[str]:
    """Where the time of the epoch goes, and what the aim would leave for it."""
    rows = timed(found, case)
    if not {"ours", "jaxsnn", "floor"} <= set(rows):
        return []
    ours, jaxsnn, products = (median(rows[name]) for name in ("ours", "jaxsnn", "floor"))
    return [
        f"Beside its products, of {products:.0f} ms, ours takes {ours - products:.0f} ms and "
        f"jaxsnn {jaxsnn - products:.0f} ms; 1.5 times as fast as jaxsnn would leave "
        f"{jaxsnn / 1.5 - products:.0f} ms, for {case.n} batches of {case.steps} steps forward "
        "and back. Forward, a step is one product, five small kernels and four copies (of the "
        "state, which XLA's CPU loops make); back, one product, four kernels and four copies.",
        "",
    ]


def ahead(found: dict) -> list[str]:
    """Every contestant that was faster than this package somewhere."""
    lines = []
    for row in found["rows"].values():
        case = Case(**row["case"])
        rows = timed(found, case)
        ours = min(median(r) for name, r in rows.items() if name.startswith("ours"))
        others = (n for n in rows if not n.startswith(("ours", "floor")))
        faster = [
            f"{n} ({median(rows[n]) / ours:.2f})" for n in others if median(rows[n]) < ours
        ]
        if faster:
            dtype = "" if case.dtype == "float32" else f", {case.dtype}"
            lines.append(f"- {label(case)}{dtype}: {', '.join(faster)}")
    if not lines:
        return ["Nobody is ahead in any row."]
    return ["Rows in which another is ahead, and its time as a share of ours:", "", *lines]


def targets(found: dict) -> list[str]:
    """What the benchmark was built to reach, and what it found."""
    lines = ["| | aimed at | found | |", "|---|---|---|---|"]

    def add(name, aim, value, reached, form="{:.2f}×"):
        if value is not None:
            verdict = "reached" if reached(value) else "**missed**"
            lines.append(f"| {name} | {aim} | {form.format(value)} | {verdict} |")

    def least(bound):
        return lambda value: value >= bound

    def most(bound):
        return lambda value: value <= bound

    sizes = [(50_176, 100), (4_096, 1_000), (1_000_000, 50)]
    for mode, mean, worst in [("forward", 2, 1.4), ("gradient", 5, 4)]:
        ratios = [ratio(found, Case("lif", *size, mode), "jaxsnn") for size in sizes]
        known = [r for r in ratios if r is not None]
        if known:
            geometric = float(np.exp(np.mean(np.log(known))))
            name = f"LIF encoder {mode}: jaxsnn / ours"
            add(f"{name}, geometric mean", f"≥ {mean}×", geometric, least(mean))
            add(f"{name}, worst", f"≥ {worst}×", min(known), least(worst))
    for size, bound in [((1_000_000, 50), 3), ((50_176, 100), 4.5)]:
        value = ratio(found, Case("lif", *size), "floor")
        name = f"LIF encoder forward, {size[0]:,} × {size[1]}: ours / filling the output"
        add(name, f"≤ {bound}×", None if value is None else 1 / value, most(bound))
    ratios = [ratio(found, Case("lif", *size, "gradient"), "norse") for size in sizes]
    known = [r for r in ratios if r is not None]
    if known:
        add("LIF encoder gradient: norse / ours, worst", "≥ 10×", min(known), least(10))
    for size, bound in [((50_176, 100), 0.35), ((4_096, 1_000), 0.1)]:
        case = Case("lif", *size, "gradient")
        rows = timed(found, case)
        if "ours" in rows:
            memory = rows["ours"]["temporary"] / case.train_bytes
            name = f"LIF encoder gradient, {size[0]:,} × {size[1]:,}: temporary spike trains"
            add(name, f"≤ {bound}", memory, lambda v, b=bound: round(v, 2) <= b, "{:.2f}")
            value = ratio(found, case, "ours, one chunk")
            name = f"LIF encoder gradient, {size[0]:,} × {size[1]:,}: time / that in one chunk"
            add(name, "≤ 1.15×", None if value is None else 1 / value, most(1.15))
    for dtype in ("bool", "uint8"):
        values = []
        for size in sizes:
            wide = timed(found, Case("lif", *size)).get("ours")
            narrow = timed(found, Case("lif", *size, dtype=dtype)).get("ours")
            if wide and narrow:
                values.append(median(narrow) / median(wide))
        if values:
            name = f"LIF encoder forward, {dtype} / float32, geometric mean"
            add(name, "≤ 0.6×", float(np.exp(np.mean(np.log(values)))), most(0.6))
    for n in (50_176, 200_704):
        for peer, bound in (("snntorch", 3), ("plain JAX", 2)):
            value = ratio(found, Case("poisson", n, 100), peer)
            add(f"Poisson, {n:,} × 100: {peer} / ours", f"≥ {bound}×", value, least(bound))
    for kind in LAYERS:
        case = Case(kind, 512, 500, "step", batch=16)
        rows = timed(found, case)
        peers = {k: v for k, v in rows.items() if not k.startswith(("ours", "floor", "plain"))}
        if peers and "ours" in rows:
            best = min(peers, key=lambda name: median(peers[name]))
            value = ratio(found, case, best)
            add(f"{kind}: the fastest peer ({best}) / ours", "≥ 1×", value, least(1))
            value = ratio(found, case, "floor")
            value = None if value is None else 1 / value
            add(f"{kind}: ours / its matrix products", "≤ 2×", value, most(2))
    case = Case("yin yang", 78, 60, "epoch", epochs=40)
    add("Yin-Yang epoch: jaxsnn / ours", "≥ 1.5×", ratio(found, case, "jaxsnn"), least(1.5))
    value = ratio(found, case, "floor")
    if value is not None:
        share = 100 * value
        lines.append(f"| Yin-Yang epoch: its matrix products / ours | – | {share:.0f} % | |")
    over = found.get("overheads")
    if over:
        calls, tracing, imports = over["us a call"], over["tracing s"], over["import s"]
        for wrapper in ("jit", "filter_jit", "scanned in one jit"):
            value = calls[f"{wrapper}, ours"] / calls[f"{wrapper}, by hand"]
            name = f"encoder at 784 × 100 under {wrapper}: ours / by hand"
            add(name, "≤ 1.3×", value, most(1.3))
        extra = 100 * (tracing["checked"] / tracing["unchecked"] - 1)
        add("tracing: shape checks add", "≤ 5 %", extra, most(5), "{:.1f} %")
        extra = imports["equinox, jaxsnn_eqx"] - imports["equinox"]
        add("import: on top of equinox", "≤ 0.5 s", extra, most(0.5), "{:.2f} s")
    grown = found.get("growth")
    if grown:
        training = grown["training"]
        name = f"64-128-10 network, batch 16, {training['steps']:,} steps: temporary memory"
        add(name, "≤ 1 GB", training["temporary bytes"] / 1e9, most(1), "{:.3f} GB")
    return lines


def forms(found: dict) -> list[str]:
    """Why the forward pass is not faster."""
    if "forms" not in found:
        return []
    sizes = list(found["forms"])
    lines = [
        "## What was tried for the forward pass",
        "",
        "The same spikes from loops of other shapes, ms in one process. XLA's CPU loops fill "
        "the output with zeros before they write it, copy the state in each iteration, and "
        "compute each step twice, for the state and for the output; jaxsnn's is the same "
        "loop, which reads a copy of its input for every step besides. Filling twice is most "
        "of the largest size: no loop of this kind can be twice as fast as jaxsnn's there. "
        "Two steps an iteration are what ours does where the state is large and the length "
        "even; no other form gains at all sizes. A NaN is looked for in the spikes alone, "
        "since the potential keeps its own: looking in both cost a tenth.",
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
    lines = ["## Cost as work grows", ""]
    header = (
        "| | forward ms | gradient ms | temporary, forward MB | temporary, gradient MB "
        "| compile s |"
    )
    for axis, title in [("steps", "1,000 neurons, steps"), ("neurons", "10 steps, neurons")]:
        lines += [header.replace("| |", f"| {title} |", 1), "|---|---|---|---|---|---|"]
        for row in found["growth"][axis]:
            size = row["steps"] if axis == "steps" else row["n"]
            seconds = row["forward compile s"] + row["gradient compile s"]
            lines.append(
                f"| {size:,} | {row['forward ms']:.3g} | {row['gradient ms']:.3g} "
                f"| {row['forward bytes'] / 1e6:.3g} | {row['gradient bytes'] / 1e6:.3g} "
                f"| {seconds:.2f} |"
            )
        lines.append("")
    training = found["growth"]["training"]
    lines += [
        "Time is proportional to neurons times steps once a call costs more than it takes to "
        "make, with a step up where outputs no longer fit into a cache or into memory that the "
        "process already has.",
        "",
        "One training step of a 64-128-10 network, batch 16, over "
        f"{training['steps']:,} steps in chunks of 250: {training['seconds']:.1f} s, "
        f"{training['temporary bytes'] / 1e9:.3f} GB of temporary memory, compiled in "
        f"{training['compile s']:.1f} s.",
        "",
    ]
    return lines


def overheads(found: dict) -> list[str]:
    if "overheads" not in found:
        return []
    over = found["overheads"]
    lines = [
        "## Overheads",
        "",
        "| encoder at 784 × 100, µs a call | by hand | ours |",
        "|---|---|---|",
    ]
    calls = over["us a call"]
    for wrapper in ("jit", "filter_jit", "scanned in one jit"):
        hand, ours = calls[f"{wrapper}, by hand"], calls[f"{wrapper}, ours"]
        lines.append(f"| {wrapper} | {hand:.0f} | {ours:.0f} |")
    added = calls["filter_jit, ours"] - calls["jit, ours"]
    tracing, imports = over["tracing s"], over["import s"]
    return [
        *lines,
        "",
        f"`eqx.filter_jit` itself adds some {added:.0f} µs a call, whatever it wraps; an "
        "epoch that is scanned inside one compiled call, as `examples/digits.py` does, pays "
        "it once.",
        "",
        "Tracing the gradient of a 64-128-10 network takes "
        f"{tracing['checked']:.3f} s with the checks of shapes and "
        f"{tracing['unchecked']:.3f} s without. `import equinox` takes "
        f"{imports['equinox']:.2f} s, with `jaxsnn_eqx` "
        f"{imports['equinox, jaxsnn_eqx']:.2f} s.",
        "",
    ]


def draw(found: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplot_mosaic(
        "AAB;AAC;AAD", figsize=(15, 13), layout="constrained", width_ratios=[1, 1, 1.1]
    )
    _bars(axes["A"], found)
    if "growth" in found:
        _growth(axes["B"], found, "steps", "ms", "time (ms), 1,000 neurons")
        _growth(axes["C"], found, "steps", "bytes", "temporary memory (bytes), 1,000 neurons")
        _growth(axes["D"], found, "neurons", "ms", "time (ms), 10 steps")
    figure.savefig(path, dpi=80)
    plt.close(figure)


COLORS = {
    "ours": "black",
    "jaxsnn": "tab:blue",
    "norse": "tab:orange",
    "snntorch": "tab:red",
    "spikingjelly": "tab:purple",
    "spyx": "tab:green",
    "snnax": "tab:brown",
    "braintools": "tab:pink",
    "plain JAX": "tab:cyan",
    "floor": "lightgrey",
}


def _bars(ax, found: dict) -> None:
    """Every contestant's time as a multiple of ours, one line a row."""
    rows = [r for r in found["rows"].values() if r["case"]["dtype"] == "float32"]
    labels = []
    for y, row in enumerate(rows):
        case = Case(**row["case"])
        labels.append(label(case).replace(", ", "\n", 1))
        contestants = timed(found, case)
        ours = median(contestants["ours"])
        for name, color in COLORS.items():
            if name in contestants:
                x = median(contestants[name]) / ours
                ax.plot(x, y, "o", color=color, ms=9 if name == "ours" else 7)
    for name, color in COLORS.items():
        ax.plot([], [], "o", color=color, label=name)
    ax.set(xscale="log", xlabel="time, as a multiple of ours (left of 1 is faster)")
    ax.set_yticks(range(len(labels)), labels, fontsize=8)
    ax.invert_yaxis()
    ax.axvline(1, color="black", lw=0.8)
    ax.grid(axis="y", alpha=0.3)
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, 1.07), ncols=5, frameon=False)


def _growth(ax, found: dict, axis: str, what: str, title: str) -> None:
    rows = found["growth"][axis]
    x = [row["steps" if axis == "steps" else "n"] for row in rows]
    for name, style in (("forward", "o-"), ("gradient", "s-")):
        ax.loglog(x, [row[f"{name} {what}"] for row in rows], style, label=name)
    last = rows[-1][f"gradient {what}"]
    slope = 0.5 if what == "bytes" and axis == "steps" else 1
    label = "proportional" if slope == 1 else "square root"
    ax.loglog(x, [last * (v / x[-1]) ** slope for v in x], "k:", lw=1, label=label)
    ax.set(xlabel="steps" if axis == "steps" else "neurons", title=title)
    ax.legend()
