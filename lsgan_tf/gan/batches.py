"""From what `fit` is given to the batches of a training step: examples, or (examples, labels)."""

import re
import types

import keras
import tensorflow as tf
from keras.src.trainers import data_adapters  # private: see ARCHITECTURE.md
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

_NAMES = (("images", "image", "examples"), ("labels", "label"))  # of a batch that is a dictionary
_RANGE, _LABELS = "the first batch leaves the value range", "labels are of no class"
_TOLERANCE = 0.25  # of the range: resizing overshoots, and scaled data need not be exact


def split_batch(batch, num_classes: int) -> tuple:
    """Splits a batch into the examples and what the networks take beside them.

    Args:
        batch: examples [N, ...], (examples,), (examples, labels [N]), or as Keras hands it on:
            (examples, labels, None), ((examples, labels), None), {"images": ..., "labels": ...}.
        num_classes: number of labels the networks are conditioned on, or 0.

    Returns:
        (examples, (labels,)), or (examples, ()) for networks without labels, which ignore them.

    Raises:
        ValueError: if labels are missing, or if there are weights or further parts.
    """
    parts = _split(batch)
    if len(parts) == 1 and isinstance(parts[0], (tuple, list, dict)):
        parts = _split(parts[0])
    if not 1 <= len(parts) <= 2:
        raise ValueError(
            f"A batch of {len(parts)} parts; give the images alone or (images, labels). A GAN's "
            "losses have no weights of examples or classes."
        )
    if num_classes == 0:
        return parts[0], ()
    if len(parts) < 2:
        raise ValueError(
            f"This GAN is conditioned on {num_classes} labels, and the batches have none: give "
            f"(images, labels), the labels integers [N] below {num_classes}."
        )
    return parts[0], (parts[1],)


def _split(batch):
    """The parts of a batch that are there, by position."""
    if isinstance(batch, dict):
        unknown = batch.keys() - {name for names in _NAMES for name in names}
        if unknown:
            raise ValueError(
                f"A batch with the keys {sorted(batch)}; give 'images', and 'labels' beside them."
            )
        batch = [batch[name] for names in _NAMES for name in names if name in batch]
    parts = batch if isinstance(batch, (tuple, list)) else (batch,)
    # Keras puts an optional in the place of None where a data set's elements have one.
    absent = (type(None), tf.experimental.Optional, tf.OptionalSpec)
    return [part for part in parts if not isinstance(part, absent)]


class Batches(DataAdapter):
    """What Keras' `fit` and `evaluate` read, whatever the user gave: batches as a step takes them.

    Args:
        data: x, y and sample_weight of `fit`, or fewer of them.
        generator: what makes examples of the same shape and values, for the same labels. The
            first batch of an epoch must keep its range.
        group: batches of one step; those of above 1 are tuples, and what is left over is dropped.
        **options: of Keras' data adapters: `batch_size`, `shuffle` and so on.

    Raises:
        ValueError: if Keras does not take such data, or if they are too few for a step.
    """

    def __init__(self, data, generator, group=1, **options):
        x, *beside = data
        if isinstance(x, types.GeneratorType):  # of which Keras takes tuples alone
            x = (batch if isinstance(batch, tuple) else (batch,) for batch in x)
        self._adapter = data_adapters.get_data_adapter(x, *beside, **options)
        self._generator, self._group = generator, group
        if self.num_batches == 0:
            raise ValueError(
                f"The data have {self._adapter.num_batches} batches, and a step takes {group}."
            )
        self.on_epoch_begin = self._adapter.on_epoch_begin
        self.on_epoch_end = self._adapter.on_epoch_end

    batch_size = has_partial_batch = partial_batch_size = None  # not said, and not asked for

    @property
    def num_batches(self):
        """Steps of an epoch, or None."""
        batches = self._adapter.num_batches
        return batches and (batches - self._left_out) // self._group

    @property
    def _left_out(self):
        """Whether the last batch of arrays is smaller, which a group cannot hold."""
        of_arrays = isinstance(self._adapter, data_adapters.ArrayDataAdapter)
        return self._group > 1 and of_arrays and self._adapter.has_partial_batch

    def get_tf_dataset(self):
        """The data set of an epoch."""
        dataset = self._adapter.get_tf_dataset()
        if not isinstance(dataset, tf.data.Dataset):
            return dataset  # distributed already
        prepared = dataset.enumerate().map(tf.autograph.experimental.do_not_convert(self._prepare))
        if self._left_out:
            prepared = prepared.take(self._adapter.num_batches - 1)
        return group(prepared, self._group)

    def _prepare(self, number, *batch):
        classes, value_range = self._generator.num_classes, self._generator.value_range
        batch = prepare(join(batch), self._generator)
        examples, *labels = batch if isinstance(batch, tuple) else (batch,)
        checks = [_assert(_LABELS, *_measure_labels(part, classes)) for part in labels]
        if value_range is not None:

            def check_range():
                return _assert(_RANGE, *_measure(examples, value_range))

            checks.append(tf.cond(number == 0, check_range, _pass))
        with tf.control_dependencies(checks):
            return tf.nest.map_structure(tf.identity, batch)


def prepare(batch, generator):
    """Makes float images or (float images, int32 labels [N]) of what `split_batch` takes.

    Labels may also be [N, 1], or one-hot.

    Raises:
        ValueError: if the images have another shape than the generator's.
    """
    examples, labels = split_batch(batch, generator.num_classes)
    labels = [to_ids(part, generator.num_classes) for part in labels]
    examples, shape = tf.cast(examples, keras.config.floatx()), generator.image_shape
    if not examples.shape.is_compatible_with([None, *shape]):
        raise _of_other_shape(examples.shape, shape)
    return join((tf.ensure_shape(examples, [None, *shape]), *labels))


def to_ids(labels, num_classes: int) -> tf.Tensor:
    """int32 labels [N] of such as are [N], [N, 1], or one-hot.

    Raises:
        ValueError: if they have another shape.
    """
    labels = tf.convert_to_tensor(labels)
    if len(labels.shape) == 2 and labels.shape[1] == num_classes > 1:
        labels = tf.argmax(labels, axis=1)
    if len(labels.shape) > 1 and labels.shape[1] != 1:
        raise ValueError(
            f"Labels of shape {labels.shape}, and {num_classes} classes: give integers [N] or "
            f"[N, 1], or one-hot labels [N, {num_classes}]."
        )
    return tf.cast(tf.reshape(labels, [-1]), tf.int32)


def join(parts):
    """What a data set's `map` spreads over arguments, as one: examples, or (examples, labels)."""
    return parts if len(parts) > 1 else parts[0]


def group(dataset: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Makes tuples of `count` batches that follow one another; 1: the data set as it is."""
    if count == 1:
        return dataset

    @tf.autograph.experimental.do_not_convert
    def cut(*parts):
        return tuple(
            tf.nest.map_structure(lambda part, n=n: part[n], join(parts)) for n in range(count)
        )

    return dataset.batch(count, drop_remainder=True).map(cut)


def _measure(examples, value_range):
    """(lowest value, highest value, whether they keep to the range)."""
    lowest, highest = value_range
    margin = _TOLERANCE * (highest - lowest)
    values = tf.cast(examples, tf.float32)
    low, high = tf.reduce_min(values), tf.reduce_max(values)
    outside = (low < lowest - margin) | (high > highest + margin)  # NaN is not: see TerminateOnNaN
    return low, high, tf.logical_not(outside)


def _measure_labels(labels, num_classes):
    """(lowest label, highest label, whether all are of a class)."""
    low, high = tf.reduce_min(labels), tf.reduce_max(labels)
    return low, high, (low >= 0) & (high < num_classes)


def _assert(mark, low, high, inside):
    """Fails, in a graph, with a message that `explain` understands."""
    with tf.control_dependencies([tf.debugging.Assert(inside, [mark, low, high])]):
        return tf.constant(True)


def _pass():
    return tf.constant(True)


def check(batch, generator) -> None:
    """Checks the values of a batch, as `prepare` makes it, that is there already.

    Raises:
        ValueError: examples leave the generator's value range by more than a quarter of it, or
            labels are not from 0 to its `num_classes` - 1.
    """
    examples, *labels = batch if isinstance(batch, tuple) else (batch,)
    if generator.value_range is not None:
        low, high, inside = _measure(examples, generator.value_range)
        if not inside:
            raise _outside(float(low), float(high), generator.value_range)
    for part in labels:
        check_ids(part, generator.num_classes)


def check_ids(labels: tf.Tensor, num_classes: int) -> None:
    """ValueError unless labels [N] that are there already are from 0 to `num_classes` - 1."""
    low, high, inside = _measure_labels(labels, num_classes)
    if not inside:
        raise _of_no_class(int(low), int(high), num_classes)


def explain(error: tf.errors.InvalidArgumentError, generator) -> Exception:
    """What to raise in place of an error of the graph: a `ValueError` where the data are to blame,
    else the error itself."""
    text = str(error)
    if "Cannot add tensor to the batch" in text or "tensors with different shapes" in text:
        return ValueError(
            "The batches differ in size, and a step takes several of them: make all of them of one "
            "size, dataset.batch(64, drop_remainder=True)."
        )
    found = re.search(r"Shape of tensor \S+ \[([\d,]*)\] is not compatible", text)
    if found:
        return _of_other_shape(map(int, found[1].split(",")), generator.image_shape)
    found = re.search(rf"({_RANGE}|{_LABELS})\] \[(\S+)\] \[(\S+)\]", text)
    if not found:
        return error
    mark, low, high = found.groups()
    if mark == _LABELS:
        return _of_no_class(int(low), int(high), generator.num_classes)
    return _outside(float(low), float(high), generator.value_range)


def _of_other_shape(found, shape):
    found = tuple(found)
    if found == shape:
        return ValueError("Images one by one; a step takes batches: dataset.batch(64).")
    found, taken = (str(sides).replace("None", "N") for sides in (found, (None, *shape)))
    return ValueError(
        f"A batch has the shape {found}; the networks take {taken}. Bring the images to it first: "
        "tf.image.resize(images, (height, width)), or images[..., None] where the channel is "
        "missing."
    )


def _outside(low, high, value_range):
    lowest, highest = value_range
    return ValueError(
        f"The images of the first batch lie between {low:g} and {high:g}; the generator makes "
        f"images between {lowest:g} and {highest:g} (its value_range). Map them to it first:\n"
        f"  {_mend(low, high, lowest, highest)}"
    )


def _of_no_class(low, high, num_classes):
    mend = (
        "Subtract 1 from them"
        if (low, high) == (1, num_classes)
        else f"Make both networks with num_classes={high + 1}"
        if low >= 0
        else "Leave out what has no label"
    )
    return ValueError(
        f"The labels of a batch lie between {low} and {high}; this GAN has {num_classes} classes, "
        f"0 to {num_classes - 1}. {mend}."
    )


def _mend(low, high, lowest, highest):
    """The line of Python that maps images to the range, of an array and of a data set."""
    start, end = next(
        ((a, b) for a, b in ((0, 1), (-1, 1), (0, 255)) if a <= low and high <= b), (low, high)
    )
    factor = (end - start) / (highest - lowest)
    offset = lowest - start / factor
    scaled = "images" if factor == 1 else f"images / {factor:g}"
    shifted = scaled if offset == 0 else f"{scaled} {'-+'[offset > 0]} {abs(offset):g}"
    of_tensors = shifted.replace("images", "tf.cast(images, tf.float32)")
    return (
        f"images = {shifted}  # an array\n"
        f"  dataset = dataset.map(lambda images, *labels: ({of_tensors}, *labels))"
    )
