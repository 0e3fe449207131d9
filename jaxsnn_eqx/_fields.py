"""The fields that several layers have, each declared once."""

from typing import Any

import equinox as eqx

from ._parameters import LIFParameters
from ._surrogate import SuperSpike
from ._types import (
    optional_positive_int,
    positive_number,
    spike_dtype,
)


def _as_parameters(params: Any) -> LIFParameters:
    if not isinstance(params, LIFParameters):
        raise ValueError(
            f"`params` must be a `LIFParameters`, got {params!r} "
            f"of type {type(params).__name__}."
        )
    return params


def _as_surrogate(surrogate: Any) -> Any:
    if isinstance(surrogate, type) or not callable(surrogate):
        raise ValueError(
            f"`surrogate` must be an instance such as `SuperSpike()`, got {surrogate!r}."
        )
    return surrogate


def params_field() -> Any:
    """`params`: a static `LIFParameters`."""
    return eqx.field(default=LIFParameters(), static=True, converter=_as_parameters)


def dt_field() -> Any:
    """`dt`: the step in seconds, static; 1e-3 is the one default in the package."""
    return eqx.field(default=1e-3, static=True, converter=positive_number("dt"))


def surrogate_field() -> Any:
    """`surrogate`: the spike and its derivative."""
    return eqx.field(default=SuperSpike(), converter=_as_surrogate)


def checkpoint_field() -> Any:
    """`checkpoint_every`: a static int of at least 1, or `None` for the default."""
    return eqx.field(
        default=None, static=True, converter=optional_positive_int("checkpoint_every")
    )


def dtype_field() -> Any:
    """`dtype`: the static dtype of the spikes, or `None` to follow the input."""
    return eqx.field(default=None, static=True, converter=spike_dtype)
