"""Runs the tests on each Python with the oldest and the newest versions that are allowed.

The oldest are those that `pyproject.toml` names, for the package and for what the tests need.
Each combination is a virtual environment of its own. Writes `docs/promises/versions.md`.

    python checks/versions.py
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "promises" / "versions.md"
PYTHONS = ("3.11", "3.12", "3.13")
SHOWN = ("jax", "equinox", "jaxtyping", "beartype", "numpy")
TESTS = (
    *("contract", "integrate", "neuron", "encoder", "differences", "shapes", "serialise"),
    *("package", "oracle", "parameters", "surrogate", "network", "decode"),
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--short", action="store_true", help="only show what would be installed"
    )
    parser.add_argument("--python", choices=PYTHONS, help="one Python")
    parser.add_argument("--which", choices=("oldest", "newest"), help="one end of the versions")
    options = parser.parse_args()
    rows, failed = [], False
    for python in (options.python,) if options.python else PYTHONS:
        for which in (options.which,) if options.which else ("oldest", "newest"):
            if options.short:
                print(python, which, *(floors(python) if which == "oldest" else []))
                continue
            row, passed = run(python, which)
            failed |= not passed
            rows.append(row)
            print(row, flush=True)
    if len(rows) == 2 * len(PYTHONS):
        head = ["Python", "versions", *SHOWN, "tests"]
        lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows]
        PAGE.write_text("\n".join(lines) + "\n")
    sys.exit(failed)


def floors(python: str) -> list[str]:
    """The lowest versions of `pyproject.toml`, as constraints for pip."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["test"]
    pins = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        if marker and not _holds(marker, python):
            continue
        name, version = re.split(r">=|==", requirement.strip())
        pins.append(f"{name}=={version.strip()}")
    return [*pins, *(f"jaxlib=={pin.split('==')[1]}" for pin in pins if pin.startswith("jax="))]


def _holds(marker: str, python: str) -> bool:
    found = re.fullmatch(r"\s*python_version\s*(>=|<)\s*['\"]([\d.]+)['\"]\s*", marker)
    if found is None:
        raise ValueError(f"a marker of pyproject.toml is not read here: {marker!r}")
    operator, version = found.groups()
    at_least = [int(n) for n in python.split(".")] >= [int(n) for n in version.split(".")]
    return at_least == (operator == ">=")


def run(python: str, which: str) -> tuple[str, bool]:
    """One row of the table, and whether all tests passed."""
    command = interpreter(python)
    if command is None:
        return f"| {python} | {which} |{' |' * len(SHOWN)} not installed |", False
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([command, "-m", "venv", folder], check=True)
        inside = Path(folder) / "bin" / "python"
        install = [inside, "-m", "pip", "install", "-q", "-e", f"{REPOSITORY}[test]"]
        if which == "oldest":
            constraints = Path(folder) / "constraints.txt"
            constraints.write_text("\n".join(floors(python)))
            install += ["-c", constraints]
        subprocess.run(install, check=True)
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "cache")}
        files = [f"tests/test_{name}.py" for name in TESTS]
        tests = subprocess.run(
            [inside, "-m", "pytest", "-q", "-n", "2", *files],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        print(tests.stdout[-3000:] if tests.returncode else "", end="")
        shown = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
        versions = subprocess.run(
            [inside, "-c", shown, *SHOWN], capture_output=True, text=True, check=True
        ).stdout.split()
    last = tests.stdout.strip().splitlines()[-1]
    said = re.sub(r"=|\bin [\d.]+s.*", "", last).strip()
    print(f"{python}, {which}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    return f"| {python} | {which} | {' | '.join(versions)} | {said} |", tests.returncode == 0


def interpreter(python: str) -> str | None:
    """A command for this Python: from the path, or of pyenv."""
    found = shutil.which(f"python{python}")
    if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
        return found
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{python}.*/bin/python"))
    return str(pyenv[-1]) if pyenv else None


if __name__ == "__main__":
    main()
