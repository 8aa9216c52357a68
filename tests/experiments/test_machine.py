"""Which code and which machine a result is of."""

import subprocess

import pytest

from lsgan_tf.experiments import machine


@pytest.fixture
def git(tmp_path, monkeypatch):
    """A checkout with a file of code, a row and a page; the function runs git in it."""
    monkeypatch.setattr(machine, "_ROOT", tmp_path)

    def run(*arguments):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    run("init")
    for name in ("lsgan_tf/a.py", "lsgan_tf/experiments/rows/b.toml", "docs/c.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    run("add", "-A")
    run("commit", "-m", "first")
    return run


def test_the_commit_is_that_of_the_code(git, tmp_path):
    first = machine.commit()
    assert len(first) == 12
    (tmp_path / "docs" / "c.md").write_text("2")
    (tmp_path / "lsgan_tf" / "experiments" / "rows" / "b.toml").write_text("2")
    assert machine.commit() == first
    git("commit", "-am", "results")
    assert machine.commit() == first
    (tmp_path / "lsgan_tf" / "a.py").write_text("2")
    assert machine.commit() == f"{first}-dirty"
    git("commit", "-am", "code")
    assert machine.commit() not in (first, f"{first}-dirty")


def test_without_git_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert machine.commit() == "unknown"


def test_the_versions_are_those_that_compute():
    assert all(name in machine.versions() for name in ("python 3.", "tensorflow 2.", "keras 3."))
