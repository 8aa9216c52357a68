"""Differentiable augmentation: by hand, its gradients, and what a GAN does with it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.gan.augmentation import DRAWS, Augmentation
from lsgan_tf.gan.model import GAN, latents
from lsgan_tf.gan.penalties import R1, Interpolates
from tests.tiny import SHAPE, SmoothDiscriminator, TinyGenerator

RANGE = (-1.0, 1.0)
KINDS = ["color", "translation", "cutout"]
BRIGHTNESS, SATURATION, CONTRAST, DOWN, RIGHT, HOLE_DOWN, HOLE_RIGHT = range(DRAWS)


def _draws(count=1, **numbers):
    """Random numbers of 1/2, but for the named columns."""
    drawn = np.full((count, DRAWS), 0.5)
    for name, value in numbers.items():
        drawn[:, globals()[name]] = value
    return drawn


def _images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def test_brightness_saturation_and_contrast_by_hand(float64):
    image = np.array([0.1, 0.2, 0.6, -0.3, 0.0, 0.3]).reshape(1, 1, 2, 3)  # means 0.3 and 0
    color = Augmentation(["color"])
    brighter = color(tf.constant(image), _draws(BRIGHTNESS=0.75), RANGE)
    np.testing.assert_allclose(brighter, image + 0.25, atol=1e-12)  # of half the range, 1
    grey = color(tf.constant(image), _draws(SATURATION=0.0), RANGE)
    np.testing.assert_allclose(grey.numpy().ravel(), [0.3, 0.3, 0.3, 0, 0, 0], atol=1e-12)
    flat = color(tf.constant(image), _draws(CONTRAST=0.0), RANGE)  # half of the contrast
    np.testing.assert_allclose(flat, 0.15 + (image - 0.15) / 2, atol=1e-12)


def test_grey_images_have_no_saturation(float64):
    image = _images(2, 4, 4, 1)
    changed = Augmentation(["color"])(tf.constant(image), _draws(2, SATURATION=0.0), RANGE)
    np.testing.assert_allclose(changed, image, atol=1e-12)


def test_another_value_range_is_changed_in_the_same_way(float64):
    image, drawn = _images(3, 8, 8, 3), np.random.default_rng(1).random((3, DRAWS))
    wide = Augmentation()(tf.constant(image), drawn, RANGE)
    narrow = Augmentation()(tf.constant((image + 1) / 2), drawn, (0.0, 1.0))
    np.testing.assert_allclose(narrow, (wide + 1) / 2, atol=1e-12)


def test_translation_moves_by_whole_pixels_up_to_an_eighth(float64):
    image = _images(3, 16, 24, 1)
    drawn = np.concatenate(
        [
            _draws(DOWN=0.0, RIGHT=1 - 1e-9),  # up by 2 and right by 3
            _draws(),  # nowhere
            _draws(DOWN=0.999, RIGHT=0.35),  # down by 2; floor(0.35 * 7) - 3: left by 1
        ]
    )
    moved = Augmentation(["translation"])(tf.constant(image), drawn, RANGE).numpy()
    expected = np.zeros_like(image)
    expected[0, :-2, 3:] = image[0, 2:, :-3]
    expected[1] = image[1]
    expected[2, 2:, :-1] = image[2, :-2, 1:]
    np.testing.assert_array_equal(moved, expected)


def test_cutout_fills_a_hole_of_half_of_each_side_with_the_middle_of_the_range(float64):
    image = np.ones((3, 8, 6, 1))
    drawn = np.concatenate(
        [
            _draws(HOLE_DOWN=0.0, HOLE_RIGHT=0.0),  # rows -2..1, columns -1..1
            _draws(),  # floor(0.5 * 9) - 2: rows 2..5; floor(0.5 * 6) - 1: columns 2..4
            _draws(HOLE_DOWN=0.999, HOLE_RIGHT=0.999),  # rows 6..9, columns 4..6
        ]
    )
    cut = Augmentation(["cutout"])(tf.constant(image), drawn, (0.0, 1.0)).numpy()[..., 0]
    expected = np.ones((3, 8, 6))
    expected[0, :2, :2] = expected[1, 2:6, 2:5] = expected[2, 6:, 4:] = 0.5
    np.testing.assert_array_equal(cut, expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_against_finite_differences(float64, kind, channels):
    images = tf.constant(_images(2, 8, 9, channels))
    drawn = np.random.default_rng(2).random((2, DRAWS))
    weights = tf.constant(_images(2, 8, 9, channels, seed=3))
    direction = _images(2, 8, 9, channels, seed=4)
    augmentation = Augmentation([kind])

    def value(x):
        return tf.reduce_sum(weights * tf.square(augmentation(x, drawn, RANGE)))

    with tf.GradientTape() as tape:
        tape.watch(images)
        at_start = value(images)
    exact = float(tf.reduce_sum(tape.gradient(at_start, images) * direction))
    step = 1e-5
    difference = float(value(images + step * direction) - value(images - step * direction))
    assert abs(exact) > 1e-2 and difference / (2 * step) == pytest.approx(exact, rel=1e-7)


def test_each_image_is_changed_by_its_own_numbers():
    images = np.repeat(_images(1, 16, 16, 3), 4, axis=0).astype(np.float32)
    drawn = np.random.default_rng(0).random((4, DRAWS)).astype(np.float32)
    together = Augmentation()(images, drawn, RANGE).numpy()
    for i in range(4):
        alone = Augmentation()(images[i : i + 1], drawn[i : i + 1], RANGE).numpy()
        np.testing.assert_allclose(alone[0], together[i], atol=1e-6)
    assert len({image.tobytes() for image in together}) == 4


def _gan(discriminator, **kwargs):
    keras.utils.set_random_seed(0)
    gan = GAN(TinyGenerator(), discriminator, seed=5, **kwargs)
    gan.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))
    return gan


class Watcher(SmoothDiscriminator):
    """Keeps what it is shown."""

    shown = []

    def call(self, images, labels=None, training=False):
        if training:
            self.shown.append(np.asarray(images))
        return super().call(images, labels, training)


def _key(seed, step, stream):
    key = tf.constant([seed, step], tf.int64)
    folded = tf.constant(stream, tf.int64)
    return tf.random.experimental.stateless_fold_in(key, folded) if stream else key


def test_d_sees_all_images_augmented_and_a_penalty_is_taken_there():
    real = _images(4, *SHAPE).astype(np.float32)
    augmentation = Augmentation()
    Watcher.shown.clear()
    gan = _gan(Watcher(), augmentation=augmentation, penalty=R1())
    z = latents.draw("uniform", 4, 5, seed=5, step=0)
    fake = gan.generator(z, training=True)
    gan.train_step(real)

    def seen(images, look):
        stream = 2 + 8 + look  # after the latents of D and of G, and the penalty's block
        key = _key(seed=5, step=0, stream=stream)
        return augmentation(images, tf.random.stateless_uniform((4, DRAWS), key), RANGE)

    of_real, of_fake, at_points, of_fake_again = Watcher.shown
    np.testing.assert_allclose(of_real, seen(real, 0), atol=1e-6)
    np.testing.assert_allclose(of_fake, seen(fake, 1), atol=1e-6)
    np.testing.assert_array_equal(at_points, of_real)
    np.testing.assert_allclose(of_fake_again, seen(fake, 2), atol=1e-6)


def test_without_augmentation_the_latents_and_the_noise_are_the_same():
    """Whoever adds it compares the same run otherwise."""
    noise = latents.Iteration(seed=1, step=tf.constant(7, tf.int64), n_critic=2)
    streams = [noise.draw_latents("uniform", 2, 3, number) for number in range(3)]
    streams += [noise.uniform_of_penalty(number, tf.float32)((2, 3)) for number in range(2)]
    streams += [noise.draw_for_look((2, 3), look) for look in range(5)]
    assert len({s.numpy().tobytes() for s in streams}) == 10
    for stream, known in ((0, 0), (2, 2), (3, 3), (4, 11), (5, 19)):
        low = -1.0 if stream < 3 else 0.0
        expected = tf.random.stateless_uniform((2, 3), _key(1, 7, known), low, 1.0)
        np.testing.assert_array_equal(streams[stream], expected)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (["colour"], "'colour' is unknown; known: color, translation, cutout"),
        (["color", "color"], "'color' is named twice"),
        ([], "No augmentation is named"),
    ],
)
def test_unknown_kinds_are_refused(kinds, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(kinds)


@pytest.mark.parametrize("shape", [(8, 8, 2), (8, 8, 4), (12,)])
def test_examples_that_it_cannot_change_are_refused(shape):
    with pytest.raises(ValueError, match=r"color.* of 1 channel|takes images \[H, W, C\]"):
        Augmentation().check_shape(shape)
    if len(shape) == 3:
        Augmentation(["translation", "cutout"]).check_shape(shape)


def test_an_augmented_gan_serialises():
    gan = GAN(
        TinyGenerator(),
        SmoothDiscriminator(),
        penalty=Interpolates(),
        penalty_every=4,
        augmentation=Augmentation(["translation"]),
    )
    again = GAN.from_config(gan.get_config())
    assert again.augmentation == Augmentation(["translation"]) and again.penalty_every == 4


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_fit_trains_the_same_weights_as_steps_one_by_one(policy):
    """Augmented, lazily penalised and with labels; the numbers follow the step, not the call."""
    keras.config.set_dtype_policy(policy)
    images = _images(24, *SHAPE).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(24) % 3)).batch(6)
    trained = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        gan = GAN(
            TinyGenerator(3),
            SmoothDiscriminator(3),
            penalty=R1(),
            penalty_every=2,
            augmentation=Augmentation(),
        )
        gan.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))
        trained.append(gan)
    trained[0].fit(dataset, epochs=2, verbose=0)
    iterator = iter(dataset.repeat())
    for _ in range(8):
        trained[1].run_steps(iterator, 1)
    for mine, theirs in zip(trained[0].state, trained[1].state, strict=True):
        np.testing.assert_array_equal(mine, theirs)
