"""What .gnt files hold, found without reading bitmaps; and how to cut them into shards.

The items of a file are the characters that are kept and the damages, in the order of the file.
"""

import array
import bisect
import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import tqdm

from lsgan_tf.datasets import process_pool
from lsgan_tf.utils import progress
from lsgan_tf.utils.errors import UserError

from . import contents, gnt
from .contents import Contents
from .gnt_sources import GntFile
from .hwdb_characters import Selection

START_EVERY = 256  # items
LISTED_DAMAGES = 5


class FileSurvey:
    """How many items a file holds, and where some of them are; a few kilobytes at most."""

    def __init__(self):
        self.items = 0
        # Some item numbers, and the offsets where reading starts to get them.
        self._numbers = array.array("Q", [0])
        self._offsets = array.array("Q", [0])

    def add_character(self, offset: int) -> None:
        """Counts a character; reading can start from it."""
        if self.items >= self._numbers[-1] + START_EVERY:
            self._numbers.append(self.items)
            self._offsets.append(offset)
        self.items += 1

    def add_damage(self) -> None:
        """Counts a damage."""
        self.items += 1

    def start(self, item: int) -> tuple[int, int]:
        """(offset, number) of an item, at or shortly before `item`, that reading can start from."""
        place = bisect.bisect_right(self._numbers, item) - 1
        return self._offsets[place], self._numbers[place]


@dataclasses.dataclass
class Survey:
    """What one file holds, or all files together."""

    files: list[FileSurvey | None]
    kept: Counter = dataclasses.field(default_factory=Counter)  # character -> how many
    left_out: Counter = dataclasses.field(default_factory=Counter)  # reason -> how many
    damaged: int = 0
    # The first damages: where, why.
    damages: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    @property
    def items(self) -> int:
        """Of all files."""
        return sum(file.items for file in self.files)


@dataclasses.dataclass(frozen=True)
class Piece:
    """Consecutive items of a file."""

    file: GntFile
    writer: int
    offset: int  # where reading starts
    skip: int  # items before the first
    count: int

    def items(self, selection: Selection) -> Iterator[gnt.Character | gnt.Damage]:
        """Reads them; raises `UserError` as `GntFile.opened` does."""
        read = 0
        with self.file.opened() as stream:
            stored = gnt.read_records(stream, self.file.size, bitmaps=True, start=self.offset)
            items = (item for item in stored if _is_item(item, selection))
            for item in itertools.islice(items, self.skip, self.skip + self.count):
                yield item
                read += 1
        if read != self.count:
            raise UserError(f"{self.file.full_name} changed while it was read; start again")


def survey(files: Sequence[GntFile], selection: Selection, processes: int) -> Survey:
    """Reads the headers of all files.

    Raises:
        UserError: a file cannot be read, or is no GNT file.
    """
    total = Survey([None] * len(files))
    damages = {}
    tasks = [process_pool.Task(_survey_file, (*pair, selection)) for pair in enumerate(files)]
    with progress.bar(total=len(files), unit="file", desc="survey") as bar:
        for number, part in _results(tasks, processes, bar):
            total.files[number] = part.files[0]
            total.kept.update(part.kept)
            total.left_out.update(part.left_out)
            total.damaged += part.damaged
            damages[number] = part.damages
    in_order = itertools.chain.from_iterable(damages[number] for number in sorted(damages))
    total.damages = list(itertools.islice(in_order, LISTED_DAMAGES))
    return total


def contents_of(files: Sequence[GntFile], processes: int) -> Contents:
    """Those of whole files."""
    digests: list[bytes] = [b""] * len(files)
    tasks = [process_pool.Task(_digest, pair) for pair in enumerate(files)]
    with progress.bar(total=len(files), unit="file", desc="comparing", leave=False) as bar:
        for number, digest in _results(tasks, processes, bar):
            digests[number] = digest
    return Contents.of_digests(b"".join(digests))


def _digest(number: int, file: GntFile, *, counting: bool = True) -> tuple[int, bytes]:
    with file.opened() as stream:
        digest = contents.digest_of_file(stream)
    if counting:
        process_pool.count()
    return number, digest


def _results(tasks: list[process_pool.Task], processes: int, bar: tqdm.tqdm) -> Iterator[Any]:
    if processes > 1:
        yield from process_pool.run(tasks, processes, bar)
        return
    for task in tasks:  # starting a process would take longer than the work
        yield task.function(*task.arguments, counting=False)
        bar.update()


def _survey_file(
    number: int, file: GntFile, selection: Selection, *, counting: bool = True
) -> tuple[int, Survey]:
    result = Survey([FileSurvey()])
    characters = 0
    with file.opened() as stream:
        for item in gnt.read_records(stream, file.size, bitmaps=False):
            if isinstance(item, gnt.Damage):
                result.files[0].add_damage()
                result.damaged += 1
                if len(result.damages) < LISTED_DAMAGES:
                    result.damages.append((describe_place(file, item), item.why))
                continue
            characters += 1
            reason = selection.excludes(item.text)
            if reason is not None:
                result.left_out[reason] += 1
                continue
            result.kept[item.text] += 1
            result.files[0].add_character(item.offset)
    if not characters and file.size:
        place, why = result.damages[0]
        raise UserError(
            f"{file.full_name} is not a GNT file: no record in it can be read ({place}: {why}). "
            "Get it again, or leave it out"
        )
    if counting:
        process_pool.count()
    return number, result


def describe_place(file: GntFile, item: gnt.Character | gnt.Damage) -> str:
    """The place of an item, for messages."""
    return f"{file.name}, offset {item.offset}"


def _is_item(record: gnt.Character | gnt.Damage, selection: Selection) -> bool:
    return isinstance(record, gnt.Damage) or selection.excludes(record.text) is None


def cut(
    files: Sequence[GntFile],
    surveys: Sequence[FileSurvey],
    counts: Sequence[int],
    bounds: Sequence[tuple[int, int]],
) -> Iterator[list[Piece]]:
    """Cuts the files into pieces.

    Args:
        files: in order.
        surveys: of each file.
        counts: of each file, how many items are wanted, its first ones.
        bounds: ranges of numbers of wanted items (start, stop), which count on from file to file.

    Yields:
        The pieces of each range.
    """
    ends = list(itertools.accumulate(counts))
    for start, stop in bounds:
        pieces = []
        for number in range(bisect.bisect_right(ends, start), len(files)):
            first = ends[number] - counts[number]
            if first >= stop:
                break
            begin, end = max(start, first) - first, min(stop, ends[number]) - first
            if begin < end:
                offset, before = surveys[number].start(begin)
                pieces.append(Piece(files[number], number, offset, begin - before, end - begin))
        yield pieces
