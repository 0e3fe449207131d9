"""Models to files and back: a header that describes them, and their arrays."""

import dataclasses
import functools as ft
import importlib.metadata
import json
import os
import re
import types
import uuid
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
import numpy as np
from jax import lax

_FORMAT = 2  # in 1, `LIF`, `LI` and `ALIF` had their own synapse
_Model = TypeVar("_Model")


def save(path: str | os.PathLike, model: Any) -> None:
    """Writes a model to a file: its arrays, and a description of the model.

    The first line is JSON: the class of every module, every static parameter and fixed number,
    the shape and dtype of every array, and the versions of this package, Equinox and JAX. The
    leaves follow, as `equinox.tree_serialise_leaves` writes them (for a typed key, its data).
    The file is replaced only once it is written completely.

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

    - `path`: path of the file, in an existing folder.
    - `model`: an `eqx.Module`, or any PyTree of them.

    Functions and classes are recorded by their names, without private modules, so that two
    `lambda`s of the same function count as equal.

    Nothing is pickled. **Raises:** `OSError` if the file cannot be written; `ValueError` for
    leaves without values (`jax.ShapeDtypeStruct`), and for arrays of objects, which would need
    pickle.
    """
    path = Path(path)
    header = _header(model)
    for where, leaf in jtu.tree_leaves_with_path(model):
        if isinstance(leaf, jax.ShapeDtypeStruct):
            name = jtu.keystr(where).lstrip(".") or "model"
            raise ValueError(f"`{name}` has no values to store, got {leaf}.")
    # a unique name, because several threads or processes may save at the same time
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            eqx.tree_serialise_leaves(file, model, _write)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike, like: _Model) -> _Model:
    """Reads a model that `save` wrote.

    **Arguments:**

    - `path`: path of the file.
    - `like`: a model with the same classes and parameters as the saved one; its arrays are
        replaced (`equinox.filter_eval_shape` makes a model without arrays).

    **Returns:**

    `like`, with the arrays of the file, on the default device. See `save` for an example.

    Nothing is unpickled. **Raises:** `ValueError` if the file and `like` differ in a class, a
    parameter, a fixed number, or an array's shape or dtype, naming the field; if the file has
    another format, or was written by another minor version of this package, in which the same
    parameters may have another meaning; or if it is damaged or was not written by `save`. The
    versions of JAX and Equinox may differ.
    """
    path = Path(path)
    with open(path, "rb") as file:
        foreign = ValueError(f"{os.fspath(path)!r} was not written by `save`.")
        try:
            header = json.loads(file.readline())
            format_ = header["jaxsnn_eqx file format"]
        except (ValueError, KeyError, TypeError) as error:
            raise foreign from error
        expected = _header(like)
        _compare("the file format", format_, expected["jaxsnn_eqx file format"])
        try:
            version, saved = str(header["versions"]["jaxsnn_eqx"]), dict(header["model"])
        except (ValueError, KeyError, TypeError) as error:
            raise foreign from error
        versions = version, expected["versions"]["jaxsnn_eqx"]
        if _UNKNOWN not in versions:
            minor = [".".join(v.split(".")[:2]) for v in versions]
            _compare("the version of jaxsnn_eqx", *minor)
        for name in saved | expected["model"]:
            values = [described.get(name, "absent") for described in (saved, expected["model"])]
            _compare(f"`{name}`" if name else "the model", *values)
        like = jtu.tree_map(_with_key, like)
        try:
            model = eqx.tree_deserialise_leaves(file, like, _read)
            rest = file.read(1)
        except (ValueError, EOFError, RuntimeError, OSError) as error:
            raise ValueError(f"{os.fspath(path)!r} is cut off or damaged.") from error
        if rest:
            raise ValueError(f"{os.fspath(path)!r} is damaged: it continues after its arrays.")
    return model


# Equinox writes and reads all leaves, except typed keys and the dtypes that NumPy lacks.


def _write(file: Any, leaf: Any) -> None:
    eqx.default_serialise_filter_spec(file, jr.key_data(leaf) if _is_key(leaf) else leaf)


def _read(file: Any, leaf: Any) -> Any:
    if _is_key(leaf):
        return jr.wrap_key_data(np.load(file, allow_pickle=False), impl=jr.key_impl(leaf))
    if not _is_array(leaf) or leaf.dtype.kind != "V":
        return eqx.default_deserialise_filter_spec(file, leaf)
    array = np.load(file, allow_pickle=False).view(leaf.dtype)  # NumPy wrote only its bits
    return array if isinstance(leaf, np.ndarray) else jnp.asarray(array)


def _with_key(leaf: Any) -> Any:
    # Equinox reads a leaf by its type, for which the shape of a key is not enough
    if isinstance(leaf, jax.ShapeDtypeStruct) and _is_key(leaf):
        return lax.full(leaf.shape, 0, leaf.dtype)
    return leaf


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def _is_key(leaf: Any) -> bool:
    return _is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _compare(what: str, in_file: Any, in_like: Any) -> None:
    if in_file != in_like:
        raise ValueError(f"{what} is {in_file} in the file and {in_like} in `like`.")


_UNKNOWN = "unknown"


def _header(model: Any) -> dict:
    names = ("jaxsnn_eqx", "equinox", "jax")
    return {
        "jaxsnn_eqx file format": _FORMAT,
        "versions": {name: _version(name) for name in names},
        "model": dict(_describe(model, "", stored=True)),
    }


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
    if _is_array(node):
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
