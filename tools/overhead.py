"""What distribution costs: steps of `tools.benchmark` in pairs, interleaved, and their ratios.

    python -m tools.overhead --workload=digits --rounds=5

Each comparison starts its variants in turn, so many rounds, each time as new processes, and prints
the ratio of their times in each round and the median. All variants have the same cores and the same
global batch: replicas and workers share the work, so a ratio of one is the best there is.

- mirrored: MirroredStrategy on one device against no strategy at all
- replicas: two logical replicas against one, with batch norm over both, and each on its own
- workers: two workers on this machine against one process
- steps: 10 and 100 steps in a call of the graph against one
"""

import dataclasses
import re
import statistics
import subprocess
import sys
from concurrent import futures

from absl import flags

from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError
from tools.local_cluster import environment, free_addresses

_WORKLOAD = flags.DEFINE_enum(
    "workload", "digits", ["lsun112", "digits", "light", "mixture"], "As of tools.benchmark."
)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often to run each variant.", 1)
_CALLS = flags.DEFINE_integer("calls", 20, "Calls to time in each run.", 1)
_BATCH = flags.DEFINE_integer("batch", 0, "As of tools.benchmark.", 0)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A way to run the steps."""

    name: str
    flags: tuple[str, ...] = ()
    workers: int = 1


# The first of each is what the others are compared with.
COMPARISONS = {
    "mirrored": (
        Variant("no strategy", ("--distribution=none",)),
        Variant("mirrored, one device", ("--distribution=mirrored",)),
    ),
    "replicas": (
        Variant("1 replica"),
        Variant("2 logical replicas", ("--logical_devices=2",)),
        Variant("2, batch norm of their own", ("--logical_devices=2", "--nosync_batch_norm")),
    ),
    "workers": (
        Variant("1 process"),
        Variant("2 workers", ("--distribution=multi_worker",), workers=2),
        Variant(
            "2, batch norm of their own",
            ("--distribution=multi_worker", "--nosync_batch_norm"),
            workers=2,
        ),
    ),
    "steps": tuple(
        Variant(f"{count} step(s) a call", (f"--steps_a_call={count}",)) for count in (1, 10, 100)
    ),
}
_WHAT = flags.DEFINE_list("what", list(COMPARISONS), "Comparisons to make.")


def main():
    unknown = sorted(set(_WHAT.value) - COMPARISONS.keys())
    if unknown:
        raise UserError(f"--what={','.join(unknown)}: there are {', '.join(COMPARISONS)}.")
    for name in _WHAT.value:
        _compare(name, COMPARISONS[name])


def _compare(name, variants):
    seconds = {variant: [] for variant in variants}
    for number in range(_ROUNDS.value):
        # In turn from either end: what comes later in a round finds another machine.
        for variant in variants if number % 2 == 0 else reversed(variants):
            seconds[variant].append(_step_seconds(variant))
    first = seconds[variants[0]]
    print(f"{name}, {_WORKLOAD.value}, {_ROUNDS.value} rounds")
    for variant in variants:
        ratios = [mine / base for mine, base in zip(seconds[variant], first, strict=True)]
        told = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(
            f"  {variant.name:27} {1000 * statistics.median(seconds[variant]):9.2f} ms a step  "
            f"ratio {statistics.median(ratios):.3f}  ({told})",
            flush=True,
        )


def _step_seconds(variant):
    addresses = free_addresses(variant.workers)
    line = [sys.executable, "-m", "tools.benchmark", f"--workload={_WORKLOAD.value}"]
    line += [f"--steps={_CALLS.value}", f"--batch={_BATCH.value}", *variant.flags]
    running = [
        subprocess.Popen(
            line,
            env=environment(addresses, index),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(variant.workers)
    ]
    # All at once: one whose pipe is full would keep the others waiting.
    with futures.ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda process: process.communicate()[0], running))
    found = [re.search(r"median_step_s=([0-9.]+)", output) for output in said]
    for output, figure in zip(said, found, strict=True):
        if not figure:
            raise UserError(f"{variant.name} failed:\n{output.strip()[-500:]}")
    return max(float(each.group(1)) for each in found)


if __name__ == "__main__":
    command_line.run(main)
