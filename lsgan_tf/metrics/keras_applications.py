"""Networks of `keras.applications` as feature networks: `--features=keras:NAME`."""

import hashlib
import sys
from pathlib import Path

import keras
import tensorflow as tf

from lsgan_tf.metrics.features import KERAS_PREFIX, FeatureNetwork, check_sha256
from lsgan_tf.utils.errors import UserError, first_line

# The side of the images that each was trained on; 224 of all others.
_SIDES = {
    "InceptionV3": 299,
    "InceptionResNetV2": 299,
    "Xception": 299,
    "NASNetLarge": 331,
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
}


def load(name: str, weights: Path | None, sha256: str = "") -> FeatureNetwork:
    """Loads `keras.applications.NAME` without its top; its features are averaged over positions.

    Args:
        name: of the function, for example "MobileNetV2".
        weights: file of its weights without top (.weights.h5); None: those of ImageNet, which
            Keras downloads and keeps.
        sha256: what the checksum of the weights must be; "" for any.

    Raises:
        UserError: there is no such network, or its weights are not available, damaged, of another
            network or of another checksum.
    """
    make = getattr(keras.applications, name, None)
    if not callable(make):
        known = ", ".join(n for n in dir(keras.applications) if n[0].isupper())
        raise UserError(f"--features={KERAS_PREFIX}{name} is unknown. Known: {known}.")
    side = _SIDES.get(name, 224)
    try:
        model = make(
            include_top=False,
            pooling="avg",
            input_shape=(side, side, 3),
            weights="imagenet" if weights is None else None,
        )
        if weights is not None:
            model.load_weights(weights)
    except Exception as error:  # files, hosts and shapes fail in their own ways
        what = "the weights of ImageNet" if weights is None else str(weights)
        raise UserError(
            f"--features={KERAS_PREFIX}{name}: {what} cannot be used: {first_line(error)}\n"
            "Name a file of its weights without top with --features_file, or choose other "
            "--features."
        ) from error
    checksum = _sha256(model)
    check_sha256(f"--features={KERAS_PREFIX}{name}", checksum, sha256)
    preprocess = sys.modules[make.__module__].preprocess_input

    def forward(images):
        resized = tf.image.resize(images, (side, side), antialias=True)
        return model(preprocess(resized), training=False), None

    resize = f"bilinear, antialiased, to {side}x{side}"
    return FeatureNetwork(f"{KERAS_PREFIX}{name}", checksum, resize, 3, forward)


def _sha256(model):
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(weights.tobytes())
    return digest.hexdigest()
