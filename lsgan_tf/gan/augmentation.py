"""Differentiable augmentation (Zhao et al., NeurIPS 2020): D sees every image changed at random.

Real and generated images are changed alike, in D's step and in G's, so D cannot learn the few real
images by heart, and G is not taught to make changed ones: its gradient comes through the change.
"""

import dataclasses

import keras
from keras import ops

from lsgan_tf.gan.objectives import Serializable
from lsgan_tf.utils import settings

DRAWS = 7  # random numbers for an image
_REACH = 1 / 8  # of a translation, in sides
_HOLE = 1 / 2  # side of a cutout, in sides


@keras.saving.register_keras_serializable("lsgan_tf")
@dataclasses.dataclass(frozen=True)
class Augmentation(Serializable):
    """Random changes of images, in this order; each image has its own.

    - color: brightness by up to a quarter of the value range, then saturation times 0 to 2 (of
      colour images), then contrast times 0.5 to 1.5;
    - translation: by whole pixels, up to an eighth of each side, both ways;
    - cutout: a hole of half of each side, whose centre is anywhere in the image.

    What a translation leaves open, and a hole, is filled with the middle of the value range.

    Args:
        kinds: which of them, a sequence of names.

    Raises:
        ValueError: if a name is unknown or comes twice, or if there is none.
    """

    kinds: tuple[str, ...] = settings.AUGMENTATIONS

    def __post_init__(self):
        object.__setattr__(self, "kinds", tuple(self.kinds))
        settings.check_augmentations(self.kinds)

    def check_shape(self, image_shape: tuple[int, ...]) -> None:
        """ValueError if it cannot change images [H, W, C] of this shape."""
        if len(image_shape) != 3:
            raise ValueError(f"Augmentation takes images [H, W, C], not examples {image_shape}.")
        if "color" in self.kinds and image_shape[-1] not in (1, 3):
            raise ValueError(
                "The augmentation 'color' takes grey images, of 1 channel, and colour images, of "
                f"3, not of {image_shape[-1]}. Take translation and cutout."
            )

    def __call__(self, images, numbers, value_range: tuple[float, float]):
        """Changes images, differentiably.

        Args:
            images: [N, H, W, C] in `value_range`; what comes out may leave it.
            numbers: [N, DRAWS], random in [0, 1). Each kind has its own columns.
            value_range: (lowest, highest) pixel value.
        """
        low, high = value_range
        middle, half = (low + high) / 2, (high - low) / 2
        drawn = ops.split(ops.cast(numbers, images.dtype)[:, :, None, None], DRAWS, axis=1)
        images = images - middle
        if "color" in self.kinds:
            images = _color(images, *drawn[:3], half)
        if "translation" in self.kinds:
            images = _translate(images, *drawn[3:5])
        if "cutout" in self.kinds:
            images = _cut_out(images, *drawn[5:])
        return images + middle


def _color(images, brightness, saturation, contrast, half):
    images = images + (brightness - 0.5) * half
    if images.shape[-1] == 3:
        grey = ops.mean(images, axis=-1, keepdims=True)
        images = grey + (images - grey) * (2.0 * saturation)
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * (contrast + 0.5)


def _translate(images, down, right):
    """Moves images by whole pixels; zeros come in."""
    moves = []
    for side, number in zip(images.shape[1:3], (down, right), strict=True):
        reach = round(side * _REACH)
        moves.append(ops.reshape(_choose(number, 2 * reach + 1), (-1,)) - reach)
    down, right = moves
    one, zero = ops.ones_like(down), ops.zeros_like(down)
    # Row by row, where an output pixel comes from: x - right, y - down.
    source = ops.stack([one, zero, -right, zero, one, -down, zero, zero], axis=1)
    return ops.image.affine_transform(images, source, "nearest", "constant", 0.0)


def _cut_out(images, down, right):
    """Sets a rectangle to zero."""
    inside = []
    for axis, number in ((1, down), (2, right)):
        side = images.shape[axis]
        size = round(side * _HOLE)
        first = _choose(number, side + 1 - size % 2) - size // 2
        places = ops.reshape(
            ops.arange(side, dtype=images.dtype), [-1 if a == axis else 1 for a in range(4)]
        )
        inside.append(ops.logical_and(places >= first, places < first + size))
    hole = ops.logical_and(*inside)
    return images * ops.cast(ops.logical_not(hole), images.dtype)


def _choose(number, count):
    """One of the whole numbers 0 .. count - 1, from a random number in [0, 1)."""
    # Rounding can take the product to `count` itself.
    return ops.minimum(ops.floor(number * count), count - 1)
