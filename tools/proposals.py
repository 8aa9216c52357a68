"""The commands that suit a source: how to convert it, and how to train on what comes of it."""

import math
import re
import shlex
from pathlib import Path

from lsgan_tf.datasets import notes
from lsgan_tf.utils import files
from lsgan_tf.utils.layout import with_tools

from .sources.picture_survey import Survey

_USUAL_SIZES = (64, 32)  # pixels: what two cores can train on
_SMALLEST, _LARGEST = 16, 128  # of pictures of one size, which are left as they are
_FEW = 5000  # pictures, for which there is a recipe


def convert(tool: str, source: Path, *choices: str) -> str:
    """The command that converts a source with these flags, to a directory that is free."""
    flag = "lmdb_dir" if tool == "convert_lsun" else "source"
    given = (f"--{flag}={source}", f"--output_dir={_output(source)}", *choices)
    return _line(f"python -m tools.{tool}", *given)


def train(source: Path, images: int) -> list[str]:
    """The command that trains on what `convert` makes of it, by the number of its images."""
    dataset = f"--dataset={_output(source).name}"
    if images >= _FEW:
        return [_line("python -m lsgan_tf.train", dataset)]
    return [
        _line("python -m lsgan_tf.train", "--flagfile=flags/few_pictures.flags", dataset),
        "few_pictures mirrors them; --nomirror leaves that out, for text and the like.",
    ]


def choices(survey: Survey, *, colour: bool, sampled: bool) -> list[str]:
    """The flags of conversion that what was found asks for.

    Args:
        survey: of the source; with one image at least.
        colour: the converter makes colour of all images.
        sampled: there are more images than were looked at.
    """
    side = _side(survey)
    found = [f"--image_size={side}"]
    if min(survey.shorter) < side:
        found.append(f"--min_size={side}")
    if len(survey.channels) > 1 and not colour:
        found.append("--channels=colour")
    deep = [bits for bits, note in notes.DEPTHS.items() if note in survey.notes]
    if deep and max(deep) < 16:
        found.append(f"--depth={max(deep)}")
    if bad := survey.bad.count:
        share = math.ceil(200 * bad / (bad + len(survey.places)))  # twice that of the sample
        found.append(f"--max_bad={min(share, 100)}%" if sampled else f"--max_bad={bad}")
    return found


def _side(survey: Survey) -> int:
    """That of the images if they have one; else a usual one that few have to be enlarged to."""
    sides = sorted(survey.shorter.elements())
    if survey.squares == len(sides) and _SMALLEST <= sides[0] == sides[-1] <= _LARGEST:
        return sides[0]
    small = sides[len(sides) // 20]
    return next((side for side in _USUAL_SIZES if side <= small), _SMALLEST)


def _output(source: Path) -> Path:
    name = re.sub(r"\.(tar\.gz|[A-Za-z]+)$", "", source.resolve().name)
    name = re.sub(r"[^\w.-]+", "_", name).strip("._-") or "pictures"
    return files.free_directory(Path("data") / name)


def _line(command: str, *arguments: str) -> str:
    return "  " + " ".join([with_tools(command), *map(shlex.quote, arguments)])
