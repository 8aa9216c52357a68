"""Shared by all tests: a CPU split in four to try replicas on, small data sets,
tiny runs, real data."""

import dataclasses
import functools
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # as the commands do
LOGICAL_DEVICES = 4


def pytest_configure(config):
    if config.getoption("numprocesses", None):
        return  # the tests are run by processes of xdist, each of which comes here itself
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * LOGICAL_DEVICES
    )


def pytest_ignore_collect(collection_path, config):
    """Spares the import of hypothesis where tests/stress, all of stress tests, is not asked for."""
    if collection_path.name == "stress" and config.getoption("markexpr") == "not stress":
        return True


@pytest.fixture(autouse=True)
def single_precision_afterwards():
    """A test may set Keras' dtype policy, as a run does: the next one starts with float32."""
    import keras

    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def float64():
    """Everything in float64, until the end of the test."""
    import keras

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data sets; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("LSGAN_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set LSGAN_TEST_DATA")
    return folder


@pytest.fixture
def hangups():
    """Gives SIGHUP its default handler; under `nohup` this process ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def replicas():
    """Makes the MirroredStrategy of so many logical CPUs that `--logical_devices` makes."""
    from lsgan_tf.config import Config
    from lsgan_tf.training import devices

    return lambda count: devices.strategy(Config(batch_size=12, logical_devices=count))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A --data_dir with two labelled grey sets: `small` (28x28) and `tiny` (8x8)."""
    from tools import convert_images

    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, side in (("small", 28), ("tiny", 8)):
        source = root / f"{name}.npz"
        images = rng.integers(0, 256, (96, side, side), np.uint8)
        np.savez(source, images=images, labels=np.arange(96) % 3, class_names=["a", "b", "c"])
        convert_images.convert(source, root / name, convert_images.Options(image_size=side))
    return root


@pytest.fixture(scope="session")
def feature_network(tmp_path_factory):
    """The file of a network for images of the tiny set: three features, three classes."""
    from tests import feature_networks

    folder = tmp_path_factory.mktemp("features")
    return feature_networks.keras_file(folder / "net.keras", classes=3)


@pytest.fixture(scope="session")
def tiny_network():
    """Registers `--network=tiny`, a pair of a few hundred weights for 8x8 images."""
    from lsgan_tf import networks
    from lsgan_tf.networks.base import Pair
    from tests import tiny

    def make(image_shape, num_classes, **norm):
        return tiny.TinyGenerator(num_classes), tiny.TinyDiscriminator(num_classes, **norm)

    pair = Pair(make, tiny.SHAPE, "for tests", conditional=True, options=("norm",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.PAIRS, "tiny", pair)
        yield


def _tiny_config(**changes):
    from lsgan_tf.config import Config

    settings = {
        "dataset": "tiny",
        "network": "tiny",
        "batch_size": 12,
        "train_steps": 12,
        "log_every": 3,
        "sample_every": 6,
        "checkpoint_every": 4,
    }
    return Config(**{**settings, **changes})


@pytest.fixture
def tiny_config(data_dir, tiny_network, tmp_path):
    """Makes the Config of a run that takes a second or two, most of it to trace the graph."""
    return functools.partial(_tiny_config, data_dir=str(data_dir), run_dir=str(tmp_path / "run"))


@pytest.fixture(scope="session")
def trained_once(data_dir, tiny_network, tmp_path_factory):
    """Trains the tiny run of these flags when it is first asked for; returns its Config.

    All tests share the run directory: they may add files, and must change none.
    """
    from lsgan_tf.training import loop

    @functools.cache
    def train(**changes):
        run_dir = tmp_path_factory.mktemp("trained") / "run"
        config = _tiny_config(data_dir=str(data_dir), run_dir=str(run_dir), **changes)
        loop.train(config)
        return config

    return train


@pytest.fixture
def trained_copy(trained_once, tmp_path):
    """The Config of a copy of such a run, for the test alone."""

    def copy(**changes):
        config = trained_once(**changes)
        copied = dataclasses.replace(config, run_dir=str(tmp_path / "run"))
        shutil.copytree(config.run_dir, copied.run_dir)
        return copied

    return copy


@pytest.fixture(scope="module")
def browser():
    """Chromium, driven by playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as started:
        path = shutil.which("chromium") or started.chromium.executable_path
        if not os.path.exists(path):
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        with started.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser:
            yield browser
