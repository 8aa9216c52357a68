import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lsgan_tf.datasets import likeness
from lsgan_tf.datasets.likeness import Likenesses


def _scene(seed: int, side: int = 96) -> np.ndarray:
    """A few shapes on a ground that gets brighter: uint8 [side, side, 3]."""
    draws = np.random.default_rng(seed)
    low, high = np.sort(draws.integers(40, 200, 2))
    ramp = np.linspace(low, high, side).astype(np.uint8)
    image = Image.fromarray(np.repeat(np.tile(ramp, (side, 1))[..., None], 3, 2))
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        left, top = draws.integers(0, side - 20, 2).tolist()
        size = int(draws.integers(15, side // 2))
        colour = tuple(draws.integers(20, 220, 3).tolist())
        draw.ellipse((left, top, left + size, top + size), colour)
    return np.asarray(image)


def _resized(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((48, 48), Image.Resampling.LANCZOS))


def _encoded_anew(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=40)
    return np.asarray(Image.open(file))


def _brighter(image: np.ndarray) -> np.ndarray:
    return image + np.uint8(30)


def _grey(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).convert("L"))[..., None]


def _mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def _alike(*images: np.ndarray) -> dict[int, int]:
    likenesses = Likenesses()
    for image in images:
        likenesses.add(image)
    return likenesses.first_alike()


@pytest.mark.parametrize("change", [_resized, _encoded_anew, _brighter, _grey])
def test_a_changed_copy_is_alike(change):
    for seed in range(10):
        image = _scene(seed)
        assert _alike(image, _scene(100), change(image)) == {2: 0}


def test_mirrored_and_different_pictures_are_not_alike():
    scenes = [_scene(seed) for seed in range(60)]
    assert _alike(*scenes, *map(_mirrored, scenes)) == {}


def test_pictures_of_one_colour_are_like_none():
    plain = [np.full((20, 20, 3), value, np.uint8) for value in (0, 0, 128, 255)]
    assert _alike(*plain) == {}


def test_the_first_of_several_is_named():
    first, other = _scene(1), _scene(2)
    images = (first, other, _resized(first), _brighter(other), _encoded_anew(first))
    assert _alike(*images) == {2: 0, 3: 1, 4: 0}


def test_drawings_that_share_a_hash_are_told_apart():
    def drawing(*box: int) -> np.ndarray:
        image = Image.new("L", (28, 28))
        ImageDraw.Draw(image).rectangle(box, 255)
        return np.asarray(image)[..., None]

    pair = drawing(10, 8, 17, 19), drawing(11, 9, 16, 18)
    first, second = map(likeness.difference_hash, pair)
    assert (first ^ second).bit_count() <= likeness.MAX_DISTANCE
    assert _alike(*pair) == {}


def test_the_hash_has_64_bits_and_does_not_change():
    steps = np.arange(36, dtype=np.uint8) * 7
    right = np.tile(steps, (36, 1))[..., None]
    assert likeness.difference_hash(right) == 0xFFFFFFFF00000000
    assert likeness.difference_hash(right.swapaxes(0, 1)) == 0x00000000FFFFFFFF
    assert likeness.difference_hash(255 - right) == 0


@pytest.mark.parametrize("distance", [0, 4, 7])
def test_all_within_the_distance_are_found(distance):
    draws = np.random.default_rng(0)
    hashes = draws.integers(0, 1 << 64, 300, np.uint64).tolist()
    flipped = [
        hash_ ^ sum(1 << bit for bit in draws.choice(64, number % 9, replace=False).tolist())
        for number, hash_ in enumerate(hashes)
    ]
    index = likeness._Index(distance)
    for number, hash_ in enumerate(hashes):
        index.add(number, hash_)
    for number, hash_ in enumerate(flipped):
        assert index.near(hash_).tolist() == [number] * (number % 9 <= distance)


def test_no_pictures():
    assert _alike() == {}
