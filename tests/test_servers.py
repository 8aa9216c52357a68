"""An export in MLServer, on loopback, and in OpenVINO, against the sampler's pictures."""

import base64
import http.client
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.inference import sampler, serving
from tests.local_cluster import free_addresses
from tests.tiny import TinyGenerator

pytestmark = pytest.mark.slow  # MLServer loads TensorFlow twice

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
SECONDS = 300  # for anything on a busy machine
COUNT, SEED = {"name": "count", "datatype": "INT32"}, {"name": "seed", "datatype": "INT64"}
LATENTS = {"name": "latents", "datatype": "FP32"}
NAMES, IDS = ({"name": "labels", "datatype": datatype} for datatype in ("BYTES", "INT64"))


def _needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs {package}: docs/serving.md says how")


@pytest.fixture(scope="module")
def generator():
    return TinyGenerator(3)


@pytest.fixture(scope="module")
def export(generator, tmp_path_factory):
    """The SavedModel of a generator by three labels."""
    directory = tmp_path_factory.mktemp("export") / "1"
    serving.write(serving.Server(generator, ("a", "b", "c")), directory)
    return directory


@pytest.fixture(scope="module")
def address(export, tmp_path_factory):
    """host:port of an MLServer with it."""
    host_ports = free_addresses(3)
    ports = dict(zip(("HTTP", "GRPC", "METRICS"), host_ports, strict=True))
    environment = {
        **os.environ,
        **{f"MLSERVER_{name}_PORT": one.split(":")[1] for name, one in ports.items()},
        **{"MLSERVER_HOST": "127.0.0.1", "MLSERVER_MODEL_URI": str(export)},
    }
    folder = tmp_path_factory.mktemp("server")
    main = "from mlserver.cli import main; main()"
    program = [sys.executable, "-c", main, "start", str(DEPLOY / "mlserver")]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(
            program, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_until_ready(server, host_ports[0], folder / "log")
        yield host_ports[0]
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_until_ready(server, address, log):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            if _request(address, "GET", "/v2/models/lsgan/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


def _request(address, method, path, body=None):
    """(status, text) of the answer."""
    connection = http.client.HTTPConnection(address, timeout=SECONDS)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read().decode()


def _infer(address, inputs, signature="generate"):
    """(status, text) of the answer to inputs, each a tensor without data, its shape and data."""
    tensors = [{**tensor, "shape": shape, "data": data} for tensor, shape, data in inputs]
    body = {"parameters": {"signature_name": signature}, "inputs": tensors}
    return _request(address, "POST", "/v2/models/lsgan/infer", json.dumps(body))


def _generate(address, count=2, seed=9, labels=("b", "c")):
    inputs = [(COUNT, [1], [count]), (SEED, [1], [seed]), (NAMES, [len(labels)], labels)]
    return _infer(address, inputs)


def _draw(address, shape, latents, label=0):
    inputs = [(LATENTS, shape, latents), (IDS, [1], [label])]
    return _infer(address, inputs, "serving_default")


def _assert_right(address, generator):
    status, text = _generate(address)
    assert status == 200, text
    pngs = json.loads(text)["outputs"][0]["data"]
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))) for png in pngs]
    z = sampler.draw_latents(generator, 2, seed=9)
    here = sampler.Sampler(generator)(z, np.int32([1, 2]))[..., 0]
    assert here.std() > 0 and np.abs(np.stack(pictures).astype(int) - here).max() <= 1


@_needs("mlserver")
def test_mlserver_makes_the_samplers_pictures(address, generator):
    _assert_right(address, generator)
    z = sampler.draw_latents(generator, 3, seed=4)
    inputs = [(LATENTS, [3, 5], z.ravel().tolist()), (IDS, [3], [2, 0, 1])]
    status, text = _infer(address, inputs, "serving_default")
    assert status == 200, text
    (images,) = json.loads(text)["outputs"]
    served = np.rint(np.reshape(images["data"], images["shape"]) * 255)
    assert np.abs(served - sampler.Sampler(generator)(z, np.int32([2, 0, 1]))).max() <= 1
    names = json.loads(_infer(address, [], "class_names")[1])["outputs"][0]["data"]
    assert [base64.b64decode(name) for name in names] == [b"a", b"b", b"c"]


@_needs("mlserver")
def test_mlserver_refuses_bad_requests_and_goes_on(address, generator):
    one = (NAMES, [1], ["a"])
    answers = {
        'InferenceError: [count must be in 1..1024; it is] [1000000]"': _generate(address, 10**6),
        "out of bounds": _generate(address, count=2**40),
        "seed must be 0 or more": _generate(address, seed=-1),
        "labels must be among the 3 class names (a, b, c)": _generate(address, labels=["z"]),
        "latents must be float32 [N, 5]": _draw(address, [1, 3], [0.0] * 3),
        "latents must be finite": _draw(address, [1, 5], [None] + [0.0] * 4),
        "labels must be ids in 0..2": _draw(address, [1, 5], [0.0] * 5, label=3),
        "cannot reshape": _draw(address, [10**9, 5], [0.0]),
        "missing": _infer(address, [one]),
        "signature_name must be one of": _infer(address, [one], "paint"),
        "": _request(address, "POST", "/v2/models/lsgan/infer", "{]"),
    }
    for expected, (status, text) in answers.items():
        assert 400 <= status < 600 and expected in text and len(text) < 2000, (expected, text)
        assert status < 500 or not expected, (expected, text)
    _assert_right(address, generator)


@_needs("mlserver")
def test_the_load_test_finds_no_wrong_picture(address):
    command = [sys.executable, str(DEPLOY / "load_test.py"), f"--url=http://{address}"]
    flags = ["--seconds=1", "--clients=3", "--count=2", "--labels=a,b", f"--pid={os.getpid()}"]
    done = subprocess.run([*command, *flags], capture_output=True, text=True)
    assert done.returncode == 0 and "0 answers wrong" in done.stdout, done.stdout + done.stderr


@_needs("openvino")
def test_openvino_draws_the_same(export, generator):
    import openvino

    model = openvino.compile_model(export, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    z, labels = sampler.draw_latents(generator, 4, seed=9), np.int64([0, 1, 2, 0])
    drawn = np.rint(model({"latents": z, "labels": labels})["images"] * 255)
    assert np.abs(drawn - sampler.Sampler(generator)(z, labels.astype(np.int32))).max() <= 1
