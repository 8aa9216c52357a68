"""What all networks have in common: the classes they derive from, and how a pair is registered."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import ops

from lsgan_tf.networks import normalization
from lsgan_tf.networks.layers import STDDEV, LabelMap, concatenate_label

LABELS = "labels"
_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}  # of what comes out of an activation
_KEEPING = ("Reshape", "Flatten", "Identity", "Permute", "Transpose")  # layers that keep the values


def spread(inputs, what: str, labels=None) -> tuple:
    """The arguments of a network's call, from one structure, as `predict` hands it on.

    Args:
        inputs: an array; or (array, labels), or a dictionary of both.
        what: the key of the array, "latents" or "images".
        labels: if they come apart.

    Raises:
        ValueError: a dictionary has other keys.
    """
    apart = () if labels is None else (labels,)
    if isinstance(inputs, dict):
        if not {what} <= inputs.keys() <= {what, LABELS}:
            raise ValueError(
                f"Inputs with the keys {sorted(inputs)}; give {what!r}, and {LABELS!r} beside them."
            )
        return *(inputs[name] for name in (what, LABELS) if name in inputs), *apart
    return *(inputs if isinstance(inputs, (tuple, list)) else (inputs,)), *apart


def find_range(model):
    """The range of the activation that a Sequential or functional model ends in, or None."""
    layers = model.layers if isinstance(model, keras.Sequential) else []
    for layer in reversed(getattr(model, "operations", layers)):
        if isinstance(layer, keras.Model):
            return find_range(layer)
        kind = type(layer).__name__
        if kind not in _KEEPING:
            activation = getattr(layer, "activation", None)
            return _RANGES.get(getattr(activation, "__name__", kind).lower())
    return None


class Network(keras.Model):
    """A model that creates its variables in its constructor.

    Optimizers, checkpoints and `strategy.scope()` need variables before the first call. Subclasses
    make their layers in `__init__` and end it with `self.build_variables()`. They keep every
    constructor argument as an attribute of the same name, from which `get_config` reads it.

    Attributes:
        image_shape: (height, width, channels) of one image.
        num_classes: number of labels the network is conditioned on, or 0.
        name: of the Keras model; the argument of every network.
    """

    _input_name = "images"
    _is_checked = False

    def __init__(
        self, image_shape: tuple[int, ...], num_classes: int = 0, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes

    def __new__(cls, *args, **kwargs):
        network = super().__new__(cls)
        vars(network)["_given"] = kwargs  # past Keras, which would track it
        return network

    def get_config(self):
        parameters = inspect.signature(type(self)).parameters.values()
        any_keyword = any(p.kind == p.VAR_KEYWORD for p in parameters)
        names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        names += [name for name in self._given if any_keyword and name not in names]
        config = {name: getattr(self, name) for name in names}
        policy = self.dtype_policy.name
        return config if policy == "float32" else {**config, "dtype": policy}

    @classmethod
    def from_config(cls, config):
        """Makes the network under the dtype policy that it had; without one, under the present."""
        config, before = dict(config), keras.config.dtype_policy()
        keras.config.set_dtype_policy(config.pop("dtype", before))
        try:
            return super().from_config(config)
        finally:
            keras.config.set_dtype_policy(before)

    def twin(self, name: str) -> "Network":
        """Makes a second network of the same configuration."""
        config = self.get_config()
        parameters = inspect.signature(type(self)).parameters.values()
        takes_name = any(p.name == "name" or p.kind == p.VAR_KEYWORD for p in parameters)
        return type(self).from_config({**config, "name": name} if takes_name else config)

    def __call__(self, *args, **kwargs):
        if args:
            args = (*spread(args[0], self._input_name), *args[1:])
        return super().__call__(*args, **kwargs)

    def build_variables(self) -> None:
        """Creates the variables of all layers, by a symbolic call, and checks what comes out.

        Raises:
            ValueError: if that has another shape than the network says.
        """
        inputs = [keras.Input(self._input_shape)]
        if self.num_classes:
            inputs.append(keras.Input((), dtype="int32"))
        self._check_outputs(self(*inputs).shape)
        self._is_checked = True

    def ensure_built(self) -> None:
        """Does what `build_variables` does, where a subclass has not."""
        if not self._is_checked:
            self.build_variables()

    def export(
        self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs
    ):
        """`keras.Model.export`, of (latents or images, and labels where the network takes them)."""
        if input_signature is None:
            shape = (None, *self._input_shape)
            input_signature = [keras.InputSpec("float32", shape, name=self._input_name)]
            if self.num_classes:
                input_signature.append(keras.InputSpec("int32", (None,), name=LABELS))
        if format != "tf_saved_model":
            super().export(filepath, format, verbose, input_signature, **kwargs)
            return
        # Keras' own way traces each model within once more, on its first input alone.
        archive = keras.export.ExportArchive()
        archive.add_endpoint("serve", self.__call__, input_signature, **kwargs)
        archive.write_out(filepath, verbose=verbose is not False)


class Generator(Network):
    """Latents [N, latent_dim] (and labels [N]) -> float32 images [N, H, W, C] in `value_range`.

    A subclass sets `self.body`, the layers from latents to images, or overrides `call`.

    Attributes:
        latent_dim: length of a latent vector.
        latent_distribution: of the latents in training: "uniform" on [-1, 1) or "normal", N(0, I).
        value_range: (lowest, highest) pixel value: (-1, 1) after a tanh, (0, 1) after a sigmoid.
    """

    latent_distribution = "uniform"
    value_range = (-1.0, 1.0)
    _input_name = "latents"

    def __init__(
        self,
        latent_dim: int,
        image_shape: tuple[int, ...],
        num_classes: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(image_shape, num_classes, name)
        self.latent_dim = latent_dim

    @property
    def _input_shape(self):
        return (self.latent_dim,)

    def _check_outputs(self, shape):
        if len(shape) != len(self.image_shape) + 1 or any(
            made not in (None, said) for made, said in zip(shape[1:], self.image_shape, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__} says image_shape {self.image_shape}, and makes images of "
                f"{tuple(shape[1:])}."
            )
        if type(self).call in (Generator.call, LabelledGenerator.call):
            self._check_range(find_range(self.body))

    def _check_range(self, found):
        if None not in (found, self.value_range) and found != tuple(self.value_range):
            raise ValueError(
                f"{self.name} ends in an activation between {found[0]:g} and {found[1]:g}, and its "
                f"value_range is {tuple(self.value_range)}: say value_range = {found}."
            )

    def call(self, latents, training=False):
        return self.body(latents, training=training)


class Discriminator(Network):
    """Images [N, H, W, C] (and labels [N]) -> float32 logits [N, 1].

    A subclass sets `self.body`, the layers from images to logits, or overrides `call`.

    Attributes:
        logit_range: None, since logits are linear; (lowest, highest) where the output is bounded.
    """

    logit_range = None

    def judge(self, real, fake, *labels, apart: bool = False) -> tuple:
        """Logits of real and of generated images, in training: (of the real, of the generated).

        Each are a batch of their own, with statistics of their own in a batch norm. A network of
        this package takes both in one call, unless they are to stay `apart`: on small maps that is
        faster.

        Args:
            real, fake: images, equally many.
            *labels: of either batch, if the network is conditioned on them.
        """
        if apart or not self._can_join:
            return tuple(self(images, *labels, training=True) for images in (real, fake))
        both = [ops.concatenate(pair, 0) for pair in ((real, fake), *((x, x) for x in labels))]
        with normalization.in_parts(2):
            return tuple(ops.split(self(*both, training=True), 2))

    @property
    def _can_join(self):
        """Whether no layer but `BatchNormalization` can mix the images of a batch."""
        return type(self).__module__.startswith(f"{__package__}.")

    @property
    def _input_shape(self):
        return self.image_shape

    def _check_outputs(self, shape):
        if len(shape) > 1 and shape[-1] != 1:
            raise ValueError(
                f"{type(self).__name__} returns {tuple(shape)}; a discriminator returns one logit "
                "for each image, [N, 1]: end it with Dense(1)."
            )

    def call(self, images, training=False):
        return self.body(images, training=training)


class LabelledGenerator(Generator):
    """A generator that can be conditioned on labels (ICCV 2017, section 3.3).

    A linear map of the label is concatenated to the latents. Without classes this is an ordinary
    generator. A subclass sets `self.body`, the layers from latents (and mapped label) to images.

    Args:
        latent_dim: length of a latent vector.
        image_shape: (height, width, channels) of one image.
        num_classes: number of labels, or 0.
        label_units: length of the mapped label.
        label_stddev: of the label's map at the start.
    """

    def __init__(
        self,
        latent_dim: int,
        image_shape: tuple[int, ...],
        num_classes: int,
        label_units: int,
        name: str | None = None,
        label_stddev: float = STDDEV,
    ) -> None:
        super().__init__(latent_dim, image_shape, num_classes, name)
        self.label_map = LabelMap(num_classes, label_units, label_stddev) if num_classes else None

    def call(self, latents, labels=None, training=False):
        if self.label_map:
            latents = concatenate_label(latents, self.label_map(labels))
        return self.body(latents, training=training)


class LabelledDiscriminator(Discriminator):
    """A discriminator that can be conditioned on labels (ICCV 2017, section 3.3).

    A linear map of the label is concatenated to the input of the second convolution and to that
    of the last layer. Without classes this is an ordinary discriminator.

    A subclass sets `self.first`, the first convolution; `self.body`, which ends flat; and
    `self.score`, the last layer, which returns the logits. Checkpoints and .keras files store the
    layers by these names, so the layer of the logits keeps the name `score`.

    Args:
        image_shape: (height, width, channels) of one image.
        num_classes: number of labels, or 0.
        label_units: length of the mapped label.
        label_stddev: of the label's map at the start.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        num_classes: int,
        label_units: int,
        name: str | None = None,
        label_stddev: float = STDDEV,
    ) -> None:
        super().__init__(image_shape, num_classes, name)
        self.label_map = LabelMap(num_classes, label_units, label_stddev) if num_classes else None

    def call(self, images, labels=None, training=False):
        features = self.first(images, training=training)
        if self.label_map:
            label = self.label_map(labels)
            features = self.body(concatenate_label(features, label), training=training)
            features = concatenate_label(features, label)
        else:
            features = self.body(features, training=training)
        return self.score(ops.cast(features, self.score.compute_dtype))


class Pair(NamedTuple):
    """A generator and a discriminator that belong together, as `networks.PAIRS` registers them.

    Attributes:
        make: called with (image_shape, num_classes) and any of `options` by keyword, returns the
            two networks. Raises ValueError if it cannot make images of that shape.
        image_shape: the only shape the pair takes, or None if `make` decides.
        description: one line for --list_networks.
        conditional: whether the pair can be conditioned on labels.
        needs_labels: whether the pair cannot do without labels.
        options: what else of the pair can be chosen, of "norm", D's normalisation, and
            "base_channels", the channels of the maps beside the image.
    """

    make: Callable[..., tuple[Generator, Discriminator]]
    image_shape: tuple[int, ...] | None
    description: str
    conditional: bool = False
    needs_labels: bool = False
    options: tuple[str, ...] = ()


def fixed_pair(
    make_generator: Callable[..., Generator],
    make_discriminator: Callable[..., Discriminator],
    image_shape: tuple[int, ...],
    description: str,
) -> Pair:
    """A pair of one image shape that takes no labels; both are made without arguments."""
    return Pair(
        lambda image_shape, num_classes: (make_generator(), make_discriminator()),
        image_shape,
        description,
    )
