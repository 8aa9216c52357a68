"""What the parts of a `gan.GAN` must have in common, and which schedules there are."""

import keras

from lsgan_tf.gan import latents

SCHEDULES = ("alternating", "simultaneous")


class NotPenalisable(ValueError):
    """A gradient penalty on a discriminator with batch norm."""


def check_pair(generator, discriminator):
    for trait in ("image_shape", "num_classes"):
        of_g, of_d = getattr(generator, trait), getattr(discriminator, trait)
        if of_g != of_d:
            raise ValueError(f"The generator's {trait} is {of_g}, the discriminator's is {of_d}.")
    latents.check(generator.latent_distribution)


def check_schedule(schedule, n_critic, shared_latents):
    if schedule not in SCHEDULES:
        raise ValueError(f"Unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}.")
    if n_critic < 1:
        raise ValueError(f"n_critic is {n_critic}; D takes at least 1 step.")
    if schedule == "simultaneous" and (n_critic > 1 or not shared_latents):
        raise ValueError(
            "The simultaneous schedule takes one step of each network on the same latents: it goes "
            "with n_critic=1 and shared_latents=True only."
        )


def check_penalised(discriminator):
    for layer in discriminator._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            raise NotPenalisable(
                "A gradient penalty wants the slope of D at each image by itself, and "
                f"{type(discriminator).__name__} has batch norm, which mixes the images of a "
                "batch. Take a discriminator with layer norm or with none."
            )
