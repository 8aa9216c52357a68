"""The Inception network of 2015 that FID and the Inception score are defined on.

A frozen graph in TensorFlow's `inception-2015-12-05.tgz` (Szegedy et al., "Rethinking the Inception
architecture", trained on ImageNet). Its `pool_3` is the feature of FID (Heusel et al. 2017); the
Inception score takes its logits without their bias (Salimans et al. 2016, the authors' code). It
resizes images itself, bilinear to 299x299, as TensorFlow 1 did.
"""

import contextlib
import http.client
import tarfile
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from lsgan_tf.metrics.extractor import FeatureNetwork, check_sha256
from lsgan_tf.utils import files, progress
from lsgan_tf.utils.errors import UserError, first_line

NAME = "inception-2015"
FILE_NAME = "classify_image_graph_def.pb"
ADDRESS = (
    "https://storage.googleapis.com/download.tensorflow.org/models/image/imagenet/"
    "inception-2015-12-05.tgz"
)
_MOST_BYTES = 200_000_000  # the graph has 96 million, the archive less
_INPUT, _POOL, _TAP, _LOGITS = "ExpandDims", "pool_3", "mixed_7/join", "softmax/logits/MatMul"
# All the operations it consists of. A graph from outside must not do anything else.
_OPERATIONS = frozenset(
    (
        "AvgPool",
        "BatchNormWithGlobalNormalization",
        "BiasAdd",
        "CheckNumerics",
        "Concat",
        "ConcatV2",
        "Const",
        "Conv2D",
        "FusedBatchNorm",
        "FusedBatchNormV3",
        "Identity",
        "MatMul",
        "MaxPool",
        "Mul",
        "Placeholder",
        "Relu",
        "Reshape",
        "ResizeBilinear",
        "Softmax",
        "Squeeze",
        "Sub",
    )
)
# What the true weights make of `test_image`: the largest of the 768 features of `mixed_7`, averaged
# over its positions. tests/metrics/test_inception.py compares them with weights of that origin.
KNOWN_FEATURES = {
    80: 0.5362,
    82: 0.5375,
    108: 0.3178,
    115: 0.5198,
    144: 0.6901,
    154: 0.3517,
    420: 0.9858,
    433: 0.4291,
    438: 0.5257,
    525: 0.8389,
    624: 0.3113,
    767: 0.5560,
}
_TOLERANCE = 0.01  # absolute
FEATURES, LOGITS = 2048, 1008


def load(path: Path | None, data_dir: Path, sha256: str = "") -> FeatureNetwork:
    """Loads the frozen graph, downloading it into `data_dir/features` if no file is given.

    Whatever file it is, it must answer a test image as the network of 2015 does, up to its layer
    `mixed_7`; the layers behind are known by their names, and by the number of features and logits.

    Args:
        path: `classify_image_graph_def.pb`, or the .tgz that holds it, or None.
        data_dir: where a download is kept.
        sha256: what the file's checksum must be; "" for any.

    Raises:
        UserError: the file is missing, damaged, too large, of another checksum or another network,
            or cannot be downloaded; says where to get it.
    """
    if path is None:
        path = Path(data_dir) / "features" / FILE_NAME
        if not path.exists():
            download(path)
    checksum = files.sha256_of(path)
    check_sha256(str(path), checksum, sha256)
    graph = _graph(path)
    _check_answer(path, graph)
    return FeatureNetwork(
        NAME,
        checksum,
        "bilinear to 299x299, in the network",
        3,
        lambda images: _run(graph, images)[:2],
    )


def test_image() -> np.ndarray:
    """A fixed picture, float32 [1, 299, 299, 3] in 0..255, of the size that needs no resizing."""
    row, column = np.mgrid[:299, :299]
    planes = [row * down + column * right for down, right in ((1, 3), (2, 1), (3, 2))]
    return (np.stack(planes, axis=-1) % 256)[None].astype(np.float32)


def download(path: Path, address: str = ADDRESS) -> None:
    """Fetches the archive and puts the graph at `path`, complete or not at all.

    Raises:
        UserError: there is no network, or what came is not the archive.
    """
    files.make_parent(path)
    archive = path.with_name("inception-2015-12-05.tgz")
    try:
        with (
            files.replacing(archive) as file,
            progress.bar(unit="B", unit_scale=True, desc=FILE_NAME) as bar,
        ):
            for chunk in _chunks(address):
                file.write(chunk)
                bar.update(len(chunk))
        files.write_bytes(path, _from_archive(archive))
        print(f"{path}: sha256 {files.sha256_of(path)}")
    except ValueError as error:
        raise UserError(
            f"the Inception network of 2015 could not be downloaded ({error}). Fetch\n  {address}\n"
            f"by other means and put its {FILE_NAME} at {path}, or name the file with "
            "--features_file. Without it: --features=classifier compares features of a classifier "
            "of the data set itself (python -m lsgan_tf.train_classifier --dataset=NAME)."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            archive.unlink(missing_ok=True)


def _chunks(address: str) -> Iterator[bytes]:
    """What is at an address, piece by piece; ValueError if it does not come whole."""
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            total, received = answer.headers.get("Content-Length"), 0
            while chunk := answer.read(1 << 20):
                received += len(chunk)
                if received > _MOST_BYTES:
                    raise ValueError(f"more than {_MOST_BYTES} bytes came")
                yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(getattr(error, "reason", None) or error) from error
    if total is not None and str(received) != total:
        raise ValueError(f"{received} of {total} bytes came")


def _from_archive(path: Path) -> bytes:
    """The graph in the .tgz; ValueError if it is not there."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.isfile() and Path(member.name).name == FILE_NAME:
                    if member.size > _MOST_BYTES:
                        raise ValueError(f"its {FILE_NAME} has {member.size} bytes")
                    return archive.extractfile(member).read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"it is no .tgz that can be read: {error}") from error
    raise ValueError(f"it holds no {FILE_NAME}")


def _graph(path: Path) -> tf.compat.v1.GraphDef:
    """The graph from images to features, checked to be one of harmless operations."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES} bytes")
        packed = path.suffix in (".tgz", ".gz")
        graph = tf.compat.v1.GraphDef.FromString(
            _from_archive(path) if packed else path.read_bytes()
        )
        nodes = {node.name: node for node in graph.node}
        missing = [name for name in (_INPUT, _POOL, _TAP, _LOGITS) if name not in nodes]
        if missing:
            raise ValueError(f"it has no node {missing[0]}")
        nodes[_INPUT].Clear()
        nodes[_INPUT].name, nodes[_INPUT].op = _INPUT, "Placeholder"
        nodes[_INPUT].attr["dtype"].type = tf.float32.as_datatype_enum
        weights = nodes[_LOGITS].input[1].partition(":")[0]
        graph = tf.compat.v1.graph_util.extract_sub_graph(graph, [_POOL, _TAP, weights])
        strange = {node.op for node in graph.node} - _OPERATIONS
        if strange or len(graph.library.function):
            raise ValueError(f"it has operations that Inception has not: {sorted(strange)}")
    except (OSError, ValueError, DecodeError, AssertionError, IndexError) as error:
        raise UserError(f"{path} is not the Inception network of 2015: {error}.") from error
    for node in graph.node:
        if node.op == "BatchNormWithGlobalNormalization":
            _update_batch_norm(node, graph)
    graph.node.add(name="weights_of_logits", op="Identity", input=[weights]).attr[
        "T"
    ].type = tf.float32.as_datatype_enum
    return graph


def _update_batch_norm(node, graph):
    """Turns a batch norm of 2015, which TensorFlow no longer runs, into one that it does."""
    images, mean, variance, offset, scale = node.input
    if not node.attr["scale_after_normalization"].b:
        scale = f"{node.name}/ones"
        size = (
            next(constant for constant in graph.node if constant.name == offset)
            .attr["value"]
            .tensor
        )
        ones = tf.make_tensor_proto(np.ones_like(tf.make_ndarray(size)))
        constant = graph.node.add(name=scale, op="Const")
        constant.attr["dtype"].type = tf.float32.as_datatype_enum
        constant.attr["value"].tensor.CopyFrom(ones)
    epsilon = node.attr["variance_epsilon"].f
    node.op = "FusedBatchNorm"
    del node.input[:]
    node.input.extend((images, scale, offset, mean, variance))
    node.attr.clear()
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["epsilon"].f = epsilon
    node.attr["is_training"].b = False


def _run(graph, images):
    """(pool_3 [N, 2048], logits [N, 1008], mixed_7 averaged [N, 768]) in graph operations."""
    pool, weights, tap = tf.graph_util.import_graph_def(
        graph,
        input_map={f"{_INPUT}:0": images},
        return_elements=[f"{_POOL}:0", "weights_of_logits:0", f"{_TAP}:0"],
        name="inception",
    )
    features = tf.reshape(pool, (-1, pool.shape[-1]))
    return features, features @ weights, tf.reduce_mean(tap, axis=(1, 2))


def _check_answer(path, graph):
    """Raises `UserError` unless the graph makes of the test image what is known."""
    try:
        run = tf.function(lambda images: _run(graph, images), autograph=False)
        features, logits, tap = run(tf.constant(test_image()))
        if (features.shape[1], logits.shape[1]) != (FEATURES, LOGITS):
            raise ValueError(f"it has {features.shape[1]} features and {logits.shape[1]} logits")
        features = tf.gather(tap[0], list(KNOWN_FEATURES)).numpy()
        right = np.allclose(features, list(KNOWN_FEATURES.values()), atol=_TOLERANCE)
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(
            f"{path} is not the Inception network of 2015: {first_line(error)}."
        ) from error
    if not right:
        raise UserError(
            f"{path} is not the Inception network of 2015: it answers a test image otherwise. "
            f"Fetch it from {ADDRESS}."
        )
