"""What a file says of its model: every class and parameter, in JSON, and its comparison."""

import dataclasses
import functools as ft
import importlib.metadata
import json
import os
import re
import types
from pathlib import Path
from typing import IO, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

_FORMAT = 3  # 1: `LIF`, `LI` and `ALIF` had their own synapse; 2: no checksum
_KEY = "jaxsnn_eqx file format"
_BEGINS = f'{{"{_KEY}": '.encode()
LONGEST = 2**24  # bytes; a network of a thousand layers has a header of 2**20
_UNKNOWN = "unknown"

IN_32_BITS = (
    "JAX is in its 32-bit mode, in which it would lose half of the bits: call "
    '`jax.config.update("jax_enable_x64", True)` first, and build `like` after it.'
)


def header(model: Any) -> dict:
    """The header of a file with `model`."""
    names = ("jaxsnn_eqx", "equinox", "jax")
    return {
        _KEY: _FORMAT,
        "versions": {name: _version(name) for name in names},
        "model": dict(_describe(model, "", stored=True)),
    }


def read_header(file: IO[bytes], path: Path) -> dict:
    """The header at the start of a file that `save` wrote."""
    if file.read(len(_BEGINS)) != _BEGINS:
        raise _foreign(path)
    file.seek(0)
    try:
        header = json.loads(file.readline(LONGEST))
        header[_KEY]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _foreign(path) from error
    return header


def compare_headers(header: dict, expected: dict, path: Path) -> None:
    """Refuses the first difference between a file's header and that of `like`."""
    _compare("the file format", header[_KEY], expected[_KEY])
    try:
        version, saved = str(header["versions"]["jaxsnn_eqx"]), dict(header["model"])
    except (ValueError, KeyError, TypeError) as error:
        raise _foreign(path) from error
    versions = version, expected["versions"]["jaxsnn_eqx"]
    if _UNKNOWN not in versions:
        minor = [".".join(v.split(".")[:2]) for v in versions]
        _compare("the version of jaxsnn_eqx", *minor)
    for name in saved | expected["model"]:
        values = [described.get(name, "absent") for described in (saved, expected["model"])]
        what = f"`{name}`" if name else "the model"
        narrow = re.sub(r"^(array of \D+)64,", r"\g<1>32,", str(values[0]))
        if narrow == values[1] != values[0] and narrowed(np.dtype(float)):
            raise ValueError(f"{what} is {values[0]} in the file. {IN_32_BITS}")
        _compare(what, *values)


def _foreign(path: Path) -> ValueError:
    return ValueError(f"{os.fspath(path)!r} was not written by `save`.")


def _compare(what: str, in_file: Any, in_like: Any) -> None:
    if in_file != in_like:
        raise ValueError(f"{what} is {in_file} in the file and {in_like} in `like`.")


def narrowed(dtype: Any) -> bool:
    """Whether JAX, in its 32-bit mode, makes other arrays of this dtype."""
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return False
    return jax.dtypes.canonicalize_dtype(dtype) != dtype


def is_array(leaf: Any) -> bool:
    """Whether it is an array, or the shape and dtype of one."""
    return isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # run from its source tree
        return _UNKNOWN


def _describe(node: Any, name: str, stored: bool):
    """Describes every part of a PyTree by its path, without the values that are `stored`.

    The values of arrays in static fields, and inside other leaves, are not stored, so they are
    part of the description.
    """
    if is_array(node):
        if node.dtype == object:
            raise ValueError(f"`{name}` is an array of objects, which cannot be stored.")
        shape = "x".join(map(str, node.shape)) or "scalar"
        values = "" if stored else f": {np.asarray(node).tolist()}"
        yield name, f"array of {node.dtype}, {shape}{values}"
        return
    stored = stored and not jtu.all_leaves([node])
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        yield name, _qualified(type(node))
        for field in dataclasses.fields(node):
            inner = getattr(node, field.name)
            path = f"{name}.{field.name}" if name else field.name
            yield from _describe(inner, path, stored and not field.metadata.get("static"))
    elif isinstance(node, list | tuple):
        yield name, f"{_qualified(type(node))} of {len(node)}"
        for i, inner in enumerate(node):
            yield from _describe(inner, f"{name}[{i}]", stored)
    elif isinstance(node, dict):
        # JAX sorts the keys of a `dict`, and keeps the order of its subclasses
        keys = f"{len(node)}" if type(node) is dict else f"{list(node)}"
        yield name, f"{_qualified(type(node))} of {keys}"
        for key, inner in node.items():
            yield from _describe(inner, f"{name}[{key!r}]", stored)
    elif isinstance(node, set | frozenset):
        yield name, f"{_qualified(type(node))} of {sorted(map(repr, node))}"
    elif isinstance(node, bool | int | float | complex | str | bytes | None | np.dtype):
        yield name, repr(node)
    elif isinstance(node, types.MethodType):
        yield name, _qualified(node.__func__)
        yield from _describe(node.__self__, f"{name}.__self__", stored)
    elif isinstance(node, ft.partial):
        yield name, _qualified(type(node))
        for part in ("func", "args", "keywords"):
            yield from _describe(getattr(node, part), f"{name}.{part}", stored)
    elif not jtu.all_leaves([node]):
        yield name, _qualified(type(node))
        for i, inner in enumerate(eqx.tree_flatten_one_level(node)[0]):
            yield from _describe(inner, f"{name}[{i}]", stored)
    elif isinstance(getattr(node, "__qualname__", None), str):
        yield name, _qualified(node)
    else:
        # addresses differ from process to process
        yield name, re.sub(r" at 0x[0-9a-fA-F]+", "", f"{_qualified(type(node))} {node!r}")


def _qualified(thing: Any) -> str:
    """The name of a class or function, without private modules, which may be renamed."""
    public = re.sub(r"\._.*", "", str(thing.__module__))
    return f"{public}.{thing.__qualname__}"
