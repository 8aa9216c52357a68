"""The two-dimensional Gaussian mixture: eight modes on a circle, one of double weight.

After the authors' `stability_comparison/mixture_gaussian/ls.py`, whose nine angles run from 0 to
2 pi inclusive: the first and the last are the same mode, at (0, 1), which so has weight 2/9. The
points are drawn while training: there are no files, and no end.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lsgan_tf.datasets import catalog
from lsgan_tf.utils.errors import UserError

ANGLES = np.linspace(0.0, 2.0 * np.pi, 9)
MODES = np.stack([np.sin(ANGLES[:-1]), np.cos(ANGLES[:-1])], axis=1).astype(np.float32)
STDDEV = 0.01  # of each coordinate
COVERED = 20  # points within three deviations of a mode make it a covered one
_BLOCK = 256  # steps drawn in one call, which then costs nothing beside the training
_STREAM = 1 << 20  # keeps the data's random numbers apart from those of the latents


class Mixture:
    """The mixture, with what `pipeline.Dataset` offers of images.

    Attributes:
        name, image_shape, class_names: as there; a sample's shape is (2,).
        num_examples: 0, for without end.
        fingerprint: of the distribution.
        error: None, always: nothing is read.
    """

    name = catalog.MIXTURE
    image_shape = catalog.MIXTURE_FACTS.image_shape
    num_examples = catalog.MIXTURE_FACTS.num_examples
    class_names = catalog.MIXTURE_FACTS.class_names
    fingerprint = "mixture: 9 angles, radius 1, deviation 0.01"
    error: UserError | None = None

    def batches(
        self,
        *,
        seed: int,
        step: int,
        batch_size: int,
        num_slices: int = 1,
        slice_offset: int = 0,
        slices_per_step: int | None = None,
        value_range: None = None,
        labelled: bool = False,
    ) -> tf.data.Dataset:
        """Endless batches from step `step` on, a pure function of (seed, step).

        Args: as of `pipeline.Dataset.batches`; `value_range` has no meaning for points.

        Returns:
            Elements are slices: float32 points [batch_size // num_slices, 2].

        Raises:
            UserError: labels are asked for, the batch cannot be cut into `num_slices`.
        """
        if labelled:
            raise UserError(f"data set {self.name} has no labels; train without --conditional.")
        if batch_size % num_slices:
            raise UserError(
                f"--batch_size={batch_size} cannot be cut into {num_slices} equal parts, one per "
                f"replica; take a multiple of {num_slices}"
            )
        if slices_per_step is None:
            slices_per_step = num_slices - slice_offset
        first_block, first_step = divmod(step, _BLOCK)
        size = batch_size // num_slices

        def draw_block(block):
            points = draw(_BLOCK * batch_size, seed=seed, block=block)
            slices = tf.reshape(points, (_BLOCK, num_slices, size, 2))
            own = slices[:, slice_offset : slice_offset + slices_per_step]
            return tf.reshape(own, (_BLOCK * slices_per_step, size, 2))

        blocks = tf.data.Dataset.range(first_block, tf.int64.max)
        blocks = blocks.map(draw_block, num_parallel_calls=1, deterministic=True).prefetch(1)
        return blocks.unbatch().skip(first_step * slices_per_step)

    def first_images(self, count: int) -> tuple[np.ndarray, None]:
        """`count` points, float32 [count, 2], always the same; and no labels."""
        return draw(count, seed=0, block=0).numpy(), None

    def explain(self, error: Exception) -> None:
        """None: data that are drawn are not to blame for a failed step."""


def draw(count: int, *, seed: int, block: int) -> tf.Tensor:
    """Points float32 [count, 2], the same for the same (count, seed, block)."""
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(block, tf.int64)])
    key = tf.random.experimental.stateless_fold_in(key, _STREAM)
    keys = tf.random.split(key, 2)
    # The ninth angle is the first one again.
    angles = tf.random.stateless_uniform((count,), keys[0], 0, len(ANGLES), tf.int32)
    centres = tf.gather(tf.constant(MODES), angles % len(MODES))
    return centres + tf.random.stateless_normal((count, 2), keys[1], stddev=STDDEV)


class Coverage(NamedTuple):
    """How well points cover the mixture.

    `modes` and `within_3_deviations` are the usual measures of such mixtures. The data's modes are
    very narrow; those within 0.1 also count a mode that the generator finds and draws too wide.
    """

    modes: int  # with at least `COVERED` points within three deviations
    modes_within_0_1: int  # with at least `COVERED` points within a distance of 0.1
    within_3_deviations: float  # share of the points that lie so near to a mode
    within_0_1: float
    nearest: tuple[int, ...]  # points to which each mode is the nearest


def coverage(points: np.ndarray) -> Coverage:
    """Measures points [N, 2]; a deviation is `STDDEV`, a distance Euclidean."""
    offsets = np.asarray(points, np.float64)[:, None, :] - MODES.astype(np.float64)
    distances = np.sqrt((offsets**2).sum(axis=2))
    nearest, distance = distances.argmin(axis=1), distances.min(axis=1)

    def at_each(radius):
        return np.bincount(nearest[distance <= radius], minlength=len(MODES))

    near, around = at_each(3 * STDDEV), at_each(0.1)
    return Coverage(
        modes=int((near >= COVERED).sum()),
        modes_within_0_1=int((around >= COVERED).sum()),
        within_3_deviations=float(near.sum() / len(points)),
        within_0_1=float(around.sum() / len(points)),
        nearest=tuple(np.bincount(nearest, minlength=len(MODES)).tolist()),
    )
