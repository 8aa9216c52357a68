"""From records to batches. The batch of a step is a pure function of (seed, step)."""

import collections
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from lsgan_tf.datasets import permutation, reads
from lsgan_tf.datasets.stream import Stream
from lsgan_tf.utils.errors import UserError

_REMEMBERED = 256  # slices: more than lie between reading one and learning that it failed
_BLOCK = 1024  # examples put in order at once
_MID_GREY = 128


class Records(Protocol):
    """A numbered sequence of serialized examples, as `record_files.RecordFiles` is."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """The example of this number; raises `UserError` if it is damaged."""
        ...

    def where(self, index: int) -> str:
        """What to call this example in a message: its file and its place there."""
        ...


@dataclasses.dataclass(frozen=True)
class Decoder:
    """How to turn serialized examples into pixels.

    `decode(examples)` maps string [b] to (pixels [b, H, W, C], uint8 or float32 in 0..255;
    int64 labels [b], all 0 for an unlabelled set). It fails if an example is not what it should be;
    `reason(example)`, slow, then says what is wrong with one, or None if it does not know.
    `label_key` names the feature that holds the label of a labelled set.
    """

    decode: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    image_shape: tuple[int, int, int]
    reason: Callable[[bytes], str | None] = lambda example: None
    label_key: str = "label"


class Dataset:
    """Images of one shape, optionally labelled, served in random order for ever.

    Attributes:
        name: what it was loaded as.
        image_shape: height, width, channels.
        num_examples: how many there are.
        class_names: the label's names, or None for an unlabelled set.
        fingerprint: changes when the recorded data does.
        error: the first unusable record found, or None; see `explain`.
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
        self._recent: collections.deque[np.ndarray] = collections.deque(maxlen=_REMEMBERED)
        signature = [tf.TensorSpec([None], tf.string)]
        self._decode_graph = tf.function(self._decode, input_signature=signature)

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
            pixels, labels = self._decode(examples)
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

        Raises:
            UserError: a record cannot be read or is not what it should be; names file and record.
        """
        labelled = self.class_names is not None
        size = min(count, 64)
        stream = self.batches(
            seed=0, step=0, batch_size=size, value_range=(0.0, 255.0), labelled=labelled
        )
        try:
            parts = list(stream.take(-(-count // size)).as_numpy_iterator())
        except tf.errors.OpError as error:
            explained = self.explain(error)
            if explained is None:
                raise
            raise explained from None
        images = np.concatenate([part[0] if labelled else part for part in parts])[:count]
        labels = np.concatenate([part[1] for part in parts])[:count] if labelled else None
        return _to_bytes(images), labels

    def in_order(self, positions: np.ndarray) -> np.ndarray:
        """The numbers of the examples at these positions, int64 [count], of an order that is always
        the same and random; positions 0 .. num_examples - 1 meet every example once."""
        return permutation.permuted(positions, self.num_examples, (0, 0))

    def examples(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The examples of these numbers.

        Returns:
            uint8 images [count, H, W, C], and int32 labels [count] or None if unlabelled.

        Raises:
            UserError: a record cannot be read or is not what it should be; names file and record.
        """
        pixels, labels = self._decoded(numbers)
        return _to_bytes(pixels), labels if self.class_names is not None else None

    def examples_of(self, labels: Sequence[int], *, at_most: int | None = None) -> np.ndarray:
        """An example of each label, always the same one; a label that comes again has another.

        Examples are searched in the order of `first_images` until all are found, by their labels;
        the pictures of the others are not decoded. Examples of a class that has too few repeat.

        Args:
            labels: ids of classes, int [count].
            at_most: end the search after so many examples, and let mid-grey stand for classes
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
        found = self._find(labels, at_most)
        absent = [self.class_names[label] for label, indices in found.items() if not indices]
        if absent and at_most is None:
            raise UserError(
                f"data set {self.name} has no example of {', '.join(map(repr, absent))}, though "
                f"{'it is one' if len(absent) == 1 else 'they are some'} of its classes."
            )
        turns = {label: itertools.cycle(indices) for label, indices in found.items() if indices}
        places = [place for place, label in enumerate(labels) if label in turns]
        images = np.full((len(labels), *self.image_shape), _MID_GREY, np.uint8)
        if places:
            numbers = np.array([next(turns[labels[p]]) for p in places])
            images[places], _ = self.examples(numbers)
        return images

    def _find(self, labels: Sequence[int], at_most: int | None) -> dict[int, list[int]]:
        """By label, the numbers of as many of its examples as the label is wanted times."""
        wanted = collections.Counter(labels)
        found = {label: [] for label in wanted}
        missing = len(labels)
        order = itertools.islice(self._order(), at_most)
        while missing and (index := next(order, None)) is not None:
            label = self._label(index)
            if label in found and len(found[label]) < wanted[label]:
                found[label].append(index)
                missing -= 1
        return found

    def _order(self) -> Iterator[int]:
        """All examples, in the order of the first epoch of seed 0."""
        for start in range(0, self.num_examples, _BLOCK):
            positions = np.arange(start, min(start + _BLOCK, self.num_examples))
            yield from self.in_order(positions).tolist()

    def _label(self, index: int) -> int:
        features = tf.train.Example.FromString(self._example(index)).features.feature
        values = features[self._decoder.label_key].int64_list.value
        if len(values) != 1:
            raise self._misfit(index, f"it has {len(values)} labels, not 1")
        return values[0]

    def _decoded(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of these examples, in 0..255, and their labels, int32."""
        try:
            with tf.device("CPU:0"):
                pixels, labels = self._decode_graph(tf.constant(self._read(indices)))
        except tf.errors.OpError as error:
            explained = self.explain(error)
            if explained is None:
                raise
            raise explained from None
        return pixels.numpy(), labels.numpy().astype(np.int32)

    def explain(self, error: Exception) -> UserError | None:
        """Says which record made a step fail, if one did.

        TensorFlow buries what a reading thread raises, and its decoders do not know what they
        decode. So when a step that takes from `batches` raises a `tf.errors.OpError`, pass it here
        and raise what comes back in its place.

        Returns:
            The error of a damaged record that was met while reading. Else, if `error` is of the
            kind that decoders raise, the last slices read are decoded again (seconds), in search
            of a record that contradicts what is known of the data set: a picture that does not
            decode or has another shape, a label that is no class. The answer names the file and
            the record, and is kept as `self.error`. None: the data is not to blame.
        """
        if self.error is None and isinstance(error, tf.errors.InvalidArgumentError):
            self.error = self._contradiction()
        return self.error

    def _contradiction(self) -> UserError | None:
        """Searches the slices read of late, the oldest first."""
        with tf.device("CPU:0"):
            for indices in list(self._recent):
                try:
                    self._decode_graph(tf.constant([self._example(index) for index in indices]))
                except UserError as damaged:
                    return damaged
                except tf.errors.OpError:
                    for index in indices:
                        if reason := self._reason(self._example(index)):
                            return self._misfit(index, reason)
        return None

    def _misfit(self, index: int, reason: str) -> UserError:
        return UserError(
            f"{self._records.where(index)} does not fit data set {self.name}: {reason}. The file "
            "was damaged or changed; copy or convert the data set again."
        )

    def _reason(self, example: bytes) -> str | None:
        """Why this example does not decode, or None if it does."""
        try:
            _, labels = self._decoder.decode(tf.constant([example]))
        except (tf.errors.OpError, ValueError) as error:
            return self._decoder.reason(example) or f"it does not decode ({_gist(error)})"
        label = int(labels[0])
        if self.class_names is None or 0 <= label < len(self.class_names):
            return None
        return f"its label is {label}, not within 0..{len(self.class_names) - 1}"

    def _decode(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What the decoder makes of examples, labels checked."""
        pixels, labels = self._decoder.decode(examples)
        if self.class_names is not None:
            known = (labels >= 0) & (labels < len(self.class_names))
            tf.debugging.Assert(tf.reduce_all(known), ["labels", labels])
        return pixels, labels

    def _check_labelled(self, labelled: bool) -> None:
        if labelled and self.class_names is None:
            raise UserError(
                f"data set {self.name} has no labels, a conditional model needs them. "
                "Convert it from a folder per class, or train without --conditional."
            )

    def _read(self, indices: np.ndarray) -> np.ndarray:
        try:
            self._recent.append(indices)
            with reads.counted():
                return np.array([self._example(index) for index in indices], dtype=object)
        except UserError as error:
            self.error = self.error or error
            raise

    def _example(self, index: int) -> bytes:
        data = self._records.read(index)
        try:
            # A microsecond; what TensorFlow says about such data may not even be text.
            tf.train.Example.FromString(data)
        except DecodeError:
            raise self._misfit(index, "it is not a tf.train.Example") from None
        return data


def _gist(error: Exception) -> str:
    """TensorFlow's message without the names of its operations and the code it went through."""
    message = getattr(error, "message", str(error))
    return re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", message).strip().splitlines()[-1].strip()


def _scaled(pixels: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """0..255 to float32 low..high; both ends are met exactly for (-1, 1) and (0, 1)."""
    return tf.cast(pixels, tf.float32) / (255.0 / (high - low)) + low


def _to_bytes(images: np.ndarray) -> np.ndarray:
    """0..255 of any kind to uint8; resizing may overshoot."""
    return np.rint(images).clip(0, 255).astype(np.uint8)
