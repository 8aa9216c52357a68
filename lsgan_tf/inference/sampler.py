"""Images from a generator: of given latents, in a numbered set, on grids and walks."""

import functools
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from lsgan_tf.datasets.dataset import Numbered
from lsgan_tf.gan import latents
from lsgan_tf.inference.interpolation import interpolate as interpolate  # sampler.interpolate
from lsgan_tf.networks.base import Generator
from lsgan_tf.utils import images, progress
from lsgan_tf.utils.errors import UserError, first_line

_BATCH = 64  # images per forward pass
_BLOCK = 256  # latents drawn in one go
_STEP = -2  # a key of its own: training counts from 0, grids of samples are drawn at -1


class Sampler:
    """Turns latents into images in inference mode: each image depends on its latent alone.

    Args:
        generator: what makes the images.
        batch_size: images per forward pass, which bounds the memory.
    """

    def __init__(self, generator: Generator, batch_size: int = _BATCH):
        self._value_range = generator.value_range
        self._batch_size = batch_size
        self._specs = [tf.TensorSpec([None, generator.latent_dim], tf.float32)]
        if generator.num_classes:
            self._specs.append(tf.TensorSpec([None], tf.int32))
        self._forward = tf.function(
            lambda *inputs: generator(*inputs, training=False),
            input_signature=self._specs,
            autograph=False,
        )

    def __call__(self, z: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Latents [N, latent_dim] (and labels [N]) -> uint8 images [N, H, W, C].

        Raises:
            UserError: the generator makes NaN or infinity.
            ValueError: labels are missing, or there are some and the generator takes none.
        """
        if (labels is None) != (len(self._specs) == 1):
            raise ValueError(
                "This generator takes latents alone."
                if labels is not None
                else "This generator takes labels: integers [N] beside the latents."
            )
        inputs = (z,) if labels is None else (z, labels)
        inputs = [
            np.asarray(i, s.dtype.as_numpy_dtype) for i, s in zip(inputs, self._specs, strict=True)
        ]
        chunks = []
        for start in range(0, len(z), self._batch_size):
            outputs = self._forward(*(i[start : start + self._batch_size] for i in inputs)).numpy()
            if not np.isfinite(outputs).all():
                raise UserError(
                    "The generator makes NaN or infinity: this run has diverged. Take an earlier "
                    "checkpoint."
                )
            chunks.append(images.to_uint8(outputs, self._value_range))
        return np.concatenate(chunks)


class Generated(Numbered):
    """`count` images of a generator: image i follows from (seed, i) alone.

    Args:
        generator: a `networks.base.Generator` of images.
        count: how many.
        seed: of the latents.
        labels: of a conditional generator, int [count].
        sampler: a `Sampler` of it; whoever scores it again and again passes the same one,
            whose graph is then traced once.
    """

    def __init__(
        self,
        generator: Generator,
        count: int,
        *,
        seed: int = 0,
        labels: np.ndarray | None = None,
        sampler: Sampler | None = None,
    ):
        self.count = count
        self._labels = labels
        self._sampler = sampler or Sampler(generator)

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

    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """These of 0 .. count - 1: uint8 images [b, H, W, C], and int32 labels [b] or None."""
        z = np.stack([self._block(number // _BLOCK)[number % _BLOCK] for number in numbers])
        labels = None if self._labels is None else np.asarray(self._labels[numbers], np.int32)
        return self._sampler(z, labels), labels


def draw_latents(generator: Generator, count: int, seed: int, start: int = 0) -> np.ndarray:
    """Latents [count, latent_dim] as the generator is trained on: those of this seed from number
    `start` on. Latent i follows from (seed, i) alone."""
    return latents.draw_rows(
        generator.latent_distribution, start, count, generator.latent_dim, seed=seed, step=-1
    ).numpy()


def batches(
    generate: Sampler,
    latents_at: Callable[[int, int], np.ndarray],
    count: int,
    labels: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Makes `count` images a batch at a time, so that any number of them takes the same memory.

    Args:
        generate: what makes them.
        latents_at: the latents of numbers `start` to `stop`, [stop - start, latent_dim].
        count: how many.
        labels: int32 [count], or None.

    Yields:
        uint8 [b, H, W, C], in order.

    Raises:
        UserError: the generator makes NaN or infinity.
    """
    with progress.bar(total=count, unit="image", leave=False) as bar:
        for start in range(0, count, _BATCH):
            stop = min(start + _BATCH, count)
            yield generate(latents_at(start, stop), None if labels is None else labels[start:stop])
            bar.update(stop - start)


def read_latents(path: Path, latent_dim: int) -> np.ndarray:
    """Reads latents, float32 [N, latent_dim], from a .npy file.

    Raises:
        UserError: it cannot be read, or holds anything else.
    """
    try:
        z = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read as .npy: {first_line(error)}") from error
    shape = getattr(z, "shape", ())
    if len(shape) != 2 or shape[1] != latent_dim or not shape[0] or z.dtype.kind not in "fiu":
        kind = f"{z.dtype} {list(shape)}" if shape else "something else"
        raise UserError(f"{path} holds {kind}; latents are numbers [N, {latent_dim}], N above 0.")
    z = np.asarray(z, np.float32)
    if not np.isfinite(z).all():
        raise UserError(f"{path} holds NaN or infinity.")
    return z


def labels_for(
    count: int, columns: int, num_classes: int, wanted: list[int] | None = None
) -> np.ndarray | None:
    """Labels int32 [count] that give each column of a grid one class; None without classes.

    Args:
        count: images on the grid.
        columns: columns of the grid.
        num_classes: classes of the generator.
        wanted: the classes to show, in this order; None: all of them.
    """
    if not num_classes:
        return None
    choice = np.asarray(wanted if wanted else range(num_classes), np.int32)
    return choice[np.arange(count) % columns % len(choice)]
