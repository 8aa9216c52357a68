"""The SavedModel, as a process that has only TensorFlow meets it."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.inference import load, sampler, serving
from tests.tiny import TinyGenerator

CLIENT = """
import sys
import numpy as np
import tensorflow as tf
assert "lsgan_tf" not in sys.modules
model = tf.saved_model.load(sys.argv[1])
serve, generate = model.signatures["serving_default"], model.signatures["generate"]

def refused(call, *expected):
    try:
        call()
    except Exception as error:
        for text in expected:
            assert text in str(error), (text, str(error))
    else:
        raise AssertionError(f"accepted, though {expected}")

z = np.load(sys.argv[2])
extra = {} if sys.argv[3] == "plain" else {"labels": tf.constant([0, 1, 2, 0], tf.int64)}
names = {} if sys.argv[3] == "plain" else {"labels": tf.constant(["a", "b", "c"])}
images = serve(latents=tf.constant(z), **extra)["images"].numpy()
assert images.dtype == np.float32 and images.min() >= 0 and images.max() <= 1
np.save(sys.argv[4], images)
one = generate(count=tf.constant(4), seed=tf.constant(9, tf.int64), **names)["png_bytes"].numpy()
two = generate(count=tf.constant(4), seed=tf.constant(9, tf.int64), **names)["png_bytes"].numpy()
assert one.tolist() == two.tolist() and len(one) == 4 and one[0].startswith(b"\\x89PNG")
open(sys.argv[4] + ".png", "wb").write(one[0])

refused(lambda: serve(latents=tf.zeros((4, 3)), **extra), "latents must be float32 [N, 5]")
for count in (0, 1025):
    many = {"labels": tf.zeros(count, tf.int64)} if extra else {}
    refused(lambda: serve(latents=tf.zeros((count, 5)), **many), "N in 1..1024; their shape is")
for value in (np.nan, -np.inf):
    odd = z.copy()
    odd[2, 1] = value
    refused(lambda: serve(latents=tf.constant(odd), **extra), "latents must be finite", "[2]")
draw = model.signatures["latents"]
for call, inputs in ((generate, names), (draw, {})):
    for count in (0, 1025, 2**31 - 1):
        refused(
            lambda: call(count=tf.constant(count), seed=tf.constant(1, tf.int64), **inputs),
            "count must be in 1..1024",
        )
    refused(
        lambda: call(count=tf.constant(2), seed=tf.constant(-1, tf.int64), **inputs),
        "seed must be 0 or more",
    )
if extra:
    bad = tf.constant([0, 1, 2, 3], tf.int64)
    refused(lambda: serve(latents=tf.constant(z), labels=bad), "labels must be ids in 0..2")
    few = tf.constant([0], tf.int64)
    refused(lambda: serve(latents=tf.constant(z), labels=few), "one label per latent")
    for wrong, text in ((["a", "z"], "among the 3 class names (a, b, c"), ([], "be 1..1024 class")):
        refused(
            lambda: generate(
                count=tf.constant(2),
                seed=tf.constant(1, tf.int64),
                labels=tf.constant(wrong, tf.string),
            ),
            text,
        )
    class_names = model.signatures["class_names"]()["class_names"].numpy().tolist()
    assert class_names == [b"a", b"b", b"c"], class_names

from tensorflow.python.tools import saved_model_cli
sys.argv[1:] = ["show", "--all", "--dir", sys.argv[1]]
saved_model_cli.main()
"""


def _run_client(program, *arguments, folder):
    """Runs a program in another process and folder; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])
def test_a_process_with_only_tensorflow_is_served(trained_once, tmp_path, conditional):
    config = trained_once(conditional=True) if conditional else trained_once(ema_decay=0.5)
    trained = load.load(config.run_dir)
    generator, names = trained.generator, trained.class_names
    serving.write(serving.Server(generator, names), tmp_path / "export" / "1")
    z = sampler.draw_latents(generator, 4, seed=9)
    np.save(tmp_path / "z.npy", z)
    kind = "conditional" if conditional else "plain"
    shown = _run_client(CLIENT, "export/1", "z.npy", kind, "out.npy", folder=tmp_path)
    labels = np.int32([0, 1, 2, 0]) if conditional else None
    served = np.rint(np.load(tmp_path / "out.npy") * 255)
    here = sampler.Sampler(generator)(z, labels)
    assert np.abs(served - here).max() <= 1
    # `generate` draws the latents that `sample --seed` draws.
    picture = np.asarray(Image.open(io.BytesIO((tmp_path / "out.npy.png").read_bytes())))
    assert np.abs(picture.astype(int) - here[0, ..., 0]).max() <= 1
    # What saved_model_cli shows.
    for text in (
        *("signature_def['serving_default']", "inputs['latents']", "outputs['images']"),
        *("shape: (-1, 5)", "shape: (-1, 8, 8, 1)"),
        *("signature_def['generate']", "inputs['count']", "inputs['seed']", "outputs['png_bytes']"),
    ):
        assert text in shown, text
    assert ("inputs['labels']" in shown) == conditional


CHARACTERS = """
import sys
import tensorflow as tf
assert "lsgan_tf" not in sys.modules
model = tf.saved_model.load(sys.argv[1])
names = [name.decode() for name in model.signatures["class_names"]()["class_names"].numpy()]
assert names == ["和", "永", "年"], names

def generate(*labels):
    return model.signatures["generate"](
        count=tf.constant(2), seed=tf.constant(9, tf.int64), labels=tf.constant(labels)
    )["png_bytes"].numpy()

for index, png in enumerate(generate("永")):
    open(f"{sys.argv[2]}/{index}.png", "wb").write(png)
try:
    generate("永", "x")
except Exception as error:
    assert "labels must be among the 3 class names (和, 永, 年); they are" in str(error), str(error)
else:
    raise AssertionError("accepted")
"""


def test_a_character_is_asked_for_by_name(tmp_path):
    generator = TinyGenerator(3)
    serving.write(serving.Server(generator, ("和", "永", "年")), tmp_path / "1")
    _run_client(CHARACTERS, "1", ".", folder=tmp_path)
    here = sampler.Sampler(generator)(sampler.draw_latents(generator, 2, seed=9), np.int32([1, 1]))
    for index, drawn in enumerate(here):
        served = np.asarray(Image.open(tmp_path / f"{index}.png")).astype(int)
        assert np.abs(served - drawn[..., 0]).max() <= 1  # rounded after another order of sums
