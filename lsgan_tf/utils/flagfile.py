"""Flagfiles that include one another.

A flagfile holds one flag a line, and comments behind `#` or `//`. A line `--flagfile=NAME` stands
for the flags of another file; NAME is relative to the folder of the file that says so. Absl takes
it relative to the working directory instead, so the files are read here, and absl sees plain flags.
"""

import dataclasses
import re
from pathlib import Path

from lsgan_tf.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class Flagfile:
    """A flagfile that was read.

    Attributes:
        path: where it is.
        title: its first line.
        own: its lines that are flags, without those that include a file.
        arguments: the same with the flags of the included files in their places: what comes later
            wins.
        included: the files that it names itself.
    """

    path: Path
    title: str
    own: tuple[str, ...]
    arguments: tuple[str, ...]
    included: tuple["Flagfile", ...]

    def walk(self):
        """Yields the files that it includes, theirs first, and then this one."""
        for flagfile in self.included:
            yield from flagfile.walk()
        yield self


def read(path: Path, including: tuple[Path, ...] = ()) -> Flagfile:
    """Reads a flagfile and those that it includes.

    Args:
        path: the file.
        including: the files that led to it, the first one first.

    Raises:
        UserError: if one cannot be read, is not text or includes itself.
    """
    if path.resolve() in (former.resolve() for former in including):
        chain = " includes ".join(map(str, (*including, path)))
        raise UserError(f"flagfile {chain}: a file cannot include itself. Remove one of the lines.")
    text = _read_text(path, including)
    own, arguments, included = [], [], []
    for line in text.splitlines():
        if not line.strip() or line.startswith(("#", "//")):
            continue
        name = _find_name(line)
        if name is None:
            own.append(line.strip())
            arguments.append(line.strip())
        elif name:
            included.append(read(path.parent / Path(name).expanduser(), (*including, path)))
            arguments.extend(included[-1].arguments)
    title = text.partition("\n")[0].rstrip()
    return Flagfile(path, title, tuple(own), tuple(arguments), tuple(included))


def expand(arguments: list[str]) -> tuple[list[str], list[Flagfile]]:
    """Puts the flags of flagfiles where a command line names them.

    Args:
        arguments: of a command line, without the command. `--flagfile=` without a name counts as
            none, as absl has it.

    Returns:
        (the arguments with no --flagfile among them, the flagfiles in order).

    Raises:
        UserError: as `read` does, or if the name is missing behind --flagfile.
    """
    expanded, flagfiles = [], []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":  # no flags from here on
            expanded += [argument, *remaining]
            break
        name = _find_name(argument)
        if argument in ("--flagfile", "-flagfile"):
            name = next(remaining, None)
            if name is None:
                raise UserError("--flagfile needs the name of a file.")
        if name is None:
            expanded.append(argument)
        elif name:
            flagfiles.append(read(Path(name).expanduser()))
            expanded += flagfiles[-1].arguments
    return expanded, flagfiles


def _find_name(argument):
    """The name of the file in an argument --flagfile=NAME; None if it is another argument."""
    named = re.match("--?flagfile=(.*)", argument)
    return named[1].strip() if named else None


def _read_text(path, including):
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 text ({error})"
    who = f", included by {including[-1]}," if including else ""
    raise UserError(f"flagfile {path}{who} cannot be read: {reason}")
