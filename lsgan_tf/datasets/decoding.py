"""TensorFlow graphs that turn serialized examples into pixels."""

import dataclasses
import io
from collections.abc import Callable

import tensorflow as tf
from PIL import Image

from lsgan_tf.datasets import pictures
from lsgan_tf.datasets.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class Decoder:
    """How to turn serialized examples into pixels.

    Attributes:
        decode: maps examples, string [b], to (pixels [b, H, W, C], uint8 or float32 in 0..255;
            int64 labels [b], all 0 for an unlabelled set). It fails if an example is not what it
            should be.
        image_shape: H, W, C.
        reason: says, slowly, what is wrong with an example that `decode` fails for, or None if it
            does not know.
        label_key: the feature that holds the label of a labelled set.
    """

    decode: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    image_shape: tuple[int, int, int]
    reason: Callable[[bytes], str | None] = lambda example: None
    label_key: str = "label"


def converted(manifest: Manifest, image_size: int = 0) -> Decoder:
    """Decodes the records of a set in the on-disk format, resized if `image_size` > 0."""
    height, width, channels = manifest.image_shape
    resized = image_size > 0 and (height, width) != (image_size, image_size)
    image_shape = (image_size, image_size, channels) if resized else manifest.image_shape
    decode_image = tf.io.decode_png if manifest.encoding == "png" else tf.io.decode_jpeg
    features = {"image": tf.io.FixedLenFeature([], tf.string)}
    if manifest.class_names is not None:
        features["label"] = tf.io.FixedLenFeature([], tf.int64)

    def decode_one(data: tf.Tensor) -> tf.Tensor:
        # As many channels as it has, not converted: another number than recorded is an error.
        image = tf.ensure_shape(decode_image(data), manifest.image_shape)
        return square(image, image_size) if resized else image

    def decode(examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_example(examples, features)
        # Within a batch, not image by image: fewer, larger steps of tf.data.
        pixels = tf.map_fn(
            decode_one,
            parsed["image"],
            parallel_iterations=16,
            fn_output_signature=image_spec(image_shape, resized),
        )
        return pixels, parsed.get("label", tf.zeros(tf.shape(examples), tf.int64))

    return Decoder(decode, image_shape, lambda example: _misfit(example, manifest))


def _misfit(data: bytes, manifest: Manifest) -> str | None:
    """What about this record is not as the manifest says."""
    feature = tf.train.Example.FromString(data).features.feature
    images, labels = feature["image"].bytes_list.value, feature["label"].int64_list.value
    if len(images) != 1:
        return f"it has {len(images)} pictures, not 1"
    if manifest.class_names is not None and len(labels) != 1:
        return f"it has {len(labels)} labels, not 1"
    try:
        with Image.open(io.BytesIO(images[0]), formats=("PNG", "JPEG")) as image:
            shape = image.height, image.width, len(image.getbands())
            image.load()
    except Exception as error:  # Pillow's plugins raise nearly anything for damaged pictures
        return f"its picture does not decode ({pictures.reason(error)})"
    if shape != manifest.image_shape:
        actual, recorded = ("x".join(map(str, sides)) for sides in (shape, manifest.image_shape))
        return f"its picture is {actual}, not {recorded}"
    try:
        tf.io.decode_image(images[0])  # checks more than Pillow does, such as a PNG's checksums
    except tf.errors.InvalidArgumentError:
        return "its picture does not decode (its file is damaged)"
    return None


def image_spec(image_shape: tuple[int, int, int], resized: bool) -> tf.TensorSpec:
    """One decoded image: bytes as stored, or what resizing makes of them."""
    return tf.TensorSpec(image_shape, tf.float32 if resized else tf.uint8)


def square(image: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts the largest centred square out of [H, W, C] and resizes it, antialiased bilinear.

    Returns:
        float32 [size, size, C] in the range of `image`.
    """
    height, width = tf.unstack(tf.shape(image)[:2])
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = image[top : top + side, left : left + side]
    resized = tf.image.resize(crop, (size, size), antialias=True)
    return tf.ensure_shape(resized, (size, size, image.shape[-1]))
