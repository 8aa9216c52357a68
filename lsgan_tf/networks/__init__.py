"""The pairs of networks, by name."""

from collections.abc import Sequence

from lsgan_tf.networks import (
    character,
    dcgan,
    difficult,
    digits,
    fashion,
    infogan,
    mlp,
    residual,
    scene,
)
from lsgan_tf.networks.base import Discriminator, Generator, Pair
from lsgan_tf.utils.errors import UserError

PAIRS: dict[str, Pair] = {
    **scene.PAIRS,
    **character.PAIRS,
    **dcgan.PAIRS,
    **digits.PAIRS,
    **difficult.PAIRS,
    **residual.PAIRS,
    **fashion.PAIRS,
    **infogan.PAIRS,
    **mlp.PAIRS,
}


def build(
    name: str,
    image_shape: Sequence[int],
    num_classes: int = 0,
    *,
    discriminator_norm: str = "pair",
    base_channels: int = 0,
) -> tuple[Generator, Discriminator]:
    """Makes the generator and the discriminator registered as `name`.

    Args:
        name: a key of `PAIRS`.
        image_shape: (height, width, channels) of the data.
        num_classes: number of labels to condition both on, or 0.
        discriminator_norm: one of `settings.DISCRIMINATOR_NORMS`; "pair": as the pair has it.
        base_channels: channels of the maps beside the image; 0: as the pair has it.

    Returns:
        The two networks, with their initial weights drawn from Keras' random seed.

    Raises:
        UserError: if the name is unknown, if the pair does not take images of this shape, labels or
            one of the two choices, or if it needs labels and there are none.
    """
    if name not in PAIRS:
        raise UserError(f"--network={name} is unknown. Known: {', '.join(PAIRS)}.")
    pair, shape = PAIRS[name], tuple(image_shape)
    _check_shape(name, pair, shape)
    _check_labels(name, pair, shape, num_classes)
    options = {}
    if discriminator_norm != "pair":
        _check_option(name, pair, "norm", "--discriminator_norm", discriminator_norm, "pair")
        options["norm"] = discriminator_norm
    if base_channels:
        _check_option(name, pair, "base_channels", "--base_channels", base_channels, 0)
        options["base_channels"] = base_channels
    try:
        return pair.make(shape, num_classes, **options)
    except ValueError as error:
        side = max(dcgan.SMALLEST_SIDE, min(shape[:2]))
        raise UserError(f"{error} Set --image_size to one it takes, for example {side}.") from error


def _check_shape(name, pair, shape):
    expected = pair.image_shape
    if expected in (None, shape):
        return
    if expected[2] != shape[2]:
        channels = "grey" if expected[2] == 1 else "colour"
        advice = f"Convert it with --channels={channels}"
    else:
        advice = f"Set --image_size={expected[0]}"
    raise UserError(
        f"--network={name} takes images of {_format_shape(expected)}, the data set has "
        f"{_format_shape(shape)}. {advice}, or take --network=dcgan."
    )


def _check_option(name, pair, option, flag, value, default):
    if option not in pair.options:
        able = [key for key, other in PAIRS.items() if option in other.options]
        raise UserError(
            f"--network={name} does not take {flag}={value}: its layers are fixed. Give "
            f"{flag}={default} (a recipe such as flags/default.flags may have set another), or "
            f"take one of these networks: {', '.join(able)}."
        )


def _check_labels(name, pair, shape, num_classes):
    if num_classes and not pair.conditional:
        able = [key for key, other in PAIRS.items() if other.conditional]
        raise UserError(
            f"--network={name} takes no labels. Remove --conditional, or take one of these: "
            f"{', '.join(able)}."
        )
    if pair.needs_labels and not num_classes:
        able = [
            key
            for key, other in PAIRS.items()
            if other.image_shape in (None, shape) and not other.needs_labels
        ]
        raise UserError(
            f"--network={name} needs labels: add --conditional, with a data set that has them. "
            f"Without labels: {', '.join(able)}."
        )


def _format_shape(shape):
    return "x".join(map(str, shape))
