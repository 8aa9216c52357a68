"""Stops a run at random moments, resumes it, and compares it with one that was never stopped.

    python -m tools.kill_test --work_dir=/tmp/kill --kills=5 --signal=KILL -- \\
        --dataset=printed_digits --train_steps=300 --checkpoint_every=20

What follows `--` are flags of lsgan_tf.train; a small --log_every places the moments more finely.
The run is started, stopped by the signal at a random moment, and started again, until it has been
stopped so often; then it runs to its end. Exit status 0 says that every variable of the last
checkpoint, both optimizers' included, is bit-equal to that of an uninterrupted run.
"""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf import command
from lsgan_tf.errors import UserError
from lsgan_tf.run import Run

_WORK_DIR = flags.DEFINE_string("work_dir", None, "New directory for the two runs.", required=True)
_KILLS = flags.DEFINE_integer("kills", 5, "How often to stop the run.", lower_bound=1)
_SIGNAL = flags.DEFINE_enum("signal", "KILL", ["KILL", "TERM"], "How to stop it.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")


def main():
    train_flags = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    work = Path(_WORK_DIR.value)
    if work.exists() and any(work.iterdir()):
        raise UserError(f"--work_dir={work} is not empty; choose a new one.")
    work.mkdir(parents=True, exist_ok=True)
    steps, seconds = _uninterrupted(work / "whole", train_flags)
    _interrupted(work / "stopped", train_flags, steps, seconds)
    command.start_tensorflow()
    step, different, total = compare(work / "whole", work / "stopped")
    print(f"step {step}: {total - len(different)} of {total} variables bit-equal")
    if different:
        raise UserError(f"different: {', '.join(different[:5])}")


def _own_flags(argv):
    return command.parse_flags(argv[: argv.index("--")] if "--" in argv else argv)


def _start(run_dir, train_flags):
    with open(run_dir.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lsgan_tf.train", *train_flags, f"--run_dir={run_dir}"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _uninterrupted(run_dir, train_flags):
    """Runs to the end; returns (the last step, seconds it took)."""
    begin = time.monotonic()
    if _start(run_dir, train_flags).wait():
        raise UserError(f"the uninterrupted run failed; see {run_dir.with_suffix('.log')}")
    seconds, steps = time.monotonic() - begin, _logged_step(run_dir)
    print(f"uninterrupted: {steps} steps, {seconds:.0f} s", flush=True)
    return steps, seconds


def _interrupted(run_dir, train_flags, steps, seconds):
    """Runs to the end in spite of being stopped at random moments, earlier ones first."""
    chance = random.Random(_SEED.value)
    for target in sorted(chance.uniform(0.02, 0.9) * steps for _ in range(_KILLS.value)):
        process = _start(run_dir, train_flags)
        while process.poll() is None and _logged_step(run_dir) < target:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 3) * seconds / steps)  # a moment within a step
        if process.poll() is not None:
            raise UserError(f"the run ended by itself; see {run_dir.with_suffix('.log')}")
        process.send_signal(signal.Signals[f"SIG{_SIGNAL.value}"])
        status, step = process.wait(), _logged_step(run_dir)
        print(f"SIG{_SIGNAL.value} after step {step}: status {status}", flush=True)
        if _SIGNAL.value == "TERM" and status != 0:
            raise UserError("SIGTERM must end a run with status 0")
    if _start(run_dir, train_flags).wait():
        raise UserError(f"the resumed run failed; see {run_dir.with_suffix('.log')}")


def _logged_step(run_dir):
    """The step of the last whole line of the run's metrics.jsonl; 0 before the first."""
    try:
        lines = Run(run_dir).metrics.read_bytes().split(b"\n")
    except FileNotFoundError:
        return 0
    return json.loads(lines[-2])["step"] if len(lines) > 1 else 0


def compare(one, other):
    """Compares the newest checkpoints of two run directories bit by bit.

    Returns (step, names of the variables that differ, number of variables).
    """
    import tensorflow as tf

    from lsgan_tf import checkpoints

    folders = [Run(run).checkpoints for run in (one, other)]
    steps = [checkpoints.available(folder)[-1] for folder in folders]
    if steps[0] != steps[1]:
        raise UserError(f"{one} ended at step {steps[0]}, {other} at {steps[1]}.")
    readers = [tf.train.load_checkpoint(str(folder / f"step-{steps[0]}")) for folder in folders]
    names = [name for name in readers[0].get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    different = [
        name
        for name in names
        if not np.array_equal(readers[0].get_tensor(name), readers[1].get_tensor(name))
    ]
    return steps[0], different, len(names)


if __name__ == "__main__":
    command.run(main, flags_parser=_own_flags)
