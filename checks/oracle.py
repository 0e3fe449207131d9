"""Compares every encoder and neuron with its paper's formula in NumPy float64.

Writes the shares of spike trains that differ to `docs/promises/oracle.md`. The formulas are in
`tests/oracle.py`; `tests/test_oracle.py` asserts the same on fewer numbers.

    python checks/oracle.py
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
PAGE = REPOSITORY / "docs" / "promises" / "oracle.md"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="fewer trains, and write nothing")
    short = parser.parse_args().short
    from test_oracle import ENTRIES, SPECIAL, compare, inputs

    rows, start = [], time.monotonic()
    for name, entry in tqdm(ENTRIES.items(), desc="layers", unit="layer"):
        found = {
            "random": compare(entry, inputs(entry, 60, 200 if short else 20_000), 60),
            "decimals": Counter(),
        }
        decimals = np.round(inputs(entry, 60, 200 if short else 5_000, seed=6), 2)
        for towards in (-np.inf, None, np.inf):
            near = decimals
            if towards is not None:
                near = np.nextafter(near, np.float32(towards))
            found["decimals"] += Counter(vars(compare(entry, near, 60)))
        found["special"] = Counter()
        for special in SPECIAL.values():
            x = inputs(entry, 60, seed=2)
            x[(slice(None, None, 3) if entry.values else slice(None, None, 7))] = special
            found["special"] += Counter(vars(compare(entry, x, 60)))
        length = 1_000 if short else 1_000_000
        found["long"] = compare(entry, inputs(entry, length, 4, seed=4), length)
        rows.append(
            (
                name,
                {
                    k: v if isinstance(v, Counter) else Counter(vars(v))
                    for k, v in found.items()
                },
            )
        )
        jax.clear_caches()
    wrong = sum(found["wrong"] for _, row in rows for found in row.values())
    text = report(rows)
    print(text)
    print(f"{time.monotonic() - start:.0f} s; differences that are no ties: {wrong}")
    if not short:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
    sys.exit(wrong > 0)


def report(rows) -> str:
    lines = [
        "| layer | spikes | random | decimals | special | 10^6 steps | no tie |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in rows:
        spikes = sum(found["spikes"] for found in row.values())
        shares = [
            f"{found['differ']:,} of {found['trains']:,}" if found["differ"] else "0"
            for found in row.values()
        ]
        wrong = sum(found["wrong"] for found in row.values())
        said = f"{spikes:,}" if spikes else "values"
        lines.append(f"| `{name}` | {said} | {' | '.join(shares)} | {wrong} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
