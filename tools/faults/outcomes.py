"""What faults have cost, as a table and as a verdict."""

import dataclasses

from lsgan_tf.utils.errors import UserError
from lsgan_tf.utils.text import aligned

_HEADINGS = (
    *("fault", "hits", "resumed", "steps repeated", "most at once", "other worker ended after"),
    *("variables bit-equal", "lost"),
)


@dataclasses.dataclass
class Outcome:
    """What became of the runs that met a fault."""

    fault: str
    hits: int = 0
    resumed: int = 0  # how many of them a later start went on from as it should
    repeated: list[int] = dataclasses.field(default_factory=list)  # steps, one number a hit
    seconds: list[float] = dataclasses.field(default_factory=list)  # until the other had ended
    equal: int = 0  # variables, of all runs
    total: int = 0
    lost: list[str] = dataclasses.field(default_factory=list)  # whatever is not as it should be

    @property
    def is_good(self):
        return not self.lost and self.hits == self.resumed and self.equal == self.total > 0

    def cells(self):
        """Its line of the table."""
        return (
            self.fault,
            str(self.hits),
            str(self.resumed),
            str(sum(self.repeated)),
            str(max(self.repeated, default=0)),
            f"{max(self.seconds):.1f} s" if self.seconds else "-",
            f"{self.equal} of {self.total}",
            "; ".join(self.lost) or ("nothing" if self.is_good else "not all of it was compared"),
        )


def table(outcomes):
    """The lines of the table."""
    return aligned([_HEADINGS, *(outcome.cells() for outcome in outcomes)])


def check(outcomes):
    """UserError unless no work was lost."""
    bad = [outcome.fault for outcome in outcomes if not outcome.is_good]
    if bad:
        raise UserError(f"not everything was kept after: {', '.join(bad)}. See the table.")
