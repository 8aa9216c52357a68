"""From records to batches. The batch of a step is a pure function of (seed, step)."""

import abc
import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from lsgan_tf.datasets import order
from lsgan_tf.datasets.decoding import Decoder, ExampleReader
from lsgan_tf.datasets.record_reader import RecordFiles
from lsgan_tf.utils.errors import UserError

_BLOCK = 1024  # examples put in order at once
_MID_GREY = 128


class Dataset:
    """Images of one shape, optionally labelled, served in random order without end.

    Attributes:
        name: what it was loaded as.
        image_shape: height, width, channels.
        num_examples: how many there are.
        class_names: the label's names, or None for an unlabelled set.
        fingerprint: changes when the recorded data does.
    """

    def __init__(
        self,
        name: str,
        records: RecordFiles,
        decoder: Decoder,
        class_names: tuple[str, ...] | None,
        fingerprint: str,
    ):
        self.name = name
        self.image_shape = decoder.image_shape
        self.num_examples = len(records)
        self.class_names = class_names
        self.fingerprint = fingerprint
        self._reader = ExampleReader(name, records, decoder, class_names)

    @property
    def error(self) -> UserError | None:
        """The first unusable record found, or None; see `explain`."""
        return self._reader.error

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
        mirror: bool = False,
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
            mirror: flip half of the images left-right: a coin for each position of the stream,
                drawn from (seed, position).

        Returns:
            Elements are slices: float32 images [batch_size // num_slices, H, W, C], or
            (images, int32 labels [batch_size // num_slices]).

        Raises:
            UserError: the set has no labels, the batch cannot be cut into `num_slices`.
        """
        self._check_labelled(labelled)
        if slices_per_step is None:
            slices_per_step = num_slices - slice_offset
        cut = num_slices, slice_offset, slices_per_step
        stream = order.Stream(self.num_examples, seed, step, batch_size, *cut)

        @tf.autograph.experimental.do_not_convert
        def read(slice_number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            examples, mirrored = tf.numpy_function(
                lambda number: (
                    self._reader.read(stream.examples(int(number))),
                    stream.mirrored(int(number)) if mirror else np.zeros(stream.slice_size, bool),
                ),
                [slice_number],
                (tf.string, tf.bool),
                stateful=False,
            )
            size = [stream.slice_size]
            return tf.ensure_shape(examples, size), tf.ensure_shape(mirrored, size)

        @tf.autograph.experimental.do_not_convert
        def deliver(
            examples: tf.Tensor, mirrored: tf.Tensor
        ) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
            pixels, labels = self._reader.decode(examples)
            images = _scaled(pixels, *value_range)
            images = tf.ensure_shape(images, (stream.slice_size, *self.image_shape))
            if mirror:
                images = tf.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
            return (images, tf.cast(labels, tf.int32)) if labelled else images

        slices = tf.data.Dataset.range(tf.int64.max)
        slices = slices.map(read, num_parallel_calls=2, deterministic=True)
        slices = slices.map(deliver, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return slices.prefetch(4)

    def explain(self, error: Exception) -> UserError | None:
        """Says which record made a step fail, if one did.

        TensorFlow hides what a reading thread raises, and its decoders do not know what they
        decode. So when a step that takes from `batches` raises a `tf.errors.OpError`, pass it here
        and raise what comes back in its place.

        Returns:
            The error of a damaged record that was met while reading. Else, if `error` is of the
            kind that decoders raise, the last slices read are decoded again (seconds), in search
            of a record that contradicts what is known of the data set: a picture that does not
            decode or has another shape, a label that is no class. The answer names the file and
            the record, and is kept as `self.error`. None: the data is not to blame.
        """
        return self._reader.explain(error)

    def first_images(self, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """A choice of `count` examples that is always the same; repeats if there are fewer.

        Returns:
            uint8 images [count, H, W, C], and int32 labels [count] or None if unlabelled.

        Raises:
            UserError: a record cannot be read or is not what it should be; names file and record.
        """
        labelled = self.class_names is not None
        size = min(count, 64)
        batches = self.batches(
            seed=0, step=0, batch_size=size, value_range=(0.0, 255.0), labelled=labelled
        )
        try:
            taken = list(batches.take(-(-count // size)).as_numpy_iterator())
        except tf.errors.OpError as error:
            raise self.explain(error) or error from None
        images = np.concatenate([batch[0] if labelled else batch for batch in taken])[:count]
        labels = np.concatenate([batch[1] for batch in taken])[:count] if labelled else None
        return _to_bytes(images), labels

    def in_order(self, positions: np.ndarray) -> np.ndarray:
        """The numbers of the examples at these positions, int64 [count], of an order that is always
        the same and random; positions 0 .. num_examples - 1 meet every example once."""
        return order.permuted(positions, self.num_examples, (0, 0))

    def examples(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The examples of these numbers.

        Returns:
            uint8 images [count, H, W, C], and int32 labels [count] or None if unlabelled.

        Raises:
            UserError: a record cannot be read or is not what it should be; names file and record.
        """
        pixels, labels = self._reader.read_decoded(numbers)
        return _to_bytes(pixels), labels if self.class_names is not None else None

    def labels(self, numbers: np.ndarray) -> np.ndarray:
        """The labels of these examples, int32 [count]; their pictures are not decoded.

        Raises:
            UserError: the set has no labels; a record cannot be read or has no label of a class.
        """
        self._check_labelled(True)
        return np.array([self._reader.read_label(number) for number in numbers], np.int32)

    def examples_of(self, labels: Sequence[int], *, at_most: int | None = None) -> np.ndarray:
        """An example of each label, always the same one; a label that comes again has another.

        Examples are searched in the order of `first_images` until all are found, by their labels;
        the pictures of the others are not decoded. Examples of a class that has too few repeat.

        Args:
            labels: ids of classes, int [count].
            at_most: end the search after so many examples, and return a mid-grey image for classes
                that were not met; default: search the whole set.

        Returns:
            uint8 images [count, H, W, C].

        Raises:
            UserError: a class has no example in the whole set; the set has no labels; a record
                cannot be read or is not what it should be, named by file and record.
            ValueError: a label is not the id of a class.
        """
        self._check_labelled(True)
        labels = [int(label) for label in labels]
        outside = [label for label in labels if not 0 <= label < len(self.class_names)]
        if outside:
            raise ValueError(f"labels {outside} are not within 0..{len(self.class_names) - 1}")
        numbers_of = self._find_examples(labels, at_most)
        absent = [self.class_names[label] for label in numbers_of if not numbers_of[label]]
        if absent and at_most is None:
            raise UserError(
                f"data set {self.name} has no example of {', '.join(map(repr, absent))}, though "
                f"{'it is one' if len(absent) == 1 else 'they are some'} of its classes."
            )
        turns = {
            label: itertools.cycle(numbers) for label, numbers in numbers_of.items() if numbers
        }
        places = [place for place, label in enumerate(labels) if label in turns]
        images = np.full((len(labels), *self.image_shape), _MID_GREY, np.uint8)
        if places:
            images[places], _ = self.examples(np.array([next(turns[labels[p]]) for p in places]))
        return images

    def _find_examples(self, labels: Sequence[int], at_most: int | None) -> dict[int, list[int]]:
        """By label, the numbers of as many of its examples as the label is wanted times."""
        wanted = collections.Counter(labels)
        numbers_of = {label: [] for label in wanted}
        missing = len(labels)
        numbers = itertools.islice(self._all_in_order(), at_most)
        while missing and (number := next(numbers, None)) is not None:
            label = self._reader.read_label(number)
            if label in wanted and len(numbers_of[label]) < wanted[label]:
                numbers_of[label].append(number)
                missing -= 1
        return numbers_of

    def _all_in_order(self) -> Iterator[int]:
        """All examples, in the order of the first epoch of seed 0."""
        for start in range(0, self.num_examples, _BLOCK):
            positions = np.arange(start, min(start + _BLOCK, self.num_examples))
            yield from self.in_order(positions).tolist()

    def _check_labelled(self, labelled: bool) -> None:
        if labelled and self.class_names is None:
            raise UserError(
                f"data set {self.name} has no labels, a conditional model needs them. "
                "Convert it from a folder per class, or train without --conditional."
            )


class Numbered(abc.ABC):
    """Images 0 .. `count` - 1, which are read by number."""

    count: int

    @abc.abstractmethod
    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The images of these numbers, uint8 [b, H, W, C], and labels, int32 [b] or None."""

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """All of them in turn, `size` at a time; the last batch may be smaller."""
        for first in range(0, self.count, size):
            yield self.at(np.arange(first, min(first + size, self.count)))


@dataclasses.dataclass(frozen=True)
class Part(Numbered):
    """The images at positions `start` to `stop` of `Dataset.in_order`; to its end by default."""

    dataset: Dataset
    start: int = 0
    stop: int | None = None

    def __post_init__(self):
        if self.stop is None:
            object.__setattr__(self, "stop", self.dataset.num_examples)

    @property
    def count(self) -> int:
        """How many there are."""
        return self.stop - self.start

    def at(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The images of these numbers, uint8 [b, H, W, C], and labels, int32 [b] or None.

        Raises:
            UserError: a record cannot be read or is not what it should be; names file and record.
        """
        return self.dataset.examples(self.dataset.in_order(self.start + np.asarray(numbers)))


def _scaled(pixels: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """0..255 to float32 low..high; both ends are met exactly for (-1, 1) and (0, 1)."""
    return tf.cast(pixels, tf.float32) / (255.0 / (high - low)) + low


def _to_bytes(images: np.ndarray) -> np.ndarray:
    """0..255 of any kind to uint8; resizing may overshoot."""
    return np.rint(images).clip(0, 255).astype(np.uint8)
