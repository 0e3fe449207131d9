"""The Yin-Yang dataset."""

import numpy as np
import pytest

from jaxsnn_eqx.datasets import yin_yang


def _class_by_the_papers_text(x, y, r_big=0.5, r_small=0.1):
    """The class of one point, from the paper's description."""
    right = np.hypot(x - 1.5 * r_big, y - r_big)
    left = np.hypot(x - 0.5 * r_big, y - r_big)
    if right < r_small or left < r_small:
        return 2
    # the yin: the upper half, without the right half circle, with the left one
    if left <= 0.5 * r_big:
        return 1
    if right <= 0.5 * r_big:
        return 0
    return int(y > r_big)


@pytest.mark.parametrize("r_big", [0.5, 2.0])
def test_every_point_is_in_its_class_and_in_the_symbol(r_big):
    points, classes = yin_yang(1, 3000, r_big=r_big, r_small=0.2 * r_big)
    expected = [_class_by_the_papers_text(x, y, r_big, 0.2 * r_big) for x, y, *_ in points]
    np.testing.assert_array_equal(classes, expected)
    assert (np.hypot(points[:, 0] - r_big, points[:, 1] - r_big) <= r_big + 1e-6).all()


def test_classes_are_balanced_and_shuffled():
    _, classes = yin_yang(0, 3001)
    np.testing.assert_array_equal(np.bincount(classes), [1001, 1000, 1000])
    assert 0.2 < np.mean(np.diff(classes) == 0) < 0.5


def test_mirrored_coordinates_and_bias():
    plain, _ = yin_yang(3, 50, mirror=False)
    mirrored, _ = yin_yang(3, 50)
    biased, _ = yin_yang(3, 50, bias=0.25)
    assert (plain.shape, mirrored.shape, biased.shape) == ((50, 2), (50, 4), (50, 5))
    np.testing.assert_array_equal(mirrored[:, :2], plain)
    np.testing.assert_allclose(mirrored[:, 2:], 1 - plain, atol=1e-7)
    np.testing.assert_array_equal(biased[:, 4], 0.25)
    assert (mirrored >= 0).all()
    assert (mirrored <= 1).all()


def test_within_a_class_the_points_are_uniform():
    # the dots are of equal area: as many points on the left as on the right
    points, classes = yin_yang(5, 30_000)
    dots = points[classes == 2]
    left = np.mean(dots[:, 0] < 0.5)
    assert abs(left - 0.5) < 4 * 0.5 / np.sqrt(10_000)
    radius = np.hypot(np.where(dots[:, 0] < 0.5, dots[:, 0] - 0.25, dots[:, 0] - 0.75), dots[:, 1] - 0.5)  # fmt: skip # noqa: E501
    assert abs(np.mean((radius / 0.1) ** 2) - 0.5) < 4 * np.sqrt(1 / 12 / 10_000)


def test_points_depend_on_the_seed_alone():
    np.testing.assert_array_equal(yin_yang(7, 20)[0], yin_yang(7, 20)[0])
    assert not np.array_equal(yin_yang(7, 20)[0], yin_yang(8, 20)[0])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": 0}, "`size` must be at least 1, got 0"),
        ({"size": 5, "r_big": -1.0}, "`r_big` must be positive, got -1.0"),
        ({"size": 5, "r_small": 0.0}, "`r_small` must be positive, got 0.0"),
        (
            {"size": 5, "r_small": 0.3},
            r"`r_small` must be at least .* below `r_big` / 2, got 0.3",
        ),
    ],
)
def test_bad_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        yin_yang(0, **kwargs)
