"""The text that verify_dataset prints: what a data set holds and what is wrong with it."""

import math
import statistics as stats
from pathlib import Path

import numpy as np

from lsgan_tf.datasets.manifest import Manifest
from lsgan_tf.utils.errors import printable

from .faults import Faults
from .shard_check import Statistics

_FULL_HISTOGRAM = 20  # values
_MAX_NAMED = 10
_MAX_SKIPS = 5


def lines(directory: Path, contents: Manifest, statistics: Statistics, seconds: float) -> list[str]:
    """The summary: first the manifest, then the statistics of all sound records."""
    height, width, channels = contents.image_shape
    size = sum(shard.bytes for shard in contents.shards)
    flags = " ".join(f"{name}={value}" for name, value in contents.flags.items())
    pairs = [
        ("splits", ", ".join(f"{name} {count}" for name, count in _splits(contents).items())),
        ("images", f"{height}x{width}x{channels}, {contents.encoding}"),
        ("size", f"{size / 1e6:.1f} MB in {plural(len(contents.shards), 'shard')}"),
        ("source", contents.source),
        ("tool", contents.tool),
        ("flags", flags or "none"),
        ("skipped", plural(contents.skipped_count, "image")),
        *(("", f"{skip.where}: {skip.why}") for skip in contents.skipped[:_MAX_SKIPS]),
        *(("", "...") for _ in contents.skipped[_MAX_SKIPS : _MAX_SKIPS + 1]),
        *(("left out", f"{count} {what}") for what, count in contents.left_out.items()),
        *(("note", f"{note}: {noted}") for note, noted in sorted(contents.notes.items())),
    ]
    for name, names in contents.value_names.items():
        pairs += histogram(name, names, statistics.values[name].tolist())
    pairs += [
        *_pixels(statistics),
        ("duplicates", _duplicates(statistics)),
        ("read", f"{statistics.records} images in {seconds:.1f} s, "
                 f"{statistics.records / max(seconds, 1e-9):.0f} images/s"),
    ]  # fmt: skip
    return [shown(str(directory)), *(f"  {name:<11} {shown(text)}" for name, text in pairs)]


def verdict(faults: Faults, notes: list[str], statistics: Statistics) -> list[str]:
    """The faults, and as the last line whether the set is sound."""
    verdict_lines = [f"note: {shown(note)}" for note in notes]
    if not faults.count:
        return [*verdict_lines, f"sound: {plural(statistics.records, 'record')}"]
    verdict_lines += [f"fault: {shown(fault)}" for fault in faults.listed]
    if faults.count > len(faults.listed):
        verdict_lines.append(f"and {faults.count - len(faults.listed)} more")
    verdict_lines.append("Copy the data set again, or convert it again into an empty directory.")
    return [*verdict_lines, f"NOT sound: {plural(faults.count, 'fault')}"]


def shown(text: str) -> str:
    """The text on one line, with control characters escaped."""
    return printable(text).replace("\n", "\\n")


def _splits(contents: Manifest) -> dict[str, int]:
    counts: dict[str, int] = {}
    for shard in contents.shards:
        counts[shard.split] = counts.get(shard.split, 0) + shard.count
    return counts


def histogram(feature: str, names: tuple[str, ...], counts: list[int]) -> list[tuple[str, str]]:
    """Lines about a feature: how many images have its values, each one if they are few."""
    if not counts:
        return [(feature, "no values")]
    (least, least_count), (most, most_count) = (
        (counts.index(bound), bound) for bound in (min(counts), max(counts))
    )
    pairs = [
        (
            feature,
            f"{plural(len(names), 'value')}; images of each: least {least_count} "
            f"({names[least]}), median {stats.median(counts):.10g}, most {most_count} "
            f"({names[most]})",
        )
    ]
    if len(names) <= _FULL_HISTOGRAM:
        width = len(str(max(counts)))
        pairs += [
            ("", f"{number:>2}  {count:>{width}}  {names[number]}")
            for number, count in enumerate(counts)
        ]
    empty = [f"{number} ({names[number]})" for number, count in enumerate(counts) if not count]
    if empty:
        more = f" and {len(empty) - _MAX_NAMED} more" if len(empty) > _MAX_NAMED else ""
        named = ", ".join(empty[:_MAX_NAMED])
        pairs.append(("", f"warning: {len(empty)} without any image: {named}{more}"))
    return pairs


def _pixels(statistics: Statistics) -> list[tuple[str, str]]:
    """Mean and (population) standard deviation of each channel in 0..255."""
    if not statistics.records:
        return []
    moments = [_moments(counts.tolist()) for counts in statistics.pixels]
    return [
        ("mean", " ".join(f"{mean:.4f}" for mean, _ in moments)),
        ("deviation", " ".join(f"{deviation:.4f}" for _, deviation in moments)),
    ]


def _moments(counts: list[int]) -> tuple[float, float]:
    # In whole numbers up to the last step: exact for any number of pixels.
    number = sum(counts)
    total = sum(value * count for value, count in enumerate(counts))
    squares = sum(value * value * count for value, count in enumerate(counts))
    return total / number, math.sqrt(number * squares - total * total) / number


def _duplicates(statistics: Statistics) -> str:
    digests = np.frombuffer(statistics.digests, np.uint64)
    repeated = len(digests) - len(np.unique(digests))
    return f"{repeated} images are, byte for byte, one that came before"


def plural(count: int, what: str) -> str:
    """The count and the noun, with an s unless there is one."""
    return f"{count} {what}{'' if count == 1 else 's'}"
