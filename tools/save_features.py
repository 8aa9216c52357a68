"""Keeps the features of real images, for `tools.compare_scores` and scores of your own.

    python -m tools.save_features --dataset=cifar10 --features=classifier --images=5000 \
        --output=cifar10.npz

The file holds `real`, features float32 [N, D] of the training split; `fake`, those of the test
split, or of the other half of the training split; and, of a network that classifies, `posteriors`,
float32 [M, K], of `fake`.
"""

from pathlib import Path

import numpy as np
from absl import flags

from lsgan_tf.utils import command_line, files


def features(dataset, test, choice, images):
    """The arrays of the file.

    Args:
      dataset: the training split.
      test: the test split, or None.
      choice: a `metrics.features.Choice`.
      images: how many of each, if there are so many.
    """
    from lsgan_tf.metrics.evaluator import RealImages
    from lsgan_tf.metrics.features import Extractor
    from lsgan_tf.metrics.inception_score import softmax

    data = RealImages.of_floor(dataset, test, images)
    extractor = Extractor(choice.load(dataset.name), dataset.image_shape)
    real, fake = (_outputs(extractor, part) for part in (data.reference, data.test))
    arrays = {"real": real[0], "fake": fake[0]}
    if fake[1] is not None:
        arrays["posteriors"] = softmax(fake[1]).astype(np.float32)
    return arrays


def _outputs(extractor, part):
    """(features, logits or None) of all images of a part."""
    batches = [extractor(images) for images, _ in part.batches(extractor.batch_size)]
    return tuple(
        None if each[0] is None else np.concatenate(each) for each in zip(*batches, strict=True)
    )


def main():
    values = flags.FLAGS
    command_line.start_tensorflow()
    from lsgan_tf import datasets
    from lsgan_tf.metrics.features import Choice

    arrays = features(
        datasets.load(values.dataset, values.data_dir),
        datasets.test_split(values.dataset, values.data_dir),
        Choice(values.features, data_dir=values.data_dir),
        values.images,
    )
    with files.replacing(Path(values.output)) as file:
        np.savez(file, **arrays)
    print(f"{values.output}: " + ", ".join(f"{n} {array.shape}" for n, array in arrays.items()))


if __name__ == "__main__":
    flags.DEFINE_string("dataset", None, "a data set, as of train", required=True)
    flags.DEFINE_string("data_dir", "data", "where it is")
    flags.DEFINE_string("features", "classifier", "as of lsgan_tf.evaluate")
    flags.DEFINE_integer("images", 5000, "of each split, if there are so many", 2)
    flags.DEFINE_string("output", None, ".npz to write", required=True)
    command_line.run(main)
