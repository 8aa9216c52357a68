"""What every feature network is to the code that runs it, and how its files are identified."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from lsgan_tf.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """A network whose features are compared.

    `forward`, in graph operations, maps float32 images [N, H, W, channels] in 0..255 to (float32
    features [N, D], float32 logits [N, K] or None). Its variables are made when it is loaded, so
    load it within the scope of the strategy it runs under.
    """

    name: str  # as --features names it
    sha256: str  # of its weights
    resize: str  # what it does with the size of images, for people
    channels: int  # 1 or 3
    forward: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor | None]]
    # Of a classifier of a labelled data set only:
    class_names: tuple[str, ...] | None = None
    test_accuracy: float | None = None
    trained_on: str | None = None  # the fingerprint of its data set


def check_sha256(what: str, found: str, wanted: str) -> None:
    """Raises `UserError` unless the checksums agree; an empty `wanted` agrees with any."""
    if wanted and found != wanted.lower():
        raise UserError(
            f"{what} has sha256 {found}, not {wanted}: it is damaged or another one. Fetch it "
            "again, or correct --features_sha256."
        )


def sha256_of(path: Path) -> str:
    """Hex digest of a file, or of all files of a directory and their names.

    Raises:
        UserError: it cannot be read.
    """
    path = Path(path)
    try:
        if not path.is_dir():
            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for member in sorted(each for each in path.rglob("*") if each.is_file()):
            digest.update(f"{member.relative_to(path)} {sha256_of(member)}\n".encode())
        return digest.hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
