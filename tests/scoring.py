"""What the tests of scores share: small settings, jobs, the lines of scores.jsonl."""

from lsgan_tf.inference import checkpoint_scores
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.scores import Settings
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.training import devices
from tests.run_contents import read_lines

SETTINGS = Settings(images=60, neighbours=40, kid_subsets=5, kid_subset_size=20)


def values_by_name(scores):
    return {score.name: score.value for score in scores}


def make_job(config, feature_network):
    """What `evaluate` does with a run."""
    run = Run(config.run_dir)
    return checkpoint_scores.Job(
        run=run,
        config=config,
        data=run.read()[1],
        choice=Choice(str(feature_network), data_dir=config.data_dir),
        settings=SETTINGS,
        batch_size=50,
        strategy=devices.local_strategy(),
        weights="auto",
    )


def read_fid_lines(config):
    return [line for line in read_lines(Run(config.run_dir).scores) if line["score"] == "fid"]
