"""The table of what arguments do, which `docs/held_wrong.py` writes."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
spec = importlib.util.spec_from_file_location("held_wrong", DOCS / "held_wrong.py")
assert spec is not None
assert spec.loader is not None
held_wrong = importlib.util.module_from_spec(spec)
spec.loader.exec_module(held_wrong)


def not_in_words(found):
    return [
        f"{owner}({name}={said}): {words}"
        for (owner, name, said), (words, error) in found.items()
        if error is not None and not held_wrong.is_in_words(error)
    ]


def refused(found):
    return sum(error is not None for _, error in found.values())


def test_constructors_refuse_in_words():
    found = held_wrong.of_constructors()
    assert refused(found) > 1000
    assert not_in_words(found) == []


@pytest.mark.slow
def test_layers_refuse_in_words():
    found = held_wrong.of_layers()
    assert refused(found) > 200
    assert not_in_words(found) == []


@pytest.mark.slow
def test_functions_refuse_in_words():
    found = held_wrong.of_functions()
    assert refused(found) > 400
    assert not_in_words(found) == []


def test_an_error_from_the_depths_of_jax_is_not_in_words():
    assert not held_wrong.is_in_words(TypeError("dot_general requires contracting dimensions"))
    assert not held_wrong.is_in_words(AttributeError("`x` is missing"))


def test_the_page_has_every_class_and_function():
    text = held_wrong.PAGE.read_text()
    for owner in (*held_wrong.LAYERS, *held_wrong.OTHERS, *held_wrong.FUNCTIONS):
        assert f"`{owner.__name__}`" in text
