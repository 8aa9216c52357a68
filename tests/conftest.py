"""Shared by all tests: a CPU split in four to try replicas on, small data sets, real data."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
LOGICAL_DEVICES = 4


def pytest_configure(config):
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * LOGICAL_DEVICES
    )


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data sets; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("LSGAN_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set LSGAN_TEST_DATA")
    return folder


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


@pytest.fixture
def tiny_network(monkeypatch):
    """Registers `--network=tiny`, a pair of a few hundred weights for 8x8 images."""
    from lsgan_tf import networks
    from lsgan_tf.networks.base import Pair
    from tests import tiny

    def make(image_shape, num_classes):
        return tiny.TinyGenerator(num_classes), tiny.TinyDiscriminator(num_classes)

    pair = Pair(make, tiny.SHAPE, "for tests", conditional=True)
    monkeypatch.setitem(networks.PAIRS, "tiny", pair)


@pytest.fixture
def tiny_config(data_dir, tiny_network, tmp_path):
    """Makes the Config of a run that takes a second."""
    from lsgan_tf.config import Config

    def make(**changes):
        settings = {
            "dataset": "tiny",
            "data_dir": str(data_dir),
            "network": "tiny",
            "run_dir": str(tmp_path / "run"),
            "batch_size": 12,
            "train_steps": 12,
            "log_every": 3,
            "sample_every": 6,
            "checkpoint_every": 4,
        }
        return Config(**{**settings, **changes})

    return make
