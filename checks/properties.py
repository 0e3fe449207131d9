"""Runs the properties of `tests/test_properties.py` on many new cases, and counts them.

Writes `docs/promises/properties.md`.

    python checks/properties.py
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "promises" / "properties.md"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--short", action="store_true", help="the same few cases every time, and write nothing"
    )
    short = parser.parse_args().short
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "slow"]
    command += ["tests/test_properties.py", *([] if short else ["--hypothesis-profile=long"])]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PROPERTIES_COUNTS": folder}
        run = subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
        )
        counts = sum(
            (Counter(json.loads(f.read_text())) for f in Path(folder).iterdir()), Counter()
        )
    print(run.stdout)
    hours = (time.monotonic() - start) / 3600
    total = sum(counts.values()) - counts["generated layers"]
    lines = ["| cases | number |", "|---|--:|"]
    lines += [f"| {name} | {number:,} |" for name, number in counts.items()]
    lines.append(f"| cases an hour on {os.cpu_count()} cores | {total / hours:,.0f} |")
    lines.append(f"| failures | {run.stdout.count('FAILED')} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if not short:
        PAGE.write_text(text)
    sys.exit(run.returncode)


if __name__ == "__main__":
    main()
