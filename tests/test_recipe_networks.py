"""The networks that recipes name: their sizes, and a first step of each."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import networks, recipes
from lsgan_tf.config import Config
from lsgan_tf.training import build
from tests.networks.network_checks import count_parameters

CHARACTERS = tuple(map(str, range(3740)))  # as many classes as the paper has

# Trainable parameters of G and of D, and what G makes: from the papers' and the authors' tables.
SCENE = 15_591_427, 4_333_441, (112, 112, 3)
CAT = 7_682_051, 4_341_121, (128, 128, 3)
CIFAR10 = 4_517_891, 4_310_401, (32, 32, 3)
OWN_PICTURES = 1_500_163, 1_082_177, (64, 64, 3)
DIGIT = 4_944_129, 1_252_671, (28, 28, 1)
BN_G = 12_702_851, 4_316_545, (64, 64, 3)
BN_GD = 12_702_851, 4_314_753, (64, 64, 3)
DIFFICULT = {
    "dcgan": (5_364_739, 4_316_545, (64, 64, 3)),
    "constant": (444_291, 4_316_545, (64, 64, 3)),
    "mlp": (7_157_760, 4_316_545, (64, 64, 3)),
    "no_norm": (5_362_819, 4_314_753, (64, 64, 3)),
    "gated": (10_724_675, 8_624_897, (64, 64, 3)),
    "tanh": (5_364_739, 4_316_545, (64, 64, 3)),
    "residual": (9_189_587, 7_618_801, (64, 64, 3)),
}
FASHION = 8_618_753, 24_321, (32, 32, 1)
FASHION_BN = 8_635_521, 24_513, (32, 32, 1)
# G: linear 64 -> 1024 -> 7 * 7 * 128, deconvs 4x4 to 64 and 1; D: convs 4x4 to 64 and 128, linear
# 6272 -> 1024 -> 1; two numbers of batch norm a unit or channel but after D's first and both last.
INFOGAN = 6_642_241, 6_559_169, (28, 28, 1)
SPECIFIED = {
    # Ten labels: 11 * 8 for the map; 8 * 7 * 7 * 128 in G; 25 * 8 * 128 + 8 in D.
    "printed_digits": (582_617, 1_839_201, (28, 28, 1)),
    "fashion_mnist": DIGIT,
    "default": OWN_PICTURES,
    "few_pictures": OWN_PICTURES,
    "lsun_bedroom": SCENE,
    "lsun_bedroom_gan": SCENE,
    "lsun_church": SCENE,
    "lsun_conference_room": SCENE,
    "lsun_dining_room": SCENE,
    "lsun_kitchen": SCENE,
    "hwdb": (9_417_857, 21_392_155, (28, 28, 1)),
    "stability_bn_g_adam_lsgan": BN_G,
    "stability_bn_g_adam_gan": BN_G,
    "stability_bn_g_rmsprop_lsgan": BN_G,
    "stability_bn_g_rmsprop_gan": BN_G,
    "stability_bn_gd_adam_lsgan": BN_GD,
    "stability_bn_gd_adam_gan": BN_GD,
    "stability_bn_gd_rmsprop_lsgan": BN_GD,
    "stability_bn_gd_rmsprop_gan": BN_GD,
    "cifar10": CIFAR10,
    "cifar10_binary": CIFAR10,
    "cifar10_dcgan": CIFAR10,
    "cats": CAT,
    "cats_binary": CAT,
    "cats_gan": CAT,
    "digits_shift": DIGIT,
    "digits_shift_gan": DIGIT,
    "digits_rotate": DIGIT,
    "digits_rotate_gan": DIGIT,
    "digits_rotate_labels": (582_617, 1_839_201, (28, 28, 1)),
    **{f"gp_{name}_lsgan": sizes for name, sizes in DIFFICULT.items()},
    **{f"gp_{name}_wgan": sizes for name, sizes in DIFFICULT.items()},
    "fashion_gan_no_bn": FASHION,
    "fashion_gan_bn90": FASHION_BN,
    "fashion_gan_bn95": FASHION_BN,
    "fashion_lsgan_no_bn": FASHION,
    "fashion_lsgan_bn90": FASHION_BN,
    "fashion_lsgan_bn95": FASHION_BN,
    "fashion_lsgan_deep": (769_889, 24_513, (32, 32, 1)),
    "infogan_lsgan_sigmoid": INFOGAN,
    "infogan_lsgan": INFOGAN,
    "infogan_lsgan_pearson": INFOGAN,
    "infogan_gan": INFOGAN,
    "mnist_mlp": (102_544, 100_609, (28, 28, 1)),
    "mnist_mlp_tf": (109_456, 100_609, (28, 28, 1)),
}
ALL = {path.stem: path for path in recipes.paths()}
POLICIES = "float32", "mixed_bfloat16"


def _batch(generator):
    low, high = generator.value_range or (-1.0, 1.0)
    shape = (2, *generator.image_shape)
    images = tf.random.stateless_uniform(shape, (0, 0), low, high)
    labels = tf.constant([0, generator.num_classes - 1])
    return (images, labels) if generator.num_classes else images


@functools.lru_cache(maxsize=2)  # one for each policy
def _pair(network, shape, classes, policy, **options):
    """Made once for all recipes with these networks: one step more or less changes no verdict."""
    keras.config.set_dtype_policy(policy)
    return networks.build(network, shape, classes, **options)


@functools.cache
def _first_step(config, shape):
    """(parameters of G, of D, a generated image, metrics) of a step in eager mode, batch 2."""
    names = CHARACTERS if config.network == "character" else CHARACTERS[:10]
    class_names = names if config.conditional else None
    classes = len(class_names) if class_names else 0
    options = {name: getattr(config, name) for name in ("discriminator_norm", "base_channels")}
    pair = _pair(config.network, shape, classes, config.dtype_policy, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "build", lambda *_, **__: pair)
        gan = build.gan(config, shape, class_names)
    results = gan.train_step(_batch(gan.generator))
    metrics = {name: float(value) for name, value in results.items()}
    labels = (tf.constant([0]),) if classes else ()
    image = gan.generator(tf.zeros((1, gan.generator.latent_dim)), *labels)[0]
    return count_parameters(gan.generator), count_parameters(gan.discriminator), image, metrics


def _essence(config, policy):
    """What decides whether a step runs; recipes that share it share the step.

    A step of each network is enough: the objectives, the augmentation and the penalties, with each
    difficult network, have tests of their own, and optimizers, schedules and further steps of D
    have them too. What an objective makes of logits does not depend on their network.
    """
    decisive = ["network", "conditional", "discriminator_norm", "base_channels"]
    return Config(**{name: getattr(config, name) for name in decisive}, dtype_policy=policy)


# A step takes ten seconds; the suite has their sizes and their penalty's derivative elsewhere.
_LONG = "gp_residual_lsgan", "gp_residual_wgan"
# Of the other networks the layers, or all but the norm, are in these.
_IN_BFLOAT16 = (
    "printed_digits",
    "default",
    "lsun_bedroom",
    "hwdb",
    "gp_gated_lsgan",
    "infogan_lsgan",
)


def _is_for_stress(name, policy):
    return name in _LONG or (policy != "float32" and name not in _IN_BFLOAT16)


CASES = [
    pytest.param(*case, marks=[pytest.mark.stress] if _is_for_stress(*case) else [])
    for case in itertools.product(ALL, POLICIES)
]


@pytest.mark.parametrize(("name", "policy"), CASES)
def test_networks_of_the_specified_sizes_take_a_finite_step(name, policy):
    *sizes, shape = SPECIFIED[name]
    config = recipes.read(ALL[name]).config
    *built, image, metrics = _first_step(_essence(config, policy), shape)
    assert built == sizes
    assert image.shape == shape and image.dtype == tf.float32
    assert np.isfinite(list(metrics.values())).all(), metrics
    assert metrics["d_gradient_norm"] > 0 and metrics["g_gradient_norm"] > 0


def test_every_recipe_has_its_line_in_the_table_above():
    assert ALL.keys() == SPECIFIED.keys()
