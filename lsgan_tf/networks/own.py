"""Any Keras model as a generator or a discriminator, and two networks as a pair."""

import inspect
import types

import keras
from keras import ops

from lsgan_tf.networks.base import Discriminator, Generator, find_range
from lsgan_tf.networks.normalization import flatten_layers


class _OfModel:
    """What both classes below share. The model is `self.model`."""

    def call(self, inputs, labels=None, training=False):
        arguments = [inputs]
        if self.num_classes:
            arguments.append(_as_taken(labels, self.model, self.num_classes))
            if not _takes_two(self.model):
                arguments = [arguments]
        outputs = self.model(*arguments, training=training)
        return ops.cast(outputs, keras.config.floatx())  # a policy may compute at half precision

    def get_config(self):
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config):
        model = config["model"]
        if isinstance(model, dict):
            model = keras.saving.deserialize_keras_object(model)
        return super().from_config({**config, "model": model})

    def twin(self, name):
        return type(self).from_config(
            {**self.get_config(), "model": _copy(self.model), "name": name}
        )


@keras.saving.register_keras_serializable("lsgan_tf")
class ModelGenerator(_OfModel, Generator):
    """A Keras model as a generator; what is not given is read off the model.

    Args:
        model: a `keras.Model` from latents to images. A conditional one takes [latents, labels],
            the labels as integers [N] or [N, 1], or one-hot.
        latent_dim: length of a latent vector; None: that of the model's input.
        value_range: (lowest, highest) pixel value; None: (-1, 1) if the model ends in a tanh,
            (0, 1) if it ends in a sigmoid.
        num_classes: number of labels the model is conditioned on, or 0; None: 0 if it has one
            input, or the width of one-hot labels.
        latent_distribution: of the latents in training: "uniform" or "normal".

    Raises:
        ValueError: what is not given cannot be read off the model.
    """

    def __init__(
        self,
        model,
        latent_dim=None,
        value_range=None,
        num_classes=None,
        latent_distribution="uniform",
        name=None,
    ):
        shapes = _input_shapes(model)
        if latent_dim is None:
            latent_dim = _read(shapes and shapes[0][-1], model, "latent_dim=100")
        if value_range is None:
            value_range = _read(find_range(model), model, "value_range=(-1, 1)")
        super().__init__(latent_dim, (), _count_classes(num_classes, shapes, model), name)
        self.model = model
        self.value_range = tuple(value_range)
        self.latent_distribution = latent_distribution
        self.build_variables()

    def _check_outputs(self, shape):
        self.image_shape = tuple(shape[1:])
        if None in self.image_shape:
            raise ValueError(f"{self.model.name} makes images of an unknown size: {shape}.")
        self._check_range(find_range(self.model))


@keras.saving.register_keras_serializable("lsgan_tf")
class ModelDiscriminator(_OfModel, Discriminator):
    """A Keras model as a discriminator; what is not given is read off the model.

    Args:
        model: a `keras.Model` from images to one logit each, [N, 1]. A conditional one takes
            [images, labels], the labels as integers [N] or [N, 1], or one-hot.
        image_shape: (height, width, channels); None: that of the model's input.
        num_classes: as of `ModelGenerator`.

    Raises:
        ValueError: what is not given cannot be read off the model, or it returns no logits.
    """

    _can_join = False  # a model may have any layers

    def __init__(self, model, image_shape=None, num_classes=None, name=None):
        shapes = _input_shapes(model)
        if image_shape is None:
            image_shape = _read(shapes and shapes[0][1:], model, "image_shape=(64, 64, 3)")
        super().__init__(image_shape, _count_classes(num_classes, shapes, model), name)
        self.model = model
        self.logit_range = find_range(model)
        self.build_variables()


def make_pair(generator: keras.Model, discriminator: keras.Model) -> tuple:
    """Makes a `Generator` and a `Discriminator` of two Keras models, and checks that they fit.

    Raises:
        ValueError: they are no such models, or do not fit each other.
    """
    for network, other, place in (
        (generator, Discriminator, "first"),
        (discriminator, Generator, "second"),
    ):
        if isinstance(network, other) or not isinstance(network, keras.Model):
            raise ValueError(
                f"The {place} argument is a {type(network).__name__}; a GAN takes the generator "
                "first, then the discriminator, both of them Keras models."
            )
    if not isinstance(generator, Generator):
        generator = ModelGenerator(generator)
    if not isinstance(discriminator, Discriminator):
        known = _input_shapes(discriminator)
        discriminator = ModelDiscriminator(
            discriminator,
            None if known else generator.image_shape,
            generator.num_classes if len(known) != 1 else 0,
        )
    for network in (generator, discriminator):
        network.ensure_built()
    for trait in ("image_shape", "num_classes"):
        of_g, of_d = getattr(generator, trait), getattr(discriminator, trait)
        if of_g != of_d:
            raise ValueError(f"The generator's {trait} is {of_g}, the discriminator's is {of_d}.")
    return generator, discriminator


def _copy(model):
    """A model of the same configuration, whose classes need not be registered."""
    layers = flatten_layers(model)
    _check_configurations(layers)
    own = {keras.saving.get_registered_name(maker): maker for maker in _own_makers(layers)}
    config = keras.saving.serialize_keras_object(model)
    return keras.saving.deserialize_keras_object(config, own, safe_mode=False)


def _check_configurations(layers):
    """ValueError for a model whose configuration would lack the arguments it was made with."""
    for layer in layers:
        arguments = inspect.signature(type(layer)).parameters.keys()
        if (
            isinstance(layer, keras.Model)
            and type(layer).get_config is keras.Model.get_config  # of defaults, not of arguments
            and arguments - {"args", "kwargs", "name", "trainable", "dtype"}
        ):
            raise ValueError(f"{type(layer).__name__} takes arguments and has no `get_config`.")


def _own_makers(layers):
    """The classes and functions, not of Keras, of layers and of what they hold."""
    for thing in (thing for layer in layers for thing in (layer, *vars(layer).values())):
        maker = thing if isinstance(thing, types.FunctionType) else type(thing)
        known = f"{maker.__module__}.".startswith(("builtins.", "keras."))
        if not known and (maker is thing or hasattr(maker, "get_config")):
            yield maker


def _input_shapes(model):
    """The shapes of a model's inputs, with the batch; () if it does not say."""
    inputs = getattr(model, "inputs", None)
    return tuple(tensor.shape for tensor in inputs) if inputs else ()


def _read(found, model, example):
    if found:
        return found
    what = example.split("=")[0]
    kind = "ModelDiscriminator" if what == "image_shape" else "ModelGenerator"
    raise ValueError(
        f"The Keras model {model.name!r} does not say its {what}. Say it once, for example "
        f"{kind}(model, {example})."
    )


def _count_classes(num_classes, shapes, model):
    if num_classes is not None:
        return num_classes
    if len(shapes) < 2:
        return 0
    width = shapes[1][-1] if len(shapes[1]) == 2 else 1
    return _read(width if width > 1 else None, model, "num_classes=10")


def _as_taken(labels, model, num_classes):
    """Labels [N] in the form in which a model's second input takes them."""
    shapes = _input_shapes(model)
    if len(shapes) < 2 or len(shapes[1]) == 1:
        return labels
    return ops.one_hot(labels, num_classes) if shapes[1][-1] > 1 else labels[:, None]


def _takes_two(model):
    """Whether a model's `call` takes the labels as an argument of their own."""
    parameters = inspect.signature(model.call).parameters.values()
    inputs = [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
    return len([p for p in inputs if p.name not in ("training", "mask")]) > 1
