"""What `--dry_run` prints: the flags, the networks and their parameter counts."""

from lsgan_tf import datasets
from lsgan_tf.config import Config
from lsgan_tf.training import build, devices, initial_weights


def print_run(config: Config) -> None:
    """Prints the resolved flags, the layers and the parameter counts of a run.

    Writes nothing and prepares no data. Networks whose shape the recipe fixes are printed although
    the data are missing; how to get the data comes last.

    Raises:
        UserError: as `loop.train` does, but for known data that are missing.
    """
    if config.distribution not in ("multi_worker", "tpu"):  # those wait for other machines
        devices.strategy(config)
    facts, missing = _facts(config)
    gan = build.gan(config, facts.image_shape, facts.class_names)
    initial_weights.take_over(gan, config)
    print(config.to_flagfile() + f"--run_dir={config.run_dir}\n--data_dir={config.data_dir}")
    count = "not yet prepared:" if facts.num_examples is None else facts.num_examples
    print(f"# {count} images of {facts.image_shape}")
    build.warn_of_batch(config, facts.num_examples)
    for network in (gan.generator, gan.discriminator):
        network.summary(expand_nested=True)  # of a width that fits: more is cut off
    if missing:
        print(f"The data are missing: {missing}")


def _facts(config):
    """(what is known of the data, why they are missing or None)."""
    name, image_size = config.dataset, config.image_size
    try:
        return datasets.facts(name, config.data_dir, image_size=image_size), None
    except datasets.MissingDataset as error:
        expected = datasets.expected(name, image_size=image_size)
        if expected is None:
            raise
        return expected, error
