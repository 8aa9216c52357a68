"""`export` in several formats: what other runtimes draw, the model card, what leaves nothing."""

import errno
import os
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from lsgan_tf import export
from lsgan_tf.inference import exports, formats, load, model_card, portable, sampler
from lsgan_tf.networks.base import Generator
from lsgan_tf.runs.run_directory import Run
from lsgan_tf.utils.errors import UserError
from tests.commands import run_main
from tests.tiny import SHAPE

ALL = ["saved_model", "keras", "onnx", "litert"]
FILES = ["1", "generator-1.keras", "generator-1.onnx", "generator-1.tflite", "model_card.md"]
KINDS = ["plain", "conditional"]


@pytest.fixture(scope="module")
def exported(trained_once, tmp_path_factory):
    """{kind: (what is in the run, the directory of its export)}; conversions take seconds."""
    flags = {"plain": {"ema_decay": 0.5}, "conditional": {"conditional": True}}
    made = {}
    for kind in KINDS:
        trained = load.load(trained_once(**flags[kind]).run_dir)
        for variable in trained.generator.trainable_variables:
            variable.assign(30.0 * variable)  # after twelve steps all images are grey
        directory = tmp_path_factory.mktemp("export") / kind
        exports.write(trained, directory, 1, ALL)
        made[kind] = trained, directory
    return made


def _inputs(generator, count):
    """(inputs by name, the run's own images)."""
    z = sampler.draw_latents(generator, count, seed=3)
    labels = sampler.labels_for(count, count, generator.num_classes)
    inputs = {"latents": z} if labels is None else {"latents": z, "labels": labels}
    return inputs, sampler.Sampler(generator)(z, labels)


def _assert_alike(images, expected):
    assert images.dtype == np.uint8 and images.shape == expected.shape
    assert np.abs(images.astype(int) - expected).max() <= 1 and expected.std() > 20


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_runtime_draws_the_same(exported, kind):
    import onnxruntime

    trained, directory = exported[kind]
    session = onnxruntime.InferenceSession(directory / "generator-1.onnx")
    shapes = {value.name: (value.shape, value.type) for value in session.get_inputs()}
    assert shapes.pop("latents") == (["batch", 5], "tensor(float)")
    assert shapes == ({"labels": (["batch"], "tensor(int32)")} if kind == "conditional" else {})
    assert [value.name for value in session.get_outputs()] == ["images"]
    for count in (1, 5):
        inputs, expected = _inputs(trained.generator, count)
        _assert_alike(session.run(["images"], inputs)[0], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_litert_draws_the_same(exported, kind):
    from ai_edge_litert.interpreter import Interpreter

    trained, directory = exported[kind]
    run = Interpreter(str(directory / "generator-1.tflite")).get_signature_runner()
    for count in (1, 5):
        inputs, expected = _inputs(trained.generator, count)
        assert run.get_input_details().keys() == inputs.keys()
        _assert_alike(run(**inputs)["images"], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_on_the_model_card_runs(exported, kind, monkeypatch):
    trained, directory = exported[kind]
    assert sorted(path.name for path in directory.iterdir()) == FILES
    card = (directory / "model_card.md").read_text(encoding="utf-8")
    monkeypatch.chdir(directory)
    first, *blocks = re.findall(r"^```python\n(.*?)^```", card, re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(ALL)
    scope = {}
    exec(first, scope)
    expected = sampler.Sampler(trained.generator)(scope["z"], scope.get("labels"))
    scales = [(0, 255), (1, 127.5), (0, 1), (0, 1)]  # [0, 1], [-1, 1], uint8
    for block, (add, factor) in zip(blocks, scales, strict=True):
        exec(block, scope)
        assert np.abs((scope["images"] + float(add)) * factor - expected).max() < 1.01


def test_the_model_card_has_what_is_known(exported, trained_copy):
    trained, _ = exported["conditional"]
    run = Run(trained_copy(conditional=True).run_dir)
    line = {
        **{"score": "fid", "title": "FID-4", "images": "generated", "count": 40, "settings": {}},
        **{"extractor": {"name": "net", "dtype": "float32"}, "step": 12, "weights": "raw"},
        "reference": {"dataset": "tiny", "split": "train", "images": 50},
    }
    values = ((1.5, {}), (2.5, {}), (3.5, {"step": 8}), (4.5, {"weights": "ema"}))
    run.append_scores([{**line, "value": value, **other} for value, other in values])
    hostile = trained._replace(run=run, class_names=("a_b", "<b>", "x\n# y|`"))
    card = model_card.render(hostile, [], images=16)
    assert "0: a\\_b, 1: \\<b\\>, 2: x\\\\n\\# y\\|\\`\n" in card
    assert "40 generated vs 50 of train, raw weights, net, float32: FID-4 ↓ 2.5\n" in card
    assert not any(value in card for value in ("1.5", "3.5", "4.5"))
    parameters = trained.generator.count_params()
    assert f"TinyGenerator, {parameters:,} parameters, against TinyDiscriminator" in card
    assert "    --conditional=True\n" in card and "8 x 8 x 1" in card
    assert card.startswith("---\nlicense: fill in\n")


def test_an_export_replaces_the_one_before_and_nothing_else(exported, tmp_path):
    trained, _ = exported["plain"]
    for _ in range(2):
        exports.write(trained, tmp_path / "export", 1, ["saved_model", "keras"])
    assert sorted(path.name for path in (tmp_path / "export").iterdir()) == [
        *("1", "generator-1.keras", "model_card.md"),
    ]
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(UserError, match="is no SavedModel"):
        exports.write(trained, tmp_path, 2024, ["saved_model"])
    assert (tmp_path / "2024" / "holiday.jpg").read_bytes() == b"precious"


def test_formats_are_named_and_their_packages_there(exported, tmp_path, monkeypatch):
    run_dir = str(exported["plain"][0].run.directory)
    out = tmp_path / "export"
    with pytest.raises(
        UserError, match="'coreml' is no format.* saved_model, space, keras, onnx, litert"
    ):
        run_main(export, run_dir=run_dir, format=["keras", "coreml"], output_dir=str(out))
    with pytest.raises(UserError, match="is no format"):
        formats.check([])
    assert formats.check(["onnx", "keras", "onnx"]) == ("keras", "onnx")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(UserError, match="=onnx needs tf2onnx, .* -m pip install tf2onnx$"):
        run_main(export, run_dir=run_dir, format=["keras", "onnx"], output_dir=str(out))
    with pytest.raises(UserError, match="-m pip install ai-edge-litert$"):
        formats.check(["litert"])
    assert not out.exists()


@pytest.mark.parametrize("name", ["saved_model", "keras", "onnx"])
def test_a_full_disk_leaves_what_was_there(exported, tmp_path, monkeypatch, name):
    trained, _ = exported["plain"]
    written, _ = exports.write(trained, tmp_path, 1, ["keras"])
    before = written[0].path.read_bytes()
    full = os.strerror(errno.ENOSPC)

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, full)

    def fail_in_tensorflow(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, f"{{{{node Save}}}} part-0; {full}")

    monkeypatch.setitem(portable._CONVERTERS, "onnx", lambda *_: b"model")
    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(Generator, "save", fail)
    monkeypatch.setattr(tf.saved_model, "save", fail_in_tensorflow)
    with pytest.raises(UserError, match="(?i)no space left.*Make room"):
        exports.write(trained, tmp_path, 1, [name])
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES[1:2] + FILES[-1:]
    assert written[0].path.read_bytes() == before


def test_a_file_that_draws_other_images_does_not_stay(exported, tmp_path, monkeypatch):
    trained, _ = exported["plain"]

    def open_wrongly(path):
        draw = portable._open_keras(path)
        return lambda z, labels: draw(0.99 * z, labels)

    monkeypatch.setitem(portable._OPENERS, "keras", open_wrongly)
    with pytest.raises(UserError, match="as keras makes other images than in the run: up to"):
        exports.write(trained, tmp_path / "export", 1, ["saved_model", "keras"])
    assert not list((tmp_path / "export").iterdir())


class _Foreign(Generator):
    """Of an operation that only this process has."""

    def __init__(self):
        super().__init__(5, SHAPE)
        self.body = keras.layers.Dense(64)
        self.build_variables()

    def call(self, latents, training=False):
        images = tf.reshape(self.body(latents), (-1, *SHAPE))
        return tf.ensure_shape(tf.numpy_function(np.tanh, [images], tf.float32), (None, *SHAPE))

    def compute_output_spec(self, *args, **kwargs):
        return keras.KerasTensor((None, *SHAPE), "float32")


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_a_network_that_cannot_be_converted_is_named(exported, tmp_path, name):
    trained = exported["plain"][0]._replace(generator=_Foreign())
    with pytest.raises(UserError, match=f"_Foreign cannot be converted to {name}: .*saved_model"):
        exports.write(trained, tmp_path, 1, [name])
    assert not list(tmp_path.iterdir())
