"""What TensorBoard is told of the losses at the optimum, and of the flags."""

import json

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin

from lsgan_tf.config import Config
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


def test_the_flags_are_hyperparameters(tmp_path):
    logbook = Logbook(Run(tmp_path), objectives.LeastSquares(), batch_size=4, train_steps=2)
    logbook.config("--batch_size=4", vars(Config(batch_size=4, learning_rate=0.5, mirror=True)))
    logbook.flush()
    (metadata,) = (
        value.metadata
        for path in tmp_path.glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "hparams"
    )
    parsed = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
    values = parsed.session_start_info.hparams
    assert values["batch_size"].number_value == 4 and values["learning_rate"].number_value == 0.5
    assert values["mirror"].bool_value and values["objective"].string_value == "least_squares"


def test_a_loss_and_its_optimum_share_a_chart(tmp_path):
    """As the server of TensorBoard answers what its page asks."""
    logbook = Logbook(Run(tmp_path), objectives.LeastSquares(), batch_size=4, train_steps=2)
    logbook.config("--batch_size=4", {})
    logbook.metrics(1, {"d_loss": 0.5, "d_penalty": 0.25, "g_loss": 0.75})
    logbook.flush()
    multiplexer = EventMultiplexer().AddRun(str(tmp_path), "run")
    multiplexer.Reload()
    context = TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(tmp_path)))
    context.plugin_name_to_instance = {"scalars": ScalarsPlugin(context)}
    plugin = CustomScalarsPlugin(context)
    (category,) = json.loads(plugin.layout_impl(RequestContext(), ""))["category"]
    shown = {
        chart["title"]: {
            tag
            for pattern in chart["multiline"]["tag"]
            for tag in plugin.scalars_impl(RequestContext(), "run", pattern, "")["tag_to_events"]
        }
        for chart in category["chart"]
    }
    assert shown == {
        network: {f"loss/{network}", f"loss/{network}_at_optimum"}
        for network in ("discriminator", "generator")
    }
