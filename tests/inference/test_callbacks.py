"""The callbacks for `fit` that Keras does not have."""

import keras
import numpy as np
import pytest
from PIL import Image

from lsgan_tf import GAN, Adam, RaiseOnNaN, SampleGrid, Scores
from lsgan_tf.utils.errors import UserError
from tests.tiny import SHAPE, TinyDiscriminator, TinyGenerator

BYTES = np.random.default_rng(0).integers(0, 256, (24, *SHAPE), np.uint8)
IMAGES = (BYTES / 127.5 - 1).astype(np.float32)
LABELS = np.arange(24) % 3


def _fit(*callbacks, classes=0, data=IMAGES, epochs=2, **kwargs):
    keras.utils.set_random_seed(1)
    gan = GAN(TinyGenerator(classes), TinyDiscriminator(classes), ema_decay=0.5)
    gan.compile(Adam(), Adam())
    labels = LABELS if classes else None
    history = gan.fit(
        data, labels, batch_size=12, epochs=epochs, verbose=0, callbacks=[*callbacks], **kwargs
    )
    return gan, history.history


def test_an_infinite_metric_ends_fit_with_its_name_and_the_step():
    broken = IMAGES.copy()
    broken[20] = np.nan
    with pytest.raises(UserError, match="d_loss and .* became NaN or infinite by step 2"):
        _fit(RaiseOnNaN(), data=broken, shuffle=False)
    _fit(RaiseOnNaN())


@pytest.mark.parametrize("classes", [0, 3])
def test_sample_grids(tmp_path, classes):
    folder = tmp_path / "new" / "samples"
    gan, _ = _fit(SampleGrid(folder, every=2), classes=classes, epochs=4)
    assert sorted(path.name for path in folder.iterdir()) == ["0000.png", "0002.png", "0004.png"]
    before, after = (np.asarray(Image.open(folder / f"000{n}.png")) for n in (0, 4))
    assert before.shape == after.shape and not np.array_equal(before, after)
    again = SampleGrid(folder, every=2)
    again.set_model(gan)
    again.on_train_begin()
    again.on_epoch_end(3)
    np.testing.assert_array_equal(np.asarray(Image.open(folder / "0004.png")), after)


@pytest.mark.parametrize("classes", [0, 3])
def test_scores_are_logged_for_other_callbacks(feature_network, tmp_path, classes):
    scores = Scores(
        BYTES,
        LABELS if classes else None,
        every=2,
        images=24,
        features=str(feature_network),
        data_dir=str(tmp_path),
    )
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best-{epoch}.keras", monitor="fid", mode="min", save_best_only=True
    )
    _, history = _fit(scores, best, classes=classes, epochs=3)
    first, second, third = history["fid"]
    assert 0 < first != second == third > 0  # the third epoch has no score of its own
    assert {"kid", "precision", "recall"} <= set(history)
    assert (tmp_path / "best-1.keras").exists() and not (tmp_path / "best-3.keras").exists()
    assert (tmp_path / "best-2.keras").exists() == (second < first)


def test_scores_are_those_of_the_evaluation(feature_network, tmp_path, data_dir):
    """Against a converted data set and against the same images in an array."""
    from lsgan_tf import datasets

    dataset = datasets.load("tiny", str(data_dir))
    every_one, _ = dataset.examples(np.arange(dataset.num_examples))
    options = {"features": str(feature_network), "data_dir": str(tmp_path), "images": 60}
    _, history = _fit(Scores(dataset, **options), epochs=1)
    _, of_array = _fit(Scores(every_one, **options), epochs=1)
    assert history["fid"] == pytest.approx(of_array["fid"], rel=1e-4)


def test_real_images_of_another_kind_are_refused():
    with pytest.raises(UserError, match=r"uint8 images .* these are float32 \[24, 8, 8, 1\]"):
        Scores(IMAGES)
    with pytest.raises(UserError, match="23 labels for 24 images"):
        Scores(BYTES, LABELS[:23])
