"""Kills a conversion at random moments, restarts it, and compares it with one that was left alone.

    python -m tools.kill_conversion --work_dir=NEW --kills=10 -- \\
        tools.convert_lsun --lmdb_dir=bedroom_train_lmdb --image_size=64

What follows `--` is the converter and its flags, without --output_dir. Every start is killed
(SIGKILL) after a random part of the time that the whole takes; one that ends before that is thrown
away and begun anew. Exit status 0 says that all files are then byte-identical.
"""

import filecmp
import random
import shutil
import sys
import time
from pathlib import Path

import psutil
from absl import flags

from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError


def main():
    if "--" not in sys.argv:
        raise UserError("the converter and its flags follow --, for example -- tools.convert_lsun")
    converter = sys.argv[sys.argv.index("--") + 1 :]
    work = Path(flags.FLAGS.work_dir)
    if work.exists() and any(work.iterdir()):
        raise UserError(f"--work_dir={work} is not empty; choose a new one.")
    work.mkdir(parents=True, exist_ok=True)
    # The same name in both: it is part of the shards' names.
    whole, killed = work / "whole" / "set", work / "killed" / "set"
    seconds = _undisturbed(converter, whole)
    _disturbed(converter, killed, seconds)
    different = compare(whole, killed)
    if different:
        raise UserError(f"different: {', '.join(sorted(different)[:5])}")
    print(f"{len(_contents(whole))} files byte-identical")


def _own_flags(argv):
    return command_line.parse_flags(argv[: argv.index("--")] if "--" in argv else argv)


def _start(converter, directory):
    directory.parent.mkdir(exist_ok=True)
    with open(directory.with_suffix(".log"), "ab") as log:
        return psutil.Popen(
            [sys.executable, "-m", *converter, f"--output_dir={directory}"], stdout=log, stderr=log
        )


def _undisturbed(converter, directory):
    begin = time.monotonic()
    if _start(converter, directory).wait():
        raise UserError(f"the undisturbed run failed; see {directory.with_suffix('.log')}")
    seconds = time.monotonic() - begin
    print(f"undisturbed: {seconds:.1f} s", flush=True)
    return seconds


def _disturbed(converter, directory, seconds):
    """Converts to the end in spite of being killed."""
    chance = random.Random(flags.FLAGS.seed)
    kills = 0
    while kills < flags.FLAGS.kills:
        process = _start(converter, directory)
        try:
            status = process.wait(chance.uniform(0.05, 0.95) * seconds)
        except psutil.TimeoutExpired:
            kills += 1
            workers = process.children(recursive=True)
            process.kill()
            process.wait()
            psutil.wait_procs(workers)  # they end with it
            complete = len(list(directory.glob("*.tfrecord-*")))
            print(f"kill {kills}: {complete} shards were complete", flush=True)
            continue
        if status:
            raise UserError(f"it failed by itself; see {directory.with_suffix('.log')}")
        shutil.rmtree(directory)
    if _start(converter, directory).wait():
        raise UserError(f"the last start failed; see {directory.with_suffix('.log')}")


def _contents(directory):
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path for path in files}


def compare(one, other):
    """The names of the files that differ between two directories, or that only one of them has."""
    first, second = _contents(one), _contents(other)
    both = first.keys() & second.keys()
    same = {name for name in both if filecmp.cmp(first[name], second[name], shallow=False)}
    return (first.keys() | second.keys()) - same


def _define_flags():
    flags.DEFINE_string("work_dir", None, "New directory for both sets.", required=True)
    flags.DEFINE_integer("kills", 10, "How often to kill it.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the moments.")


if __name__ == "__main__":
    _define_flags()
    command_line.run(main, flags_parser=_own_flags)
