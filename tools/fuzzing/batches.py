"""What fuzzing needs of every converter: watched conversions, and a report of what they did."""

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tools import _watched

MAX_PRINTED = 20


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of one conversion."""

    seconds: float
    memory: int  # bytes, all its processes together


@dataclasses.dataclass
class Tally:
    """What became of the inputs of one kind."""

    inputs: int = 0
    kept: int = 0  # records that came out
    reported: int = 0


@dataclasses.dataclass
class Report:
    """Of all batches."""

    tallies: dict[str, Tally] = dataclasses.field(default_factory=dict)
    outcomes: Counter = dataclasses.field(default_factory=Counter)  # of single conversions
    failures: list[str] = dataclasses.field(default_factory=list)
    slowest: float = 0.0  # seconds
    peak_memory: int = 0  # bytes
    conversions: int = 0

    def tally(self, kind: str) -> Tally:
        """That of a kind of mutation."""
        return self.tallies.setdefault(kind, Tally())

    def fail(self, where: str, what: str) -> None:
        """Notes and prints a failed check."""
        self.failures.append(f"{where}: {what}")
        if len(self.failures) <= MAX_PRINTED:
            print(f"FAILED {self.failures[-1]}", flush=True)

    def summary(self) -> str:
        """All of it in a line."""
        return (
            f"{self.conversions} conversions, the slowest {self.slowest:.1f} s, peak memory "
            f"{self.peak_memory / 1e6:.0f} MB, {len(self.failures)} checks failed"
        )

    def totals(self, title: str) -> str:
        """A table by the kind of mutation."""
        lines = [f"{title}: {self.summary()}"]
        lines.append(f"  {'mutation':<22}{'inputs':>8}{'kept':>9}{'reported':>10}")
        rows = [*self.tallies.items(), ("all", _sum(self.tallies.values()))]
        lines += [
            f"  {kind:<22}{tally.inputs:>8}{tally.kept:>9}{tally.reported:>10}"
            for kind, tally in rows
        ]
        lines += [f"  {count:>6}  {outcome}" for outcome, count in self.outcomes.most_common()]
        return "\n".join(lines)


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.inputs += tally.inputs
        total.kept += tally.kept
        total.reported += tally.reported
    return total


def convert(
    converter: str, flags: list[str], folder: Path, limits: Limits, report: Report
) -> tuple[int | None, str] | None:
    """Converts into `folder`/set, with what is said going to `folder`/log.

    Returns:
        (exit status, what it said), or None if it broke the limits, crashed, or said Traceback:
        these are failures in any case, and noted.
    """
    command = [sys.executable, "-m", f"tools.{converter}", *flags, f"--output_dir={folder / 'set'}"]
    with open(folder / "log", "wb") as log:
        outcome = _watched.run(command, output=log, timeout=limits.seconds)
    said = (folder / "log").read_text("utf-8", "replace")
    report.conversions += 1
    report.slowest = max(report.slowest, outcome.seconds)
    report.peak_memory = max(report.peak_memory, outcome.peak_memory)
    wrong = []
    if outcome.status is None:
        wrong.append(f"it was still running after {limits.seconds:.0f} s")
    elif outcome.status not in (0, 1):
        wrong.append(f"it ended with status {outcome.status}")
    if "Traceback" in said:
        wrong.append("it printed a traceback")
    if outcome.peak_memory > limits.memory:
        wrong.append(f"it needed {outcome.peak_memory / 1e6:.0f} MB of memory")
    for what in wrong:
        report.fail(folder.name, f"{what}; see {folder / 'log'}")
    return None if wrong else (outcome.status, said)
