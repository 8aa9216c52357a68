"""Lets training runs meet faults, and proves that no work is lost.

    python -m tools.fault_test --work_dir=NEW --fault=kill,term --repeats=10 -- \\
        --dataset=printed_digits --train_steps=300 --checkpoint_every=20 --log_every=1 \\
        --steps_per_execution=1

What follows `--` are flags of lsgan_tf.train; a small --log_every and --steps_per_execution=1 let
the moments fall finely. A run is hit at a random moment and started again, until it has been hit so
often; then it runs to its end. The faults:

- kill: SIGKILL, every fifth time while the process starts
- kill_in_save: SIGKILL while a checkpoint is written
- term: SIGTERM; status 0, and not one step is lost
- kill_chief, kill_worker: SIGKILL to worker 0 or 1 of two; the other names it, with status 1
- term_worker: SIGTERM to worker 1 of two; both end with status 0, and not one step is lost
- full_disk: a checkpoint does not fit on the disk; status 1, and the one before is intact
- truncated: SIGKILL, then a file of the newest checkpoint is cut; a warning, and the one before
- clock_back: SIGKILL, then the clock is set back by two days: Python's alone (with libfaketime its
  waits fail or hang), TensorFlow's own code keeps the true time

Each run is compared with one of as many workers that met no fault: every variable of the last
checkpoint, both optimizers' included, bit by bit; metrics.jsonl but for speed and time; all
samples. The table has a line for each fault; the steps repeated are those that were logged after
the checkpoint a run went on from. Exit status 0 says that nothing was lost and all is equal.
"""

import random
import sys
from pathlib import Path

from absl import flags

from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError
from tools.faults import outcomes


def main():
    values = flags.FLAGS
    train_flags = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    work = Path(values.work_dir)
    if work.exists() and any(work.iterdir()):
        raise UserError(f"--work_dir={work} is not empty; choose a new one.")
    command_line.start_tensorflow()
    from tools.faults.strikes import FAULTS

    unknown = sorted(set(values.fault) - FAULTS.keys())
    if unknown or not values.fault:
        raise UserError(f"--fault={','.join(unknown)}: the faults are {', '.join(FAULTS)}.")
    work.mkdir(parents=True, exist_ok=True)
    found = run_all(values.fault, values.repeats, values.seed, train_flags, work)
    print("\n".join(outcomes.table(found)))
    outcomes.check(found)


def run_all(names, repeats, seed, train_flags, work):
    """Lets runs in the directory `work` meet the named faults; returns the `Outcome` of each."""
    from tools.faults import reference
    from tools.faults.ordeal import Ordeal
    from tools.faults.strikes import FAULTS

    whole, found = {}, []
    for name in names:
        fault = FAULTS[name]
        if fault.workers not in whole:
            run_dir = work / f"whole-{fault.workers}"
            made = whole[fault.workers] = reference.train(run_dir, train_flags, fault.workers)
            print(
                f"uninterrupted ({fault.workers} at work): {made.config.train_steps} steps, "
                f"{made.seconds:.0f} s",
                flush=True,
            )
        chance = random.Random(f"{seed} {name}")
        ordeal = Ordeal(name, fault, whole[fault.workers], train_flags, work / name, chance)
        found.append(ordeal.undergo(repeats))
    return found


def _own_flags(argv):
    return command_line.parse_flags(argv[: argv.index("--")] if "--" in argv else argv)


def _define_flags():
    flags.DEFINE_string("work_dir", None, "New directory for the runs.", required=True)
    flags.DEFINE_list("fault", None, "Which, separated by commas.", required=True)
    flags.DEFINE_integer("repeats", 10, "How often each strikes.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the moments.")


if __name__ == "__main__":
    _define_flags()
    command_line.run(main, flags_parser=_own_flags)
