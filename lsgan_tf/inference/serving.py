"""A SavedModel that makes images in TensorFlow Serving or in any TensorFlow program."""

from pathlib import Path

import tensorflow as tf

from lsgan_tf.gan import latents
from lsgan_tf.networks.base import Generator

MOST_IMAGES = 1024  # in one answer; more are refused


class Server(tf.Module):
    """A generator with signatures for serving.

    `serving_default`: latents float32 [N, latent_dim] (and labels int64 [N]) -> `images`
        float32 [N, H, W, C] in [0, 1].
    `generate`: count int32 [], seed int64 [] (and labels string [K], class names, of which
        picture i takes number i modulo K) -> `png_bytes` string [count].
    `latents`: count int32 [], seed int64 [] -> `latents` float32 [count, latent_dim], of which
        `generate` makes the same pictures, and `distribution` string [], theirs.
    `class_names` (with labels only): -> `class_names` string, in the order of the ids.

    N, count and K are 1 to MOST_IMAGES, latents finite, seeds 0 or more, labels known; anything
    else is an error of the call, with a sentence.

    Args:
        generator: what makes the images.
        class_names: names of its labels, or None if it has none.
    """

    def __init__(self, generator: Generator, class_names: tuple[str, ...] | None = None):
        super().__init__(name="lsgan")
        # A closure and numbers, not the network itself: Keras would save its own functions too.
        self._forward = lambda *inputs: generator(*inputs, training=False)
        self._latent_dim = generator.latent_dim
        self._latent_distribution = generator.latent_distribution
        self._value_range = generator.value_range
        self._num_classes = generator.num_classes
        self._variables = [variable.value for variable in generator.variables]
        self._class_names = class_names
        if class_names is not None:
            self._names = tf.constant(class_names)
            self._ids = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    self._names, tf.range(len(class_names), dtype=tf.int64)
                ),
                default_value=-1,
            )

    def signatures(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """The signatures by name, as `tf.saved_model.save` takes them."""
        z = tf.TensorSpec([None, self._latent_dim], tf.float32, "latents")
        count = tf.TensorSpec([], tf.int32, "count")
        seed = tf.TensorSpec([], tf.int64, "seed")
        drawn = _signature(self._latents_of_seed, count, seed)
        if self._class_names is None:
            return {
                "latents": drawn,
                "serving_default": _signature(self._images_of_latents, z),
                "generate": _signature(self._pngs, count, seed),
            }
        ids = tf.TensorSpec([None], tf.int64, "labels")
        names = tf.TensorSpec([None], tf.string, "labels")
        return {
            "latents": drawn,
            "serving_default": _signature(self._images_of_latents, z, ids),
            "generate": _signature(self._pngs, count, seed, names),
            "class_names": _signature(lambda: {"class_names": tf.identity(self._names)}),
        }

    def _images_of_latents(self, latents, labels=None):
        return {"images": self._images(latents, labels)}

    def _images(self, z, labels):
        inputs = [self._checked_latents(z)]
        if labels is not None:
            inputs.append(tf.cast(self._checked_ids(labels, tf.shape(z)[0]), tf.int32))
        low, high = self._value_range
        images = self._forward(*inputs)
        return tf.clip_by_value((images - low) / (high - low), 0.0, 1.0)

    def _checked_latents(self, z):
        shape = tf.shape(z)
        z = _checked(
            z,
            tf.equal(shape[1], self._latent_dim) & _in_bounds(shape[0]),
            f"latents must be float32 [N, {self._latent_dim}], N in 1..{MOST_IMAGES}; "
            "their shape is",
            shape,
        )
        finite = tf.reduce_all(tf.math.is_finite(z), axis=1)
        bad = tf.argmin(tf.cast(finite, tf.int32))
        return _checked(
            z, tf.reduce_all(finite), "latents must be finite; not so is the one of number", bad
        )

    def _checked_ids(self, labels, count):
        classes = self._num_classes
        labels = _checked(
            labels,
            tf.equal(tf.size(labels), count),
            "one label per latent is needed; labels:",
            labels,
        )
        return _checked(
            labels,
            tf.reduce_all((labels >= 0) & (labels < classes)),
            f"labels must be ids in 0..{classes - 1}; they are",
            labels,
        )

    def _latents_of_seed(self, count, seed):
        z = self._draw(_checked_count(count), seed)
        return {"latents": z, "distribution": tf.constant(self._latent_distribution)}

    def _draw(self, count, seed):
        seed = _checked(seed, seed >= 0, "seed must be 0 or more; it is", seed)
        return latents.draw(self._latent_distribution, count, self._latent_dim, seed=seed, step=-1)

    def _pngs(self, count, seed, labels=None):
        count = _checked_count(count)
        if labels is not None:
            ids = self._ids_of_names(labels)
            labels = tf.gather(ids, tf.range(count) % tf.size(ids))
        z = self._draw(count, seed)
        pixels = tf.cast(tf.round(self._images(z, labels) * 255.0), tf.uint8)
        png_bytes = tf.map_fn(
            tf.io.encode_png, pixels, fn_output_signature=tf.TensorSpec([], tf.string)
        )
        return {"png_bytes": png_bytes}

    def _ids_of_names(self, names):
        names = _checked(
            names,
            _in_bounds(tf.size(names)),
            f"labels must be 1..{MOST_IMAGES} class names:",
            names,
        )
        ids = self._ids.lookup(names)
        some = ", ".join(self._class_names[:10]) + " ..." * (len(self._class_names) > 10)
        return _checked(
            ids,
            tf.reduce_all(ids >= 0),
            f"labels must be among the {len(self._class_names)} class names ({some}); they are",
            names,
        )


def write(server: Server, directory: Path) -> None:
    """Writes the SavedModel into a directory that is not there yet."""
    tf.saved_model.save(server, str(directory), signatures=server.signatures())


def _in_bounds(count):
    return (count >= 1) & (count <= MOST_IMAGES)


def _checked_count(count):
    return _checked(
        count,
        _in_bounds(count),
        f"count must be in 1..{MOST_IMAGES}; it is",
        count,
    )


def _signature(function, *specs):
    return tf.function(function, specs, autograph=False)


def _checked(value, condition, message, shown):
    """The value, if the condition holds; else the graph fails with the message, in a server too.

    What is computed from the result waits for the check.
    """
    check = tf.debugging.Assert(condition, [message, shown], summarize=10)
    with tf.control_dependencies([check]):
        return tf.identity(value)
