"""How the commands start and print: flags, errors as one message, tables."""

import contextlib
import errno
import importlib.util
import io
import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from absl import app, flags, logging

from lsgan_tf.utils.errors import UserError, exit_on_user_error
from lsgan_tf.utils.layout import with_tools

_NO_READER = (errno.EPIPE, errno.EIO)  # a pipe without reader; a terminal that was closed
# Of Linux; of Linux within Windows.
_NVIDIA_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/usr/lib/wsl/lib/libcuda.so.1"))


def parse_flags(argv: list[str], bare: str | None = None) -> list[str]:
    """Parses a command line that holds nothing but flags; returns [argv[0]].

    A mistake prints what is wrong and what is valid, and ends the process with status 1.

    Args:
        argv: the command line.
        bare: the flag whose value may stand without its name.
    """
    try:
        remaining = flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        sys.exit(f"error: {error}\nKnown flags: {_own_flags()}")
    except (flags.Error, UnicodeDecodeError) as error:
        sys.exit(f"error: {error}")
    if bare and len(remaining) == 2 and flags.FLAGS[bare].value is None:
        flags.FLAGS[bare].parse(remaining.pop())
    if len(remaining) > 1:
        sys.exit(f"error: not a flag: {' '.join(remaining[1:])}. Flags begin with --.")
    return remaining


def _own_flags() -> str:
    by_module = flags.FLAGS.flags_by_module_dict()
    own = (flag.name for module in by_module if "absl" not in module for flag in by_module[module])
    return " ".join(f"--{name}" for name in sorted(own))


def run(
    main: Callable[[], None],
    flags_parser: Callable[[list[str]], list[str]] = parse_flags,
    flag_groups: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Parses the flags, calls `main()`, and ends the process: with status 1 upon a `UserError`.

    --help prints the flags by the titles of `flag_groups`, else those of the command in the order
    of their definition; --helpfull also those that absl and other modules define.

    Printing never fails: output is dropped if stdout or stderr is closed, has no reader any more or
    is a terminal that was closed; characters that their encoding lacks are escaped.
    """
    # Commands draw to files. matplotlib cannot be imported with a name that it does not know, as
    # that of a notebook's kernel, which the commands of its cells inherit.
    os.environ["MPLBACKEND"] = "agg"
    _name_tools_in_help()
    sys.stdout = _unfailing(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _unfailing(sys.stderr, sys.__stderr__, 2)

    def start(_):
        try:
            with exit_on_user_error():
                main()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C comes often
            sys.exit("interrupted")

    def parse(argv):
        if "--helpfull" in argv:
            app.usage(writeto_stdout=True, exitcode=0)
        if not {"--help", "-help", "--helpshort", "-h", "-?"}.isdisjoint(argv):
            print(_help(flag_groups or {"Flags": _own_flags_in_order()}))
            sys.exit()
        with exit_on_user_error():
            return flags_parser(argv)

    app.run(start, flags_parser=parse)


def _own_flags_in_order() -> list[str]:
    return [flag.name for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])]


def _help(groups: Mapping[str, Sequence[str]]) -> str:
    lines = [sys.modules["__main__"].__doc__.strip()]
    for title, names in groups.items():
        lines += ["", f"{title}:", *(_describe(flags.FLAGS[name]) for name in names)]
    return "\n".join(
        [*lines, "", "--flagfile=FILE reads flags from a file, one a line. --helpfull: all flags."]
    )


def _describe(flag: flags.Flag) -> str:
    facts = [] if flag.default in (None, "", []) else [f"default {flag.default_as_str[1:-1]}"]
    facts += [flag.parser.syntactic_help] if flag.parser.syntactic_help else []
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    text = f"{name}: {flag.help}" + f" ({'; '.join(facts)})" * bool(facts)
    return textwrap.fill(
        text, 80, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
    )


def _name_tools_in_help():
    """Absl's help begins with the main module's docstring; in a wheel the tools are elsewhere."""
    command = sys.modules["__main__"]
    if command.__doc__:
        command.__doc__ = with_tools(command.__doc__)


def _unfailing(stream: TextIO | None, of_process: TextIO | None, descriptor: int) -> TextIO:
    """A stream for the same descriptor that never fails; `stream` itself if it is redirected."""
    if stream is not of_process:
        return stream
    if stream is None:  # the process was started with this descriptor closed
        _redirect_to_null(descriptor)
        encoding, line_buffering = "utf-8", False
    else:
        stream.flush()
        encoding, line_buffering = stream.encoding, stream.line_buffering or stream.write_through
    return io.TextIOWrapper(
        io.BufferedWriter(_UnfailingFile(descriptor, "wb", closefd=False)),
        encoding,
        "backslashreplace",
        line_buffering=line_buffering,
    )


class _UnfailingFile(io.FileIO):
    """Drops what is written once nobody can read it any more."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NO_READER:
                raise
            _redirect_to_null(self.fileno())
            return super().write(data)


def _redirect_to_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:  # equal if the descriptor was closed and the lowest free one
        os.dup2(null, descriptor)
        os.close(null)
    os.set_inheritable(descriptor, True)


def check_started() -> None:
    """Refuses that a command's `main` is called from Python, where there is no command line.

    Raises:
        UserError: `run` has not parsed the flags; names what there is for Python.
    """
    if not flags.FLAGS.is_parsed():
        raise UserError(
            "This function belongs to a command, whose flags come from a command line: python -m "
            "lsgan_tf.train --help. In Python, train with lsgan_tf.train_run(lsgan_tf.Config(...))"
            ", and take the generator of a run with lsgan_tf.load(RUN_DIR)."
        )


def start_tensorflow() -> None:
    """Imports TensorFlow without the notices it prints to stderr while it starts.

    They are shown if the import fails. Prints a warning if there is an NVIDIA driver but TensorFlow
    finds no GPU that it can use.
    """
    logging.set_verbosity(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _withhold_stderr():
        import tensorflow as tf

    tf.get_logger().setLevel("WARNING")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    driver = any(path.exists() for path in _NVIDIA_DRIVERS)
    if driver and not hidden and not tf.config.list_physical_devices("GPU"):
        print(f"warning: {_why_no_gpu(tf.__version__)}", file=sys.stderr)


def _why_no_gpu(version: str) -> str:
    """What keeps TensorFlow, of this version, from the GPU of an NVIDIA driver."""
    if importlib.util.find_spec("nvidia"):  # the parent of all packages of CUDA
        return (
            "TensorFlow finds no NVIDIA GPU that it can use, though CUDA is installed beside it, "
            "and computes on the CPU. TF_CPP_MIN_LOG_LEVEL=0 shows what it reports."
        )
    return (
        "this machine has an NVIDIA GPU, but TensorFlow was installed without CUDA and computes on "
        f"the CPU. To change that:  {sys.executable} -m pip install "
        f"'tensorflow[and-cuda]=={version}'"
    )


@contextlib.contextmanager
def _withhold_stderr() -> Iterator[None]:
    """Withholds what the process, its C++ code included, writes to stderr.

    It is shown if the block fails, or with TF_CPP_MIN_LOG_LEVEL=0.

    Measured with TensorFlow 2.21 on a CPU, with TF_CPP_MIN_LOG_LEVEL=2 or 3, ABSL_MIN_LOG_LEVEL=2
    or absl's verbosity set before the import: it still prints "oneDNN custom operations are on" and
    "Could not find cuda drivers", which C++ writes before its logging is initialized. Only "This
    TensorFlow binary is optimized" obeys TF_CPP_MIN_LOG_LEVEL. So the descriptor is redirected.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as withheld:
        stderr = os.dup(2)
        os.dup2(withheld.fileno(), 2)
        shown = True
        try:
            yield
            shown = os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0"
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if shown:
                withheld.seek(0)
                shutil.copyfileobj(withheld, sys.stderr.buffer)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns are padded to equal width, without spaces at their ends.

    Args:
        rows: rows of equally many cells.

    Raises:
        ValueError: the rows are not equally long.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
