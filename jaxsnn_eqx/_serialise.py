"""Models to files and back: what they are in a header, their arrays behind it."""

import dataclasses
import importlib.metadata
import json
import os
import types
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np

_FORMAT = 1
_Model = TypeVar("_Model")


def save(path: str | os.PathLike, model: Any) -> None:
    """Writes a model to a file: its arrays, and beside them what they are the arrays of.

    The first line is JSON: the class of every module, every static parameter and fixed number,
    the shape and dtype of every array, and the versions of this package, Equinox and JAX. Then
    come the leaves, as `equinox.tree_serialise_leaves` writes them. The file appears whole or
    not at all, and takes the place of one that was there.

    ```python
    >>> import pathlib, tempfile
    >>> import jaxsnn_eqx as snn
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "encoder.eqx"
    >>> snn.save(path, snn.LearnableLIFEncoder(3, seq_length=10))
    >>> snn.load(path, like=snn.LearnableLIFEncoder(3, seq_length=10)).gain
    Array([1., 1., 1.], dtype=float32)
    >>> snn.load(path, like=snn.LearnableLIFEncoder(3, seq_length=20))
    Traceback (most recent call last):
        ...
    ValueError: `seq_length` is 10 in the file and 20 in `like`.

    ```

    **Arguments:**

    - `path`: of the file, in a folder that exists.
    - `model`: an `eqx.Module`, or any PyTree of them.

    Nothing is pickled. **Raises:** `OSError` if the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(json.dumps(_header(model)).encode() + b"\n")
            eqx.tree_serialise_leaves(file, model)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike, like: _Model) -> _Model:
    """Reads a model that `save` wrote.

    **Arguments:**

    - `path`: of the file.
    - `like`: a model of the same classes and parameters, made as the saved one was; its arrays
        are replaced (`equinox.filter_eval_shape` makes one that has none).

    **Returns:**

    `like`, with the arrays of the file. See `save` for an example.

    Nothing is unpickled. **Raises:** `ValueError` if the file and `like` differ in a class, a
    parameter, a fixed number, or an array's shape or dtype, naming the field; if it is of
    another format, or of another minor version of this package; or if it is damaged, or no such
    file at all.
    """
    with open(path, "rb") as file:
        try:
            header = json.loads(file.readline())
            format_ = header["jaxsnn_eqx file format"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{os.fspath(path)!r} is no file that `save` wrote.") from error
        expected = _header(like)
        _compare("the file format", format_, expected["jaxsnn_eqx file format"])
        minor = [h["versions"]["jaxsnn_eqx"].split(".")[:2] for h in (header, expected)]
        _compare("the version of jaxsnn_eqx", *(".".join(m) for m in minor))
        for name in header["model"] | expected["model"]:
            values = [h["model"].get(name, "absent") for h in (header, expected)]
            _compare(f"`{name}`" if name else "the model", *values)
        try:
            model = eqx.tree_deserialise_leaves(file, like)
            rest = file.read(1)
        except (ValueError, EOFError, RuntimeError, OSError) as error:
            raise ValueError(f"{os.fspath(path)!r} is cut off or damaged.") from error
        if rest:
            raise ValueError(f"{os.fspath(path)!r} is damaged: it goes on after its arrays.")
    return model


def _compare(what: str, in_file: Any, in_like: Any) -> None:
    if in_file != in_like:
        raise ValueError(f"{what} is {in_file} in the file and {in_like} in `like`.")


def _header(model: Any) -> dict:
    names = ("jaxsnn_eqx", "equinox", "jax")
    return {
        "jaxsnn_eqx file format": _FORMAT,
        "versions": {name: importlib.metadata.version(name) for name in names},
        "model": dict(_describe(model, "")),
    }


def _describe(node: Any, name: str):
    """Every part of a PyTree by its path: what it is, but for the values of arrays."""
    if isinstance(node, jax.Array | np.ndarray | jax.ShapeDtypeStruct):
        shape = "x".join(map(str, node.shape)) or "scalar"
        yield name, f"array of {node.dtype}, {shape}"
    elif dataclasses.is_dataclass(node) and not isinstance(node, type):
        yield name, _qualified(type(node))
        for field in dataclasses.fields(node):
            inner = getattr(node, field.name)
            yield from _describe(inner, f"{name}.{field.name}" if name else field.name)
    elif isinstance(node, list | tuple):
        yield name, f"{_qualified(type(node))} of {len(node)}"
        for i, inner in enumerate(node):
            yield from _describe(inner, f"{name}[{i}]")
    elif isinstance(node, dict):
        yield name, f"dict of {len(node)}"
        for key, inner in node.items():
            yield from _describe(inner, f"{name}[{key!r}]")
    elif isinstance(node, bool | int | float | complex | str | bytes | None | np.dtype):
        yield name, repr(node)
    elif isinstance(node, types.MethodType):
        yield name, _qualified(node.__func__)
        yield from _describe(node.__self__, f"{name}.__self__")
    elif callable(node):
        yield name, _qualified(node)
    else:
        yield name, f"{_qualified(type(node))} {node!r}"


def _qualified(thing: Any) -> str:
    own = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{own.__module__}.{own.__qualname__}"
