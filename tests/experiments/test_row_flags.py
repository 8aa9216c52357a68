"""The flags of every cell of every row go together, and name data that the row prepares."""

import pytest
from absl import flags

from lsgan_tf import recipes
from lsgan_tf.experiments import jobs, recipe_run, row
from lsgan_tf.utils import flagfile

CELLS = [
    (name, cell.name)
    for name in row.names()
    for cell in row.read(name).cells
    if row.read(name).runner == row.RECIPE
]


@pytest.mark.parametrize(("name", "cell"), CELLS)
def test_the_flags_of_a_cell_go_together(name, cell, tmp_path, monkeypatch):
    one = row.read(name)
    job = next(job for job in jobs.of_row(one, 1, one.steps, tmp_path) if job.cell.name == cell)
    monkeypatch.chdir(recipes.RECIPES.parent)  # flagfiles are named from there
    arguments, (recipe,) = flagfile.expand(recipe_run.training_flags(job))
    values = flags.FlagValues()
    recipes.define_flags(values)
    assert values(["train", *arguments]) == ["train"]
    config = recipes.from_flags(values)
    assert recipe.path.stem == job.cell.recipe
    assert (config.dataset, config.seed, config.train_steps) == (one.dataset, 0, one.steps)
    scored = recipe_run.scored_steps(one.steps, one.protocol)
    assert len(scored) <= config.keep_checkpoints and scored[-1] == one.steps
    assert all(step % config.checkpoint_every == 0 for step in scored[:-1])


@pytest.mark.parametrize(
    ("steps", "checkpoints", "scored"),
    [
        (100, 5, [20, 40, 60, 80, 100]),
        (7, 3, [2, 4, 6, 7]),
        (2, 5, [1, 2]),
        (1, 1, [1]),
        (9, 1, [9]),
    ],
)
def test_checkpoints_are_spread_over_the_run(steps, checkpoints, scored):
    protocol = row.Protocol("classifier", 50, checkpoints)
    assert recipe_run.scored_steps(steps, protocol) == scored
