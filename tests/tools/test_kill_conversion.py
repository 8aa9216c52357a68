"""Converters killed at random moments; the large version is the command itself."""

import subprocess
import sys

import pytest

from tests.tools import lmdbs
from tools import kill_conversion


@pytest.mark.parametrize("converter", ["lsun", "hwdb"])
def test_a_killed_converter_ends_with_the_same_bytes(converter, tmp_path, real_data):
    if converter == "lsun":
        source = f"--lmdb_dir={lmdbs.of_pictures(tmp_path / 'lmdb', 600, size=16)}"
    else:
        source = f"--source={real_data / 'casia_hwdb' / 'hwdb1.1_test_100chars_gnt.zip'}"
    own = [f"--work_dir={tmp_path / 'work'}", "--kills=3"]
    done = subprocess.run(
        [sys.executable, "-m", "tools.kill_conversion", *own, "--"]
        + [f"tools.convert_{converter}", source, "--processes=2"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("kill ") == 3
    assert done.stdout.endswith("files byte-identical\n")


def test_differences_are_found(tmp_path):
    for name, content in (("one", b"abc"), ("two", b"abd")):
        (tmp_path / name / "index").mkdir(parents=True)
        (tmp_path / name / "index" / "same").write_bytes(b"same")
        (tmp_path / name / "index" / "changed").write_bytes(content)
    (tmp_path / "two" / "more").write_bytes(b"")
    different = kill_conversion.compare(tmp_path / "one", tmp_path / "two")
    assert different == {"index/changed", "more"}
