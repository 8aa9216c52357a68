"""Shared by all tests: a CPU split in four to try replicas on, real data, tiny networks."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
LOGICAL_DEVICES = 4


def pytest_configure(config):
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * LOGICAL_DEVICES
    )


@pytest.fixture
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
    from lsgan_tf import building
    from lsgan_tf.config import Config

    return lambda count: building.strategy(Config(batch_size=12, logical_devices=count))
