"""What is wrong with a data set: all of it counted, the first of it listed."""

import dataclasses

MAX_LISTED = 20


@dataclasses.dataclass
class Faults:
    """Counts faults and keeps the first of them: a set that is all wrong has millions."""

    count: int = 0
    listed: list[str] = dataclasses.field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        """Notes a fault: the file, record and offset, and what is wrong there."""
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(f"{where}: {what}")

    def extend(self, others: "Faults") -> None:
        """Notes faults that were found elsewhere, after those known here."""
        self.count += others.count
        self.listed += others.listed[: MAX_LISTED - len(self.listed)]
