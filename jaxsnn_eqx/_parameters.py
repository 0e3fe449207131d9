"""The parameters of a leaky integrate-and-fire neuron."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, UInt

from ._types import NestedNumbers, as_shape, positive_number, real_number

_TRAINABLE = (
    " To train it, or to give each neuron its own, use `LearnableLIFParameters`; in an "
    "encoder, `LearnableLIFEncoder`."
)


@jtu.register_static
@dataclass(frozen=True)
class LIFParameters:
    """Parameters of a leaky integrate-and-fire (LIF) neuron, with jaxsnn's defaults.

    A frozen, hashable dataclass of Python floats. It is static in every layer: part of the
    compiled program, so that a changed value compiles again. To train a parameter, to sweep it
    without compiling again, or to give each neuron its own, use `LearnableLIFParameters`.

    ```python
    >>> from jaxsnn_eqx import LIFParameters
    >>> LIFParameters(v_th=1)
    LIFParameters(tau_syn=0.005, tau_mem=0.01, v_th=1.0, v_leak=0.0, v_reset=0.0, r=1.0)

    ```

    **Arguments:**

    - `tau_syn`: synaptic time constant, in seconds. Positive.
    - `tau_mem`: membrane time constant, in seconds. Positive.
    - `v_th`: threshold potential (dimensionless). Above `v_reset`.
    - `v_leak`: leak (resting) potential (dimensionless).
    - `v_reset`: potential after a spike (dimensionless).
    - `r`: membrane resistance (dimensionless), by which the membrane multiplies its input. May
        be negative. jaxsnn has none, which is 1.

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
    r: float = 1.0

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


def as_parameters(params: LIFParameters) -> LIFParameters:
    """A converter of the static field `params`."""
    if isinstance(params, LearnableLIFParameters):
        raise ValueError(
            "`params` of a fixed encoder must be a `LIFParameters`, got a "
            "`LearnableLIFParameters`: `LearnableLIFEncoder` and the neurons take it."
        )
    if not isinstance(params, LIFParameters):
        raise ValueError(
            f"`params` must be a `LIFParameters`, got {params!r} "
            f"of type {type(params).__name__}."
        )
    return params


class Fixed(eqx.Module):
    """An array that an optimiser does not change, neither by gradients nor by weight decay.

    The numbers are stored as integers with the same bits, because optimisers update all
    floating leaves of a model.
    """

    bits: UInt[Array, "*shape"]

    def __init__(self, value: Float[Array, "*shape"]):
        unsigned = {2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint64}[value.dtype.itemsize]
        self.bits = lax.bitcast_convert_type(value, unsigned)

    @property
    def value(self) -> Float[Array, "*shape"]:
        """The array."""
        floating = {2: jnp.float16, 4: jnp.float32, 8: jnp.float64}[self.bits.dtype.itemsize]
        return lax.bitcast_convert_type(self.bits, floating)


class LearnableLIFParameters(eqx.Module):
    r"""`LIFParameters` that are trained, and that may differ from neuron to neuron.

    Any neuron takes them in place of `LIFParameters`: `LIF(LearnableLIFParameters(10))`. The
    trained leaves are $a$ = `log_tau_mem` and $b$ = `log_v_th`, which start at 0. With
    $\tau_0$ and $v_0$ the given `tau_mem` and `v_th`,

    $$
    \begin{split}
    \tau_\text{mem} &= \tau_\text{min} + (\tau_0 - \tau_\text{min}) e^a \\
    v_\text{th} &= v_\text{reset} + (v_0 - v_\text{reset}) e^b
    \end{split}
    $$

    Training therefore keeps Euler's method stable and the threshold above the reset. Before
    training the constants are exactly the given ones. A layer keeps only the leaves of the
    constants that it uses. The time constant of a synapse belongs to `Synapse`.

    ```python
    >>> import equinox as eqx, jax.numpy as jnp
    >>> from jaxsnn_eqx import LIF, LearnableLIFParameters
    >>> neurons = LIF(LearnableLIFParameters(2, tau_mem=[5e-3, 2e-2]))
    >>> currents = jnp.full((50, 2), 2.0)
    >>> neurons(currents).sum(axis=0)
    Array([25.,  7.], dtype=float32)
    >>> grads = eqx.filter_grad(lambda n: n(currents).sum())(neurons)
    >>> bool((grads.params.log_v_th < 0).all())
    True

    ```

    **Arguments:**

    - `shape`: shape of the layer, an int or a tuple of ints: each neuron has its own constants.
        With `()` all neurons share them.
    - `params`: a `LIFParameters` with the initial constants.
    - `tau_min`: the lower bound of `tau_mem`, in seconds (static); at least the `dt` of the
        layer.
    - `tau_mem`, `v_th`, `v_leak`, `v_reset`, `r`: the initial constants of each neuron, of a
        shape that broadcasts to `shape`, in place of those in `params`. `v_leak`, `v_reset` and
        `r` are not trained. (Keyword only.)

    **Raises:** `ValueError` for a time constant that is not above `tau_min`, a `v_th` that is
    not above `v_reset`, or a shape that does not broadcast to `shape`. Values that are traced
    (inside `jax.jit` or `jax.vmap`) are not checked.

    Source: Fang et al., "Incorporating Learnable Membrane Time Constant to Enhance Learning of
    Spiking Neural Networks", ICCV (2021), which trains a logistic function of `dt / tau_mem`.
    """

    log_tau_mem: Float[Array, "*shape"] | None
    log_v_th: Float[Array, "*shape"] | None
    first: dict[str, Fixed]
    tau_min: float = eqx.field(static=True, converter=positive_number("tau_min"))

    def __init__(
        self,
        shape: int | tuple[int, ...] = (),
        params: LIFParameters = LIFParameters(),
        tau_min: float = 1e-3,
        *,
        tau_mem: ArrayLike | NestedNumbers | None = None,
        v_th: ArrayLike | NestedNumbers | None = None,
        v_leak: ArrayLike | NestedNumbers | None = None,
        v_reset: ArrayLike | NestedNumbers | None = None,
        r: ArrayLike | NestedNumbers | None = None,
    ):
        shape, params = as_shape(shape), as_parameters(params)
        given = {
            "tau_mem": tau_mem,
            "v_th": v_th,
            "v_leak": v_leak,
            "v_reset": v_reset,
        }
        if r is not None or params.r != 1:
            given["r"] = r
        first = {
            name: _of_shape(name, getattr(params, name) if value is None else value, shape)
            for name, value in given.items()
        }
        tau_min = positive_number("tau_min")(tau_min)
        check_above("tau_mem", first["tau_mem"], "tau_min", tau_min)
        check_above("v_th", first["v_th"], "v_reset", first["v_reset"])
        self.log_tau_mem = jnp.zeros_like(first["tau_mem"])
        self.log_v_th = jnp.zeros_like(first["v_th"])
        self.first = {name: Fixed(value) for name, value in first.items()}
        self.tau_min = tau_min

    @property
    def tau_mem(self) -> Float[Array, "*shape"]:
        """The membrane time constants in seconds, above `tau_min`."""
        return grown(self.first["tau_mem"].value, self.tau_min, self.log_tau_mem)

    @property
    def v_th(self) -> Float[Array, "*shape"]:
        """The thresholds, above `v_reset`."""
        return grown(self.first["v_th"].value, self.v_reset, self.log_v_th)

    @property
    def v_leak(self) -> Float[Array, "*shape"]:
        """The leak potentials, which are not trained."""
        return self.first["v_leak"].value

    @property
    def v_reset(self) -> Float[Array, "*shape"]:
        """The reset potentials, which are not trained."""
        return self.first["v_reset"].value

    @property
    def r(self) -> float | Float[Array, "*shape"]:
        """The membrane resistances, which are not trained; 1.0 if none were given."""
        return self.first["r"].value if "r" in self.first else 1.0


def _of_shape(name: str, value: ArrayLike | NestedNumbers, shape: int | tuple) -> Array:
    dtype = jnp.result_type(float)
    try:
        if isinstance(value, jax.Array):
            return jnp.broadcast_to(value.astype(dtype), shape)
        # NumPy keeps float64 until here, so the given number is rounded only once
        return jnp.asarray(np.broadcast_to(np.asarray(value, float), shape), dtype)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must broadcast to `shape`={shape}, got shape {np.shape(value)}."
        ) from error


def check_above(name: str, value: Array, floor_name: str, floor: float | Array) -> None:
    """Refuses constants that are not above their lower bound; traced ones are not checked."""
    if isinstance(value, Tracer) or isinstance(floor, Tracer):
        return
    lowest = np.asarray(floor, value.dtype)
    if not (np.asarray(value) > lowest).all() or not np.isfinite(value).all():
        raise ValueError(
            f"`{name}` must be finite and above `{floor_name}`={floor}, its lower bound in "
            f"training, got {value}."
        )


def grown(first: Array, floor: float | Array, log: Array | None) -> Array:
    """`floor + (first − floor) · exp(log)`: `first` itself for 0, never below `floor`."""
    if log is None:
        return first
    first, floor = first.astype(log.dtype), jnp.asarray(floor, log.dtype)
    floor = jnp.broadcast_to(floor, first.shape)
    return jnp.maximum(first + (first - floor) * jnp.expm1(log), floor)


AnyLIFParameters = LIFParameters | LearnableLIFParameters


def parameters_of(*used: str) -> Callable[[AnyLIFParameters], AnyLIFParameters]:
    """A converter of the field `params` of layers that step with the constants `used`."""

    def convert(params: LIFParameters | LearnableLIFParameters) -> AnyLIFParameters:
        if not isinstance(params, LearnableLIFParameters):
            return as_parameters(params)
        logs = ("log_tau_mem", "log_v_th")
        unused = [log for log in logs if log.removeprefix("log_") not in used]
        return eqx.tree_at(
            lambda p: [getattr(p, log) for log in unused],
            params,
            [None for _ in unused],
            is_leaf=lambda node: node is None,
        )

    return convert


def rheobase(params: AnyLIFParameters) -> Any:
    """The smallest constant current that makes the neuron fire, in the limit of a long time."""
    return (params.v_th - params.v_leak) / params.r


def check_params(params: AnyLIFParameters, dt: float, *taus: str) -> None:
    """Refuses a `dt` longer than a time constant, now or after training."""
    if isinstance(params, LearnableLIFParameters):
        check_dt(dt, tau_min=params.tau_min)
    else:
        check_dt(dt, **{name: getattr(params, name) for name in taus})


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
