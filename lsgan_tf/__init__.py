"""Least-squares generative adversarial networks for Keras and TensorFlow.

The names in `__all__` are the library. They are imported when they are first asked for, since
TensorFlow takes seconds to import and a command may have nothing to do with it.
"""

import importlib

__version__ = "0.1.0"

_MODULE_OF = {
    "GAN": "lsgan_tf.gan.model",
    "LeastSquares": "lsgan_tf.gan.objectives",
    "SigmoidCrossEntropy": "lsgan_tf.gan.objectives",
    "Wasserstein": "lsgan_tf.gan.objectives",
    "AroundData": "lsgan_tf.gan.penalties",
    "Augmentation": "lsgan_tf.gan.augmentation",
    "DRAGAN": "lsgan_tf.gan.penalties",
    "Interpolates": "lsgan_tf.gan.penalties",
    "R1": "lsgan_tf.gan.penalties",
    "Adam": "lsgan_tf.gan.optimizers",
    "RMSProp": "lsgan_tf.gan.optimizers",
    "RateSchedule": "lsgan_tf.gan.optimizers",
    "DCGANGenerator": "lsgan_tf.networks.dcgan",
    "DCGANDiscriminator": "lsgan_tf.networks.dcgan",
    "Generator": "lsgan_tf.networks.base",
    "Discriminator": "lsgan_tf.networks.base",
    "ModelGenerator": "lsgan_tf.networks.own",
    "ModelDiscriminator": "lsgan_tf.networks.own",
    "RaiseOnNaN": "lsgan_tf.inference.callbacks",
    "SampleGrid": "lsgan_tf.inference.callbacks",
    "Scores": "lsgan_tf.inference.callbacks",
    "load": "lsgan_tf.inference.saved",
    "Config": "lsgan_tf.config",
    "train_run": "lsgan_tf.training.loop",
}
__all__ = list(_MODULE_OF)


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__():
    return sorted({*globals(), *__all__})
