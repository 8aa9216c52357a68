"""python -m lsgan_tf.train_classifier --dataset=NAME: a classifier whose features score GANs."""

from pathlib import Path

from absl import flags

from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError

_DATASET = flags.DEFINE_string("dataset", None, "A labelled data set, as of train.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "Where data sets are, and classifiers go.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 0, "As of train; 0 keeps the size.", 0)
_EPOCHS = flags.DEFINE_integer("epochs", 5, "Passes over the training images.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the weights and the order.", 0, 2**32 - 1)
_OUTPUT = flags.DEFINE_string(
    "output", "", "The .keras file; default DATA_DIR/classifiers/DATASET.keras."
)


def main():
    command_line.check_started()
    path = Path(_OUTPUT.value) if _OUTPUT.value else None
    if path and path.suffix != ".keras":
        raise UserError(f"--output={path} must end in .keras.")
    command_line.start_tensorflow()
    from lsgan_tf import datasets
    from lsgan_tf.metrics import classifier

    name, data_dir = _DATASET.value, _DATA_DIR.value
    dataset = datasets.load(name, data_dir, image_size=_IMAGE_SIZE.value)
    test = datasets.test_split(name, data_dir, image_size=_IMAGE_SIZE.value)
    model, facts = classifier.train(dataset, test, epochs=_EPOCHS.value, seed=_SEED.value)
    path = path or classifier.path(Path(data_dir), name)
    facts = classifier.save(model, facts, path)
    print(
        f"{path}: accuracy {facts.test_accuracy:.4f} on {facts.tested_on}. Score a run with\n"
        "  python -m lsgan_tf.evaluate --features=classifier --run_dir=RUN"
    )


if __name__ == "__main__":
    command_line.run(main)
