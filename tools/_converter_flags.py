"""The flags that all converters share."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from absl import flags

from lsgan_tf.utils.errors import UserError
from tools.sources import file_listing

flags.disclaim_key_flags()  # they are the converter's own, so that its --help shows them

_Options = TypeVar("_Options")


def define(image_size: int | None, *, crop: bool = True) -> None:
    """Defines --output_dir, --image_size, --encoding, --max_bad, --processes, and --crop.

    Args:
        image_size: the default side of the square, pixels; None makes the flag obligatory.
        crop: whether the converter offers a choice of crop.
    """
    flags.DEFINE_string("output_dir", None, "becomes the data set: DATA_DIR/NAME", required=True)
    flags.DEFINE_integer(
        "image_size", image_size, "side of the square, pixels", 4, 4096,
        required=image_size is None,
    )  # fmt: skip
    if crop:
        flags.DEFINE_enum(
            "crop", "none", ["none", "center"],
            "resize straight to the square, or its middle square",
        )  # fmt: skip
    flags.DEFINE_enum("encoding", "png", ["png", "jpeg"], "png keeps every pixel as it is")
    flags.DEFINE_integer("max_bad", 0, "how many unusable images to skip before failing", 0)
    flags.DEFINE_integer("processes", os.cpu_count(), "worker processes", 1)


def options(kind: type[_Options], **given: Any) -> _Options:
    """The dataclass of a converter's options, made from the flags of their names.

    Args:
        kind: the dataclass.
        given: the fields whose flags have other types.
    """
    names = (field.name for field in dataclasses.fields(kind))
    return kind(**{name: flags.FLAGS[name].value for name in names} | given)


def path(name: str) -> Path | None:
    """The path that this flag names, None if it was left out; raises `UserError` if it is empty."""
    value = flags.FLAGS[name].value
    if value == "":
        raise UserError(f"--{name}= names nothing. Give it a path, or leave it out if it may be")
    return None if value is None else Path(value)


def split_sources(values: Sequence[str]) -> list[Path]:
    """The paths of the --source flags; a path that exists is not split at its commas.

    Raises:
        UserError: one may not be looked at.
    """
    paths = []
    for value in values:
        parts = [value] if file_listing.kind(Path(value)) else value.split(",")
        paths += [Path(part) for part in parts if part]
    return paths
