"""Pictures for a light and a dark page: no background, grey text, and the page's width."""

from pathlib import Path

from .results import FRAMEWORKS, cases, fastest_forms, label

GREY = "#808080"  # readable on white and on the dark theme's background
WIDTH = 7.2  # inches; of the page's column at 96 to the inch, so that text keeps its size
# colours and markers that are told apart on both backgrounds
STYLES = {
    "ours": ("#e8590c", "D"),
    "jaxsnn": ("#3b82f6", "o"),
    "norse": ("#d4a017", "v"),
    "snntorch": ("#dc2626", "^"),
    "spikingjelly": ("#a855f7", "<"),
    "spyx": ("#14b8a6", ">"),
    "snnax": ("#a16207", "P"),
    "braintools": ("#ec4899", "X"),
    "jaxpike": ("#16a34a", "s"),
    "plain JAX": ("#0ea5e9", "*"),
    "floor": (GREY, "|"),
}


def new_figure(height: float, **options):
    """A figure of the page's width and its axes, to be given to `save`."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {
            "font.size": 9,
            "svg.hashsalt": "jaxsnn_eqx",  # the same picture from the same numbers
            "axes.facecolor": "none",
            "legend.frameon": False,
            "savefig.transparent": True,
            "text.color": GREY,
            "axes.edgecolor": GREY,
            "axes.labelcolor": GREY,
            "xtick.color": GREY,
            "ytick.color": GREY,
            "grid.color": GREY,
        }
    )
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(WIDTH, height), layout="constrained", **options)


def save(figure, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


def draw_frameworks(found: dict, path: Path) -> None:
    """The time of each framework's fastest form as a multiple of ours, a row a line."""
    shown = [c for c in cases(found) if c.dtype == "float32" and c.mode != "value and gradient"]
    figure, ax = new_figure(1.5 + 0.27 * len(shown))
    for y, case in enumerate(shown):
        fastest = fastest_forms(found, case)
        for name in reversed(FRAMEWORKS):  # ours on top
            if name in fastest:
                color, marker = STYLES[name]
                x = fastest[name][1] / fastest["ours"][1]
                ax.plot(x, y, marker, color=color, ms=8 if name == "ours" else 6.5, mew=1.2)
    for name in FRAMEWORKS:
        if any(name in fastest_forms(found, case) for case in shown):
            color, marker = STYLES[name]
            ax.plot([], [], marker, color=color, label=name)
    ax.set(xscale="log", xlabel="time as a multiple of ours (left of 1 is faster)")
    ax.set_yticks(range(len(shown)), [label(case) for case in shown])
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.axvline(1, color=STYLES["ours"][0], lw=0.8)
    ax.grid(axis="y", alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=6, handletextpad=0.2, columnspacing=1.2)
    save(figure, path)


def draw_growth(growth: dict, path: Path) -> None:
    """Time and memory of the encoder as steps and neurons grow."""
    figure, axes = new_figure(3, ncols=3)
    panels = [
        ("steps", "ms", "ms, 1,000 neurons"),
        ("steps", "bytes", "temporary bytes, 1,000 neurons"),
        ("neurons", "ms", "ms, 10 steps"),
    ]
    for ax, (axis, what, title) in zip(axes, panels, strict=True):
        rows = growth[axis]
        x = [row["steps" if axis == "steps" else "n"] for row in rows]
        for name, framework in (("forward", "jaxsnn"), ("gradient", "ours")):
            color, marker = STYLES[framework]
            y = [row[f"{name} {what}"] for row in rows]
            ax.loglog(x, y, marker, color=color, ls="-", ms=4, label=name)
        slope = 0.5 if what == "bytes" else 1
        last = rows[-1][f"gradient {what}"]
        guide = [last * (v / x[-1]) ** slope for v in x]
        name = "proportional" if slope == 1 else "square root"
        ax.loglog(x, guide, ":", color=GREY, label=name)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel(axis)
        ax.legend(fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    save(figure, path)
