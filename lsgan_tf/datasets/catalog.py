"""The data sets known by name, and what to tell somebody who lacks one."""

import dataclasses
import os
from pathlib import Path

from lsgan_tf.datasets import manifest, shards
from lsgan_tf.errors import UserError

EMBEDDED = ("printed_digits", "digits_shift", "digits_rotate")
TFDS_FALLBACKS = ("fashion_mnist", "cifar10", "mnist")


@dataclasses.dataclass(frozen=True)
class LsunScene:
    """A category of LSUN 2016, as its downloader names it."""

    category: str
    images: int
    gigabytes: float  # of the zip, about

    @property
    def archive(self) -> str:
        """The file that the downloader leaves behind."""
        return f"{self.category}_train_lmdb.zip"


LSUN_SCENES = {
    "lsun_bedroom": LsunScene("bedroom", 3_033_042, 43),
    "lsun_church": LsunScene("church_outdoor", 126_227, 2.3),
    "lsun_dining_room": LsunScene("dining_room", 657_571, 11),
    "lsun_kitchen": LsunScene("kitchen", 2_212_277, 34),
    "lsun_conference_room": LsunScene("conference_room", 229_069, 3.8),
}


def present(data_dir: Path) -> list[str]:
    """The converted data sets in `data_dir`."""
    try:
        names = sorted(os.listdir(data_dir))
    except OSError:
        return []
    return [name for name in names if (data_dir / name / manifest.FILE_NAME).is_file()]


def missing(name: str, data_dir: Path) -> UserError:
    """What to tell somebody whose data set `name` is not in `data_dir`."""
    directory = data_dir / name
    if (directory / shards.SCRATCH_DIRECTORY).is_dir():
        return UserError(
            f"the conversion into {directory} is not finished. Run the same command again, "
            "it continues."
        )
    if name in LSUN_SCENES:
        return UserError(_how_to_get(name, LSUN_SCENES[name], directory))
    known = ", ".join((*EMBEDDED, *TFDS_FALLBACKS, *LSUN_SCENES))
    return UserError(
        f"there is no data set {name!r}: {directory} has no {manifest.FILE_NAME}.\n"
        f"Known by name: {known}, tfds:NAME.\n"
        f"Present in {data_dir}: {', '.join(present(data_dir)) or 'nothing'}.\n"
        "Own images become one with  python -m tools.convert_images --source=FOLDER "
        f"--output_dir={directory} --image_size=64"
    )


def not_downloaded(name: str, data_dir: Path, reason: Exception) -> UserError:
    """What to tell somebody for whom TensorFlow Datasets could not prepare `name`."""
    first_line = (str(reason) or type(reason).__name__).splitlines()[0]
    return UserError(
        f"TensorFlow Datasets cannot prepare {name}: {first_line}\n"
        f"Either run  python -c \"import tensorflow_datasets as tfds; tfds.load('{name}', "
        f"data_dir='{tfds_directory(data_dir)}')\"  where there is a network and copy the folder "
        "here, or convert a folder or an .npz of the images:  python -m tools.convert_images "
        f"--source=IMAGES --output_dir={data_dir / name} --image_size=SIZE"
    )


def tfds_directory(data_dir: Path) -> Path:
    """Where data sets of TensorFlow Datasets are prepared."""
    return data_dir / "tfds"


def _how_to_get(name: str, scene: LsunScene, directory: Path) -> str:
    return (
        f"data set {name} is not in {directory.parent}. It is made from LSUN's {scene.archive} "
        f"({scene.images:,} images, about {scene.gigabytes:g} GB):\n"
        "  git clone https://github.com/fyu/lsun\n"
        f"  python lsun/download.py -c {scene.category}\n"
        f"  unzip {scene.archive}\n"
        f"  python -m tools.convert_lsun --lmdb_dir={scene.category}_train_lmdb "
        f"--output_dir={directory} --image_size=112\n"
        "A folder of your own images serves as well:\n"
        f"  python -m tools.convert_images --source=FOLDER --output_dir={directory} "
        "--image_size=112"
    )
