"""What `--dry_run` prints: the flags, the networks and their parameter counts."""

from lsgan_tf import datasets
from lsgan_tf.config import Config
from lsgan_tf.training import build, devices


def print_run(config: Config) -> None:
    """Prints the resolved flags, the layers and the parameter counts of a run.

    Writes nothing and prepares no data.

    Raises:
        UserError: as `loop.train` does.
    """
    if config.distribution not in ("multi_worker", "tpu"):  # those wait for other machines
        devices.strategy(config)
    data = datasets.facts(config.dataset, config.data_dir, image_size=config.image_size)
    gan = build.gan(config, data.image_shape, data.class_names)
    print(config.to_flagfile() + f"--run_dir={config.run_dir}\n--data_dir={config.data_dir}")
    count = "not yet prepared:" if data.num_examples is None else data.num_examples
    print(f"# {count} images of {data.image_shape}")
    for network in (gan.generator, gan.discriminator):
        network.summary(expand_nested=True, line_length=100)
