"""python -m lsgan_tf.train --dataset=NAME: trains a GAN, or goes on with a run."""

from absl import app, flags

from lsgan_tf import config
from lsgan_tf.errors import exit_on_user_error
from lsgan_tf.networks import PAIRS


def main(_):
    with exit_on_user_error():
        if flags.FLAGS.list_recipes:
            for name, line in config.list_recipes():
                print(f"{name:22} {line}")
        elif flags.FLAGS.list_networks:
            for name, pair in PAIRS.items():
                print(f"{name:22} {pair.what}")
        else:
            _train()


def _train():
    from lsgan_tf import training  # TensorFlow starts here, after the flags are known to be sound

    resolved = config.from_flags()
    if flags.FLAGS.dry_run:
        training.describe(resolved)
    else:
        training.train(resolved, flags.FLAGS.allow_config_change)


if __name__ == "__main__":
    config.define_flags()
    app.run(main, flags_parser=config.parse)
