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
    from test_oracle import ENTRIES, SPECIAL, compare, decimals, inputs

    rows, start = [], time.monotonic()
    for name, entry in tqdm(ENTRIES.items(), desc="layers", unit="layer"):
        special = []
        for number in SPECIAL.values():
            x = inputs(entry, 60, seed=2)
            x[:: 3 if entry.values else 7] = number
            special.append(x)
        length = 1_000 if short else 1_000_000
        columns = (
            (60, [inputs(entry, 60, 200 if short else 20_000)]),
            (60, decimals(entry, 60, 200 if short else 5_000)),
            (60, special),
            (length, [inputs(entry, length, 4, seed=4)]),
        )
        found = [total(compare(entry, x, n) for x in xs) for n, xs in columns]
        rows.append((name, found))
        jax.clear_caches()
    wrong = sum(found["wrong"] for _, row in rows for found in row)
    text = report(rows)
    print(text)
    print(f"{time.monotonic() - start:.0f} s; differences that are no ties: {wrong}")
    if not short:
        PAGE.write_text(text)
    sys.exit(wrong > 0)


def total(comparisons) -> Counter:
    return sum((Counter(vars(comparison)) for comparison in comparisons), Counter())


def report(rows) -> str:
    lines = [
        "| layer | spikes | random | decimals | special | 10^6 steps | no tie |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in rows:
        spikes = sum(found["spikes"] for found in row)
        shares = [
            f"{found['differ']:,} of {found['trains']:,}" if found["differ"] else "0"
            for found in row
        ]
        wrong = sum(found["wrong"] for found in row)
        said = f"{spikes:,}" if spikes else "values"
        lines.append(f"| `{name}` | {said} | {' | '.join(shares)} | {wrong} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
