"""The public names and their arguments, which change only on purpose.

`python tests/test_surface.py` writes `public_surface.txt` again; say so in the changelog.
"""

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import jaxsnn_eqx as snn

FILE = Path(__file__).with_name("public_surface.txt")
MODULES = (
    *("functional", "spike_trains", "events", "metrics", "datasets", "testing"),
    *("plotting", "nir"),
)


def surface() -> list[str]:
    """One line for every public name: its arguments, `*` in front of those by keyword only."""
    lines = []
    for name, value in sorted(vars(snn).items()):
        if not name.startswith("_") and not inspect.ismodule(value):
            lines += described(name, value)
    for module in MODULES:
        values = vars(importlib.import_module(f"jaxsnn_eqx.{module}"))
        for name, value in sorted(values.items()):
            ours = getattr(value, "__module__", "").startswith(f"jaxsnn_eqx.{module}")
            if not name.startswith("_") and ours and callable(value):
                lines += described(f"{module}.{name}", value)
    return lines


def described(name, value) -> list[str]:
    lines = [name + arguments(value)]
    if inspect.isclass(value):
        for method, member in sorted(vars(value).items()):
            if method.startswith("_"):
                continue
            member = inspect.unwrap(getattr(member, "__func__", member))
            if inspect.isfunction(member):
                lines.append(f"{name}.{method}{arguments(member)}")
            elif isinstance(member, property):
                lines.append(f"{name}.{method}")
    return lines


def arguments(value) -> str:
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return ""
    shown, keyword_only = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            shown.append("*")
            keyword_only = True
        optional = "=" if parameter.default is not parameter.empty else ""
        shown.append(f"{parameter.name}{optional}")
    return f"({', '.join(shown)})"


def test_the_public_surface_changes_only_on_purpose():
    assert surface() == FILE.read_text().splitlines()


def test_the_pythons_that_are_named_are_those_that_were_run():
    repository = Path(__file__).parents[1]
    page = repository / "docs" / "promises" / "versions.md"
    if not page.exists():
        pytest.skip("outside the source tree")
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    rows = re.findall(r"^\| (3\.\d+) \| (\w+) \|.*\| (\d+) passed \|$", page.read_text(), re.M)
    assert [(python, which) for python, which, _ in rows] == [
        (python, which) for python in named for which in ("oldest", "newest")
    ]
    assert project["requires-python"] == f">={named[0]}"
    assert f"Python {named[0]} or newer" in (repository / "README.md").read_text()


if __name__ == "__main__":
    FILE.write_text("\n".join(surface()) + "\n")
