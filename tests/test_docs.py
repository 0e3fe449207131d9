"""The documentation: every public name on one API page, and pages whose code runs.

Nothing of mkdocs is needed; `mkdocs build --strict` checks the links.
"""

import ast
import re
from collections import Counter
from pathlib import Path

import jax
import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "jaxsnn_eqx"
DOCS = REPOSITORY / "docs"
GUIDE = ["first_model.md", "contract.md", "choosing.md", "extending.md", "performance.md"]

pytestmark = pytest.mark.skipif(
    not (REPOSITORY / "README.md").exists(), reason="outside the source tree"
)


def public_names(path, *, taken=()):
    """The names that a module defines, or says that it imports for others (`X as X`)."""
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            names += [alias.name for alias in node.names if alias.asname == alias.name]
    return [name for name in names if not name.startswith("_") and name not in taken]


def documented():
    """What the pages ask mkdocstrings for, and how often."""
    lines = [line for page in DOCS.rglob("*.md") for line in page.read_text().splitlines()]
    return Counter(line.removeprefix("::: ") for line in lines if line.startswith("::: "))


def test_every_public_name_is_documented_once():
    face = public_names(PACKAGE / "__init__.py")
    modules = {p.stem: p for p in PACKAGE.glob("*.py") if not p.name.startswith("_")}
    modules |= {p.parent.name: p for p in PACKAGE.glob("[a-z]*/__init__.py")}
    names = [f"jaxsnn_eqx.{name}" for name in {*face, *modules}]
    for module, path in modules.items():
        # the face has it already: `functional` gives `LIFParameters` too, as the reference does
        own = public_names(path, taken=face)
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
