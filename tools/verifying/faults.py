"""The faults of a data set: all are counted, the first are listed."""

import dataclasses
from pathlib import Path

MAX_LISTED = 20
_MAX_FILE_BYTES = 1 << 26  # of an index or a metadata file


@dataclasses.dataclass
class Faults:
    """Counts faults and lists the first: a set can have millions."""

    count: int = 0
    listed: list[str] = dataclasses.field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        """Adds a fault: the file, record and offset, and what is wrong there."""
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(f"{where}: {what}")

    def extend(self, others: "Faults") -> None:
        """Adds the faults of another part of the set."""
        self.count += others.count
        self.listed += others.listed[: MAX_LISTED - len(self.listed)]


def read_small_file(path: Path) -> bytes:
    """Reads an index or a metadata file; raises `OSError`, which says why, if it cannot be one."""
    if not path.is_file():  # reading a pipe would block
        raise OSError("it is not a file" if path.exists() else "it is missing")
    with open(path, "rb") as file:
        data = file.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise OSError(f"it has more than {_MAX_FILE_BYTES} bytes")
    return data
