"""The measurements as a Markdown page."""

from pathlib import Path


def write_report(found: dict, page: Path) -> None:
    lines = [
        "# NIR files, both ways",
        "",
        "Written by `python benchmarks/nir_exchange.py`; do not edit.",
        "",
        "Each network runs 100 steps of 1e-4 s on random inputs. *Reads ours*: `to_nir` wrote "
        "the file. *Is read by us*: the framework wrote it, and `from_nir(graph, dt=1e-4)` "
        "read it, without `soft_reset`. A position is a neuron at a step. A value that is not "
        "a spike differs if it does by more than 1e-5 of the largest. The reason is a "
        "convention with which a loop in NumPy gives the framework's output exactly, or the "
        "nearest one.",
        "",
        "sinabs asks for `nir<=1.0.4`, which cannot read `v_reset` of newer files: it is "
        "measured in an environment of its own, with newer nir and nirtorch put over it. "
        "Refusals are the frameworks' own words.",
        "",
        "jaxsnn 0.3.0 is not measured: it runs events, reads `CubaLIF` and `Linear` only, and "
        "takes their time constants for milliseconds. Nengo 4.1.0 has no NIR.",
        "",
    ]
    for framework in found.values():
        lines += [f"## {framework['version'].partition(' (')[0]}", ""]
        lines += [f"With {framework['version']}.", ""]
        lines += ["| direction | node | differ | of | why |", "|---|---|---|---|---|"]
        for row in framework["rows"]:
            cells = [row["direction"], row["node"]]
            if row["error"]:
                cells += ["–", "–", f"refused: {_short(row['error'])}"]
            else:
                cells += [f"{row['differ']:,}", f"{row['of']:,}", row["reason"]]
                if "soft" in row:
                    cells[-1] += f"; with `soft_reset=True` {row['soft']:,} differ"
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    page.write_text("\n".join(lines).rstrip() + "\n")


def _short(error: str) -> str:
    plain = error.replace("|", "\\|").replace("<", "&lt;").replace("`", "")
    return plain if len(plain) < 160 else plain[:157] + "..."
