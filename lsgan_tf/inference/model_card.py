"""model_card.md beside an export: what it is, how to use each file, its scores, its limits."""

import dataclasses
import importlib.metadata
import platform
import string
from collections.abc import Sequence
from pathlib import Path

import jinja2

import lsgan_tf
from lsgan_tf.config import OF_THIS_MACHINE, Config, differences
from lsgan_tf.inference import load, serving
from lsgan_tf.inference.formats import FORMATS, Written
from lsgan_tf.inference.load import Trained
from lsgan_tf.runs import gallery, score_log, surroundings
from lsgan_tf.utils.processor import processor_name

_TEMPLATE = Path(__file__).with_name("model_card.md")
_ESCAPED = str.maketrans({char: "\\" + char for char in string.punctuation if char not in ",'-"})


def render(trained: Trained, written: Sequence[Written], images: int) -> str:
    """The model card, in Markdown.

    Args:
        trained: the generator and where it comes from.
        written: the files it is about.
        images: how many of them were compared.
    """
    config, data = trained.run.read()
    generator = trained.generator
    low, high = generator.value_range
    _, discriminator = load.build_networks(config, data)
    return (
        _environment()
        .from_string(_TEMPLATE.read_text(encoding="utf-8"))
        .render(
            title=trained.run.name,
            files={one.format: one for one in written},
            images=images,
            names=trained.class_names,
            shape=data.image_shape,
            dataset=config.dataset,
            count=data.num_examples,
            weights="the averaged weights" if trained.weights == "ema" else "the weights",
            step=trained.step,
            normal=generator.latent_distribution == "normal",
            latent_dim=generator.latent_dim,
            most_images=serving.MOST_IMAGES,
            low=f"{low:g}",
            high=f"{high:g}",
            processor=processor_name(),
            generator=type(generator).__name__,
            parameters=generator.count_params(),
            discriminator=type(discriminator).__name__,
            opponents=discriminator.count_params(),
            flags=_flags(config),
            scores=_scores(trained),
            versions=_versions(written),
        )
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["text"] = escape
    return environment


def escape(text: str) -> str:
    """Text from elsewhere as one line of Markdown that shows it as it is."""
    return score_log.one_line(text).translate(_ESCAPED)


def _flags(config: Config) -> list[str]:
    """What decides the training and is not the default."""
    defaults, values = dataclasses.asdict(Config()), dataclasses.asdict(config)
    changed, _ = differences(defaults, values)
    names = {"dataset", "network", "train_steps", *changed} - set(OF_THIS_MACHINE)
    return [score_log.one_line(f"--{name}={values[name]}") for name in sorted(names)]


def _scores(trained):
    scores = [
        score
        for score in score_log.read_scores(trained.run)
        if score.step == trained.step and score.weights.split(",")[0] == trained.weights
    ]
    return gallery.group(scores)


def _versions(written):
    packages = [name for one in written for name in FORMATS[one.format].packages.values()]
    return {
        "lsgan-tf": lsgan_tf.__version__,
        "Python": platform.python_version(),
        **surroundings.versions(),
        **{name: importlib.metadata.version(name) for name in packages},
    }
