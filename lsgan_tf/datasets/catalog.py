"""The data sets known by name: what they hold, and how to get one that is missing."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from lsgan_tf.datasets import manifest, shards
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError, first_line
from lsgan_tf.utils.layout import TOOLS


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of a data set without reading its images."""

    image_shape: tuple[int, int, int]  # height, width, channels
    num_examples: int | None  # None: it is not converted or downloaded yet
    class_names: tuple[str, ...] | None  # None: unlabelled

    def resized(self, image_size: int) -> "Facts":
        """The same when images are resized to this side (pixels) while read; 0: as they are."""
        shape = (image_size, image_size, self.image_shape[2])
        return dataclasses.replace(self, image_shape=shape) if image_size else self


class MissingDataset(UserError):
    """The data set is not there; its message says how to get it."""


TRAIN = "train"  # the only split of an embedded set

_DIGITS = tuple("0123456789")

# Known before they are rendered.
EMBEDDED = {
    "printed_digits": Facts((28, 28, 1), 60_000, _DIGITS),
    "digits_shift": Facts((28, 28, 1), 10_000, _DIGITS),
    "digits_rotate": Facts((28, 28, 1), 10_000, _DIGITS),
}

TFDS_PREFIX = "tfds:"  # of a builder of TensorFlow Datasets

# Read from TensorFlow Datasets unless they are converted.
TFDS_FALLBACKS = {
    "fashion_mnist": Facts(
        (28, 28, 1),
        None,
        (
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
    ),
    "cifar10": Facts(
        (32, 32, 3),
        None,
        (
            "airplane", "automobile", "bird", "cat", "deer",
            "dog", "frog", "horse", "ship", "truck",
        ),
    ),
    "mnist": Facts((28, 28, 1), None, _DIGITS),
}  # fmt: skip

# Points of the plane, not images: an experiment of its own.
_MIXTURE = "mixture"

# LSUN 2016's name of each scene, which its downloader takes, and the side the papers resize it to.
LSUN_SCENES = {
    "lsun_bedroom": ("bedroom", 112),
    "lsun_church": ("church_outdoor", 112),
    "lsun_dining_room": ("dining_room", 112),
    "lsun_kitchen": ("kitchen", 112),
    "lsun_conference_room": ("conference_room", 112),
    "lsun_bedroom_64": ("bedroom", 64),
}

# Handwritten Chinese characters, to be converted from CASIA-HWDB1.0.
HWDB = "hwdb"

# Faces of cats, to be converted from the CAT archive.
CATS = "cats"
_CAT_ARCHIVE = (
    "https://web.archive.org/web/20150703060412/http://137.189.35.203/WebUI/CatDatabase/Data/"
)

# The paper (ICCV 2017) has 3,740 classes: so many of GB 2312's 3,755 characters of level 1 occur in
# HWDB1.0. Which ones, only the data tell: these are stand-ins for their names.
_HWDB_CLASSES = tuple(f"character {number}" for number in range(3740))

# Sets that must be converted, with the commands that `missing` gives.
_CONVERTED = {
    **{name: Facts((side, side, 3), None, None) for name, (_, side) in LSUN_SCENES.items()},
    HWDB: Facts((28, 28, 1), None, _HWDB_CLASSES),
    CATS: Facts((128, 128, 3), None, None),
}


def expected(name: str, *, image_size: int = 0) -> Facts | None:
    """What the set of this name is, or will be once it is rendered, downloaded or converted.

    Nothing is read: a set in the data directory may have been converted in another way. The class
    names of `hwdb` are stand-ins; their number is that of the paper.

    Args:
        name: as for `load`.
        image_size: if positive, the side that images are resized to while they are read, pixels.

    Returns:
        None for a set that is not known in advance, such as tfds:NAME or a user's own images.
    """
    known = (EMBEDDED | TFDS_FALLBACKS | _CONVERTED).get(name)
    return None if known is None else known.resized(image_size)


def present(data_dir: Path) -> list[str]:
    """The converted data sets in `data_dir`."""
    try:
        names = sorted(os.listdir(data_dir))
    except OSError:
        return []
    return [name for name in names if (data_dir / name / manifest.FILE_NAME).is_file()]


def missing(name: str, data_dir: Path) -> UserError:
    """The error for a data set `name` that is not in `data_dir`: how to get it.

    It is a `MissingDataset`, except for "mixture", which is no set of images.
    """
    directory = data_dir / name
    if (directory / shards.SCRATCH_DIRECTORY).is_dir():
        return MissingDataset(
            f"the conversion into {directory} is not finished. Run the same command again, "
            "it continues."
        )
    target = files.free_directory(directory)
    if name in _CONVERTED:
        how = {HWDB: _how_to_get_hwdb, CATS: _how_to_get_cats}.get(name, _how_to_get_scene)
        start = f"data set {name} is not in {data_dir}. It is made from "
        return MissingDataset(start + how(name, target) + _other_name(directory, target))
    if name == _MIXTURE:
        return UserError(
            "the Gaussian mixture is not a data set of images. Run its experiment with\n"
            "  python -m lsgan_tf.experiments.gaussian_mixture --help"
        )
    known = ", ".join((*EMBEDDED, *TFDS_FALLBACKS, *LSUN_SCENES, HWDB, CATS))
    return MissingDataset(
        f"there is no data set {name!r}: {directory} has no {manifest.FILE_NAME}.\n"
        f"Known by name: {known}, tfds:NAME.\n"
        f"Present in {data_dir}: {', '.join(present(data_dir)) or 'nothing'}.\n"
        f"Your own images become one with  python -m {TOOLS}.convert_images "
        f"--source={'FOLDER' if target == directory else directory} --output_dir={target} "
        "--image_size=64" + _other_name(directory, target)
    )


def _other_name(directory: Path, target: Path) -> str:
    if target == directory:
        return ""
    return (
        f"\n{directory} holds something else, which stays as it is; then train with "
        f"--dataset={target.name}"
    )


def no_builder(name: str, reason: Exception) -> UserError:
    """The error for tfds:`name`, which names no data set of TensorFlow Datasets."""
    return UserError(
        f"tfds:{name} cannot be used: {first_line(reason)}\n"
        "The name is tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION, for example tfds:cifar10, "
        'tfds:emnist/letters or tfds:mnist:3.0.1; for the list run  python -c "import '
        'tensorflow_datasets as tfds; print(tfds.list_builders())"'
    )


def not_downloaded(name: str, data_dir: Path, reason: Exception) -> UserError:
    """The error for `name`, which TensorFlow Datasets could not prepare."""
    return UserError(
        f"TensorFlow Datasets cannot prepare {name}: {first_line(reason)}\n"
        f"Either run  python -c \"import tensorflow_datasets as tfds; tfds.load('{name}', "
        f"data_dir='{tfds_directory(data_dir)}')\"  where there is a network and copy the folder "
        f"here, or convert a folder or an .npz of the images:  python -m {TOOLS}.convert_images "
        f"--source=IMAGES --output_dir={files.free_directory(data_dir / name)} --image_size=SIZE"
    )


def no_split(name: str, split: str, splits: Iterable[str]) -> UserError:
    """The error for a split that data set `name` does not have."""
    return UserError(f"{name} has no split {split!r}, only {', '.join(splits)}")


def tfds_directory(data_dir: Path) -> Path:
    """The directory in which data sets of TensorFlow Datasets are prepared."""
    return data_dir / "tfds"


def _how_to_get_scene(name: str, directory: Path) -> str:
    category, side = LSUN_SCENES[name]
    archive = f"{category}_train_lmdb.zip"
    return (
        f"LSUN's {archive} (gigabytes; bedroom, the largest, is 43 GB):\n"
        "  git clone https://github.com/fyu/lsun\n"
        f"  python lsun/download.py -c {category}\n"
        f"  python -m {TOOLS}.convert_lsun --lmdb_dir={archive} --output_dir={directory} "
        f"--image_size={side}\n"
        "A folder of your own images serves as well:\n"
        f"  python -m {TOOLS}.convert_images --source=FOLDER --output_dir={directory} "
        f"--image_size={side}"
    )


def _how_to_get_hwdb(_: str, directory: Path) -> str:
    return (
        "CASIA-HWDB1.0, isolated characters in GNT files, one for each writer (for academic use). "
        "Download its GNT parts from\n"
        "  http://www.nlpr.ia.ac.cn/databases/handwriting/Download.html\n"
        "and give the folder of .gnt files or the .zip; what is in an .alz archive, unpack first "
        "(unalz FILE.alz):\n"
        f"  python -m {TOOLS}.convert_hwdb --source=GNT_FOLDER_OR_ZIP "
        f"--output_dir={directory} --level1"
    )


def _how_to_get_cats(_: str, directory: Path) -> str:
    files = ("CAT_DATASET_01.zip", "CAT_DATASET_02.zip", "00000003_015.jpg.cat")
    addresses = "".join(f"  {_CAT_ARCHIVE}{file}\n" for file in files)
    return (
        "the CAT archive (Zhang, Sun and Tang, ECCV 2008), photographs of cats with nine landmarks "
        "each. Download its two parts and one corrected annotation from the Internet Archive\n"
        f"{addresses}"
        "and convert them; add --exclude=setting_up_script.sh, with the script in the folder cats "
        "of https://github.com/xudonmao/improved_LSGAN, to leave out the pictures that the authors "
        "left out:\n"
        f"  python -m {TOOLS}.convert_cats --source={','.join(files)} --output_dir={directory}"
    )
