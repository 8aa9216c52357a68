"""The pairs of networks, by name."""

from lsgan_tf.networks import (
    character,
    dcgan,
    difficult,
    digit,
    fashion,
    gated,
    light,
    mlp,
    residual,
    scene,
    stability,
)
from lsgan_tf.utils.errors import UserError

# One line a family: each file names its own pairs.
PAIRS = {
    **scene.PAIRS,
    **character.PAIRS,
    **dcgan.PAIRS,
    **digit.PAIRS,
    **light.PAIRS,
    **difficult.PAIRS,
    **gated.PAIRS,
    **residual.PAIRS,
    **stability.PAIRS,
    **fashion.PAIRS,
    **mlp.PAIRS,
}


def build(name, image_shape, num_classes=0):
    """Makes the generator and the discriminator registered as `name`.

    Args:
      name: a key of `PAIRS`.
      image_shape: (height, width, channels) of the data.
      num_classes: number of labels to condition on, or 0.

    Raises:
      UserError: on an unknown name, or a shape or labels that the pair does not take, or without
        labels if it needs them.
    """
    if name not in PAIRS:
        raise UserError(f"--network={name} is unknown. Known: {', '.join(PAIRS)}.")
    pair, shape = PAIRS[name], tuple(image_shape)
    if pair.image_shape not in (None, shape):
        raise UserError(
            f"--network={name} takes images of {_spell(pair.image_shape)}, the data set has "
            f"{_spell(shape)}. {_way_out(pair.image_shape, shape)}"
        )
    if num_classes and not pair.conditional:
        able = ", ".join(key for key, other in PAIRS.items() if other.conditional)
        raise UserError(f"--network={name} takes no labels. With --conditional: {able}.")
    if pair.needs_labels and not num_classes:
        able = ", ".join(
            key
            for key, other in PAIRS.items()
            if other.image_shape in (None, shape) and not other.needs_labels
        )
        raise UserError(
            f"--network={name} needs labels: add --conditional, with a data set that has them. "
            f"Without labels: {able}."
        )
    try:
        return pair.make(shape, num_classes)
    except ValueError as error:
        raise UserError(
            f"{error} Set --image_size to one it takes, for example {_nearest(shape)}."
        ) from error


def _way_out(wanted, shape):
    if wanted[2] != shape[2]:
        kind = "grey" if wanted[2] == 1 else "colour"
        return f"Convert it with --channels={kind}, or take --network=dcgan."
    return f"Set --image_size={wanted[0]}, or take --network=dcgan."


def _spell(shape):
    return "x".join(map(str, shape))


def _nearest(shape):
    return max(dcgan.SMALLEST, min(shape[:2]))
