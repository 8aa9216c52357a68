"""From a `Config` to the objects of a run."""

import sys

import keras

from lsgan_tf import networks
from lsgan_tf.config import Config
from lsgan_tf.gan import objectives
from lsgan_tf.gan.augmentation import Augmentation
from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.objectives import LeastSquares, Objective, SigmoidCrossEntropy, Wasserstein
from lsgan_tf.gan.optimizers import Adam, RateSchedule, RMSProp
from lsgan_tf.gan.penalties import DRAGAN, R1, AroundData, Interpolates, NotPenalisable, Penalty
from lsgan_tf.networks import freezing, normalization
from lsgan_tf.networks.base import Discriminator, Generator
from lsgan_tf.utils.errors import UserError


def gan(
    config: Config, image_shape: tuple[int, int, int], class_names: tuple[str, ...] | None
) -> GAN:
    """The compiled `GAN` of a run, the same weights for the same seed.

    Call it inside the strategy's scope.

    Args:
        config: the run.
        image_shape: (height, width, channels) of the data.
        class_names: names of the data's labels; None of unlabelled data.

    Raises:
        UserError: the network is unknown, or does not fit the data, the objective or the penalty.
    """
    keras.config.set_dtype_policy(config.dtype_policy)
    keras.utils.set_random_seed(config.seed)
    generator, discriminator = _networks(config, image_shape, class_names)
    for network in (generator, discriminator):
        normalization.synchronize(network, config.sync_batch_norm)
    _check_logit_range(config, discriminator)
    if config.freeze_discriminator:
        _freeze(config, discriminator)
    try:
        model = GAN(
            generator,
            discriminator,
            objective(config),
            penalty(config),
            penalty_every=config.penalty_every,
            augmentation=augmentation(config),
            schedule=config.schedule,
            n_critic=config.n_critic,
            shared_latents=config.shared_latents,
            loss_scale=config.loss_scale,
            ema_decay=config.ema_decay,
            seed=config.seed,
        )
    except NotPenalisable as error:
        raise UserError(
            f"--penalty={config.penalty} does not go with --network={config.network}. {error} "
            "Give --penalty=none, or --discriminator_norm=layer, spectral or "
            "none, which dcgan, scene, digit and light take; at 64x64x3 the difficult pairs have "
            "no batch norm, but for difficult_dcgan_bn."
        ) from error
    model.compile(*optimizers(config), jit_compile=config.jit_compile)
    return model


def warn_of_batch(config: Config, num_examples: int | None) -> None:
    """Says so if a step takes images more than once; it trains nonetheless. None: not known."""
    if num_examples is not None and config.batch_size > num_examples:
        print(
            f"warning: --batch_size={config.batch_size} is more than the {num_examples} images of "
            f"{config.dataset}: each step takes some of them several times.",
            file=sys.stderr,
        )


def _networks(config, image_shape, class_names) -> tuple[Generator, Discriminator]:
    if config.conditional and class_names is None:
        raise UserError(f"--conditional needs labels, and {config.dataset} has none.")
    num_classes = len(class_names) if config.conditional else 0
    return networks.build(
        config.network,
        image_shape,
        num_classes,
        discriminator_norm=config.discriminator_norm,
        base_channels=config.base_channels,
    )


def _check_logit_range(config, discriminator):
    """Refuses an objective whose targets bounded logits cannot reach."""
    if not objectives.fits(objective(config), discriminator.logit_range):
        low, high = discriminator.logit_range
        raise UserError(
            f"--network={config.network} has outputs between {low:g} and {high:g} only. It goes "
            "with least squares and labels within, for example --objective=binary."
        )


def _freeze(config, discriminator):
    try:
        freezing.freeze_first(discriminator, config.freeze_discriminator)
    except ValueError as error:
        count = config.freeze_discriminator
        raise UserError(
            f"--freeze_discriminator={count} leaves nothing of D to train: {error}"
        ) from error


def objective(config: Config) -> Objective:
    """The objective of a run."""
    if config.objective == "least_squares":
        return LeastSquares(config.label_a, config.label_b, config.label_c)
    if config.objective == "wasserstein":
        return Wasserstein()
    return SigmoidCrossEntropy(saturating=config.objective == "sigmoid_saturating")


def penalty(config: Config) -> Penalty | None:
    """The penalty of a run, or None."""
    if config.penalty == "none":
        return None
    flags = {"weight": config.penalty_weight, "width": config.penalty_width}
    given = {name: value for name, value in flags.items() if value}  # 0: the published one
    if config.penalty == "r1":
        return R1(**given)
    kind = {"lsgan_gp": AroundData, "dragan": DRAGAN, "wgan_gp": Interpolates}[config.penalty]
    return kind(target=config.penalty_target, **given)


def augmentation(config: Config) -> Augmentation | None:
    """The augmentation of a run, or None."""
    return Augmentation(config.augment.split(",")) if config.augment else None


def optimizers(config: Config) -> tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]:
    """New optimizers of a run: (of G, of D)."""
    generator_rate, discriminator_rate = _learning_rates(config)
    return (
        _optimizer(config, generator_rate, updates_per_step=1),
        _optimizer(config, discriminator_rate, updates_per_step=config.n_critic),
    )


def _optimizer(config, learning_rate, updates_per_step):
    schedule = None
    if config.learning_rate_schedule != "constant" or config.warmup_steps:
        steps = config.warmup_steps, config.decay_steps
        schedule = RateSchedule(config.learning_rate_schedule, *steps, updates_per_step)
    if config.optimizer == "rmsprop":
        optimizer = RMSProp(learning_rate, schedule=schedule)
    else:
        betas = {"beta_1": config.beta_1, "beta_2": config.beta_2}
        optimizer = Adam(learning_rate, **betas, schedule=schedule)
    # Gradients below 6e-8 vanish in half precision, so the losses are scaled up.
    half = config.dtype_policy == "mixed_float16"
    return keras.optimizers.LossScaleOptimizer(optimizer) if half else optimizer


def _learning_rates(config):
    """The rates of (G, D), before their schedule."""
    return config.learning_rate, config.discriminator_learning_rate or config.learning_rate


def set_learning_rates(model: GAN, config: Config) -> None:
    """Gives the optimizers of a restored GAN the rates of `config`."""
    optimizers_of_both = (model.generator_optimizer, model.discriminator_optimizer)
    for optimizer, rate in zip(optimizers_of_both, _learning_rates(config), strict=True):
        optimizer.learning_rate = rate


def read_learning_rates(model: GAN) -> dict[str, float]:
    """The rates that the next step will take, by the names that they are logged under."""
    return {
        "g_learning_rate": float(model.generator_optimizer.learning_rate.numpy()),
        "d_learning_rate": float(model.discriminator_optimizer.learning_rate.numpy()),
    }
