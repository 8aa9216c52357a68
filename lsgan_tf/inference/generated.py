"""A generator's images as a numbered set, made on the fly: image i is always the same."""

import functools

import numpy as np

from lsgan_tf.datasets.part import Numbered
from lsgan_tf.gan import latents

_BLOCK = 256  # latents drawn in one go
_STEP = -2  # a key of its own: training counts from 0, grids of samples are drawn at -1


class Generated(Numbered):
    """`count` images of a generator, of latents that follow from (seed, number) alone.

    Args:
        generator: a `networks.base.Generator` of images or of points.
        count: how many.
        seed: of the latents.
        labels: of a conditional generator, int [count].
        sampler: a `sampling.Sampler` of it; whoever scores it again and again passes the same one,
            whose graph is then traced once.
    """

    def __init__(self, generator, count, *, seed=0, labels=None, sampler=None):
        self.count = count
        self._labels = labels
        self._sampler = sampler or sampler.Sampler(generator)

        @functools.lru_cache(maxsize=2)
        def block(number):
            drawn = latents.draw(
                generator.latent_distribution,
                _BLOCK,
                generator.latent_dim,
                seed=seed,
                step=_STEP,
                stream=number,
            )
            return drawn.numpy()

        self._block = block

    def at(self, numbers):
        """These of 0 .. count - 1: uint8 images [b, H, W, C] (or float32 points [b, 2]), and int32
        labels [b] or None."""
        z = np.stack([self._block(number // _BLOCK)[number % _BLOCK] for number in numbers])
        labels = None if self._labels is None else np.asarray(self._labels[numbers], np.int32)
        return self._sampler(z, labels), labels
