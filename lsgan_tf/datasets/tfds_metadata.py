"""The two files that make a converted directory readable by TensorFlow Datasets."""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from lsgan_tf.datasets.manifest import Manifest


def write(directory: Path, manifest: Manifest) -> None:
    """Writes dataset_info.json and features.json for `tfds.builder_from_directory(directory)`."""
    features = {
        "image": tfds.features.Image(
            shape=manifest.image_shape, dtype=np.uint8, encoding_format=manifest.encoding
        )
    }
    for name, values in manifest.value_names.items():
        features[name] = tfds.features.ClassLabel(names=list(values))
    tfds.folder_dataset.write_metadata(
        data_dir=directory,
        features=tfds.features.FeaturesDict(features),
        split_infos=[_split_info(directory, manifest, split) for split in manifest.splits],
        supervised_keys=None if manifest.class_names is None else ("image", "label"),
        description=f"{manifest.source}, converted by {manifest.tool}",
        check_data=False,  # reads through TensorFlow, which is not worth its seconds here
    )


def _split_info(directory: Path, manifest: Manifest, split: str) -> tfds.core.SplitInfo:
    shards = [shard for shard in manifest.shards if shard.split == split]
    return tfds.core.SplitInfo(
        name=split,
        shard_lengths=[shard.count for shard in shards],
        num_bytes=sum(shard.bytes for shard in shards),
        filename_template=tfds.core.ShardedFileTemplate(
            dataset_name=manifest.name,
            split=split,
            filetype_suffix="tfrecord",
            data_dir=directory,
        ),
    )
