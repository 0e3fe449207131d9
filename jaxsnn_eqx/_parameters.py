"""The parameters of a leaky integrate-and-fire neuron."""

from dataclasses import dataclass, fields

from ._types import positive_number, real_number

_TRAINABLE = (
    " To train membrane parameters, use `LearnableLIFEncoder`, which holds them as "
    "array leaves."
)


@dataclass(frozen=True)
class LIFParameters:
    """Parameters of a leaky integrate-and-fire (LIF) neuron, with jaxsnn's defaults.

    A frozen, hashable dataclass of Python floats, made to be a *static* field of a
    module: it is part of the compiled program, so a changed value recompiles. To sweep
    or train a parameter without recompiling, use `LearnableLIFEncoder`.

    ```python
    >>> from jaxsnn_eqx import LIFParameters
    >>> LIFParameters(v_th=1)
    LIFParameters(tau_syn=0.005, tau_mem=0.01, v_th=1.0, v_leak=0.0, v_reset=0.0)

    ```

    **Arguments:**

    - `tau_syn`: synaptic time constant, in seconds. Positive.
    - `tau_mem`: membrane time constant, in seconds. Positive.
    - `v_th`: threshold potential (dimensionless). Above `v_reset`.
    - `v_leak`: leak (resting) potential (dimensionless).
    - `v_reset`: potential after a spike (dimensionless).

    Integers are accepted and stored as floats.

    **Raises:** `ValueError` for a value that is not a Python number (arrays included),
    not finite, a time constant that is not positive, or `v_reset >= v_th`.

    Source: `jaxsnn.discrete.modules.lif.LIFParameters` (jaxsnn 0.3.0).
    """

    tau_syn: float = 5e-3
    tau_mem: float = 1e-2
    v_th: float = 0.6
    v_leak: float = 0.0
    v_reset: float = 0.0

    def __post_init__(self):
        for field in fields(self):
            is_time = field.name.startswith("tau")
            convert = (positive_number if is_time else real_number)(field.name, _TRAINABLE)
            object.__setattr__(self, field.name, convert(getattr(self, field.name)))
        if self.v_reset >= self.v_th:
            raise ValueError(
                f"`v_reset` must be below `v_th`, got v_reset={self.v_reset} and "
                f"v_th={self.v_th}: the neuron would fire at every step."
            )


def check_dt(dt: float, **time_constants: float) -> None:
    """Refuses a step longer than a time constant that it integrates.

    Explicit Euler overshoots its fixed point there.
    """
    for name, tau in time_constants.items():
        if dt > tau:
            raise ValueError(
                f"`dt` must be at most `{name}`={tau} s, got dt={dt} s: explicit Euler "
                "overshoots there. Both are in seconds."
            )
