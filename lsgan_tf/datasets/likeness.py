"""Pictures that look alike: resized, encoded anew or brightened, but not mirrored or cropped.

A hash of 64 bits finds candidates among many pictures; small grey copies tell which of them are
alike, because drawings on plain ground, such as digits, share their hashes with others.
"""

from array import array
from collections import defaultdict

import numpy as np
from PIL import Image

MAX_DISTANCE = 6  # bits of 64; of photographs encoded anew most differ in none, few in more

_ROWS, _COLUMNS = 4, 9
_MARGIN = 1  # grey levels: noise on plain ground sets no bit
_SIDE = 16  # of the small copies, pixels
_COARSE = 4  # of still smaller ones, which rule out most candidates among drawings
_CHUNK = 1 << 12  # copies that are made coarse at a time
_MIN_CORRELATION = 0.985  # of two copies; of different digits that share a hash it is below
# Normalized copies that correlate as much are no farther apart, nor are projections of them.
_MAX_COARSE_DISTANCE = 2 * (1 - _MIN_CORRELATION) + 1e-4


class Likenesses:
    """What pictures are compared by: 264 bytes each, in the order in which they are added."""

    def __init__(self):
        self._hashes, self._copies = array("Q"), bytearray()

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, image: np.ndarray) -> None:
        """Adds a picture, uint8 [H, W, 1 or 3]."""
        grey = _grey(image)
        self._hashes.append(_hash(grey))
        self._copies += _area(grey, _SIDE, _SIDE).tobytes()

    def extend(self, others: "Likenesses") -> None:
        """Adds those of further pictures."""
        self._hashes += others._hashes
        self._copies += others._copies

    def first_alike(self, max_distance: int = MAX_DISTANCE) -> dict[int, int]:
        """Finds the pictures that look like one before them.

        Each is compared with those only that look like none before them, so that a chain of small
        changes does not join pictures that differ. Pictures of one colour are like none.

        Args:
            max_distance: how many bits of two hashes may differ.

        Returns:
            Number of each such picture -> number of the first one that it looks like.
        """
        copies = np.frombuffer(bytes(self._copies), np.uint8).reshape(-1, _SIDE * _SIDE)
        coarse = _coarse(copies)
        index, alike = _Index(max_distance), {}
        for number, hash_ in enumerate(self._hashes):
            near = index.near(hash_)
            near = near[_squared_distances(coarse[near], coarse[number]) <= _MAX_COARSE_DISTANCE]
            near = near[_correlations(copies[near], copies[number]) >= _MIN_CORRELATION]
            if len(near):
                alike[number] = int(near.min())
            else:
                index.add(number, hash_)
        return alike


class _Index:
    """Finds hashes within a distance.

    Two of them agree in one at least of `max_distance + 1` parts, so that only those that do need
    to be compared.
    """

    def __init__(self, max_distance: int):
        count = max_distance + 1
        # The bits of a part are far apart: plain ground does not make a whole part equal.
        self._masks = [sum(1 << bit for bit in range(part, 64, count)) for part in range(count)]
        self._most = max_distance
        # Numbers and hashes, by part and what the part is.
        self._found: defaultdict[tuple[int, int], tuple[array, array]] = defaultdict(
            lambda: (array("q"), array("Q"))
        )

    def add(self, number: int, hash_: int) -> None:
        for part, mask in enumerate(self._masks):
            numbers, hashes = self._found[part, hash_ & mask]
            numbers.append(number)
            hashes.append(hash_)

    def near(self, hash_: int) -> np.ndarray:
        near = [np.empty(0, np.int64)]
        for part, mask in enumerate(self._masks):
            if found := self._found.get((part, hash_ & mask)):
                numbers, hashes = (np.frombuffer(values, np.int64) for values in found)
                distances = np.bitwise_count(hashes.view(np.uint64) ^ np.uint64(hash_))
                near.append(numbers[distances <= self._most])
        return np.unique(np.concatenate(near))


def difference_hash(image: np.ndarray) -> int:
    """64 bits: where a picture gets brighter from left to right and from top to bottom.

    Args:
        image: uint8 [H, W, 1 or 3].
    """
    return _hash(_grey(image))


def _hash(grey: Image.Image) -> int:
    right = np.diff(_area(grey, _COLUMNS, _ROWS).astype(np.int16), axis=1)
    down = np.diff(_area(grey, _ROWS, _COLUMNS).astype(np.int16), axis=0)
    bits = np.concatenate([right.ravel(), down.ravel()]) > _MARGIN
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _grey(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).convert("L")


def _area(grey: Image.Image, width: int, height: int) -> np.ndarray:
    return np.asarray(grey.resize((width, height), Image.Resampling.BOX))


def _coarse(copies: np.ndarray) -> np.ndarray:
    """Normalized copies projected to their means in 4x4 fields, of unit length each: [N, 16]."""
    fields, side = _COARSE, _SIDE // _COARSE
    found = np.empty((len(copies), fields * fields), np.float32)
    for start in range(0, len(copies), _CHUNK):
        part = _normalized(copies[start : start + _CHUNK]).reshape(-1, fields, side, fields, side)
        found[start : start + _CHUNK] = part.sum((2, 4)).reshape(-1, fields * fields) / side
    return found


def _squared_distances(points: np.ndarray, point: np.ndarray) -> np.ndarray:
    differences = points - point
    return np.einsum("np,np->n", differences, differences)


def _correlations(copies: np.ndarray, copy: np.ndarray) -> np.ndarray:
    return _normalized(copies) @ _normalized(copy)


def _normalized(copies: np.ndarray) -> np.ndarray:
    values = copies - copies.mean(-1, keepdims=True, dtype=np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1)
