"""The options and flags of converters of pictures that are of any size and kind."""

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any

from absl import flags
from PIL import Image

from lsgan_tf.datasets import notes, pictures, writer
from lsgan_tf.utils.errors import UserError

flags.disclaim_key_flags()  # as `converter_flags` does

_FIRST = 32  # images that show which depth all have
_BACKGROUND = re.compile(r"white|black|auto|#[0-9a-fA-F]{6}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """What the options of such a converter have besides `image_size`, `crop` and `encoding`."""

    resample: str = "bilinear"  # or "lanczos", "area"
    min_size: int = 0  # pictures with a shorter side are left out, pixels
    background: str = "white"  # of transparent pictures; "black", "#rrggbb" or "auto"
    depth: str = "auto"  # bits that values of 16-bit pictures have
    accept_truncated: bool = False

    def target(self, channels: int) -> pictures.Target:
        """What every picture is brought to."""
        margins = "white" if self.background == "auto" else self.background
        return pictures.Target(
            self.image_size, channels, self.crop, self.encoding, self.resample, margins
        )

    def reading(self) -> pictures.Reading:
        """How files are read."""
        return pictures.Reading(self.background, self.depth, self.accept_truncated)

    def flags(self) -> dict[str, Any]:
        """Those that decide the bytes of a data set beside its target's."""
        return dataclasses.asdict(self.reading()) | {"min_size": self.min_size}


def record(
    image: Image.Image,
    where: str,
    target: pictures.Target,
    min_size: int = 0,
    label: int | None = None,
) -> writer.Record | writer.LeftOut:
    """What becomes of a decoded picture: a record with the notes about it, or nothing."""
    if min(image.size) < min_size:
        return writer.LeftOut(where, f"left out, smaller than --min_size={min_size}")
    image = target.fit(image)
    return writer.Record(target.encode(image), label, where=where, notes=pictures.notes_of(image))


def check_depth(images: Iterator[tuple[Any, Image.Image | pictures.BadImage]]) -> None:
    """Looks at the first images, if they have 16 bits.

    Args:
        images: with what they are, as a reader yields them; read as `--depth=auto` says.

    Raises:
        UserError: their values need fewer bits, so that the data set would be dark.
    """
    needed = []
    for _, image in itertools.islice(images, _FIRST):
        if isinstance(image, pictures.BadImage):
            continue
        noted = pictures.notes_of(image)
        if not (bits := [bits for bits, note in notes.DEPTHS.items() if note in noted]):
            return
        needed += bits
        in_grey = pictures.is_grey(image)
    if needed and max(needed) < 16:
        other = f"Choose --depth={max(needed)}" if in_grey else "Save them with 8 bits"
        raise UserError(
            f"the first {len(needed)} images of 16 bits have values of no more than {max(needed)}, "
            f"and would come out dark. {other}, or take them as they are with --depth=16"
        )


def define(crop: str) -> None:
    """Defines --crop, with this default, and the flags of `PictureOptions`."""
    flags.DEFINE_enum(
        "crop", crop, ["none", "center", "pad"],
        "none: resize the whole image to the square; center: cut out its middle square; pad: the "
        "whole image with margins in the colour of --background",
    )  # fmt: skip
    flags.DEFINE_enum(
        "resample", "bilinear", ["bilinear", "lanczos", "area"],
        "how to resize, antialiased: lanczos is sharper, area the mean of the pixels beneath",
    )  # fmt: skip
    flags.DEFINE_integer("min_size", 0, "leave out images with a shorter side than this, pixels", 0)
    flags.DEFINE_string(
        "background", "white", "what transparent images lie over: white, black, #rrggbb, or auto: "
        "white or black, whichever differs more from their visible pixels",
    )  # fmt: skip
    flags.register_validator(
        "background", _BACKGROUND.fullmatch, "pass white, black, auto or #rrggbb"
    )
    flags.DEFINE_enum(
        "depth", "auto", ["auto", "8", "10", "12", "14", "16"],
        "bits that the values of 16-bit grey images have; auto: as the file says, or 16 if the "
        "first images need as many",
    )  # fmt: skip
    flags.DEFINE_bool("accept_truncated", False, "take what there is of files that are cut off")
