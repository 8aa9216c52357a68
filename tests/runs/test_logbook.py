"""What TensorBoard is told of the losses at the optimum."""

import pytest

from lsgan_tf.gan import objectives
from lsgan_tf.runs.logbook import Logbook
from lsgan_tf.runs.run_directory import Run
from tests.run_contents import read_events


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (
            objectives.PRESETS["binary"],
            {"loss/discriminator_at_optimum": 0.25, "loss/generator_at_optimum": 0.125},
        ),
        (objectives.Wasserstein(), {"loss/discriminator_at_optimum": 0.0}),
    ],
    ids=["both", "discriminator only"],
)
def test_only_an_optimum_that_there_is_is_drawn(tmp_path, objective, expected):
    logbook = Logbook(Run(tmp_path), objective, batch_size=4, train_steps=2)
    logbook.start(0)
    logbook.metrics(1, {"d_loss": 0.5, "g_loss": 0.75})
    logbook.flush()
    optima = {
        tag: float(values[1])
        for tag, values in read_events(tmp_path).items()
        if tag.endswith("_at_optimum")
    }
    assert optima == expected
