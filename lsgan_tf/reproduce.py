"""python -m lsgan_tf.reproduce --row=NAME: the papers' claims, run, checked and reported."""

import sys
from pathlib import Path

from absl import flags

from lsgan_tf.experiments import check, report, results, row, runner
from lsgan_tf.experiments.jobs import Places
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError

_LIST = flags.DEFINE_boolean("list", False, "Print the rows and what is there of them, then stop.")
_ROW = flags.DEFINE_string("row", "", "Run what is missing of this row; several with commas.")
_SEEDS = flags.DEFINE_integer("seeds", 0, "Seeds of each cell; 0: as many as the row says.", 0)
_STEPS = flags.DEFINE_integer("steps", 0, "Steps of each run; 0: as many as the row says.", 0)
_CHECK = flags.DEFINE_string("check", "", "Run ROW/CELL-SEED again and compare.")
_REPORT = flags.DEFINE_boolean("report", False, "Write results.md and the figures beside the csv.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Where data sets and classifiers are.")
_RUNS_DIR = flags.DEFINE_string("runs_dir", "runs/reproduce", "Where the runs are.")
_RESULTS = flags.DEFINE_string("results", "docs/results.csv", "The csv of finished runs.")


def main():
    places = Places(Path(_DATA_DIR.value), Path(_RUNS_DIR.value), Path(_RESULTS.value))
    if not (_LIST.value or _ROW.value or _CHECK.value or _REPORT.value):
        raise UserError("say what to do: --list, --row=NAME, --check=ROW/CELL-SEED or --report.")
    if places.results.suffix != ".csv":
        raise UserError(f"--results={places.results} must end in .csv.")
    if _LIST.value:
        _list(places)
    for one in [row.read(name) for name in _ROW.value.split(",") if name]:
        runner.run_row(one, places, _SEEDS.value or one.seeds, _STEPS.value or one.steps)
        for path in report.write_figure(one, places.results):
            print(path)
    if _CHECK.value and not check.check(_CHECK.value, places, _STEPS.value):
        sys.exit(1)
    if _REPORT.value:
        for path in report.write(places.results):
            print(path)


def _list(places):
    lines = results.read(places.results)
    for one in map(row.read, row.names()):
        print(f"{one.name}: {one.paper}, {one.where}\n  {one.claim}")
        if not one.cells:
            print("  no runs")
            continue
        done = sum(line.row == one.name and line.steps == one.steps for line in lines)
        original = f" of the original's {one.paper_steps:,}" if one.paper_steps else ""
        print(
            f"  recipes: {', '.join(dict.fromkeys(cell.recipe for cell in one.cells))}\n"
            f"  {len(one.cells)} cells, {one.seeds} seeds, {one.steps:,} steps{original}; "
            f"{one.cost}\n"
            f"  {done} of {one.seeds * len(one.cells)} runs are there"
        )


if __name__ == "__main__":
    command_line.run(main)
