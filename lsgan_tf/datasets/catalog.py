"""The data sets known by name, and what to tell somebody who lacks one."""

import dataclasses
import os
from pathlib import Path

from lsgan_tf.datasets import manifest, shard_writer
from lsgan_tf.utils.errors import UserError, first_line


@dataclasses.dataclass(frozen=True)
class Facts:
    """What can be said of a data set without reading its images."""

    image_shape: tuple[int, ...]  # height, width, channels
    num_examples: int | None  # None: a set of TensorFlow Datasets that is not prepared yet
    class_names: tuple[str, ...] | None  # None: unlabelled

    def resized(self, image_size: int) -> "Facts":
        """The same when images are read at this side; 0: as they are."""
        shape = (image_size, image_size, self.image_shape[2])
        return dataclasses.replace(self, image_shape=shape) if image_size else self


_DIGITS = tuple("0123456789")

# Known before they are rendered.
EMBEDDED = {
    "printed_digits": Facts((28, 28, 1), 60_000, _DIGITS),
    "digits_shift": Facts((28, 28, 1), 10_000, _DIGITS),
    "digits_rotate": Facts((28, 28, 1), 10_000, _DIGITS),
}
TFDS_FALLBACKS = ("fashion_mnist", "cifar10", "mnist")

# Points of the plane: an experiment of its own.
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
    if (directory / shard_writer.SCRATCH_DIRECTORY).is_dir():
        return UserError(
            f"the conversion into {directory} is not finished. Run the same command again, "
            "it continues."
        )
    if name in LSUN_SCENES:
        return UserError(_how_to_get_scene(directory, *LSUN_SCENES[name]))
    if name == HWDB:
        return UserError(_how_to_get_hwdb(directory))
    if name == CATS:
        return UserError(_how_to_get_cats(directory))
    if name == _MIXTURE:
        return UserError(
            "the Gaussian mixture is not a data set of images. Run its experiment with\n"
            "  python -m lsgan_tf.experiments.gaussian_mixture --help"
        )
    known = ", ".join((*EMBEDDED, *TFDS_FALLBACKS, *LSUN_SCENES, HWDB, CATS))
    return UserError(
        f"there is no data set {name!r}: {directory} has no {manifest.FILE_NAME}.\n"
        f"Known by name: {known}, tfds:NAME.\n"
        f"Present in {data_dir}: {', '.join(present(data_dir)) or 'nothing'}.\n"
        "Own images become one with  python -m tools.convert_images --source=FOLDER "
        f"--output_dir={directory} --image_size=64"
    )


def no_builder(name: str, reason: Exception) -> UserError:
    """What to tell somebody who named no data set of TensorFlow Datasets."""
    return UserError(
        f"tfds:{name} cannot be used: {first_line(reason)}\n"
        "The name is tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION, for example tfds:cifar10, "
        'tfds:emnist/letters or tfds:mnist:3.0.1; for the list run  python -c "import '
        'tensorflow_datasets as tfds; print(tfds.list_builders())"'
    )


def not_downloaded(name: str, data_dir: Path, reason: Exception) -> UserError:
    """What to tell somebody for whom TensorFlow Datasets could not prepare `name`."""
    return UserError(
        f"TensorFlow Datasets cannot prepare {name}: {first_line(reason)}\n"
        f"Either run  python -c \"import tensorflow_datasets as tfds; tfds.load('{name}', "
        f"data_dir='{tfds_directory(data_dir)}')\"  where there is a network and copy the folder "
        "here, or convert a folder or an .npz of the images:  python -m tools.convert_images "
        f"--source=IMAGES --output_dir={data_dir / name} --image_size=SIZE"
    )


def tfds_directory(data_dir: Path) -> Path:
    """Where data sets of TensorFlow Datasets are prepared."""
    return data_dir / "tfds"


def _how_to_get_scene(directory: Path, category: str, side: int) -> str:
    archive = f"{category}_train_lmdb.zip"
    return (
        f"data set {directory.name} is not in {directory.parent}. It is made from LSUN's {archive} "
        "(gigabytes; bedroom, the largest, is 43 GB):\n"
        "  git clone https://github.com/fyu/lsun\n"
        f"  python lsun/download.py -c {category}\n"
        f"  python -m tools.convert_lsun --lmdb_dir={archive} --output_dir={directory} "
        f"--image_size={side}\n"
        "A folder of your own images serves as well:\n"
        f"  python -m tools.convert_images --source=FOLDER --output_dir={directory} "
        f"--image_size={side}"
    )


def _how_to_get_hwdb(directory: Path) -> str:
    return (
        f"data set {directory.name} is not in {directory.parent}. It is made from CASIA-HWDB1.0, "
        "isolated characters in GNT files, one for each writer (for academic use). Download its "
        "GNT parts from\n"
        "  http://www.nlpr.ia.ac.cn/databases/handwriting/Download.html\n"
        "and give the folder of .gnt files or the .zip; what is in an .alz archive, unpack first "
        "(unalz FILE.alz):\n"
        "  python -m tools.convert_hwdb --source=GNT_FOLDER_OR_ZIP "
        f"--output_dir={directory} --level1"
    )


def _how_to_get_cats(directory: Path) -> str:
    files = ("CAT_DATASET_01.zip", "CAT_DATASET_02.zip", "00000003_015.jpg.cat")
    addresses = "".join(f"  {_CAT_ARCHIVE}{file}\n" for file in files)
    return (
        f"data set {directory.name} is not in {directory.parent}. It is made from the CAT archive "
        "(Zhang, Sun and Tang, ECCV 2008), photographs of cats with nine landmarks each. Download "
        f"its two parts and one corrected annotation from the Internet Archive\n{addresses}"
        "and convert them; add --exclude=setting_up_script.sh, with the script in the folder cats "
        "of https://github.com/xudonmao/improved_LSGAN, to leave out the pictures that the authors "
        "left out:\n"
        f"  python -m tools.convert_cats --source={','.join(files)} --output_dir={directory}"
    )
