"""What `fit`, `train_on_batch` and `evaluate` take, and what they refuse."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from lsgan_tf.gan.model import GAN
from lsgan_tf.gan.optimizers import Adam
from tests.tiny import SHAPE, PointDiscriminator, PointGenerator, TinyDiscriminator, TinyGenerator

IMAGES = np.random.default_rng(0).uniform(-1, 1, (24, *SHAPE)).astype(np.float32)
LABELS = np.arange(24) % 3
POINTS = IMAGES[:, :1, :1]


def _point_gan(**kwargs):
    """Unconditional, of one-pixel images: quick to trace."""
    keras.utils.set_random_seed(1)
    gan = GAN(PointGenerator(), PointDiscriminator(), **kwargs)
    gan.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    return gan


def _labelled_gan(**kwargs):
    keras.utils.set_random_seed(1)
    gan = GAN(TinyGenerator(3), TinyDiscriminator(3), **kwargs)
    gan.compile(Adam(), Adam())
    return gan


@functools.cache
def _traced(make, **kwargs):
    """(a GAN, the values of its variables at the start): traced by the first `fit` alone."""
    gan = make(**kwargs)
    return gan, [variable.numpy() for variable in gan.state]


def _anew(make, **kwargs):
    gan, start = _traced(make, **kwargs)
    for variable, value in zip(gan.state, start, strict=True):
        variable.assign(value)
    return gan


@functools.cache
def _fitted_weights():
    """Of `_labelled_gan` after `fit` on a data set of two batches."""
    gan = _anew(_labelled_gan)
    gan.fit(_dataset(IMAGES, LABELS), verbose=0)
    return gan.get_weights()


class _Sequence(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return tuple(None if a is None else a[12 * index :][:12] for a in self.arrays)


def _dataset(*parts):
    return tf.data.Dataset.from_tensor_slices(parts).batch(12)


def _generator(*arrays):
    for first in (0, 12):
        yield tuple(None if a is None else a[first : first + 12] for a in arrays)


def _forms(images, labels):
    """Two batches of 12 in every form, as (arguments, keywords) of `fit`, by name."""
    return {
        "arrays": ((images, labels), {"batch_size": 12, "shuffle": False}),
        "positional": ((_dataset(images, labels), None, None), {}),
        "with a batch size": ((_dataset(images, labels), None, 64), {}),
        "list": (([images, labels],), {"batch_size": 12, "shuffle": False}),
        "generator": ((_generator(images, labels),), {"steps_per_epoch": 2}),
        "generator of None": ((_generator(images, labels, None),), {"steps_per_epoch": 2}),
        "PyDataset": ((_Sequence(images, labels),), {"shuffle": False}),
        "nested": ((_dataset((images, labels)).map(lambda pair: (pair,)),), {}),
        "dictionary": (({"images": images, "labels": labels},), {"batch_size": 12}),
        "one-hot": ((images, np.eye(3)[labels]), {"batch_size": 12}),
        "column": ((images, labels[:, None].astype(np.uint8)), {"batch_size": 12}),
    }


@pytest.mark.parametrize("name", _forms(IMAGES, LABELS))
def test_fit_takes_images_and_labels_as_keras_does(name):
    reference, gan = _fitted_weights(), _anew(_labelled_gan)
    arguments, keywords = _forms(IMAGES, LABELS)[name]
    history = gan.fit(*arguments, verbose=0, **keywords)
    assert int(gan.step.numpy()) == 2
    if keywords.get("shuffle", True) is False or "batch_size" not in keywords:
        for mine, theirs in zip(gan.get_weights(), reference, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert set(history.history) >= {"d_loss", "g_loss", "loss"}


@pytest.mark.parametrize(
    "data",
    [
        lambda: (POINTS,),
        lambda: (POINTS, LABELS),
        lambda: (POINTS.astype(np.float64), None),
        lambda: (tf.constant(POINTS),),
        lambda: (_dataset(POINTS),),
        lambda: (_dataset(POINTS).map(lambda x: (x,)),),
        lambda: (_dataset(POINTS).map(lambda x: (x, None)),),
        lambda: (_dataset(POINTS, LABELS),),
        lambda: (_generator(POINTS),),
        lambda: (_generator(POINTS, None),),
        lambda: (_Sequence(POINTS),),
        lambda: (_dataset(POINTS).map(lambda x: {"image": x}),),
    ],
)
@pytest.mark.parametrize("n_critic", [1, 2])
def test_fit_takes_images_alone(data, n_critic):
    """With two steps of D to one of G, as well."""
    gan = _anew(_point_gan, n_critic=n_critic)
    gan.fit(*data(), batch_size=12, verbose=0)
    assert int(gan.step.numpy()) == 2 // n_critic


def test_what_is_left_of_arrays_makes_a_smaller_batch_or_none():
    gan = _point_gan()
    gan.fit(POINTS, batch_size=10, verbose=0)
    assert int(gan.step.numpy()) == 3
    several = _point_gan(n_critic=2)
    several.fit(POINTS, batch_size=7, verbose=0)  # 7, 7, 7, and 3 that have no equal
    assert int(several.step.numpy()) == 1
    with pytest.raises(ValueError, match="differ in size.*drop_remainder=True"):
        _point_gan(n_critic=2).fit(tf.data.Dataset.from_tensor_slices(POINTS).batch(16), verbose=0)


def test_steps_per_epoch_counts_steps():
    for n_critic in (1, 2):
        gan = _point_gan(n_critic=n_critic)
        gan.fit(_dataset(POINTS).repeat(), steps_per_epoch=3, epochs=2, verbose=0)
        assert int(gan.step.numpy()) == 6
        gan.fit(POINTS, steps_per_epoch=3, verbose=0)  # in batches of 8 or 4
        assert int(gan.step.numpy()) == 9


def test_train_on_batch_takes_a_step():
    gan, twin = _point_gan(), _point_gan()
    logs = gan.train_on_batch(POINTS, return_dict=True)
    twin.train_step(POINTS)
    for mine, theirs in zip(gan.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    assert logs["loss"] == pytest.approx(logs["d_loss"] + logs["g_loss"])
    assert len(gan.train_on_batch(POINTS)) == len(logs)
    labelled = _labelled_gan()
    labelled.train_on_batch(IMAGES, LABELS)
    assert int(labelled.step.numpy()) == 1


def test_train_on_batch_divides_its_batch_among_the_steps_of_d():
    gan, twin = _point_gan(n_critic=2), _point_gan(n_critic=2)
    gan.train_on_batch(POINTS)
    twin.train_step(POINTS[:12], POINTS[12:])
    for mine, theirs in zip(gan.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    with pytest.raises(ValueError, match="5 images, which 2 steps of D cannot share"):
        gan.train_on_batch(POINTS[:5])


@pytest.mark.parametrize(
    "arguments",
    [{"sample_weight": np.ones(24)}, {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}],
)
def test_weights_are_refused(arguments):
    with pytest.raises(ValueError, match="no weights of examples or classes"):
        _point_gan().fit(POINTS, LABELS, verbose=0, **arguments)


BYTES = np.random.default_rng(1).integers(0, 256, (24, 1, 1, 1), np.uint8)
FOUND = r"lie between \d+ and 2\d\d; the generator makes images between -1 and 1 .its value_range."


@pytest.mark.parametrize(
    "data",
    [
        BYTES,
        BYTES.astype(np.float32),
        tf.data.Dataset.from_tensor_slices(BYTES).batch(12),
        tf.data.Dataset.from_tensor_slices((BYTES, LABELS)).batch(12),
        _Sequence(BYTES),
    ],
    ids=["uint8", "float", "dataset", "labelled", "PyDataset"],
)
def test_images_outside_the_generators_range_are_refused(data):
    """Before anything is trained; the message holds a line that mends it."""
    gan = _point_gan()
    before = gan.get_weights()
    with pytest.raises(ValueError, match=FOUND) as error:
        gan.fit(data, verbose=0)
    for value, old in zip(gan.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)
    assert int(gan.step.numpy()) == 0
    array_line, dataset_line = str(error.value).splitlines()[1:]
    scope = {"images": BYTES, "tf": tf, "dataset": tf.data.Dataset.from_tensor_slices(BYTES)}
    exec(array_line.strip(), scope)
    exec(dataset_line.strip(), scope)
    assert -1 <= scope["images"].min() < -0.9 and 0.9 < scope["images"].max() <= 1
    gan.fit(scope["images"], verbose=0)
    gan.fit(scope["dataset"].batch(12), verbose=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 1, "between 1 and 3; this GAN has 3 classes, 0 to 2. Subtract 1 from them."),
        (LABELS * 2, "between 0 and 4; .* Make both networks with num_classes=5."),
        (LABELS - 1, "between -1 and 1; .* Leave out what has no label."),
        (np.eye(4)[LABELS], r"shape .*, 4\), and 3 classes: .* one-hot labels \[N, 3\]"),
    ],
)
def test_labels_of_no_class_are_refused(labels, message):
    gan = _anew(_labelled_gan)
    with pytest.raises(ValueError, match=message):
        gan.fit(IMAGES, labels, batch_size=24, verbose=0)
    with pytest.raises(ValueError, match=message):
        gan.train_on_batch(IMAGES, labels)
    assert int(gan.step.numpy()) == 0


def test_a_folder_of_pictures_as_keras_reads_it_is_refused(tmp_path):
    for number in range(4):
        Image.fromarray(np.full((1, 1), 60 * number, np.uint8)).save(tmp_path / f"{number}.png")
    dataset = keras.utils.image_dataset_from_directory(
        tmp_path, labels=None, color_mode="grayscale", image_size=(1, 1), batch_size=2, verbose=0
    )
    gan = _point_gan()
    with pytest.raises(ValueError, match=r"images / 127.5 - 1"):
        gan.fit(dataset, verbose=0)
    gan.fit(dataset.map(lambda images: images / 127.5 - 1), verbose=0)


def test_the_range_is_the_generators_and_overshoot_is_no_mistake():
    gan = _point_gan()
    gan.fit(POINTS * 1.2, verbose=0)
    with pytest.raises(ValueError, match="between -1 and 1"):
        gan.train_on_batch(BYTES)
    gan.generator.value_range = (0.0, 1.0)
    with pytest.raises(ValueError, match=r"between 0 and 1 .*\n  images = images / 255 "):
        gan.fit(BYTES, verbose=0)
    with pytest.raises(ValueError, match=r"images / 2 \+ 0.5"):
        gan.fit(POINTS, verbose=0)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_replicas_fit_the_same(replicas, n_critic):
    weights = []
    for count in (1, 2):
        with replicas(count).scope():
            gan = _point_gan(n_critic=n_critic)
        gan.steps_per_execution = 2
        history = gan.fit(
            POINTS, batch_size=4, validation_data=(POINTS[:8],), shuffle=False, verbose=0
        )
        weights.append([*gan.get_weights(), history.history["val_d_loss"]])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_evaluate_measures_held_out_images():
    """By hand: both networks in inference mode, latents of their own, means over all images."""
    gan = _labelled_gan(ema_decay=0.5)
    gan.fit(IMAGES, LABELS, batch_size=12, verbose=0)
    weights = gan.get_weights()
    first = gan.evaluate(IMAGES, LABELS, batch_size=10, verbose=0, return_dict=True)
    assert set(first) == {"d_loss", "g_loss", "d_real", "d_fake", "loss"}
    again = gan.evaluate(_dataset(IMAGES, LABELS).unbatch().batch(10), verbose=0, return_dict=True)
    assert first == pytest.approx(again)
    real = gan.discriminator(IMAGES, LABELS).numpy()
    assert first["d_real"] == pytest.approx(real.mean(), rel=1e-4, abs=1e-6)
    for value, old in zip(gan.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, old)
    assert len(gan.evaluate(IMAGES, LABELS, 10, 0)) == 5
    assert len(gan.test_on_batch(IMAGES, LABELS)) == 5


def test_evaluate_takes_the_average_and_other_latents_for_each_batch():
    gan = _point_gan(ema_decay=0.9)
    gan.generator.set_weights([np.zeros((1, 1)), np.ones(1)])
    gan.generator_ema.set_weights([np.zeros((1, 1)), np.zeros(1)])
    gan.discriminator.set_weights([np.ones((1, 1)), np.zeros(1)])
    results = gan.evaluate(POINTS, verbose=0, return_dict=True)
    assert results["d_fake"] == 0.0  # of the average; G itself would give 1
    gan.generator_ema.set_weights([np.ones((1, 1)), np.zeros(1)])
    by_batch = [
        gan.evaluate(POINTS[:size], batch_size=12, verbose=0, return_dict=True)["d_fake"]
        for size in (12, 24)
    ]
    assert by_batch[0] != pytest.approx(by_batch[1], abs=1e-4)


def test_fit_with_held_out_images():
    gan = _point_gan()
    split = gan.fit(POINTS, validation_split=0.25, batch_size=6, epochs=2, verbose=0).history
    assert len(split["val_d_loss"]) == 2 and int(gan.step.numpy()) == 6
    given = gan.fit(_dataset(POINTS), validation_data=_dataset(POINTS), verbose=0).history
    assert {"val_d_loss", "val_g_loss", "val_d_real", "val_d_fake"} <= set(given)
    with pytest.raises(ValueError, match="value_range"):
        gan.fit(POINTS, validation_data=(BYTES, None), verbose=0)
