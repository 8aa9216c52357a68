"""Data sets of TensorFlow Datasets, read through the same random access as our own."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from lsgan_tf.datasets import catalog, decoding, record_reader
from lsgan_tf.datasets.dataset import Dataset
from lsgan_tf.datasets.decoding import Decoder
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError

_SPLIT = "train"
_Image = tfds.features.Image

# Each try waits twice as long as the one before: with the ten of TensorFlow Datasets, a machine
# without network says so after three and a half minutes, with five after six seconds.
_MAX_RETRIES = 5


def load(name: str, data_dir: Path, image_size: int, split_name: str) -> Dataset:
    """Opens a split of the builder that `name` has behind "tfds:", or is; prepares it if need be.

    Raises:
        UserError: there is no such builder, it cannot be prepared, it is not in TFRecord format,
            it has no such split, it has no image, its images have several sizes and `image_size`
            is 0, a file of it is damaged.
    """
    builder = _prepared(name, data_dir)
    _check_prepared(name, builder, data_dir, split_name)
    split = builder.info.splits[split_name]
    records = record_reader.scanned([Path(path) for path in split.filepaths])
    if len(records) != split.num_examples:
        raise UserError(
            f"the files of {name} in {builder.data_dir} hold {len(records)} records, its metadata "
            f"recorded {split.num_examples}; prepare it in another --data_dir, or get it again"
        )
    image_key, label_key = _keys(name, builder.info.features)
    decoder = _decoder(name, builder.info.features, image_key, label_key, image_size)
    class_names = _class_names(name, builder.info.features, label_key)
    fingerprint = _fingerprint(builder, split, _feature_name(name))
    return Dataset(name, records, decoder, class_names, fingerprint)


def splits(name: str, data_dir: Path) -> tuple[str, ...]:
    """The splits of a builder that is prepared; prepares it if need be, as `load` does."""
    return tuple(_prepared(name, data_dir).info.splits)


def facts(name: str, data_dir: Path, image_size: int) -> catalog.Facts:
    """What a builder says about its train split, prepared or not; downloads nothing.

    Raises:
        UserError: as `load` does, as far as that shows without preparing or reading it.
    """
    builder = _builder(name, data_dir)
    count = None
    if builder.is_prepared():
        _check_prepared(name, builder, data_dir)
        count = builder.info.splits[_SPLIT].num_examples
    elif known := catalog.TFDS_FALLBACKS.get(_builder_name(name)):
        # The class names of cifar10 are in its download; until then the builder has numbers.
        return known.resized(image_size)
    image_key, label_key = _keys(name, builder.info.features)
    shape = _image_shape(name, builder.info.features[image_key], image_size)
    return catalog.Facts(shape, count, _class_names(name, builder.info.features, label_key))


def _check_prepared(
    name: str, builder: tfds.core.DatasetBuilder, data_dir: Path, split: str = _SPLIT
) -> None:
    if split not in builder.info.splits:
        raise catalog.no_split(name, split, builder.info.splits)
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        stored = Path(builder.data_dir)
        copy = files.free_directory(catalog.tfds_directory(data_dir) / f"{builder.name}_tfrecord")
        raise UserError(
            f"{name} in {stored} is stored as {builder.info.file_format.value}, not tfrecord. "
            f"Store a copy for  --dataset=tfds:{copy.name}  with\n"
            '  python -c "import tensorflow as tf, tensorflow_datasets as tfds; '
            f"b = tfds.builder_from_directory('{stored}'); f = b.info.features; "
            f"tfds.dataset_builders.store_as_tfds_dataset(name='{copy.name}', version='1.0.0', "
            "features=f, split_datasets={s: tf.data.Dataset.from_generator(lambda s=s: "
            "iter(b.as_data_source(s)), output_signature=f.get_tensor_spec()) for s in "
            f"b.info.splits}}, data_dir='{copy.parent}')\""
        )


def _builder_name(name: str) -> str:
    return name.removeprefix(catalog.TFDS_PREFIX).split("#")[0]


def _feature_name(name: str) -> str | None:
    """The image of each record that the user has chosen: tfds:NAME#FEATURE."""
    return name.split("#", 1)[1] if "#" in name else None


def _prepared(name: str, data_dir: Path) -> tfds.core.DatasetBuilder:
    builder = _builder(name, data_dir)
    if builder.is_prepared():
        return builder
    try:
        with _fewer_retries():
            # What Google's bucket holds ready-made is not always in TFRecord format.
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(try_download_gcs=False)
            )
    except Exception as error:  # builders, their hosts and the network fail in their own ways
        raise catalog.not_downloaded(_builder_name(name), data_dir, error) from error
    return builder


@contextlib.contextmanager
def _fewer_retries() -> Iterator[None]:
    """Within the block downloads end after `_MAX_RETRIES`, for which there is no argument."""
    usual = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = _MAX_RETRIES
    try:
        yield
    finally:
        downloader.MAX_RETRIES = usual


def _builder(name: str, data_dir: Path) -> tfds.core.DatasetBuilder:
    """The builder in `data_dir`, or in TensorFlow Datasets' own place if it is ready only there."""
    builder_name = _builder_name(name)
    found: list[tfds.core.DatasetBuilder] = []
    failed: list[Exception] = []
    for directory in (str(catalog.tfds_directory(data_dir)), None):
        try:
            found.append(_opened(builder_name, directory))
        except tfds.core.DatasetNotFoundError:
            pass  # sets without code, such as users make, are in one place only
        except Exception as error:  # a name of the wrong form fails in many ways
            failed.append(error)
    if found:
        return next((builder for builder in found if builder.is_prepared()), found[0])
    if failed:
        raise catalog.no_builder(builder_name, failed[0]) from failed[0]
    there = ", ".join(_names_in(catalog.tfds_directory(data_dir))) or "nothing"
    raise catalog.no_builder(
        builder_name,
        LookupError(
            "TensorFlow Datasets has no such data set, and "
            f"{catalog.tfds_directory(data_dir)} holds {there}"
        ),
    )


def _opened(builder_name: str, directory: str | None) -> tfds.core.DatasetBuilder:
    try:
        return tfds.builder(builder_name, data_dir=directory, file_format="tfrecord")
    except ValueError:
        builder = tfds.builder(builder_name, data_dir=directory)
        if not builder.is_prepared():  # the format was not what is wrong
            raise
        return builder  # of another format, which `_check_prepared` tells


def _names_in(directory: Path) -> list[str]:
    try:
        return sorted(
            path.name for path in directory.iterdir() if path.is_dir() and path.name != "downloads"
        )
    except OSError:
        return []


def _keys(name: str, features: tfds.features.FeaturesDict) -> tuple[str, str | None]:
    """Which feature is the image, and which the label, or None."""
    labels = [
        key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)
    ]
    label = "label" if "label" in labels else next(iter(labels), None)
    return _image_key(name, features), label


def _image_key(name: str, features: tfds.features.FeaturesDict) -> str:
    has = ", ".join(f"{key} ({_in_words(feature)})" for key, feature in sorted(features.items()))
    chosen = _feature_name(name)
    if chosen is not None:
        if chosen not in features or not _is_picture(features[chosen]):
            raise UserError(f"{name}: {chosen!r} is no image; there are {has}")
        return chosen
    images = sorted(k for k, feature in features.items() if isinstance(feature, _Image))
    images = images or sorted(k for k, feature in features.items() if _is_picture(feature))
    if not images:
        raise UserError(
            f"{name} has no images, only {has}. An image is an Image, or a Tensor of uint8 "
            "[height, width, 1 or 3]"
        )
    if len(images) > 1 and "image" not in images:
        choices = " or ".join(f"--dataset='{name}#{key}'" for key in images)
        raise UserError(f"{name} has {len(images)} images a record: {has}. Choose {choices}")
    return "image" if "image" in images else images[0]


def _is_picture(feature: tfds.features.FeatureConnector) -> bool:
    if isinstance(feature, tfds.features.Image):
        return True
    return (
        type(feature) is tfds.features.Tensor
        and len(feature.shape) == 3
        and feature.shape[2] in (1, 3)
        and np.dtype(feature.np_dtype) == np.uint8
    )


def _in_words(feature: tfds.features.FeatureConnector) -> str:
    kind = type(feature).__name__
    if isinstance(feature, tfds.features.Tensor | tfds.features.Image):
        return f"{kind} of {np.dtype(feature.np_dtype)} {list(feature.shape)}"
    return kind


def _class_names(
    name: str, features: tfds.features.FeaturesDict, label_key: str | None
) -> tuple[str, ...] | None:
    if label_key is None:
        return None
    if features[label_key].num_classes is None:
        raise UserError(f"the classes of {name} are known only once it is prepared")
    return tuple(features[label_key].names)


def _image_shape(name: str, feature: tfds.features.Image, image_size: int) -> tuple[int, int, int]:
    """The shape after resizing."""
    height, width, channels = feature.shape
    if channels not in (1, 3) or np.dtype(feature.np_dtype) != np.uint8:
        raise UserError(
            f"{name} has images of {channels} channels of {np.dtype(feature.np_dtype)}, not 1 or 3 "
            "of uint8. Store them as uint8, or write them into an .npz for convert_images"
        )
    if not image_size and not (height and width):
        raise UserError(f"{name} has images of several sizes; give --image_size")
    return (image_size, image_size, channels) if image_size else (height, width, channels)


def _decoder(
    name: str,
    features: tfds.features.FeaturesDict,
    image_key: str,
    label_key: str | None,
    image_size: int,
) -> Decoder:
    shape = _image_shape(name, features[image_key], image_size)
    resized = shape != features[image_key].shape

    def decode_one(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = features.deserialize_example(serialized)
        image = example[image_key]
        image = decoding.square(image, image_size) if resized else tf.ensure_shape(image, shape)
        return image, tf.cast(example[label_key] if label_key else 0, tf.int64)

    def decode(examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        signature = (decoding.image_spec(shape, resized), tf.TensorSpec((), tf.int64))
        return tf.map_fn(
            decode_one, examples, parallel_iterations=16, fn_output_signature=signature
        )

    return Decoder(decode, shape, label_key=label_key or "")


def _fingerprint(
    builder: tfds.core.DatasetBuilder, split: tfds.core.SplitInfo, feature: str | None
) -> str:
    recorded = f"{builder.info.full_name} {split.shard_lengths} {split.num_bytes}"
    recorded += f" {feature}" if feature else ""
    return hashlib.sha256(recorded.encode()).hexdigest()[:16]
