"""The report of a sound set, the verdict on others, and what the command says and writes."""

import dataclasses
import functools
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.datasets import example, tfrecord, writer
from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tests.tools import conversions, verified_sets
from tests.tools.verified_sets import (
    FIRST,
    SECOND,
    findings,
    flat,
    refresh,
    write,
)
from tools import verify_dataset
from tools.verifying import contact_sheet, layout_check

COMMAND = [sys.executable, "-m", "tools.verify_dataset", "--processes=1"]
run = functools.partial(conversions.run, "verify_dataset", "--processes=1")


def test_a_sound_set(tiny):
    # As in a cell of a notebook: what is drawn to a file does not depend on it.
    kernel = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = run(f"--dataset_dir={tiny}", "--processes=2", **kernel)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == str(tiny) and lines[-1] == "sound: 24 records"
    said = {" ".join(line.split()) for line in lines}
    # 8 of each class; 63 pixels of each image are 0, 10 or 250 and one is 0..23:
    # sum = 8*63*260 + 276, sum of squares = 8*63*62600 + 4324, of 1536 pixels.
    mean = (8 * 63 * 260 + 276) / 1536
    deviation = ((8 * 63 * 62600 + 4324) / 1536 - mean**2) ** 0.5
    for expected in (
        "splits train 24",
        "images 8x8x1, png",
        "source test",
        "flags count=24",
        "skipped 0 images",
        "left out 5 blots",
        "label 3 values; images of each: least 8 (black), median 8, most 8 (black)",
        "1 8 dark",
        "hand 2 values; images of each: least 12 (left), median 12, most 12 (left)",
        f"mean {mean:.4f}",
        f"deviation {deviation:.4f}",
        "duplicates 0 images are, byte for byte, one that came before",
        f"sheet {tiny}.png",
    ):
        assert expected in said
    assert Image.open(f"{tiny}.png").height == 3 * 58 + 2


def test_colours_duplicates_and_empty_classes(tmp_path):
    def declare(data):
        data["class_names"] = ["red", "none", "blue"]

    directory = tmp_path / "tiny"
    writer.write(directory, making.plan(2, channels=3, labelled=True), processes=1)
    for file, label in ((FIRST, 0), (SECOND, 2)):
        features = {"image": flat((200, 0, 4), mode="RGB"), "label": label}
        framed = tfrecord.frame(example.encode(features))
        (directory / file).write_bytes(framed)
        np.array([0, len(framed)], "<u8").tofile(directory / "index" / f"{file}.u64")
    refresh(directory, declare)
    (directory / "label.labels.txt").write_text("red\nnone\nblue\n")
    classes = {"classLabel": {"numClasses": "3"}}
    making.change_json(
        directory / "features.json",
        lambda data: data["featuresDict"]["features"]["label"].update(classes),
    )
    done = run(f"--dataset_dir={directory}", f"--contact_sheet={tmp_path / 'sheet.png'}")
    assert done.returncode == 0, done.stdout + done.stderr
    said = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert "mean 200.0000 0.0000 4.0000" in said and "deviation 0.0000 0.0000 0.0000" in said
    assert "duplicates 1 images are, byte for byte, one that came before" in said
    assert "warning: 1 without any image: 1 (none)" in said
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[0] == 3 * 58 + 2
    assert sheet[30, -30].tolist() == sheet[146, -30].tolist() == [200, 0, 4]
    assert sheet[88, -30].tolist() == [128, 128, 128]  # the class without an image


def test_results_do_not_depend_on_the_processes(made, no_pool):
    contents, font = layout_check.load_manifest(made), contact_sheet.Font(None)
    one, two = (verify_dataset.verify(made, contents, font, processes=count) for count in (1, 2))
    assert one.sheet == two.sheet
    assert np.array_equal(one.statistics.pixels, two.statistics.pixels)


def test_many_faults_are_counted_and_the_first_listed(tiny):
    def change(data):
        data.update(image_shape=[9, 8, 1], source="\x1b[2J\ud800")

    making.change_json(tiny / "manifest.json", change)
    done = run(f"--dataset_dir={tiny}")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    # 24 images and features.json.
    assert lines[-1] == "NOT sound: 25 faults" and "and 5 more" in lines
    assert sum(line.startswith("fault: ") for line in lines) == 20
    # What a manifest says cannot confuse the terminal.
    assert "  source      \\x1b[2J\\ud800" in lines
    assert not tiny.with_name("tiny.png").exists()


class _Terminal:
    """A terminal for stderr, where progress is shown."""

    def __enter__(self):
        self._master, self.end = os.openpty()
        termios.tcsetwinsize(self.end, (24, 100))
        return self

    def __exit__(self, *_):
        for descriptor in (self._master, self.end):
            os.close(descriptor)

    def read(self):
        """What has been written since the last time; waits ten seconds for something to come."""
        written, _, _ = select.select([self._master], [], [], 10)
        return os.read(self._master, 1 << 16).decode() if written else ""


def test_no_name_can_confuse_the_terminal(tiny):
    hostile = "a\x1b[2Jb"

    def change(data):
        data.update(class_names=["black", hostile, "bright"], source=hostile)
        data["shards"][0]["split"] = hostile

    directory = tiny.rename(tiny.with_name(hostile))
    (directory / f"{hostile}.tfrecord").touch()
    making.change_json(directory / "manifest.json", change)
    with _Terminal() as terminal:
        command = [*COMMAND, f"--dataset_dir={directory}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal.end, text=True)
        shown = terminal.read()
    assert done.returncode == 1 and "Traceback" not in shown
    assert "\x1b" not in done.stdout + shown
    for line in ("fault: a\\x1b[2Jb.tfrecord: manifest.json does not list it", "8  a\\x1b[2Jb"):
        assert line in done.stdout
    assert "a\\x1b[2Jb: " in shown  # the progress


@pytest.mark.parametrize("redirection", ["| true", ">&- 2>&-"])
def test_the_verdict_stands_though_nobody_reads_the_report(tiny, redirection):
    (tiny / SECOND).unlink()
    status = tiny.with_name("status")
    command = f"{{ {' '.join(COMMAND)} --dataset_dir={tiny}; echo $? > {status}; }} {redirection}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and status.read_text() == "1\n"
    assert contact_sheet.is_sheet(tiny.with_name("tiny.png"))


def test_characters_that_the_terminal_lacks(tiny):
    making.change_json(tiny / "manifest.json", lambda data: data.update(source="Ärger"))
    done = run(f"--dataset_dir={tiny}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "source      \\xc4rger" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--dataset_dir=absent"], "--dataset_dir=absent is not a directory"),
        (["--font=README.md"], "--font=README.md cannot be read as a font"),
        (["--contact_sheet=sheet.jpg"], "must end in .png"),
        (["--contact_sheet=absent/a.png"], "absent is not a directory, or is not writable"),
        (["--contact_sheet=" + "a" * 240 + ".png"], "its name is too long. Choose another place"),
        (["--dataset_dir=" + "a" * 300], "is not a directory"),
    ],
)
def test_ordinary_mistakes(tiny, arguments, expected):
    done = run(f"--dataset_dir={tiny}", *arguments)
    assert done.returncode == 1
    assert expected in done.stderr and "Traceback" not in done.stderr
    assert not done.stdout and not tiny.with_name("tiny.png").exists()


def test_an_earlier_sheet_is_replaced(tiny, no_pool):
    sheet = tiny.with_name("tiny.png")
    sheet.write_bytes(findings(tiny).sheet + b"x")
    assert run(f"--dataset_dir={tiny}").returncode == 0
    assert sheet.read_bytes() == findings(tiny).sheet
    with Image.open(sheet) as image:
        image.load()
        assert image.info == {"Software": "lsgan_tf verify_dataset"}


def test_a_file_of_the_user_is_only_replaced_if_it_is_named(tiny, no_pool):
    photo = tiny.with_name("tiny.png")
    photo.write_bytes(flat(3))
    done = run(f"--dataset_dir={tiny}")
    assert done.returncode == 1 and not done.stdout and "Traceback" not in done.stderr
    assert f"error: {photo}, where the contact sheet would go, is not one that" in done.stderr
    assert photo.read_bytes() == flat(3)
    assert run(f"--dataset_dir={tiny}", f"--contact_sheet={photo}").returncode == 0
    assert photo.read_bytes() == findings(tiny).sheet


@pytest.mark.parametrize(
    "arrange",
    [
        Path.touch,
        os.mkfifo,
        lambda path: path.symlink_to("absent"),
        lambda path: path.write_bytes(flat(3) + b"lsgan_tf verify_dataset"),
    ],
)
def test_what_is_no_contact_sheet(tiny, arrange):
    arrange(tiny.with_name("tiny.png"))
    for chosen in (None, ""):
        with pytest.raises(UserError, match="tiny.png, where the contact sheet would go"):
            verify_dataset._sheet_path(tiny, chosen)


def test_ctrl_c_ends_quietly(tmp_path, no_pool):
    directory = write(tmp_path / "tiny", count=240)
    # A shard that takes long: the records of the first, thousands of times.
    making.change_bytes(directory / FIRST, lambda data: data * 2000)
    with _Terminal() as terminal, subprocess.Popen(
        [*COMMAND, f"--dataset_dir={directory}"],
        stdout=subprocess.PIPE, stderr=terminal.end, start_new_session=True,
        # A shell in the background ignores it, and so would we.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        shown = ""
        while not re.search(r"[1-9]\d*(/240|image)", shown):  # the pool is at work
            shown += terminal.read()
            assert process.poll() is None, shown
        for _ in range(2):  # impatient people press it twice
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
        process.communicate(timeout=20)
        said = terminal.read()
    assert process.returncode == 1
    assert said.rstrip().endswith("interrupted") and "Traceback" not in said


def test_a_dead_process_of_the_pool_is_a_clear_error(tiny):
    contents, font = layout_check.load_manifest(tiny), contact_sheet.Font(None)
    doomed = dataclasses.replace(contents, flags={"x": verified_sets.Doom()})
    with pytest.raises(UserError, match="a process of the pool died while it read .*tiny"):
        verify_dataset.verify(tiny, doomed, font, processes=1)
