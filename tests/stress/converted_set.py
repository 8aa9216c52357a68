"""Reads a converted data set back, record by record and without TensorFlow."""

import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from lsgan_tf.datasets import example, tfrecord


@dataclasses.dataclass(frozen=True)
class Item:
    """One record."""

    pixels: bytes  # uint8, row by row
    values: dict[str, int]  # label and further features


def manifest(directory: Path) -> dict[str, Any]:
    """The contents of its manifest."""
    return json.loads((directory / "manifest.json").read_bytes())


def items(directory: Path, contents: dict[str, Any]) -> Iterator[Item]:
    """All records in order; raises `ValueError` if one is damaged."""
    declared = dict.fromkeys(contents["extra_features"], int) | {"image": bytes}
    if contents["class_names"] is not None:
        declared["label"] = int
    for shard in contents["shards"]:
        path = directory / shard["file"]
        data = path.read_bytes()
        offsets = tfrecord.scan(path).tolist()
        for start, stop in zip(offsets[:-1], offsets[1:], strict=True):
            values = example.decode(tfrecord.unframe(data[start:stop]), declared)
            with Image.open(io.BytesIO(values.pop("image"))) as image:
                yield Item(image.tobytes(), values)
