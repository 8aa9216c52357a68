"""What a generator's samples are: images or points of the plane, and how people look at them."""

from typing import NamedTuple

import numpy as np

from lsgan_tf.utils import images


class Images(NamedTuple):
    """Pixels in a range."""

    value_range: tuple[float, float]
    noun = "images"
    enough = 0  # samples that make a picture; 0: as many as its grid has cells

    def finish(self, outputs):
        """What a network made -> uint8 [N, H, W, C]."""
        return images.to_uint8(outputs, self.value_range)

    def picture(self, samples, columns):
        """uint8 [N, H, W, C] -> one picture, uint8 [H', W', C], a grid of so many columns."""
        return images.grid(samples, columns)


class Points(NamedTuple):
    """Points of the plane."""

    noun = "points"
    enough = 5120  # as many as the authors' plots have

    def finish(self, outputs):
        """What a network made -> float32 [N, 2]."""
        return np.asarray(outputs, np.float32)

    def picture(self, samples, columns):
        """float [N, 2] -> one picture of their density, uint8 [H, W, 3]."""
        from lsgan_tf.inference import density  # brings matplotlib, which only this needs

        return density.picture(samples)


def kind(generator):
    """`Images` or `Points`, whichever the generator makes."""
    return Points() if generator.value_range is None else Images(generator.value_range)
