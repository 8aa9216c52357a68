"""Compares the rendered digits_shift and digits_rotate with the authors' own files.

    python -m tools.compare_small_digits --originals=DIR --output=comparison.png

--originals is the authors' unpacked `data` folder: times.shift/<0-9>/N.png and
times.shift.rotate/<0-9>/N.png. Prints a table; the picture shows, for each of the two sets, each
class's mean image: the authors' above, ours below.
"""

import dataclasses
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from lsgan_tf.datasets import digits
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError

ORIGINALS = {digits.SHIFT: "times.shift", digits.ROTATE: "times.shift.rotate"}
_INK = 127  # grey levels above count as ink
_ZOOM = 3


@dataclasses.dataclass(frozen=True)
class ClassStatistics:
    """What is compared, of one class."""

    height: int  # pixels: the tallest and widest box of ink over unrotated images
    width: int
    places: int  # distinct offsets of the leftmost ink
    distinct: int  # distinct images
    upright: int  # images equal to one of the shifted set
    mean: np.ndarray  # float [28, 28]


def statistics(images: np.ndarray, upright: np.ndarray) -> ClassStatistics:
    """Measures one class.

    Args:
        images: uint8 [N, 28, 28].
        upright: bool [N], which of them are not rotated.
    """
    still = images[upright] > _INK
    rows, columns = still.any(axis=2), still.any(axis=1)
    return ClassStatistics(
        height=int(_extent(rows).max()),
        width=int(_extent(columns).max()),
        places=len(np.unique(columns.argmax(axis=1))),
        distinct=len(np.unique(images, axis=0)),
        upright=int(upright.sum()),
        mean=images.mean(axis=0),
    )


def _extent(ink: np.ndarray) -> np.ndarray:
    """First to last True of each row of bool [N, 28]."""
    return ink.shape[1] - ink.argmax(axis=1) - ink[:, ::-1].argmax(axis=1)


def original_images(originals: Path, name: str, digit: int) -> np.ndarray:
    """The authors' images of one class, uint8 [N, 28, 28]."""
    folder = originals / ORIGINALS[name] / str(digit)
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise UserError(f"no images in {folder}; --originals is the folder with times.shift in it")
    return np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])


def rendered_images(name: str, digit: int) -> np.ndarray:
    """Our images of one class, uint8 [1000, 28, 28]."""
    rotate = name == digits.ROTATE
    indices = range(digit, 10 * digits.SMALL_PER_CLASS, 10)
    return np.stack([np.asarray(digits.render_small(index, rotate)) for index in indices])


def compare(originals: Path) -> dict[str, list[tuple[ClassStatistics, ClassStatistics]]]:
    """(authors', ours) of the ten classes, for both data sets."""
    pairs = {name: [] for name in ORIGINALS}
    for digit in range(10):
        both = [
            _of_class(lambda name: original_images(originals, name, digit)),  # noqa: B023
            _of_class(lambda name: rendered_images(name, digit)),  # noqa: B023
        ]
        for name in ORIGINALS:
            pairs[name].append((both[0][name], both[1][name]))
    return pairs


def _of_class(images_of) -> dict[str, ClassStatistics]:
    """Statistics of one class in both sets; upright is what also occurs in the shifted one."""
    shifted = {image.tobytes() for image in images_of(digits.SHIFT)}
    result = {}
    for name in ORIGINALS:
        images = images_of(name)
        upright = np.array([image.tobytes() in shifted for image in images])
        result[name] = statistics(images, upright)
    return result


def table(pairs: dict[str, list[tuple[ClassStatistics, ClassStatistics]]]) -> str:
    """One line per class and set; each column is authors'/ours."""
    columns = ("height", "width", "places", "distinct", "upright")
    lines = ["set            digit " + " ".join(f"{column:>11}" for column in columns)]
    for name, rows in pairs.items():
        for digit, (theirs, ours) in enumerate(rows):
            cells = (f"{getattr(theirs, c)}/{getattr(ours, c)}" for c in columns)
            lines.append(f"{name:14} {digit:5} " + " ".join(f"{cell:>11}" for cell in cells))
        totals = [sum(pair[side].distinct for pair in rows) for side in (0, 1)]
        lines.append(f"{name:14} distinct images in all: {totals[0]}/{totals[1]}")
    return "\n".join(lines)


def picture(pairs: dict[str, list[tuple[ClassStatistics, ClassStatistics]]]) -> Image.Image:
    """The mean images: per set a row of the authors' classes above a row of ours."""
    rows = [
        np.concatenate([pair[side].mean for pair in classes], axis=1)
        for classes in pairs.values()
        for side in (0, 1)
    ]
    grid = Image.fromarray(np.rint(np.concatenate(rows)).astype(np.uint8))
    return grid.resize((grid.width * _ZOOM, grid.height * _ZOOM), Image.Resampling.NEAREST)


def main() -> None:
    pairs = compare(Path(flags.FLAGS.originals))
    print(table(pairs))
    picture(pairs).save(flags.FLAGS.output)


if __name__ == "__main__":
    flags.DEFINE_string("originals", None, "the authors' unpacked `data` folder", required=True)
    flags.DEFINE_string("output", None, "PNG of the mean images", required=True)
    command_line.run(main)
