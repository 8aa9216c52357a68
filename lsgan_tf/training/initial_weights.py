"""The weights that a new run starts from: those of another run, `--init_from`."""

import keras

from lsgan_tf.config import Config
from lsgan_tf.gan import ema
from lsgan_tf.gan.model import GAN
from lsgan_tf.inference import load
from lsgan_tf.runs.checkpoints import available, restore_networks
from lsgan_tf.runs.run_directory import DataFacts, Run
from lsgan_tf.utils.errors import UserError


def take_over(gan: GAN, config: Config) -> bool:
    """Gives a GAN the weights of `--init_from`, unless its run has a checkpoint of its own.

    With another number of classes the maps of the labels stay as they are. The average starts at
    the source's, or where that has none at G's weights.

    Args:
        gan: the GAN of a new run. Its optimizers and its step stay as they are.
        config: the new run.

    Returns:
        Whether it did.

    Raises:
        UserError: the source is no run, its checkpoint cannot be read, or its networks are others.
    """
    if not config.init_from or available(Run(config.run_dir).checkpoints):
        return False
    run, checkpoint = _find(config.init_from)
    source, data = run.read()
    _refuse(config, _differences(gan, config, source, data))
    generator, discriminator = load.build_networks(source, data)
    _refuse(config, _differences_of_made(gan, generator, discriminator))
    networks = {"generator": generator, "discriminator": discriminator}
    if source.ema_decay:
        networks["generator_ema"] = ema.copy(generator)
    step = restore_networks(
        networks,
        run.checkpoints,
        checkpoint=load.best_step(run) if checkpoint == "best" else checkpoint,
        flag=f"--init_from={run.directory}@",
    )
    _copy(generator, gan.generator)
    _copy(discriminator, gan.discriminator)
    if gan.generator_ema is not None:
        _copy(networks.get("generator_ema", generator), gan.generator_ema)
    before, now = generator.num_classes, gan.generator.num_classes
    but = "" if before == now else f", but for the label maps: {before} classes there, {now} here"
    print(f"starting from {run.directory}, step {step}{but}", flush=True)
    return True


def _find(text):
    """(the run, the checkpoint) of RUN or RUN@CHECKPOINT; a directory may have an @ in its name."""
    run, at, checkpoint = text.rpartition("@")
    if not at or Run(text).exists():
        return Run(text), "latest"
    return Run(run), checkpoint


def _differences(gan, config, source, data: DataFacts):
    """What distinguishes the networks of two runs by their flags and data: (what, there, here,
    what to do)."""
    (height, width, channels), shape = data.image_shape, gan.generator.image_shape
    no = "" if source.conditional else "no"
    kinds = {1: "grey", 3: "colour"}
    rows = (
        ("network", source.network, config.network, f"--network={source.network}"),
        ("image size", f"{height}x{width}", f"{shape[0]}x{shape[1]}", f"--image_size={height}"),
        ("channels", channels, shape[2], f"data of --channels={kinds.get(channels, channels)}"),
        ("conditional", source.conditional, config.conditional, f"--{no}conditional"),
    )
    return [row for row in rows if row[1] != row[2]]


def _differences_of_made(gan, generator, discriminator):
    """The same of what a flag may leave to the pair."""
    width = getattr(generator, "base_channels", None), getattr(gan.generator, "base_channels", None)
    norm = getattr(discriminator, "norm", None), getattr(gan.discriminator, "norm", None)
    rows = (
        ("base channels", *width, f"--base_channels={width[0]}"),
        ("discriminator norm", *norm, f"--discriminator_norm={norm[0]}"),
    )
    return [row for row in rows if row[1] != row[2]]


def _refuse(config, differences):
    """UserError if there are any."""
    if not differences:
        return
    lines = "\n".join(f"  {what}: {there}, here {here}" for what, there, here, _ in differences)
    advice = " ".join(advice for *_, advice in differences)
    raise UserError(
        f"--init_from={config.init_from} is a run of other networks:\n{lines}\n"
        f"Give {advice}, or leave --init_from out."
    )


def _copy(source: keras.Model, target: keras.Model):
    """Copies all variables; not the map of the labels where there is another number of them."""
    same = source.num_classes == target.num_classes
    kept = set() if same else {id(variable) for variable in target.label_map.variables}
    for theirs, ours in zip(source.variables, target.variables, strict=True):
        if id(ours) not in kept:
            ours.assign(theirs.numpy())
