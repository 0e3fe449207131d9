"""The functions of `jaxsnn.discrete.encode`, under their own names.

Users of jaxsnn change only an import. The functions run the modules of this package. Where
jaxsnn's documentation and its code disagree, the docstrings state what these functions do.
"""

from typing import Any

import equinox as _eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Shaped

from ._encoder import lif as _lif
from ._encoder import spatio_temporal as _spatio_temporal
from ._encoder.rules import spike_at as _spike_at
from ._integrate import map_over_time as _map_over_time
from ._parameters import LIFParameters as LIFParameters
from ._trace import trace as _trace
from ._types import NestedNumbers as _NestedNumbers
from ._types import as_floating as _as_floating
from ._types import as_integers as _as_integers
from ._types import checked as _checked
from ._types import positive_int as _positive_int
from ._types import positive_number as _positive_number
from ._types import state_dtype as _state_dtype
from ._types import to_array as _to_array

_DEFAULT = LIFParameters()


@_checked
def constant_current_lif_encode(
    input_current: Shaped[ArrayLike, "*shape"] | _NestedNumbers,
    seq_length: int,
    params: LIFParameters = _DEFAULT,
    dt: float = 0.001,
) -> tuple[Float[Array, "{seq_length} *shape"], Float[Array, "{seq_length} *shape"]]:
    """The potentials and spikes of LIF neurons with constant input currents.

    The example of jaxsnn's documentation needs a threshold of 1:

    ```python
    >>> import numpy as np
    >>> from jaxsnn_eqx import LIFParameters
    >>> from jaxsnn_eqx.functional import constant_current_lif_encode
    >>> data = np.array([2, 4, 8, 16])
    >>> constant_current_lif_encode(data, 2, LIFParameters(v_th=1.0))
    (Array([[0.2 , 0.4 , 0.8 , 0.  ],
           [0.38, 0.76, 0.  , 0.  ]], dtype=float32), Array([[0., 0., 0., 1.],
           [0., 0., 1., 1.]], dtype=float32))

    ```

    **Arguments:**

    - `input_current`: the currents (dimensionless), of any shape.
    - `seq_length`: number of steps, at least 1. A Python int, so it needs `static_argnums`
        under `jax.jit`.
    - `params`: a `LIFParameters`; `tau_syn` is not used.
    - `dt`: length of a step in seconds.

    **Returns:**

    `(potentials, spikes)`, both of shape `"seq_length *shape"`, as in jaxsnn's documentation.
    Its released code returns only the final potential, takes 1-D input without `params` and
    `dt`, and returns half a spike exactly at the threshold, where this function returns none.

    Equation, derivative and errors: `jaxsnn_eqx.ConstantCurrentLIFEncoder`, which returns
    only the spikes.
    """
    encoder = _lif.ConstantCurrentLIFEncoder(seq_length, params, dt)
    return _trace(encoder, input_current)


@_checked
def lif_current_encoder(
    voltage: Shaped[ArrayLike, "*shape"] | _NestedNumbers,
    input_current: Shaped[ArrayLike, "*shape"] | _NestedNumbers,
    params: LIFParameters = _DEFAULT,
    dt: float = 0.001,
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """One step of LIF neurons: an Euler step, a spike if `v > v_th`, and the reset.

    ```python
    >>> from jaxsnn_eqx.functional import lif_current_encoder
    >>> lif_current_encoder([0.0, 0.55], [2.0, 2.0])
    (Array([0.2, 0. ], dtype=float32), Array([0., 1.], dtype=float32))

    ```

    **Arguments:**

    - `voltage`: the potentials before the step, of any shape.
    - `input_current`: the currents in this step (dimensionless), of the same shape.
    - `params`: a `LIFParameters`; `tau_syn` is not used, since the current is the input. The
        equation `i' = −i / tau_syn` of jaxsnn's documentation is not in its code either.
    - `dt`: length of a step in seconds.

    **Returns:**

    `(potential, spikes)` after the step, a body for `jax.lax.scan`.

    Equation, derivative and errors: `jaxsnn_eqx.LIFCurrentEncoder`.
    """
    potential = _as_floating(voltage)
    potential = potential.astype(_state_dtype(potential))
    return _lif.LIFCurrentEncoder(params, dt).step(potential, input_current)


@_checked
def one_hot(
    x: Shaped[ArrayLike, "*shape"] | _NestedNumbers, k: int, dtype: Any = jnp.float32
) -> Shaped[Array, "*shape {k}"]:
    """One-hot encoding of `x` over `k` classes.

    ```python
    >>> from jaxsnn_eqx.functional import one_hot
    >>> one_hot([0, 2], 3)
    Array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)

    ```

    **Arguments:**

    - `x`: class indices, of any shape (in jaxsnn 1-D). An index outside [0, k), or a float that
        is not an integer, gives zeros.
    - `k`: number of classes, at least 1. A Python int.
    - `dtype`: dtype of the result.

    **Returns:**

    An array of shape `"*shape k"`. Its derivative is zero.
    """
    x = _to_array(x)
    if x.dtype.kind == "b":
        x = x.astype(np.int32)
    if jnp.issubdtype(x.dtype, jnp.floating):
        x = jnp.asarray(x)
        x = jnp.where(x == jnp.round(x), x, -1).astype(jnp.int32)
    return jax.nn.one_hot(_as_integers("x", x), _positive_int("k")(k), dtype=dtype)


@_checked
def spatio_temporal_encode(
    input_values: Shaped[ArrayLike, "*shape"] | _NestedNumbers,
    seq_length: int,
    t_late: float,
    dt: float,
    t_early: float = 0.0,
) -> Float[Array, "{seq_length} *shape"]:
    """One spike per coordinate, at `t_early + x · (t_late − t_early)`.

    ```python
    >>> from jaxsnn_eqx.functional import spatio_temporal_encode
    >>> spatio_temporal_encode([0.0, 0.6, 1.0], 3, t_late=2e-3, dt=1e-3)
    Array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]], dtype=float32)

    ```

    **Arguments:**

    - `input_values`: coordinates, meant to be in [0, 1], of any shape.
    - `seq_length`: number of steps, at least 1. A Python int.
    - `t_late`: time of the spike of 1, in seconds. Above `t_early`.
    - `dt`: length of a step in seconds. Positive.
    - `t_early`: time of the spike of 0, in seconds. At least 0. (In jaxsnn's documentation, but
        not in its code.)

    **Returns:**

    Spikes of shape `"seq_length *shape"`. As in jaxsnn, a spike outside the window is put into
    its first or last step, where the derivative is zero; `jaxsnn_eqx.SpatioTemporalEncoder`
    refuses such a window instead.

    Derivative and NaN: `jaxsnn_eqx.SpatioTemporalEncoder`.
    """
    seq_length = _positive_int("seq_length")(seq_length)
    dt = _positive_number("dt")(dt)
    _spatio_temporal.check_window(t_early, t_late)
    x = _as_floating(input_values)
    position = _spatio_temporal.position_in_window(x, t_early, t_late, dt)
    return _spikes_at(position, seq_length).astype(x.dtype)


@_eqx.filter_jit
def _spikes_at(position: Array, seq_length: int) -> Array:
    start = jnp.zeros((), jnp.int32)
    return _map_over_time(
        lambda t: _spike_at(seq_length, position, t), start, length=seq_length
    )
