"""Renders the embedded data sets:  python -m lsgan_tf.datasets.embedded --name=... --data_dir=...

`lsgan_tf.datasets.load` runs this command as a process of its own: rendering spawns workers, which
import the main module of the process that spawned them, and training's main module brings
TensorFlow along.
"""

import functools
import os
from pathlib import Path

from absl import flags

from lsgan_tf.datasets import printed_digits, small_digits, writer
from lsgan_tf.utils import command_line

PLANS = {
    printed_digits.NAME: printed_digits.plan,
    small_digits.SHIFT: functools.partial(small_digits.plan, small_digits.SHIFT),
    small_digits.ROTATE: functools.partial(small_digits.plan, small_digits.ROTATE),
}


def render(name: str, data_dir: Path, processes: int) -> None:
    """Renders embedded set `name` into `data_dir/name`, unless it is there.

    Raises:
        UserError: as `records.write` does.
    """
    writer.write(Path(data_dir) / name, PLANS[name](), processes=processes, wait_for_lock=True)


def main() -> None:
    render(flags.FLAGS.name, Path(flags.FLAGS.data_dir), flags.FLAGS.processes)


if __name__ == "__main__":
    flags.DEFINE_enum("name", None, sorted(PLANS), "which data set", required=True)
    flags.DEFINE_string("data_dir", "data", "the set becomes DATA_DIR/NAME")
    flags.DEFINE_integer("processes", os.cpu_count(), "worker processes", lower_bound=1)
    command_line.run(main)
