"""Feature networks that were trained elsewhere: of `keras.applications`, and from files.

A file is a SavedModel's folder or a `.keras` file. It takes float32 images [N, H, W, 1 or 3] in
0..255. What it returns is the features [N, D], or a dictionary of `features` and, of a classifier,
`logits` [N, K]. A SavedModel is a program: load only what you would run.
"""

import hashlib
import sys
from pathlib import Path

import keras
import tensorflow as tf

from lsgan_tf.metrics.extractor import FeatureNetwork, check_sha256
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError, first_line

KERAS_PREFIX = "keras:"
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


def load_application(name: str, weights: Path | None, sha256: str = "") -> FeatureNetwork:
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
    checksum = sha256_of_weights(model)
    check_sha256(f"--features={KERAS_PREFIX}{name}", checksum, sha256)
    preprocess = sys.modules[make.__module__].preprocess_input

    def forward(images):
        resized = tf.image.resize(images, (side, side), antialias=True)
        return model(preprocess(resized), training=False), None

    resize = f"bilinear, antialiased, to {side}x{side}"
    return FeatureNetwork(f"{KERAS_PREFIX}{name}", checksum, resize, 3, forward)


def sha256_of_weights(model: keras.Model) -> str:
    """Hex digest of weights in their order: a saved file differs each time."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(array.tobytes())
    return digest.hexdigest()


def load_file(path: Path, sha256: str = "") -> FeatureNetwork:
    """Loads the network at `path`.

    Args:
        path: folder of a SavedModel with the signature `serving_default`, or a `.keras` file.
        sha256: what its checksum must be (of a folder see `files.sha256_of`, of a `.keras` file
            `sha256_of_weights`); "" for any.

    Raises:
        UserError: it is missing, damaged, of another checksum, or does not take images.
    """
    if not path.exists():
        raise UserError(
            f"--features={path} is none of inception-2015, classifier and keras:NAME, and there "
            "is no such file."
        )
    if path.is_dir() and not (path / "saved_model.pb").is_file():
        raise UserError(f"--features={path} is a folder without a saved_model.pb.")
    load = _saved_model if path.is_dir() else _keras_model
    try:
        call, shape, checksum = load(path, sha256)
    except UserError:
        raise
    except Exception as error:  # damaged models fail in their own ways
        raise UserError(f"--features={path} cannot be loaded: {first_line(error)}") from error
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise UserError(f"--features={path} takes {_spell(shape)}, not images [N, H, W, 1 or 3].")
    size = tuple(shape[1:3])
    fixed = None not in size

    def forward(images):
        if fixed and tuple(images.shape[1:3]) != size:  # it would compute the same pixels
            images = tf.image.resize(images, size, antialias=True)
        return _outputs(call(images), path)

    resize = f"bilinear, antialiased, to {size[0]}x{size[1]}" if fixed else "left to the network"
    # Its folder tells SavedModels apart; the rest of the path is this machine's.
    name = "/".join(path.resolve().parts[-2:])
    return FeatureNetwork(name, checksum, resize, shape[3], forward)


def _saved_model(path, sha256):
    """(images -> outputs, shape of the images, checksum) of a SavedModel."""
    checksum = files.sha256_of(path)
    check_sha256(str(path), checksum, sha256)
    model = tf.saved_model.load(str(path))
    signature = model.signatures.get("serving_default")
    if signature is None:
        raise UserError(f"--features={path} has no signature serving_default.")
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise UserError(f"--features={path} takes {', '.join(inputs)}, not images alone.")
    ((name, spec),) = inputs.items()
    signature.model = model  # it lives as long as what is called

    return lambda images: signature(**{name: images}), tuple(spec.shape), checksum


def _keras_model(path, sha256):
    """(images -> outputs, shape of the images, checksum) of a `.keras` file."""
    model = keras.saving.load_model(path, compile=False)
    checksum = sha256_of_weights(model)
    check_sha256(str(path), checksum, sha256)
    if not isinstance(model.input_shape, tuple):
        raise UserError(f"--features={path} takes several inputs, not images alone.")
    return lambda images: model(images, training=False), model.input_shape, checksum


def _outputs(outputs, path):
    """(features, logits or None) of what a network returns."""
    if not isinstance(outputs, dict):
        return outputs, None
    if len(outputs) == 1:
        return next(iter(outputs.values())), None
    if "features" not in outputs:
        raise UserError(
            f"--features={path} returns {', '.join(sorted(outputs))}; one must be named features."
        )
    return outputs["features"], outputs.get("logits")


def _spell(shape):
    return "x".join("?" if side is None else str(side) for side in shape)
