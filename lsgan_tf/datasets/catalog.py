"""The data sets this project knows by name, and what to tell those who lack one."""

import dataclasses
from pathlib import Path

from lsgan_tf.datasets import manifest
from lsgan_tf.errors import UserError

EMBEDDED = ("printed_digits", "digits_shift", "digits_rotate")
TFDS_FALLBACKS = ("fashion_mnist", "cifar10", "mnist")


@dataclasses.dataclass(frozen=True)
class LsunScene:
    """An LSUN category; sizes as LSUN states them."""

    archive: str
    category: str
    images: int


# Image counts: of the paper's experiments; archive names: of the LSUN downloader.
LSUN_SCENES = {
    "lsun_bedroom": LsunScene("bedroom_train_lmdb.zip", "bedroom", 3_033_042),
    "lsun_church": LsunScene("church_outdoor_train_lmdb.zip", "church_outdoor", 126_227),
    "lsun_dining_room": LsunScene("dining_room_train_lmdb.zip", "dining_room", 657_571),
    "lsun_kitchen": LsunScene("kitchen_train_lmdb.zip", "kitchen", 2_212_277),
    "lsun_conference_room": LsunScene(
        "conference_room_train_lmdb.zip", "conference_room", 229_069
    ),
}
