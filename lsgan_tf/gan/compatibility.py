"""What the parts of a `GAN` must have in common, and its batches with them."""

import keras

from lsgan_tf.gan import latents
from lsgan_tf.networks import normalization


class NotPenalisable(ValueError):
    """A gradient penalty on a discriminator with batch norm."""


def check_pair(generator: keras.Model, discriminator: keras.Model) -> None:
    """Checks that two networks fit each other.

    Raises:
        ValueError: if not, or if the generator's latent distribution is unknown.
    """
    for trait in ("image_shape", "num_classes"):
        of_g, of_d = getattr(generator, trait), getattr(discriminator, trait)
        if of_g != of_d:
            raise ValueError(f"The generator's {trait} is {of_g}, the discriminator's is {of_d}.")
    latents.check(generator.latent_distribution)


def check_penalised(discriminator: keras.Model) -> None:
    """Checks that a gradient penalty may be put on D.

    Raises:
        NotPenalisable: if it has batch norm.
    """
    if normalization.has_batch_norm(discriminator):
        raise NotPenalisable(
            "A gradient penalty takes the gradient of D at each example by itself, and "
            f"{type(discriminator).__name__} has batch norm, which mixes the examples of a "
            "batch. Take a discriminator with layer norm or with none."
        )


def split_batch(batch, num_classes: int) -> tuple:
    """Splits a batch into the examples and what the networks take beside them.

    Args:
        batch: examples [N, ...] or (examples, labels [N]).
        num_classes: number of labels the networks are conditioned on, or 0.

    Returns:
        (examples, (labels,)), or (examples, ()) for networks without labels.

    Raises:
        ValueError: if labels are missing, or if the batch is of more parts than two.
    """
    parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    if len(parts) > 2:
        raise ValueError(
            f"A batch of {len(parts)} parts; give the images alone or (images, labels)."
        )
    if num_classes == 0:
        return parts[0], ()
    if len(parts) < 2 or parts[1] is None:
        raise ValueError(
            f"This GAN is conditioned on {num_classes} labels, and the batches have none: give "
            f"(images, labels), the labels integers [N] below {num_classes}."
        )
    return parts[0], (parts[1],)
