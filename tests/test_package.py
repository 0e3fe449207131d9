"""The package as a whole: its public API, its imports, its docstrings and its README."""

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Any

import jax
import pytest

import jaxsnn_eqx as snn

PACKAGE = Path(snn.__file__).parent
REPOSITORY = Path(__file__).parents[1]
MODULES = [m.name for m in pkgutil.walk_packages([str(PACKAGE)], "jaxsnn_eqx.")]
PUBLIC = {name: value for name, value in vars(snn).items() if not name.startswith("_")}


def test_import_warns_of_nothing_and_imports_no_optional_dependency():
    code = (
        "import sys, jaxsnn_eqx\n"
        "optional = {'optax', 'sklearn', 'matplotlib', 'tqdm', 'jaxsnn', 'pytest', 'torch', "
        "'nir', 'h5py', 'scipy.signal'}\n"
        "print(sorted(optional & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (run.stdout.strip(), run.stderr) == ("[]", "")


@pytest.mark.parametrize("module", ["jaxsnn_eqx", *MODULES])
def test_docstring_examples(module):
    # the closing fence of an example is not part of its output
    class Parser(doctest.DocTestParser):
        def parse(self, string, name="<string>"):
            return super().parse(re.sub(r"^\s*```.*$", "", string, flags=re.M), name)

    finder = doctest.DocTestFinder(parser=Parser())
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in finder.find(importlib.import_module(module)):
        runner.run(test)
    assert runner.summarize().failed == 0


def test_docstrings_with_equations_are_raw():
    # else Python makes a tab of the first two characters of \tau, and drops other backslashes
    for path in PACKAGE.rglob("*.py"):
        with tokenize.open(path) as file:
            for token in tokenize.generate_tokens(file.readline):
                if token.type == tokenize.STRING and "$" in token.string:
                    assert token.string.startswith("r"), f"{path}:{token.start[0]}"


@pytest.mark.parametrize("name", [n for n, v in PUBLIC.items() if inspect.isclass(v)])
def test_every_public_class_and_method_has_a_docstring(name):
    cls = PUBLIC[name]
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{name}(")  # the default docstring of dataclasses
    for method, value in vars(cls).items():
        if inspect.isfunction(value) and not method.startswith("_"):
            assert inspect.getdoc(getattr(cls, method)), f"{name}.{method}"


@pytest.mark.parametrize(
    "name",
    [n for n, v in PUBLIC.items() if inspect.isclass(v) and not n.startswith("Abstract")],
)
def test_every_signature_shows_types_and_defaults(name):
    for parameter in inspect.signature(PUBLIC[name]).parameters.values():
        assert parameter.annotation not in (inspect.Parameter.empty, Any), parameter
        assert "object at 0x" not in str(parameter), parameter


def test_every_public_docstring_has_an_example():
    abstract = [n for n in PUBLIC if n.startswith("Abstract")]
    # `plotting` is an attribute once something has imported it; `load` has `save`'s example
    plain = {"functional", "datasets", "events", "spike_trains", "metrics"}
    plain |= {"information", "plotting", "nir", "testing", "load"}
    surrogates = [
        n
        for n, v in PUBLIC.items()
        if inspect.isclass(v)
        and issubclass(v, snn.AbstractSurrogate)
        and v is not snn.SuperSpike
    ]
    for name, value in PUBLIC.items():
        if name in plain or name in abstract or name in surrogates:
            continue
        assert ">>>" in value.__doc__, name


def test_the_readmes_python_runs():
    readme = REPOSITORY / "README.md"
    if not readme.exists():
        pytest.skip("outside the source tree")
    snippets = re.findall(r"```python\n(.*?)```", readme.read_text(), flags=re.S)
    assert snippets
    namespace = {}
    with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
        for snippet in snippets:
            exec(compile(snippet, "README.md", "exec"), namespace)


def test_no_module_switches_shape_checks_off():
    for path in PACKAGE.rglob("*.py"):
        assert "from __future__ import annotations" not in path.read_text(), path
