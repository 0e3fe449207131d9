"""The derivative of `integrate`, checked in four ways, under JAX's transformations."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conftest import draw, slow
from jax import lax
from jax.sharding import PartitionSpec as P
from jax.test_util import check_grads
from jaxtyping import Array

from jaxsnn_eqx import (
    LIF,
    ConstantCurrentLIFEncoder,
    LIFCurrentEncoder,
    SuperSpike,
    Synapse,
)
from jaxsnn_eqx import integrate as integrate_step
from jaxsnn_eqx._chunks import chunk_length

SLOPE = 5.0


class LIFCell(eqx.Module):
    """A membrane with a trained time constant, a synapse, and a count of its spikes."""

    rate: Array  # dt / tau_mem
    steps: Array  # an integer leaf
    surrogate: object = SuperSpike(SLOPE)

    def step(self, state, x):
        v, i, n = state
        v = v + self.rate * (i - v)
        z = self.surrogate(v - 0.5)
        v = v - z * v
        i = 0.8 * i + x
        return (v, i, n + self.steps), (z, v)


def integrate(cell, state, xs, **kwargs):
    return integrate_step(lambda s, x: cell.step(s, x), state, xs, **kwargs)


def naive(cell, state, xs):
    return lax.scan(lambda s, x: cell.step(s, x), state, xs)


def problem(length=23, n=4, seed=0, dtype=jnp.float32, surrogate=SuperSpike(SLOPE)):
    k1, k2, k3 = jr.split(jr.key(seed), 3)
    cell = LIFCell(draw.uniform(k1, (n,), dtype, 0.1, 0.4), jnp.asarray(np.int32(1)), surrogate)
    state = (
        0.3 * np.asarray(draw.normal(k2, (n,), dtype)),
        np.zeros(n, dtype),
        np.zeros((), np.int32),
    )
    xs = 0.4 * np.asarray(draw.normal(k3, (length, n), dtype)) + 0.3
    return cell, *jax.tree.map(jnp.asarray, (state, xs))


def loss_of(run, **kwargs):
    """A scalar that depends on all outputs, as a function of all floating inputs."""

    def loss(rate, v, i, xs, cell):
        cell = eqx.tree_at(lambda c: c.rate, cell, rate)
        (v, i, _), (z, vs) = run(cell, (v, i, jnp.zeros((), jnp.int32)), xs, **kwargs)
        weights = jnp.cos(jnp.arange(z.size, dtype=z.dtype)).reshape(z.shape)
        return jnp.sum(weights * (z + 0.3 * vs**2)) + jnp.sum(v * i) + jnp.sum(i**2)

    return loss


def grad_of(loss):
    return eqx.filter_jit(jax.grad(loss, argnums=(0, 1, 2, 3)))


naive_loss = loss_of(naive)
naive_grad = grad_of(naive_loss)


def arguments(length=23, **kwargs):
    cell, (v, i, _), xs = problem(length, **kwargs)
    return cell.rate, v, i, xs, cell


jitted_naive = jax.jit(naive)
EVERY = [None, 1, 5, 23, *slow(2, 7, 22, 40)]


@pytest.mark.parametrize("every", EVERY)
def test_primal_equals_scan_to_the_bit(every):
    cell, state, xs = problem()
    expected = jitted_naive(cell, state, xs)
    got = integrate(cell, state, xs, checkpoint_every=every)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    assert np.sum(got[1][0]) > 5  # there are spikes


@pytest.mark.parametrize("every", EVERY)
def test_primal_under_differentiation_equals_the_primal(every):
    cell, state, xs = problem()
    arrays, static = eqx.partition((cell, state, xs), eqx.is_inexact_array)

    def run(arrays):
        return integrate(*eqx.combine(arrays, static), checkpoint_every=every)

    # under jit, as the plain call: without it XLA compiles the parts separately
    out = jax.jit(lambda a: jax.jvp(run, (a,), (a,))[0])(arrays)
    jax.tree.map(np.testing.assert_array_equal, out, integrate(cell, state, xs))


@pytest.mark.parametrize("every", EVERY)
def test_gradient_equals_autodiff_of_the_naive_scan(every):
    args = arguments()
    expected = naive_grad(*args)
    got = grad_of(loss_of(integrate, checkpoint_every=every))(*args)
    for g, e in zip(got, expected, strict=True):
        assert np.abs(e).max() > 1e-2
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [0, 1, 2, 3])
@pytest.mark.parametrize("every", [1, 2, *slow(None, 7)])
def test_short_sequences(length, every):
    args = arguments(length)
    got = grad_of(loss_of(integrate, checkpoint_every=every))(*args)
    expected = naive_grad(*args)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("every", [None, 1, 5, 23])
def test_forward_against_reverse(every):
    """The transpose identity, in float32 and through every argument at once."""
    args = arguments()
    loss = loss_of(integrate, checkpoint_every=every)

    def f(*floats):
        return loss(*floats, args[-1])

    tangents = [draw.normal(jr.key(i), a.shape) for i, a in enumerate(args[:4])]

    @jax.jit
    def both(args, tangents):
        return jax.jvp(f, args, tangents)[1], jax.grad(f, argnums=(0, 1, 2, 3))(*args)

    forward, reverse = both(args[:4], tuple(tangents))
    inner = sum(np.vdot(g, t) for g, t in zip(reverse, tangents, strict=True))
    np.testing.assert_allclose(forward, inner, rtol=1e-4)


@pytest.mark.parametrize("every", [None, 4, 23])
def test_gradient_equals_a_handwritten_backpropagation(every, x64):
    """Backpropagation through time by hand, in NumPy float64."""
    cell, (v, i, _), xs = problem(dtype=jnp.float64)
    rate, v0, xs_ = (np.asarray(a) for a in (cell.rate, v, xs))
    length, n = xs_.shape
    w_z = np.cos(np.arange(length * n)).reshape(length, n)

    # forward, keeping the values for the backward pass
    v, i, kept = v0.copy(), np.zeros(n), []
    for x in xs_:
        v_mid = v + rate * (i - v)
        z = (v_mid > 0.5).astype(float)
        kept.append((v, i, v_mid, z))
        v, i = v_mid - z * v_mid, 0.8 * i + x
    outs = [m - z * m for (_, _, m, z) in kept]

    # backward: d/dv and d/di of the loss at the end, then step by step
    v_bar, i_bar, rate_bar, xs_bar = i.copy(), v + 2 * i, np.zeros(n), np.zeros_like(xs_)
    for t in reversed(range(length)):
        v_prev, i_prev, v_mid, z = kept[t]
        v_bar = v_bar + 0.6 * w_z[t] * outs[t]  # the loss on the recorded potential
        z_bar = w_z[t] - v_bar * v_mid
        mid_bar = v_bar * (1 - z) + z_bar / (SLOPE * abs(v_mid - 0.5) + 1) ** 2
        xs_bar[t] = i_bar
        rate_bar += mid_bar * (i_prev - v_prev)
        i_bar = 0.8 * i_bar + rate * mid_bar
        v_bar = mid_bar * (1 - rate)

    args = (cell.rate, jnp.asarray(v0), jnp.asarray(np.zeros(n)), xs, cell)
    got = grad_of(loss_of(integrate, checkpoint_every=every))(*args)
    for g, e in zip(got, (rate_bar, v_bar, i_bar, xs_bar), strict=True):
        assert g.dtype == jnp.float64
        np.testing.assert_allclose(g, e, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("every", [None, 1, 5, 23])
def test_with_the_smooth_function_autodiff_equals_finite_differences(every, x64):
    args = arguments(dtype=jnp.float64, surrogate=SuperSpike(SLOPE).smooth)
    loss = loss_of(integrate, checkpoint_every=every)
    check_grads(
        jax.jit(lambda *floats: loss(*floats, args[-1])),
        args[:4],
        order=1,
        modes=["fwd", "rev"],
        eps=1e-6,
        rtol=1e-6,
    )


FWD, REV = jax.jacfwd, jax.jacrev
naive_hessian = eqx.filter_jit(jax.hessian(naive_loss))


@pytest.mark.parametrize(
    ("outer", "inner", "every"),
    [
        (FWD, REV, 5),
        (REV, REV, 5),
        (FWD, REV, 9),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in itertools.product((FWD, REV), (FWD, REV), (1, 5, 9))
        ),
    ],
)
def test_hessian_with_the_smooth_function(every, outer, inner, x64):
    args = arguments(length=9, dtype=jnp.float64, surrogate=SuperSpike(SLOPE).smooth)
    hessian = eqx.filter_jit(outer(inner(loss_of(integrate, checkpoint_every=every))))
    got = np.asarray(hessian(*args))
    np.testing.assert_allclose(got, naive_hessian(*args), rtol=1e-9, atol=1e-9)
    eps, rate = 1e-6, np.asarray(args[0])
    up, down = (np.asarray(naive_grad(rate + e, *args[1:])[0]) for e in (eps, -eps))
    np.testing.assert_allclose(np.diag(got), (up - down) / (2 * eps), rtol=1e-6)


@pytest.mark.parametrize("every", [5, *slow(None)])
@pytest.mark.parametrize("outer", [FWD, REV])
def test_hessian_through_the_surrogate_over_forward_mode(every, outer, x64):
    # The derivative of reverse mode does not contain the surrogate, also in the naive scan.
    args = arguments(length=9, dtype=jnp.float64)
    got = eqx.filter_jit(outer(FWD(loss_of(integrate, checkpoint_every=every))))(*args)
    expected = np.asarray(eqx.filter_jit(outer(FWD(naive_loss)))(*args))
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9)


def test_vmap_of_each():
    many = [arguments(seed=seed) for seed in range(3)]
    batch = jax.tree.map(lambda *a: np.stack(a), *[m[:4] for m in many])
    cell = many[0][-1]
    loss = loss_of(integrate, checkpoint_every=5)

    def value(*floats):
        return loss(*floats, cell)

    grad = jax.grad(value, argnums=(0, 1, 2, 3))

    def forward(*floats):
        return jax.jvp(value, floats, floats)[1]

    for f, tolerance in ((value, 1e-6), (grad, 1e-4), (forward, 1e-4)):
        got, one = jax.jit(jax.vmap(f))(*batch), jax.jit(f)
        expected = jax.tree.map(lambda *a: np.stack(a), *[one(*m[:4]) for m in many])
        jax.tree.map(
            lambda g, e, tol=tolerance: np.testing.assert_allclose(g, e, rtol=tol, atol=tol),
            got,
            expected,
        )


def test_vmap_of_the_cell_alone():
    cell, state, xs = problem()
    rates = np.stack([cell.rate, 2 * np.asarray(cell.rate)])
    each = jax.vmap(lambda rate: jax.grad(loss_of(integrate))(rate, *state[:2], xs, cell))
    for rate, g in zip(rates, np.asarray(jax.jit(each)(rates)), strict=True):
        e = naive_grad(jnp.asarray(rate), *state[:2], xs, cell)[0]
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5)


def test_inside_scan_and_jit():
    args = arguments()
    loss = loss_of(integrate, checkpoint_every=5)

    @jax.jit
    def descend(rate):
        def body(rate, _):
            return rate - 1e-3 * jax.grad(loss)(rate, *args[1:]), None

        return lax.scan(body, rate, None, length=3)[0]

    expected = args[0]
    for _ in range(3):
        gradient = np.asarray(naive_grad(expected, *args[1:])[0])
        expected = jnp.asarray(np.asarray(expected) - np.float32(1e-3) * gradient)
    np.testing.assert_allclose(descend(args[0]), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("axis_type", "check_vma"),
    [
        ("Auto", True),
        ("Explicit", False),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("Auto", False), ("Explicit", True))
        ),
    ],
)
def test_inside_shard_map(axis_type, check_vma):
    axis_types = (getattr(jax.sharding.AxisType, axis_type),)
    mesh = jax.make_mesh((4,), ("neurons",), axis_types=axis_types)
    rate, v, i, xs, cell = arguments()
    loss = loss_of(integrate, checkpoint_every=5)

    def grads(rate, v, i, xs):
        return jax.grad(loss, argnums=(0, 1, 2, 3))(rate, v, i, xs, cell)

    specs = (P("neurons"), P("neurons"), P("neurons"), P(None, "neurons"))
    sharded = jax.shard_map(
        grads, mesh=mesh, in_specs=specs, out_specs=specs, check_vma=check_vma
    )
    with jax.set_mesh(mesh):
        inputs = [
            jax.device_put(a, jax.NamedSharding(mesh, spec))
            for a, spec in zip((rate, v, i, xs), specs, strict=True)
        ]
        got = jax.jit(sharded)(*inputs)
    one, arrays = jax.jit(grads), [np.asarray(a) for a in (rate, v, i, xs)]
    alone = [one(*(a[..., k : k + 1] for a in arrays)) for k in range(4)]
    for g, *e in zip(got, *alone, strict=True):
        np.testing.assert_allclose(g, np.concatenate(e, axis=-1), rtol=1e-5, atol=1e-6)


def test_chunks_with_the_state_carried_equal_the_whole():
    cell, state, xs = problem()
    whole_state, whole = integrate(cell, state, xs)
    middle, first = integrate(cell, state, xs[:9])
    final, second = integrate(cell, middle, xs[9:])
    joined = jax.tree.map(lambda a, b: np.concatenate([a, b]), first, second)
    jax.tree.map(np.testing.assert_array_equal, (final, joined), (whole_state, whole))
    assert int(final[2]) == 23


def test_gradient_flows_across_chunks_through_the_state():
    def chunked(cell, state, xs):
        state, first = integrate(cell, state, xs[:9])
        state, second = integrate(cell, state, xs[9:])
        return state, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second)

    args = arguments()
    got, expected = grad_of(loss_of(chunked))(*args), naive_grad(*args)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5)


class Noisy(eqx.Module):
    """Keys and integers among the leaves, booleans among the outputs, no inputs."""

    scale: Array
    key: Array

    def step(self, state, x):
        v, t = state
        noise = jr.normal(jr.fold_in(self.key, t), v.shape)
        v = 0.9 * v + self.scale * noise
        return (v, t + 1), {"potential": v, "positive": v > 0, "nothing": None}


@pytest.mark.parametrize("new_style", [True, False])
@pytest.mark.parametrize("every", [4, *slow(None, 10)])
def test_integer_boolean_and_key_leaves(new_style, every):
    key = jr.key(0) if new_style else jr.PRNGKey(0)

    def last(scale, run):
        state = (jnp.zeros(3), jnp.zeros((), jnp.int32))
        _, outs = run(Noisy(scale, key), state)
        return jnp.sum(outs["potential"] * outs["positive"].astype(jnp.float32))

    def ours(cell, state):
        return integrate(cell, state, None, length=10, checkpoint_every=every)

    def plain(cell, state):
        return lax.scan(lambda s, x: cell.step(s, x), state, None, length=10)

    @jax.jit
    def all_of(scale):
        return [
            (*jax.jvp(f, (scale,), (scale,)), jax.grad(f)(scale))
            for f in (lambda s: last(s, ours), lambda s: last(s, plain))
        ]

    np.testing.assert_allclose(*all_of(jnp.array(0.5)), rtol=1e-5)


def closing(run, w, n, key, x0):
    """A loss whose step closes over a gain, an integer, a key and a scalar, and has no leaf."""
    xs = jnp.linspace(0.1, 1.0, 9)

    def step(state, x):
        v, t = state
        offset = (jr.key_data(key)[-1] % 7).astype(t.dtype) + t
        v = jnp.tanh(w * v + x) + offset.astype(v.dtype) / 20
        return (v, t + n), v * x0

    return jnp.sum(run(step, (0 * w, jnp.zeros((), n.dtype)), xs)[1] ** 2)


W, N, CLOSED_KEY, X0 = np.array([0.3, 0.5, 0.9]), 2, 3, 2.0


def _of_w(run):
    n, key, x0 = jnp.array(N), jr.key(CLOSED_KEY), jnp.array(X0)
    return lambda w: closing(run, w, n, key, x0)


def _grad_of_everything(run, w):
    n, key = jnp.array(N), jr.key(CLOSED_KEY)
    return jax.grad(lambda w, x0: closing(run, w, n, key, x0), (0, 1))(w, jnp.array(X0))


def _grad_of_a_batch(run, w):
    n, x0, keys = jnp.array(N), jnp.array(X0), jr.split(jr.key(CLOSED_KEY), 2)
    each = jax.vmap(lambda w, key: closing(run, w, n, key, x0))
    return jax.grad(lambda ws: each(ws, keys).sum())(jnp.stack([w, 2 * w]))


def _descent(run, w):
    grad = jax.grad(_of_w(run))
    return lax.scan(lambda w, _: (w - 0.1 * grad(w), None), w, None, 3)[0]


def _in_shard_map(run, w, check_vma):
    mesh = jax.make_mesh((2,), ("b",), axis_types=(jax.sharding.AxisType.Auto,))
    specs = {"in_specs": P("b"), "out_specs": P("b"), "check_vma": check_vma}
    grad = jax.shard_map(jax.vmap(jax.grad(_of_w(run))), mesh=mesh, **specs)
    return jax.jit(grad)(jnp.stack([w, 2 * w]))


TRANSFORMED = {
    "grad": _grad_of_everything,
    "jvp": lambda run, w: jax.jvp(_of_w(run), (w,), (w,)),
    "jit of grad": lambda run, w: jax.jit(jax.grad(_of_w(run)))(w),
    "grad of jit": lambda run, w: jax.grad(jax.jit(_of_w(run)))(w),
    "vmap of grad": lambda run, w: jax.vmap(jax.grad(_of_w(run)))(jnp.stack([w, 2 * w])),
    "grad of vmap": _grad_of_a_batch,
    "hessian": lambda run, w: jax.hessian(_of_w(run))(w),
    "reverse over reverse": lambda run, w: jax.jacrev(jax.grad(_of_w(run)))(w),
    "scan": _descent,
    "checkpoint": lambda run, w: jax.grad(jax.checkpoint(_of_w(run)))(w),
    "linearize": lambda run, w: jax.linearize(_of_w(run), w)[1](w),
    "cond": lambda run, w: jax.grad(
        lambda w: lax.cond(w[0] > 0, lambda: _of_w(run)(w), lambda: 0.0)
    )(w),
    "shard_map": lambda run, w: _in_shard_map(run, w, True),
    "shard_map, unchecked": lambda run, w: _in_shard_map(run, w, False),
}


TWICE = ("grad", "jvp", "grad of vmap", "shard_map")  # also with chunks of one step


@pytest.mark.parametrize(
    ("name", "every"),
    [
        *((name, 4) for name in TRANSFORMED),
        *((name, 1) for name in TWICE),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                *itertools.product(TRANSFORMED, (None, 2, 9, 40)),
                *((n, 1) for n in TRANSFORMED if n not in TWICE),
            ]
        ),
    ],
)
def test_arrays_that_a_step_closes_over_have_a_derivative(name, every, x64):
    def run(step, state, xs):
        return integrate_step(step, state, xs, checkpoint_every=every)

    @jax.jit
    def both(w):
        return TRANSFORMED[name](run, w), TRANSFORMED[name](lax.scan, w)

    got, expected = both(jnp.asarray(W))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), got, expected)


def test_a_changed_closed_over_integer_or_key_changes_the_result():
    @jax.jit
    def last(n, key):
        def step(state, x):
            return state + n + jr.bits(key, (), jnp.uint8).astype(jnp.int32), x

        return integrate_step(step, jnp.zeros((), jnp.int32), jnp.ones(3))[0]

    first, second = last(2, jr.key(0)), last(3, jr.key(0))
    assert second - first == 3
    assert last(2, jr.key(1)) != first


def test_only_differentiated_arrays_have_a_tangent():
    """A missing tangent is not an array of zeros as long as the sequence."""
    cell, state, xs = problem(length=1000, n=50)

    def tangent(rate, xs, moving_xs):
        def final(rate, xs):
            return integrate(eqx.tree_at(lambda c: c.rate, cell, rate), state, xs)[0][0]

        if moving_xs:
            return jax.jvp(final, (rate, xs), (rate, jnp.zeros_like(xs)))[1]
        return jax.jvp(lambda rate: final(rate, xs), (rate,), (rate,))[1]

    def zeros(moving_xs):
        jaxpr = jax.make_jaxpr(tangent, static_argnums=2)(cell.rate, xs, moving_xs)
        return str(jaxpr).count("f32[1000,50] = broadcast_in_dim")

    assert (zeros(True), zeros(False)) == (1, 0)


def _temp(length, every, n=4096):
    def loss(x, w):
        def step(v, _):
            v = v + 0.1 * (x - v)
            z = SuperSpike()(v - 0.6)
            return v - z * v, z

        start = jnp.zeros_like(x)
        _, z = integrate_step(step, start, length=length, checkpoint_every=every)
        return jnp.vdot(w, z)

    shapes = (
        jax.ShapeDtypeStruct((n,), jnp.float32),
        jax.ShapeDtypeStruct((length, n), jnp.float32),
    )
    compiled = jax.jit(jax.grad(loss)).lower(*shapes).compile()
    return compiled.memory_analysis().temp_size_in_bytes / (length * n * 4)


def test_memory_of_the_reverse_pass_in_spike_trains():
    assert _temp(100, 100) < 1.1
    assert _temp(100, 10) < 0.36
    assert _temp(100, None) < 0.36
    assert _temp(1000, 25) < 0.1
    assert _temp(1000, None) < 0.1


def test_the_loop_is_not_unrolled():
    def jaxpr_size(length):
        cell, state, xs = problem(length=length)
        args = (cell.rate, *state[:2], xs, cell)
        return len(str(jax.make_jaxpr(jax.grad(loss_of(integrate)))(*args)))

    assert jaxpr_size(10_000) < 1.1 * jaxpr_size(100)


@pytest.mark.parametrize(
    ("length", "expected"), [(64, 8), (66, 6), (100, 10), (1000, 25), (101, 10)]
)
def test_default_chunk_length(length, expected):
    chunk = chunk_length(length)
    root = np.sqrt(length)
    assert root / 2 <= chunk <= 2 * root
    divisors = [
        c for c in range(1, length + 1) if length % c == 0 and root / 2 <= c <= 2 * root
    ]
    assert (chunk in divisors) if divisors else (chunk == round(root))
    assert abs(np.log(chunk / root)) <= abs(np.log(expected / root)) + 1e-9


@pytest.mark.parametrize("length", [0, 1, 2, 50, 63])
def test_short_sequences_are_not_cut_into_chunks(length):
    assert chunk_length(length) == 1


@pytest.mark.parametrize("length", [6, 7])
def test_large_states_run_two_steps_at_once_and_agree_to_the_bit(length):
    # 50,000 numbers: an even length takes two steps per iteration, an odd one takes one
    encoder = LIFCurrentEncoder()
    xs = np.asarray(draw.uniform(jr.key(0), (length, 50_000), maxval=2.0))
    state, spikes = encoder.run(encoder.init(xs[0]), xs, key=None)
    constant = ConstantCurrentLIFEncoder(length)(xs[0])

    @jax.jit
    def steps(xs):
        return jax.lax.scan(lambda v, x: encoder.step(v, x), encoder.init(xs[0]), xs)

    expected_state, expected = steps(xs)
    assert np.array_equal(spikes, expected)
    assert np.array_equal(state, expected_state)
    assert np.array_equal(constant, steps(np.broadcast_to(xs[0], xs.shape))[1])


@pytest.mark.parametrize("length", [6, 7])
def test_large_states_have_the_derivatives_of_small_ones(length):
    encoder = LIFCurrentEncoder()
    xs = np.asarray(draw.uniform(jr.key(0), (length, 10, 5_000), maxval=2.0))
    dots, w = np.asarray(draw.normal(jr.key(1), (2, *xs.shape)))

    def both(encode):
        gradient = jax.jit(jax.grad(lambda xs: jnp.vdot(w, encode(xs))))(xs)
        spikes, spikes_dot = jax.jit(lambda xs, dots: jax.jvp(encode, (xs,), (dots,)))(xs, dots)
        return np.asarray(gradient), np.asarray(spikes), np.asarray(spikes_dot)

    small = both(jax.vmap(encoder, in_axes=1, out_axes=1))
    assert all(map(np.array_equal, both(encoder), small))
    assert np.any(small[0] != 0)
    assert np.any(small[2] != 0)


def test_a_large_state_that_is_not_differentiated_has_a_zero_tangent():
    # two steps per iteration have their own rule, which must fill in zero tangents
    encoder = LIFCurrentEncoder()
    v, xs = jnp.zeros(50_000), jnp.ones((2, 50_000))
    _, (state_dot, out_dot) = jax.jvp(lambda v: (v, encoder.run(v, xs)[1]), (v,), (v,))
    assert not state_dot.any()
    assert not out_dot.any()


def test_keeping_every_step_stores_one_potential_per_neuron():
    xs, w = jnp.ones((100, 1_000)), jnp.ones((100, 1_000))

    def temporary(every):
        neuron = Synapse(LIF(checkpoint_every=every), immediate=False)
        gradient = jax.grad(lambda xs, w: jnp.vdot(w, neuron(xs)))
        analysis = jax.jit(gradient).lower(xs, w).compile().memory_analysis()
        return analysis.temp_size_in_bytes / xs.nbytes

    assert temporary(None) == temporary(1)
    assert temporary(1) < 1.2  # of two numbers of state, and several values per step
    assert temporary(100) > 1.8  # the states, computed again


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"xs": None}, r"`length` and axis 0 of every array in `xs` must agree.*got \[\]"),
        ({"xs": jnp.ones(3), "length": 4}, r"must agree.*got \[3, 4\]"),
        ({"xs": (jnp.ones(3), jnp.ones(2))}, r"must agree.*got \[2, 3\]"),
        ({"xs": jnp.ones(())}, r"`xs` must have time on axis 0, got an array of shape \(\)"),
        ({"xs": jnp.ones(3), "checkpoint_every": 0}, r"`checkpoint_every` must be at least 1"),
        ({"xs": jnp.ones(3), "checkpoint_every": 1.5}, r"`checkpoint_every` must be an int"),
    ],
)
def test_bad_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        integrate_step(lambda state, x: (state + 1, state), jnp.zeros(()), **kwargs)


def test_a_step_that_changes_its_state_is_refused():
    with pytest.raises(ValueError, match=r"`step` must return a state.*float32\[\].*\[2\]"):
        integrate_step(
            lambda state, x: (jnp.stack([state, state]), x), jnp.zeros(()), jnp.ones(3)
        )
