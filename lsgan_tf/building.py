"""From a `Config` to the objects of a run."""

import keras
import tensorflow as tf

from lsgan_tf import networks
from lsgan_tf.errors import UserError
from lsgan_tf.gan import GAN
from lsgan_tf.objectives import LeastSquares, SigmoidCrossEntropy
from lsgan_tf.optimizers import Adam, RMSProp


def strategy(config):
    """The `tf.distribute` strategy of `--distribution` and `--logical_devices`.

    Raises:
      UserError: if the batch does not divide by the number of replicas.
    """
    _split_cpu(config.logical_devices)
    devices = _devices(config.logical_devices)
    if config.distribution == "one_device":
        chosen = tf.distribute.OneDeviceStrategy(devices[0])
    else:
        chosen = tf.distribute.MirroredStrategy(devices, _reduction(devices))
    replicas = chosen.num_replicas_in_sync
    if config.batch_size % replicas:
        raise UserError(
            f"--batch_size={config.batch_size} does not divide by {replicas} replicas. "
            f"Take a multiple of {replicas}: it counts the images of all replicas together."
        )
    return chosen


def _split_cpu(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    split = tf.config.get_logical_device_configuration(cpu) or [None]
    if len(split) >= count:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        )
    except RuntimeError as error:
        raise UserError(
            "--logical_devices must be set before TensorFlow has started in this process."
        ) from error


def _devices(logical_devices):
    """The names of all GPUs, or of the logical CPUs where there is none."""
    gpus = tf.config.list_logical_devices("GPU")
    found = gpus or tf.config.list_logical_devices("CPU")[:logical_devices]
    return [device.name for device in found]


def _reduction(devices):
    """How replicas sum: NCCL, TensorFlow's choice, on GPUs. On CPUs its choice is a collective
    whose group cannot change its size within a process; adding on one device can."""
    return None if "GPU" in devices[0] else tf.distribute.ReductionToOneDevice()


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
    if config.objective == "sigmoid":
        return SigmoidCrossEntropy()
    return LeastSquares(config.label_a, config.label_b, config.label_c)


def optimizer(config):
    """A new optimizer of a run; each network needs one of its own."""
    if config.optimizer == "rmsprop":
        return RMSProp(config.learning_rate)
    return Adam(config.learning_rate, beta_1=config.beta_1)


def gan(config, image_shape, class_names):
    """The compiled `GAN` of a run, the same weights for the same seed.

    Call it inside the strategy's scope.

    Raises:
      UserError: if the network is unknown or does not fit the data.
    """
    keras.config.set_dtype_policy(config.dtype_policy)
    keras.utils.set_random_seed(config.seed)
    generator, discriminator = pair(config, image_shape, class_names)
    model = GAN(
        generator,
        discriminator,
        objective(config),
        ema_decay=config.ema_decay,
        seed=config.seed,
    )
    model.compile(optimizer(config), optimizer(config))
    return model


def set_learning_rate(model, config):
    """Gives both optimizers of a restored GAN the rate of `config`."""
    for each in (model.generator_optimizer, model.discriminator_optimizer):
        each.learning_rate = config.learning_rate
