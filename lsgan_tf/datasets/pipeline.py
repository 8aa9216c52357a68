"""From records to batches. The batch of a step is a pure function of (seed, step)."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from lsgan_tf.datasets import permutation, reads
from lsgan_tf.errors import UserError

_BLOCK = 4096  # examples


class Records(Protocol):
    """A numbered sequence of serialized examples, as `record_files.RecordFiles` is."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """The example of this number; raises `UserError` if it is damaged."""
        ...


@dataclasses.dataclass(frozen=True)
class Decoder:
    """How to turn serialized examples into pixels.

    `decode(examples)` maps string [b] to (pixels [b, H, W, C], uint8 or float32 in 0..255;
    int64 labels [b], all 0 for an unlabelled set).
    """

    decode: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    image_shape: tuple[int, int, int]


class Dataset:
    """Images of one shape, optionally labelled, served in random order for ever.

    Attributes:
        name: what it was loaded as.
        image_shape: height, width, channels.
        num_examples: how many there are.
        class_names: the label's names, or None for an unlabelled set.
        fingerprint: changes when the recorded data does.
        error: the first damaged record met while reading, or None. TensorFlow buries what a reader
            thread raises; when a step fails, look here and raise this instead.
    """

    def __init__(
        self,
        name: str,
        records: Records,
        decoder: Decoder,
        class_names: tuple[str, ...] | None,
        fingerprint: str,
    ):
        self.name = name
        self.image_shape = decoder.image_shape
        self.num_examples = len(records)
        self.class_names = class_names
        self.fingerprint = fingerprint
        self.error: UserError | None = None
        self._records = records
        self._decoder = decoder

    def batches(
        self,
        *,
        seed: int,
        step: int,
        batch_size: int,
        num_slices: int = 1,
        slice_offset: int = 0,
        slices_per_step: int | None = None,
        value_range: tuple[float, float] = (-1.0, 1.0),
        labelled: bool = False,
    ) -> tf.data.Dataset:
        """Endless batches from step `step` on.

        The examples form an endless stream: every epoch is the whole set in an order of its own,
        drawn from (seed, epoch). Step s takes the stream's positions s * batch_size up to
        (s + 1) * batch_size - 1, so starting at any step costs nothing.

        Args:
            seed: of the shuffling, not negative.
            step: the first step to deliver.
            batch_size: images of one step, all replicas together.
            num_slices: equal parts that a step's batch is cut into, one per replica.
            slice_offset: the first of the slices that this pipeline delivers.
            slices_per_step: how many it delivers, in order; default: the rest of them.
            value_range: what pixel values 0 and 255 become.
            labelled: deliver (images, labels).

        Returns:
            Elements are slices: float32 images [batch_size // num_slices, H, W, C], or
            (images, int32 labels [batch_size // num_slices]).

        Raises:
            UserError: the set has no labels, the batch cannot be cut into `num_slices`.
        """
        self._check_labelled(labelled)
        if slices_per_step is None:
            slices_per_step = num_slices - slice_offset
        stream = Stream(
            self.num_examples,
            seed,
            step,
            batch_size,
            num_slices,
            slice_offset,
            slices_per_step,
        )

        def read(number):
            examples = tf.numpy_function(
                lambda n: self._read(stream.examples(int(n))), [number], tf.string, stateful=False
            )
            return tf.ensure_shape(examples, [stream.slice_size])

        def deliver(examples):
            pixels, labels = self._decoder.decode(examples)
            images = _scaled(pixels, *value_range)
            images = tf.ensure_shape(images, (stream.slice_size, *self.image_shape))
            return (images, tf.cast(labels, tf.int32)) if labelled else images

        slices = tf.data.Dataset.range(tf.int64.max)
        slices = slices.map(read, num_parallel_calls=2, deterministic=True)
        slices = slices.map(deliver, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return slices.prefetch(4)

    def first_images(self, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """A choice of `count` examples that is always the same; repeats if there are fewer.

        Returns:
            uint8 images [count, H, W, C], and int32 labels [count] or None if unlabelled.
        """
        labelled = self.class_names is not None
        size = min(count, 64)
        stream = self.batches(
            seed=0, step=0, batch_size=size, value_range=(0.0, 255.0), labelled=labelled
        )
        parts = list(stream.take(-(-count // size)).as_numpy_iterator())
        images = np.concatenate([part[0] if labelled else part for part in parts])[:count]
        labels = np.concatenate([part[1] for part in parts])[:count] if labelled else None
        return np.rint(images).clip(0, 255).astype(np.uint8), labels

    def _check_labelled(self, labelled: bool) -> None:
        if labelled and self.class_names is None:
            raise UserError(
                f"data set {self.name} has no labels, a conditional model needs them. "
                "Convert it from a folder per class, or train without --conditional."
            )

    def _read(self, indices: np.ndarray) -> np.ndarray:
        try:
            with reads.counted():
                return np.array([self._records.read(index) for index in indices], dtype=object)
        except UserError as error:
            self.error = self.error or error
            raise


def _scaled(pixels: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """0..255 to float32 low..high; both ends are met exactly for (-1, 1) and (0, 1)."""
    return tf.cast(pixels, tf.float32) / (255.0 / (high - low)) + low


@dataclasses.dataclass(frozen=True)
class Stream:
    """The endless order of examples, and how its steps are cut; see `Dataset.batches`."""

    num_examples: int
    seed: int
    step: int
    batch_size: int
    num_slices: int
    slice_offset: int
    slices_per_step: int

    def __post_init__(self):
        if self.batch_size < 1 or self.batch_size % self.num_slices:
            raise UserError(
                f"--batch_size={self.batch_size} cannot be cut into {self.num_slices} equal parts, "
                f"one per replica; take a multiple of {self.num_slices}"
            )
        last = self.slice_offset + self.slices_per_step
        if not 0 <= self.slice_offset < last <= self.num_slices:
            raise ValueError(f"slices {self.slice_offset} to {last} of {self.num_slices}")
        if self.seed < 0:
            raise UserError(f"--seed={self.seed} is negative")

    @property
    def slice_size(self) -> int:
        """Examples in a slice."""
        return self.batch_size // self.num_slices

    def examples(self, number: int) -> np.ndarray:
        """Which examples, int64 [slice_size], are in the `number`-th slice delivered."""
        step, part = divmod(number, self.slices_per_step)
        first = (self.step + step) * self.batch_size
        first += (self.slice_offset + part) * self.slice_size
        positions = np.arange(first, first + self.slice_size)
        epochs, positions = np.divmod(positions, self.num_examples)
        blocks, places = np.divmod(positions, _BLOCK)
        chosen = np.empty_like(positions)
        for epoch, block in set(zip(epochs.tolist(), blocks.tolist(), strict=True)):
            here = (epochs == epoch) & (blocks == block)
            chosen[here] = self._block(epoch, block)[places[here]]
        return chosen

    def _block(self, epoch: int, block: int) -> np.ndarray:
        return _order_block(self.num_examples, self.seed, epoch, block)


@functools.lru_cache(maxsize=16)
def _order_block(num_examples: int, seed: int, epoch: int, block: int) -> np.ndarray:
    """A stretch of an epoch's order: many positions at once cost little more than one."""
    start = block * _BLOCK
    positions = np.arange(start, min(start + _BLOCK, num_examples))
    return permutation.permuted(positions, num_examples, (seed, epoch))
