"""python -m lsgan_tf.train --dataset=NAME: trains a GAN, or goes on with a run."""

import dataclasses

from absl import flags

from lsgan_tf import recipes
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils import command_line


def main():
    command_line.check_started()
    if flags.FLAGS.list_recipes:
        print("\n".join(recipes.table()))
        return
    resolved = _with_data_of_run(recipes.from_flags())
    command_line.start_tensorflow()  # here, since flags can be wrong in less time than it takes
    from lsgan_tf import networks
    from lsgan_tf.training import dry_run, loop

    if flags.FLAGS.list_networks:
        for name, pair in networks.PAIRS.items():
            print(f"{name:22} {pair.description}")
    elif flags.FLAGS.dry_run:
        dry_run.print_run(resolved)
    else:
        loop.train(resolved, flags.FLAGS.allow_config_change)


def _with_data_of_run(resolved):
    """Without --data_dir, the data of a run that is resumed are where they were."""
    run = Run(resolved.run_dir)
    if flags.FLAGS["data_dir"].present or not run.exists():
        return resolved
    config, _ = run.read()
    return dataclasses.replace(resolved, data_dir=config.data_dir)


if __name__ == "__main__":
    recipes.define_flags()
    command_line.run(main, flags_parser=recipes.parse, flag_groups=recipes.flag_groups())
