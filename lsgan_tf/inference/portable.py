"""A generator in each format: how it is written, and how it is opened again.

ONNX and LiteRT have the inputs `latents` float32 [N, latent_dim] and, with labels, `labels` int32
[N], and the output `images` uint8 [N, H, W, C]; N is free.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from lsgan_tf.inference import saved, serving
from lsgan_tf.inference.sampler import Sampler
from lsgan_tf.networks.base import Generator
from lsgan_tf.runs.checkpoints import reason
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError, first_line

# (latents, labels or None) -> uint8 images
Draw = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


def write(name: str, generator: Generator, class_names: tuple[str, ...] | None, path: Path) -> None:
    """Writes a generator.

    Args:
        name: of `formats.FORMATS`.
        generator: what makes the images.
        class_names: of a conditional generator.
        path: the file; the directory of a SavedModel, which a Space is as well.

    Raises:
        UserError: the network cannot be converted, or `path` cannot be written.
    """
    if name in _CONVERTERS:
        files.write_bytes(path, _convert(name, generator))
        return
    try:
        if name == "keras":
            generator.save(path)
        else:
            serving.write(serving.Server(generator, class_names), path)
    except OSError as error:
        raise files.write_error(error, path) from error
    except tf.errors.OpError as error:
        raise UserError(
            f"{path} could not be written ({reason(error)}). Make room and run the same command "
            "again; nothing was written."
        ) from error


def open_again(name: str, path: Path) -> Draw:
    """Opens what `write` wrote as a user of the format does."""
    return _OPENERS[name](path)


def _convert(name, generator):
    try:
        return _CONVERTERS[name](*_pixels_of(generator), generator)
    except Exception as error:  # converters raise whatever they meet
        raise UserError(
            f"{type(generator).__name__} cannot be converted to {name}: {first_line(error)} "
            "--format=saved_model,keras takes every network."
        ) from error


def _pixels_of(generator):
    """(the function that is converted, what it takes)."""
    specs = [tf.TensorSpec([None, generator.latent_dim], tf.float32, "latents")]
    if generator.num_classes:
        specs.append(tf.TensorSpec([None], tf.int32, "labels"))
    low, high = generator.value_range

    def draw(latents, labels=None):  # the names become those of the file's inputs
        inputs = (latents,) if labels is None else (latents, labels)
        scaled = (generator(*inputs, training=False) - low) * (255.0 / (high - low))
        return {"images": tf.cast(tf.clip_by_value(tf.round(scaled), 0.0, 255.0), tf.uint8)}

    return tf.function(draw, input_signature=specs, autograph=False), specs


def _to_onnx(draw, specs, _):
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(draw, specs)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model.SerializeToString()


def _to_litert(draw, _, generator):
    # Not the network itself: Keras would trace each of its functions, on its first input alone.
    owner = tf.Module()
    owner.kept = [variable.value for variable in generator.variables]
    function = draw.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], owner).convert()


_CONVERTERS = {"onnx": _to_onnx, "litert": _to_litert}


def _open_saved_model(path):
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]

    def draw(z, labels):
        inputs = {name: tf.constant(value) for name, value in _named(z, labels, np.int64).items()}
        return np.rint(serve(**inputs)["images"].numpy() * 255.0).astype(np.uint8)

    return draw


def _open_keras(path):
    return Sampler(saved.load(str(path)))


def _open_onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda z, labels: session.run(["images"], _named(z, labels))[0]


def _open_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path)).get_signature_runner()
    return lambda z, labels: run(**_named(z, labels))["images"]


def _named(z, labels, dtype=np.int32):
    return {"latents": z} if labels is None else {"latents": z, "labels": labels.astype(dtype)}


_OPENERS = {
    "saved_model": _open_saved_model,
    "space": _open_saved_model,  # with the page in the same folder
    "keras": _open_keras,
    "onnx": _open_onnx,
    "litert": _open_litert,
}
