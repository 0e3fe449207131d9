"""Spike trains: dense, packed into bits, and lists of events."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import TypeCheckError

from jaxsnn_eqx.spike_trains import (
    EventList,
    PackedSpikes,
    from_events,
    pack,
    to_events,
    unpack,
)

SHAPES = st.sampled_from([(0,), (8,), (17,), (3, 0), (16, 2, 3)])
BINARY = hnp.arrays(np.float32, SHAPES, elements=st.sampled_from([0.0, 1.0]))
SIGNED = hnp.arrays(np.float32, SHAPES, elements=st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.5]))


def _train(shape=(21, 3, 2), seed=0, signed=False):
    values = np.random.default_rng(seed).choice([0, 0, 1, -1 if signed else 1], shape)
    return values.astype(np.float32)


def _words(spikes):
    """Bit by bit, from the class's own words."""
    words = np.zeros((-(-spikes.shape[0] // 8), *spikes.shape[1:]), np.uint8)
    for t in range(spikes.shape[0]):
        words[t // 8] |= (spikes[t] > 0).astype(np.uint8) << (t % 8)
    return words


def _events(spikes):
    """`(t, index, value)` one after the other."""
    flat = spikes.reshape(spikes.shape[0], int(np.prod(spikes.shape[1:])))
    return [
        (t, i, flat[t, i])
        for t in range(flat.shape[0])
        for i in range(flat.shape[1])
        if flat[t, i] != 0
    ]


@settings(deadline=None, max_examples=40)
@given(BINARY)
def test_packing_and_back_is_exact(spikes):
    packed = pack(spikes)
    np.testing.assert_array_equal(packed.words, _words(spikes))
    assert packed.length == spikes.shape[0]
    back = unpack(packed)
    assert back.dtype == jnp.float32
    np.testing.assert_array_equal(back, spikes)


@settings(deadline=None, max_examples=40)
@given(SIGNED, st.sampled_from([1, 40]))
def test_listing_and_back_is_exact_for_spikes_that_fit(spikes, capacity):
    events = to_events(spikes, capacity)
    expected = _events(spikes)
    kept = expected[:capacity]
    mask = np.asarray(events.mask)
    listed = list(
        zip(
            np.asarray(events.t)[mask].tolist(),
            np.asarray(events.index)[mask].tolist(),
            np.asarray(events.value)[mask].tolist(),
            strict=True,
        )
    )
    assert listed == kept
    assert mask.tolist() == [k < len(kept) for k in range(capacity)]
    assert int(events.dropped) == len(expected) - len(kept)
    for padding in (events.t, events.index, events.value):
        assert not np.asarray(padding)[~mask].any()
    fitting = np.zeros((spikes.shape[0], int(np.prod(spikes.shape[1:]))), np.float32)
    for t, i, value in kept:
        fitting[t, i] = value
    np.testing.assert_array_equal(from_events(events), fitting.reshape(spikes.shape))


def test_packed_by_hand():
    # steps 0, 3, 4 are 1 + 8 + 16; step 8 is the second word's first bit
    packed = pack([1, 0, 0, 1, 1, 0, 0, 0, 1])
    assert packed.words.tolist() == [25, 1]
    np.testing.assert_array_equal(
        np.unpackbits(np.asarray(packed.words), count=9, bitorder="little"),
        [1, 0, 0, 1, 1, 0, 0, 0, 1],
    )


def test_packed_is_32_times_smaller_than_float32():
    spikes = np.zeros((800, 100), np.float32)
    assert spikes.nbytes == 32 * pack(spikes).words.nbytes


@pytest.mark.parametrize("length", [9, 15, 16])
def test_the_length_is_kept_if_the_words_are_the_same(length):
    packed = pack(np.eye(length, 1))
    assert packed.words.tolist() == [[1], [0]]
    assert unpack(packed).shape == (length, 1)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.bool_, jnp.uint8, jnp.int32])
def test_any_dtype_packs_and_unpacks(dtype):
    spikes = jnp.asarray(_train().astype(dtype))
    packed = pack(spikes)
    np.testing.assert_array_equal(packed.words, _words(_train()))
    back = unpack(packed, dtype)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, spikes)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.bool_, jnp.uint8, jnp.int32])
def test_any_dtype_lists_and_keeps_its_dtype(dtype):
    spikes = jnp.asarray(_train().astype(dtype))
    back = from_events(to_events(spikes, 200))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, spikes)


@pytest.mark.parametrize("wrong", [-1.0, 0.5, 2.0, np.nan, np.inf])
def test_packing_refuses_concrete_values_other_than_0_and_1(wrong):
    spikes = np.array([[0.0, 1.0], [wrong, 0.0]])
    message = rf"`spikes` must be 0 or 1 .* got {wrong} \(1 of 4"
    with pytest.raises(ValueError, match=message):
        pack(spikes)


def test_packing_inside_jit_takes_values_above_zero_for_spikes():
    spikes = jnp.array([-1.0, 0.5, 2.0, jnp.nan, jnp.inf, 0.0])
    packed = jax.jit(pack)(spikes)
    np.testing.assert_array_equal(unpack(packed), [0, 1, 1, 0, 1, 0])


def test_signed_graded_and_nan_values_are_listed_unchanged():
    spikes = np.array([[0.0, -1.0], [0.5, np.nan]], np.float32)
    events = to_events(spikes, 5)
    np.testing.assert_array_equal(events.value, [-1, 0.5, np.nan, 0, 0])
    np.testing.assert_array_equal(from_events(events), spikes)


def test_the_flat_index_is_that_of_unravel_index():
    spikes = _train()
    events = to_events(spikes, 200)
    at = (events.t, *jnp.unravel_index(events.index, events.shape))
    mask = np.asarray(events.mask)
    where = np.stack([np.asarray(axis)[mask] for axis in at], axis=1)
    np.testing.assert_array_equal(where, np.argwhere(spikes))


def test_vmap_equals_a_loop():
    batch = np.stack([_train(seed=s) for s in range(3)])
    packed = jax.jit(jax.vmap(pack))(batch)
    events = jax.jit(jax.vmap(lambda s: to_events(s, 50)))(batch)
    assert (packed.length, events.length, events.shape) == (21, 21, (3, 2))
    for k, spikes in enumerate(batch):
        one = to_events(spikes, 50)
        np.testing.assert_array_equal(np.asarray(packed.words)[k], pack(spikes).words)
        for stacked, leaf in zip(jax.tree.leaves(events), jax.tree.leaves(one), strict=True):
            np.testing.assert_array_equal(np.asarray(stacked)[k], leaf)
    np.testing.assert_array_equal(jax.jit(jax.vmap(unpack))(packed), batch)
    expected = [from_events(to_events(s, 50)) for s in batch]
    np.testing.assert_array_equal(jax.jit(jax.vmap(from_events))(events), expected)


def test_values_are_differentiable():
    spikes = jnp.asarray(_train(signed=True))
    weights = np.arange(spikes.size, dtype=np.float32).reshape(spikes.shape)

    def loss(s):
        return jnp.sum(weights * from_events(to_events(s, 40)) ** 2)

    kept = np.asarray(from_events(to_events(spikes, 40)))
    np.testing.assert_array_equal(jax.jit(jax.grad(loss))(spikes), 2 * weights * kept)


def test_events_outside_the_train_and_padding_are_left_out():
    def listed(t, index, mask):
        ones = jnp.asarray(np.ones(len(t), np.float32))
        mask = jnp.array(mask)
        zero = jnp.asarray(np.int32(0))
        return EventList(jnp.array(t), jnp.array(index), ones, mask, zero, 3, (2,))

    # negative indices would wrap around to the end, and 2 to the next row's start
    outside = listed([-1, 3, 0, 0, 1], [0, 0, -1, 2, 1], [True] * 4 + [False])
    np.testing.assert_array_equal(from_events(outside), np.zeros((3, 2)))
    inside = listed([0, 2], [1, 0], [True, True])
    np.testing.assert_array_equal(from_events(inside), [[0, 1], [0, 0], [1, 0]])


def test_the_input_array_is_not_changed():
    spikes = _train()
    copy = spikes.copy()
    unpack(pack(spikes))
    from_events(to_events(spikes, 7))
    np.testing.assert_array_equal(spikes, copy)


@pytest.mark.parametrize("length", [8, 17, True, -1, 9.0])
def test_a_length_that_the_words_cannot_have_is_refused(length):
    with pytest.raises((ValueError, TypeCheckError), match="length"):
        PackedSpikes(jnp.zeros((2, 3), jnp.uint8), length)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`capacity` must be at least 1, got 0"):
        to_events(np.ones(3), 0)
    with pytest.raises(ValueError, match="`dtype` must be a floating"):
        unpack(pack(np.ones(3)), jnp.complex64)
    for convert in (pack, lambda s: to_events(s, 3)):
        with pytest.raises(TypeCheckError, match=r"time \*shape"):
            convert(jnp.array(1.0))
