"""The SavedModel, as a process that has only TensorFlow meets it."""

import io
import json
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


# Programs one after the other, which spares starts of TensorFlow.
CLIENTS = """
import json, os, sys
for folder, program, *arguments in json.loads(sys.argv[1]):
    os.chdir(folder)
    sys.argv[1:] = arguments
    try:
        exec(program, {})
    except SystemExit as end:
        assert not end.code
    print("END OF CLIENT", flush=True)
"""


def _run_clients(*commands):
    """Runs programs, each (folder, program, arguments), in one other process; returns what each
    prints."""
    listed = json.dumps([[str(part) for part in command] for command in commands])
    folder = commands[0][0]  # not that of the package
    done = subprocess.run(
        [sys.executable, "-c", CLIENTS, listed], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split("END OF CLIENT\n")[:-1]


@pytest.fixture(scope="module")
def served(trained_once, tmp_path_factory):
    """{conditional: (the generator, the folder of its client, what the client prints)}"""
    runs = {False: trained_once(ema_decay=0.5), True: trained_once(conditional=True)}
    made, commands = {}, []
    for conditional, config in runs.items():
        trained, folder = load.load(config.run_dir), tmp_path_factory.mktemp("served")
        server = serving.Server(trained.generator, trained.class_names)
        serving.write(server, folder / "export" / "1")
        np.save(folder / "z.npy", sampler.draw_latents(trained.generator, 4, seed=9))
        kind = "conditional" if conditional else "plain"
        commands.append((folder, CLIENT, "export/1", "z.npy", kind, "out.npy"))
        made[conditional] = trained.generator, folder
    printed = _run_clients(*commands)
    return {key: (*made[key], shown) for key, shown in zip(made, printed, strict=True)}


@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])
def test_a_process_with_only_tensorflow_is_served(served, conditional):
    generator, folder, shown = served[conditional]
    z = np.load(folder / "z.npy")
    labels = np.int32([0, 1, 2, 0]) if conditional else None
    images = np.rint(np.load(folder / "out.npy") * 255)
    here = sampler.Sampler(generator)(z, labels)
    assert np.abs(images - here).max() <= 1
    # `generate` draws the latents that `sample --seed` draws.
    picture = np.asarray(Image.open(io.BytesIO((folder / "out.npy.png").read_bytes())))
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
    _run_clients((tmp_path, CHARACTERS, "1", "."))
    here = sampler.Sampler(generator)(sampler.draw_latents(generator, 2, seed=9), np.int32([1, 1]))
    for index, drawn in enumerate(here):
        served = np.asarray(Image.open(tmp_path / f"{index}.png")).astype(int)
        assert np.abs(served - drawn[..., 0]).max() <= 1  # rounded after another order of sums
