"""What another conversion left unfinished is continued or deleted; foreign files are kept."""

import pytest

from lsgan_tf.datasets import writer
from lsgan_tf.utils.errors import UserError
from tests.datasets import making

pytestmark = pytest.mark.usefixtures("no_pool")


def test_a_foreign_directory_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.txt").write_text("precious")
    with pytest.raises(UserError, match="photos is not empty"):
        writer.write(tmp_path / "photos", making.plan(4), processes=1)
    assert making.contents(tmp_path / "photos") == {"mine.txt": b"precious"}


def test_what_a_kill_leaves_at_the_very_start_is_no_foreign_work(made, tmp_path):
    (tmp_path / "tiny" / "unfinished").mkdir(parents=True)
    (tmp_path / "tiny" / "unfinished" / ".job.json.123.tmp").write_text("half")
    writer.write(tmp_path / "tiny", making.plan(50), processes=1)
    assert making.contents(tmp_path / "tiny") == making.contents(made)


def test_temporary_files_of_a_kill_are_removed(made, tmp_path):
    with pytest.raises(UserError, match="--max_bad=0"):
        writer.write(tmp_path / "tiny", making.plan(50, bad=(1,)), processes=1)
    for folder in ("", "index/", "unfinished/"):
        left = f"{folder}.tiny-train.tfrecord-00000-of-00002.123.tmp"
        (tmp_path / "tiny" / left).write_text("half")
    writer.write(tmp_path / "tiny", making.plan(50, bad=(1,)), processes=1, max_bad=1)
    assert set(making.contents(tmp_path / "tiny")) == set(making.contents(made))


@pytest.mark.parametrize("foreign", [".notes.tmp", "index/.notes.12.tmp", "mine.txt"])
def test_resuming_beside_foreign_files_is_refused_untouched(foreign, tmp_path):
    with pytest.raises(UserError, match="--max_bad=0"):
        writer.write(tmp_path / "tiny", making.plan(50, bad=(1,)), processes=1)
    (tmp_path / "tiny" / foreign).write_text("mine")
    before = making.contents(tmp_path / "tiny")
    with pytest.raises(UserError, match="holds what no unfinished conversion wrote"):
        writer.write(tmp_path / "tiny", making.plan(50, bad=(1,)), processes=1, max_bad=1)
    with pytest.raises(UserError, match="holds what no unfinished conversion wrote"):
        writer.check_target(tmp_path / "tiny")
    assert making.contents(tmp_path / "tiny") == before


def test_a_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match="is a file"):
        writer.write(tmp_path / "data", making.plan(4), processes=1)


@pytest.fixture
def unfinished(tmp_path):
    """What a conversion of another job left, with everything in it that one can leave."""
    directory = tmp_path / "other" / "tiny"
    with pytest.raises(UserError, match="--max_bad=0"):
        writer.write(directory, making.plan(60, shards=3, bad=(59,)), processes=1)
    left = [
        "features.json",
        "dataset_info.json",
        "label.labels.txt",
        ".manifest.json.12.tmp",
        "index/.tiny-train.tfrecord-00000-of-00003.u64.12.tmp",
        "unfinished/.tiny-train.tfrecord-00000-of-00003.12.tmp",
        "unfinished/.tiny-train.tfrecord-00000-of-00003.json.12.tmp",
    ]
    for name in left:
        (directory / name).write_text("half")
    return directory


def test_unfinished_work_of_another_job_is_deleted(unfinished, made, capsys):
    writer.write(unfinished, making.plan(50), processes=1)
    assert making.contents(unfinished) == making.contents(made)
    lines = [line for line in capsys.readouterr().err.splitlines() if "deleting" in line]
    assert lines == [
        f"deleting the unfinished work in {unfinished}: it is of other flags or images"
    ]


@pytest.mark.parametrize(
    "foreign",
    [
        "notes.txt",
        "index/notes.u64",
        "unfinished/mine.json",
        "photos-train.tfrecord-00000-of-00003",
        "deep/er/tiny-train.tfrecord-00000-of-00003",
        ".bashrc.tmp",
        ".deep/mine.json.12.tmp",
        "link",
    ],
)
def test_unfinished_work_beside_foreign_files_is_refused_untouched(unfinished, foreign, tmp_path):
    path = unfinished / foreign
    path.parent.mkdir(parents=True, exist_ok=True)
    if foreign == "link":
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("precious")
    before = making.contents(unfinished)
    with pytest.raises(UserError, match="no unfinished conversion wrote") as refusal:
        writer.write(unfinished, making.plan(50), processes=1)
    assert f"{path}. It stays as it is. Choose another directory" in str(refusal.value)
    assert making.contents(unfinished) == before


def test_a_marker_that_is_not_ours_protects_what_is_there(unfinished):
    (unfinished / "unfinished" / "job.json").write_text('{"job": "somebody else\'s"}')
    before = making.contents(unfinished)
    with pytest.raises(UserError, match="no unfinished conversion wrote"):
        writer.write(unfinished, making.plan(50), processes=1)
    assert making.contents(unfinished) == before
