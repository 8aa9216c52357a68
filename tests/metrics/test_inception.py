"""The frozen graph of 2015: how it is read, checked, refused and downloaded.

The network itself cannot be had here; a graph of its names stands in, and its first layers, whose
true weights come as a SavedModel, where real data is.
"""

import http.server
import io
import tarfile
import threading

import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf.metrics import inception
from lsgan_tf.metrics.extractor import Extractor
from lsgan_tf.metrics.features import Choice
from lsgan_tf.utils import files
from lsgan_tf.utils.errors import UserError
from tests import feature_networks


def _known(path, monkeypatch):
    """Makes the answer of a graph the known one, as of the true network."""
    run = tf.function(lambda images: inception._run(inception._graph(path), images))
    answer = run(tf.constant(inception.test_image()))[2].numpy()[0]
    positions = [0, 100, 767]
    monkeypatch.setattr(inception, "KNOWN_FEATURES", {p: float(answer[p]) for p in positions})
    monkeypatch.setattr(inception, "FEATURES", 16)
    monkeypatch.setattr(inception, "LOGITS", 5)


@pytest.fixture
def graph(tmp_path, monkeypatch):
    path = feature_networks.frozen_inception(tmp_path / inception.FILE_NAME)
    _known(path, monkeypatch)
    return path


def _archive(path, graph, member=None):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(graph, member or inception.FILE_NAME)
    return path


def test_features_and_logits_without_bias(graph, tmp_path):
    network = Choice(features_file=str(graph), data_dir=str(tmp_path)).load("any")
    assert network.name == "inception-2015" and network.sha256 == files.sha256_of(graph)
    extractor = Extractor(network, (12, 10, 3), batch_size=4)
    images = np.random.default_rng(0).integers(0, 256, (7, 12, 10, 3), np.uint8)
    outputs = extractor(images)
    assert outputs.features.shape == (7, 16) and outputs.logits.shape == (7, 5)
    weights = next(
        tf.make_ndarray(node.attr["value"].tensor)
        for node in tf.compat.v1.GraphDef.FromString(graph.read_bytes()).node
        if node.name == "softmax/weights"
    )
    np.testing.assert_allclose(outputs.logits, outputs.features @ weights, rtol=1e-4, atol=1e-5)


def test_a_network_of_other_sizes_is_refused(graph, tmp_path, monkeypatch):
    monkeypatch.setattr(inception, "LOGITS", 1008)
    with pytest.raises(UserError, match="it has 16 features and 5 logits"):
        inception.load(graph, tmp_path)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_batch_norm_of_2015(scaled):
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, scaled or not."""
    mean, variance, offset, scale = np.random.default_rng(0).uniform(0.5, 2.0, (4, 3))
    graph = feature_networks.old_graph()
    feature_networks.old_batch_norm(graph, "x", "norm", (mean, variance, offset, scale), scaled)
    inception._update_batch_norm(next(node for node in graph.node if node.name == "norm"), graph)
    images = np.random.default_rng(1).normal(size=(2, 4, 4, 3)).astype(np.float32)
    normalised = tf.function(
        lambda x: tf.graph_util.import_graph_def(graph, {"x:0": x}, ["norm:0"])[0]
    )(tf.constant(images))
    expected = (images - mean) / np.sqrt(variance + 0.001) * (scale if scaled else 1.0) + offset
    np.testing.assert_allclose(normalised, expected, rtol=1e-4, atol=1e-5)


def test_the_archive_serves_as_well(graph, tmp_path):
    archive = _archive(tmp_path / "inception.tgz", graph)
    assert inception.load(archive, tmp_path).name == "inception-2015"


def test_another_network_is_refused_by_its_answer(graph, tmp_path):
    other = feature_networks.frozen_inception(tmp_path / "other.pb", weights_seed=1)
    with pytest.raises(UserError, match=r"other.pb is not the Inception.*answers a test image"):
        inception.load(other, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda nodes: nodes["pool_3"].Clear(), "no node pool_3"),
        (lambda nodes: setattr(nodes["mixed_7/join"], "op", "WriteFile"), r"\['WriteFile'\]"),
        (lambda nodes: setattr(nodes["pool_3"], "op", "PyFunc"), r"\['PyFunc'\]"),
    ],
)
def test_graphs_that_are_something_else(graph, tmp_path, change, message):
    definition = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    change({node.name: node for node in definition.node})
    graph.write_bytes(definition.SerializeToString())
    with pytest.raises(UserError, match=message):
        inception.load(graph, tmp_path)


def test_what_is_no_graph(graph, tmp_path):
    graph.write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="is not the Inception network"):
        inception.load(graph, tmp_path)
    with pytest.raises(UserError, match="nowhere.pb cannot be read"):
        inception.load(tmp_path / "nowhere.pb", tmp_path)


def test_a_wrong_checksum_names_both(graph, tmp_path):
    with pytest.raises(UserError, match="has sha256 [0-9a-f]{64}, not 12ab"):
        inception.load(graph, tmp_path, "12ab")
    assert inception.load(graph, tmp_path, files.sha256_of(graph).upper())


@pytest.fixture
def serve():
    """Serves bytes on this machine; gives the address."""
    servers = []

    def start(content, announced=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(announced or len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/inception.tgz"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_download(graph, tmp_path, serve, capsys):
    packed = _archive(tmp_path / "packed.tgz", graph).read_bytes()
    target = tmp_path / "data" / "features" / inception.FILE_NAME
    inception.download(target, serve(packed))
    assert target.read_bytes() == graph.read_bytes()
    assert files.sha256_of(graph) in capsys.readouterr().out
    assert [path.name for path in target.parent.iterdir()] == [inception.FILE_NAME]
    assert inception.load(None, tmp_path / "data").sha256 == files.sha256_of(graph)


@pytest.mark.parametrize("fault", ["absent", "cut", "not packed", "without the graph"])
def test_a_failed_download_says_what_to_do_and_leaves_nothing(graph, tmp_path, serve, fault):
    packed = _archive(tmp_path / "packed.tgz", graph).read_bytes()
    other = _archive(tmp_path / "other.tgz", graph, "other.pb").read_bytes()
    address = {
        "absent": lambda: serve(None),
        "cut": lambda: serve(packed[:-50], len(packed)),
        "not packed": lambda: serve(b"<html>"),
        "without the graph": lambda: serve(other),
    }[fault]()
    target = tmp_path / "features" / inception.FILE_NAME
    with pytest.raises(UserError, match="by other means and put its classify_image_graph_def.pb"):
        inception.download(target, address)
    assert list(target.parent.iterdir()) == []


@pytest.mark.slow
def test_the_true_first_layers_give_the_known_answer(real_data, tmp_path, monkeypatch):
    """The graph here has the layers up to mixed_7 with the weights of 2015; behind them others."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    folder = real_data / "inception_2015_mixed7" / "saved_model"
    model = tf.saved_model.load(str(folder))
    frozen = convert_variables_to_constants_v2(model.signatures["serving_default"])
    concatenations = [op for op in frozen.graph.get_operations() if op.type == "ConcatV2"]
    rng = np.random.default_rng(0)
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3), "ExpandDims")
        (tap,) = tf.graph_util.import_graph_def(
            frozen.graph.as_graph_def(),
            input_map={frozen.inputs[0].name: images},
            return_elements=[concatenations[-1].outputs[0].name],
        )
        joined = tf.identity(tap, name="mixed_7/join")
        pool = tf.nn.avg_pool2d(joined, 17, 1, "VALID", name="pool_3")
        weights = tf.constant(rng.normal(size=(768, 5)).astype(np.float32))
        tf.matmul(tf.reshape(pool, (-1, 768)), weights, name="softmax/logits/MatMul")
    path = tmp_path / "true.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    foldings = {"AddV2", "RealDiv", "NoOp"}  # how this SavedModel spells the same mathematics
    monkeypatch.setattr(inception, "_OPERATIONS", inception._OPERATIONS | foldings)
    monkeypatch.setattr(inception, "FEATURES", 768)
    monkeypatch.setattr(inception, "LOGITS", 5)
    network = inception.load(path, tmp_path)
    photograph = tf.io.decode_png((real_data / "lsun_layout/church_png/0.png").read_bytes(), 3)
    outputs = Extractor(network, photograph.shape, batch_size=1)(photograph[None].numpy())
    expected = model.signatures["serving_default"](tf.cast(photograph[None], tf.float32))
    np.testing.assert_allclose(outputs.features, expected["features"], rtol=1e-4, atol=1e-5)
    assert io.BytesIO(path.read_bytes()).getbuffer().nbytes < inception._MOST_BYTES
