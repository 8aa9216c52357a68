"""Renders the embedded data sets:  python -m lsgan_tf.datasets.embedded --name=... --data_dir=...

`lsgan_tf.datasets.load` runs this command as a process of its own: the processes of the pool that
renders are spawned and import the main module of the process that spawned them, and training's main
module imports TensorFlow.
"""

import functools
import os
from pathlib import Path

from absl import flags

from lsgan_tf.datasets import digits, writer
from lsgan_tf.utils import command_line

PLANS = {
    digits.PRINTED: digits.plan_printed,
    digits.SHIFT: functools.partial(digits.plan_small, digits.SHIFT),
    digits.ROTATE: functools.partial(digits.plan_small, digits.ROTATE),
}


def main() -> None:
    """Renders the set that the flags name, unless it is there."""
    values = flags.FLAGS
    directory = Path(values.data_dir) / values.name
    plan = PLANS[values.name]()
    writer.write(directory, plan, processes=values.processes, wait_for_lock=True)


if __name__ == "__main__":
    flags.DEFINE_enum("name", None, sorted(PLANS), "which data set", required=True)
    flags.DEFINE_string("data_dir", "data", "the set becomes DATA_DIR/NAME")
    flags.DEFINE_integer("processes", os.cpu_count(), "processes of the pool", lower_bound=1)
    command_line.run(main)
