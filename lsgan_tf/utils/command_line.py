"""How the commands start: quietly, and with mistakes told in a sentence."""

import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile

from absl import app, flags, logging

from lsgan_tf.utils.errors import exit_on_user_error


def parse_flags(argv):
    """Parses a command line that holds nothing but flags; returns [argv[0]].

    A mistake prints what is wrong and what would be right, and ends the process with status 1.
    """
    try:
        remaining = flags.FLAGS(argv)
    except flags.UnrecognizedFlagError as error:
        sys.exit(f"error: {error}\nKnown flags: {_own_flags()}")
    except (flags.Error, UnicodeDecodeError) as error:
        sys.exit(f"error: {error}")
    if len(remaining) > 1:
        sys.exit(f"error: not a flag: {' '.join(remaining[1:])}. Flags begin with --.")
    return remaining


def _own_flags():
    by_module = flags.FLAGS.flags_by_module_dict()
    own = (flag.name for module in by_module if "absl" not in module for flag in by_module[module])
    return " ".join(f"--{name}" for name in sorted(own))


def run(main, flags_parser=parse_flags):
    """Parses the flags, then calls `main()`; never returns. A `UserError` ends it with status 1.

    Nothing that is printed ends it: not a reader of stdout or stderr that has left, nor one that
    never was, nor a character that their encoding lacks, which is escaped.
    """
    sys.stdout = _unfailing(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _unfailing(sys.stderr, sys.__stderr__, 2)

    def start(_):
        try:
            with exit_on_user_error():
                main()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # impatient people press it twice
            sys.exit("interrupted")

    def parse(argv):
        with exit_on_user_error():
            return flags_parser(argv)

    app.run(start, flags_parser=parse)


def _unfailing(stream, of_process, descriptor):
    if stream is not of_process:
        return stream  # somebody has put another in its place
    if stream is None:  # the process was started without it
        _into_nowhere(descriptor)
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
    """A pipe whose reader may leave: what is written from then on is lost."""

    def write(self, data):
        try:
            return super().write(data)
        except BrokenPipeError:
            _into_nowhere(self.fileno())
            return super().write(data)


def _into_nowhere(descriptor):
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:  # the same if it was the first that was free
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    os.set_inheritable(descriptor, True)


def start_tensorflow():
    """Imports TensorFlow without what it says to itself on the way (it no longer heeds
    TF_CPP_MIN_LOG_LEVEL there); if the import fails, everything it said is shown."""
    logging.set_verbosity(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryFile() as said:
        try:
            with _stderr_into(said):
                import tensorflow as tf

                tf.get_logger().setLevel("WARNING")
        except BaseException:
            said.seek(0)
            shutil.copyfileobj(said, sys.stderr.buffer)
            raise


@contextlib.contextmanager
def _stderr_into(file):
    """Sends what this process, its C++ code included, writes to stderr into a file."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
