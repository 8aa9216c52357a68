"""The flags that all converters share."""

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from absl import flags

from lsgan_tf.utils.errors import UserError

from . import picture_options
from .sources import file_listing

flags.disclaim_key_flags()  # they count as flags of the converter, and its --help lists them

_Options = TypeVar("_Options")

_MAX_BAD = re.compile(r"\d+|(\d{1,2}(\.\d+)?|100)%")


def define(
    image_size: int | None, *, crop: str | None = None, held_out: str = "images", of: str = ""
) -> None:
    """Defines --output_dir, --image_size, --encoding, --max_bad, --val_fraction, --processes.

    Args:
        image_size: the default side of the square, pixels; None makes the flag obligatory.
        crop: the default of --crop, which comes with the other flags of `picture_options`; None:
            the converter has none of them.
        held_out: what --val_fraction divides.
        of: what belongs to each of them that its SHA-256 is of; "": itself.
    """
    flags.DEFINE_string("output_dir", None, "becomes the data set: DATA_DIR/NAME", required=True)
    flags.DEFINE_integer(
        "image_size", image_size, "side of the square, pixels", 4, 4096,
        required=image_size is None,
    )  # fmt: skip
    if crop:
        picture_options.define(crop)
    flags.DEFINE_enum("encoding", "png", ["png", "jpeg"], "png is lossless")
    flags.DEFINE_string(
        "max_bad", "0", "how many unusable images to skip, or which share (1%); more are an error"
    )
    flags.register_validator("max_bad", _MAX_BAD.fullmatch, "pass a number, or a share as 1%")
    flags.DEFINE_float(
        "val_fraction", 0.0,
        f"the share of the {held_out} that become the split test: those whose{of} SHA-256 is below "
        "it, so that what is equal is in one split, and a larger source moves nothing",
        0.0, 0.99,
    )  # fmt: skip
    flags.DEFINE_integer(
        "processes", os.cpu_count(), "how many processes convert at the same time", 1
    )


def read_options(options_class: type[_Options], **converted: Any) -> _Options:
    """Makes a converter's options from the flags that have the names of their fields.

    Args:
        options_class: the dataclass.
        converted: the values of fields that are not of the type of their flag.
    """
    names = (field.name for field in dataclasses.fields(options_class))
    return options_class(**{name: flags.FLAGS[name].value for name in names} | converted)


def read_path(name: str) -> Path | None:
    """Reads a flag as a path.

    Returns:
        The path; None if the flag was not given.

    Raises:
        UserError: the flag's value is empty.
    """
    value = flags.FLAGS[name].value
    if value == "":
        raise UserError(f"--{name}= is empty: give it a path, or leave out the flag")
    return None if value is None else Path(value)


def split_sources(values: Sequence[str]) -> list[Path]:
    """Splits the values of the --source flags at commas, except where the whole is a path.

    Args:
        values: the values of the flag, which can be repeated.

    Returns:
        The paths, without empty ones.

    Raises:
        UserError: access to a path is denied.
    """
    paths = []
    for value in values:
        parts = [value] if file_listing.kind(Path(value)) else value.split(",")
        paths += [Path(part) for part in parts if part]
    return paths
