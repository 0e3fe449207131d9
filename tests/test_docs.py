"""The documentation: every public name on one API page, code that runs, nothing loaded.

MkDocs is not needed here; `mkdocs build --strict` checks the links, and by `docs/hooks.py` that
no page loads anything from the network.
"""

import ast
import re
from collections import Counter
from pathlib import Path

import jax
import pytest
from conftest import module_at

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "jaxsnn_eqx"
DOCS = REPOSITORY / "docs"
GUIDE = [
    "first_model.md",
    "calibrate.md",
    "contract.md",
    "choosing.md",
    "extending.md",
    "performance.md",
    "several_devices.md",
]

pytestmark = pytest.mark.skipif(
    not (REPOSITORY / "README.md").exists(), reason="outside the source tree"
)


def public_names(path, *, taken=()):
    """The names that a module defines or re-exports (`X as X`)."""
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            names += [alias.name for alias in node.names if alias.asname == alias.name]
    return [name for name in names if not name.startswith("_") and name not in taken]


def documented():
    """The names that the pages document with mkdocstrings, and how often."""
    lines = [line for page in DOCS.rglob("*.md") for line in page.read_text().splitlines()]
    return Counter(line.removeprefix("::: ") for line in lines if line.startswith("::: "))


def test_every_public_name_is_documented_once():
    api = public_names(PACKAGE / "__init__.py")
    modules = {p.stem: p for p in PACKAGE.glob("*.py") if not p.name.startswith("_")}
    modules |= {p.parent.name: p for p in PACKAGE.glob("[a-z]*/__init__.py")}
    names = [f"jaxsnn_eqx.{name}" for name in {*api, *modules}]
    for module, path in modules.items():
        # `functional` has `LIFParameters` too, as jaxsnn's module has; its page is elsewhere
        own = public_names(path, taken=api)
        names += [f"jaxsnn_eqx.{module}.{name}" for name in own]
    assert documented() == Counter(names)


@pytest.mark.parametrize("page", GUIDE)
def test_the_python_of_the_guide_runs(page):
    snippets = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.S)
    assert snippets
    namespace = {}
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        for snippet in snippets:
            exec(compile(snippet, page, "exec"), namespace)


def _offline():
    return module_at(DOCS / "offline.py")


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="//cdn.example/a.css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img src="HTTPS://cdn.example/a.png">',
        '<p style="background: url(https://cdn.example/a.png)"></p>',
        "<style>@import 'https://cdn.example/a.css';</style>",
        "<style>@font-face { src: url(https://cdn.example/a.woff2) }</style>",
    ],
)
def test_the_build_finds_what_a_page_loads_from_the_network(html):
    assert len(_offline().loaded_by_page(f"<html><body>{html}</body></html>")) == 1


def test_links_and_local_files_are_not_loaded_from_the_network():
    html = """<head><link rel="canonical" href="https://docs.example/">
    <script src="a.js"></script>
    <style>p { background: url(a.png) }</style></head>
    <body><a href="https://example.org">https://example.org</a><img src="../a.png"></body>"""
    assert _offline().loaded_by_page(html) == []


def test_the_site_asks_for_no_font_script_or_style_of_another_site():
    config = (REPOSITORY / "mkdocs.yml").read_text()
    assert "font: false" in config  # or the theme loads its fonts from Google
    assert "hooks: [docs/hooks.py]" in config
    assert not re.search(r"https?://|repo_url", config)
    assert _offline().loaded_by_styles((DOCS / "style.css").read_text()) == []
