"""From a `Config` to the objects of a run."""

import keras

from lsgan_tf import networks
from lsgan_tf.gan.compatibility import NotPenalisable
from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.objectives import LeastSquares, SigmoidCrossEntropy, Wasserstein
from lsgan_tf.gan.optimizers import Adam, RMSProp
from lsgan_tf.gan.penalties import DRAGAN, AroundData, Interpolates
from lsgan_tf.networks import normalization
from lsgan_tf.utils.errors import UserError


def pair(config, image_shape, class_names):
    """The (generator, discriminator) of a run.

    Raises:
      UserError: if the network is unknown or does not fit the data.
    """
    if config.conditional and class_names is None:
        raise UserError(f"--conditional needs labels, and {config.dataset} has none.")
    num_classes = len(class_names) if config.conditional else 0
    return networks.build(config.network, image_shape, num_classes)


def objective(config):
    """The `Objective` of a run."""
    if config.objective == "least_squares":
        return LeastSquares(config.label_a, config.label_b, config.label_c)
    if config.objective == "wasserstein":
        return Wasserstein()
    return SigmoidCrossEntropy(saturating=config.objective == "sigmoid_saturating")


def penalty(config):
    """The `Penalty` of a run, or None."""
    if config.penalty == "none":
        return None
    kind = {"lsgan_gp": AroundData, "dragan": DRAGAN, "wgan_gp": Interpolates}[config.penalty]
    chosen = {"weight": config.penalty_weight, "width": config.penalty_width}
    given = {name: value for name, value in chosen.items() if value}  # 0: the published one
    return kind(target=config.penalty_target, **given)


def optimizers(config):
    """New optimizers of a run: (of G, of D)."""
    return tuple(_optimizer(config, rate) for rate in _learning_rates(config))


def _optimizer(config, learning_rate):
    if config.optimizer == "rmsprop":
        chosen = RMSProp(learning_rate)
    else:
        chosen = Adam(learning_rate, beta_1=config.beta_1, beta_2=config.beta_2)
    # Gradients of half precision vanish below 6e-8: their losses are scaled up meanwhile.
    half = config.dtype_policy == "mixed_float16"
    return keras.optimizers.LossScaleOptimizer(chosen) if half else chosen


def _learning_rates(config):
    return config.learning_rate, config.discriminator_learning_rate or config.learning_rate


def gan(config, image_shape, class_names):
    """The compiled `GAN` of a run, the same weights for the same seed.

    Call it inside the strategy's scope.

    Raises:
      UserError: if the network is unknown, or does not fit the data, the objective or the penalty.
    """
    keras.config.set_dtype_policy(config.dtype_policy)
    keras.utils.set_random_seed(config.seed)
    generator, discriminator = pair(config, image_shape, class_names)
    for network in (generator, discriminator):
        normalization.synchronize(network, config.sync_batch_norm)
    _check_scores(config, discriminator)
    try:
        model = GAN(
            generator,
            discriminator,
            objective(config),
            penalty(config),
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
            "Pairs with such a D: dcgan_no_bn at any size; at 64x64x3 also the difficult ones, but "
            "for difficult_dcgan_bn."
        ) from error
    model.compile(*optimizers(config), jit_compile=config.jit_compile)
    return model


def _check_scores(config, discriminator):
    """Refuses an objective whose targets a bounded score cannot reach."""
    if discriminator.logit_range is None:
        return
    low, high = discriminator.logit_range
    labels = (config.label_a, config.label_b, config.label_c)
    if config.objective != "least_squares" or not all(low <= label <= high for label in labels):
        raise UserError(
            f"--network={config.network} has scores between {low:g} and {high:g} only. It goes "
            "with least squares and labels within, for example --objective=binary."
        )


def set_learning_rates(model, config):
    """Gives the optimizers of a restored GAN the rates of `config`."""
    both = (model.generator_optimizer, model.discriminator_optimizer)
    for each, rate in zip(both, _learning_rates(config), strict=True):
        each.learning_rate = rate
