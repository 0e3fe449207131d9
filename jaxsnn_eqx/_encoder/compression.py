"""What stands between a filter bank and an encoder: two signs, and compression."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._types import (
    Constant,
    Sample,
    as_floating,
    checked,
    constant,
    constant_like,
    state_dtype,
)


class OnOff(eqx.Module):
    r"""A signed signal as two channels that are not negative, on a new last axis.

    Not an encoder: `OverTime` puts it in front of an encoder of signals, and `Preprocessed` in
    front of one of values. For a sample $x$, the channels are $\max(x, 0)$ and $\max(-x, 0)$,
    as those of ON and OFF cells.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import OnOff
    >>> OnOff()(jnp.array([2.0, -3.0]))
    Array([[2., 0.],
           [0., 3.]], dtype=float32)

    ```

    **Derivative:** exact; at 0 a half in each channel. **NaN** gives NaN in both channels.
    """

    @checked
    def __call__(
        self, xs: Sample, *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*shape 2"]:
        """**Arguments:**

        - `xs`: a sample (or values), of any shape.
        - `key`: ignored. (Keyword only.)
        """
        xs = as_floating(xs)
        return jnp.stack([jnp.maximum(xs, 0), jnp.maximum(-xs, 0)], axis=-1)


class LogCompression(eqx.Module):
    r"""Compresses a signal logarithmically, with its sign.

    Not an encoder: `OverTime` puts it in front of an encoder of signals. With `floor` $f$,

    $$
    y = \operatorname{sign}(x) \log(1 + |x| / f)
    $$

    which is $x / f$ for samples far below the floor, and grows by $\log 10$ for each factor of
    10 (20 dB) far above it.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import LogCompression
    >>> LogCompression(1e-3)(jnp.array([0.0, 1e-2, 1e-1, -1.0])).round(1)
    Array([ 0. ,  2.4,  4.6, -6.9], dtype=float32)

    ```

    **Arguments:**

    - `floor`: the amplitude from which it compresses, in units of the signal. Positive. A
        number or tuple is fixed; a JAX array is trained.

    **Derivative:** exact, $1 / (f + |x|)$. **NaN** and **infinities** stay.
    """

    floor: Constant = eqx.field(default=1e-3, converter=constant("floor", positive=True))

    @checked
    def __call__(
        self, xs: Sample, *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*shape"]:
        """**Arguments:**

        - `xs`: a sample, of any shape that ends with that of `floor`.
        - `key`: ignored. (Keyword only.)
        """
        xs = as_floating(xs)
        x = xs.astype(state_dtype(xs))
        floor = constant_like("floor", self.floor, x)
        return jnp.where(x < 0, -_log(-x, floor), _log(x, floor)).astype(xs.dtype)


class PowerCompression(eqx.Module):
    r"""Compresses a signal by a power, with its sign, as the cochlea does.

    Not an encoder: `OverTime` puts it in front of an encoder of signals. With `exponent` $p$
    and `floor` $f$,

    $$
    y = \operatorname{sign}(x) \left( (|x| + f)^p - f^p \right)
    $$

    The floor keeps the derivative finite: without it, that of silence would be infinite.

    ```python
    >>> import jax.numpy as jnp
    >>> from jaxsnn_eqx import PowerCompression
    >>> PowerCompression(0.3)(jnp.array([0.0, 1e-2, 1.0, -1.0])).round(2)
    Array([ 0.  ,  0.13,  0.87, -0.87], dtype=float32)

    ```

    **Arguments:**

    - `exponent`: 0.2 to 0.4 in models of the cochlea. Positive.
    - `floor`: in units of the signal. Positive. Of both, a number or tuple is fixed; a JAX
        array is trained.

    **Derivative:** exact. **NaN** and **infinities** stay.
    """

    exponent: Constant = eqx.field(default=0.3, converter=constant("exponent", positive=True))
    floor: Constant = eqx.field(default=1e-3, converter=constant("floor", positive=True))

    @checked
    def __call__(
        self, xs: Sample, *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*shape"]:
        """**Arguments:**

        - `xs`: a sample, of any shape that ends with that of `exponent` and `floor`.
        - `key`: ignored. (Keyword only.)
        """
        xs = as_floating(xs)
        x = xs.astype(state_dtype(xs))
        exponent = constant_like("exponent", self.exponent, x)
        floor = constant_like("floor", self.floor, x)

        def compressed(size: Array) -> Array:
            return (jnp.where(size < 0, 0, size) + floor) ** exponent - floor**exponent

        return jnp.where(x < 0, -compressed(-x), compressed(x)).astype(xs.dtype)


def _log(size: Array, floor: Array | float) -> Array:
    """Of sizes below 0, which another branch takes, that of 0."""
    return jnp.log1p(jnp.where(size < 0, 0, size) / floor)
