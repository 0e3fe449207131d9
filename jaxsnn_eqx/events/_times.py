"""Times as the decimal numbers that were written, and what float32 rounds off of them."""

from fractions import Fraction
from typing import Any

import numpy as np


def exactly(number: float) -> Fraction:
    """The decimal number that was written."""
    return Fraction(repr(number))


def multiples(n: np.ndarray, unit: Fraction, offset: Fraction = Fraction(0)) -> np.ndarray:
    """`n·unit + offset`, from decimal digits and rounded once.

    3000 ticks of 1e-6 and 3 steps of 1e-3 are then the same number, so that an event on the
    edge of a window is exactly on it.
    """
    below = unit.denominator * offset.denominator
    return (n * float(unit * below) + float(offset * below)) / float(below)


def rounded(exact: np.ndarray, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """`exact` in a dtype, and the rest of it."""
    near = exact.astype(dtype)
    return near, remainder(exact, near)


def remainder(exact: np.ndarray, near: np.ndarray) -> np.ndarray:
    """`exact - near`, in the dtype of `near`; 0 where that is not finite."""
    finite = np.isfinite(near)
    return np.subtract(exact, near, out=np.zeros(near.shape), where=finite).astype(near.dtype)
