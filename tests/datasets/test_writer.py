"""The writer: restartable, atomic, strict about what it overwrites and what it skips."""

import dataclasses
import json
import random
import resource
import signal
import subprocess
import sys
import time

import filelock
import pytest
import tensorflow_datasets as tfds

from lsgan_tf.datasets import manifest, process_pool, shards, writer
from lsgan_tf.utils.errors import UserError
from tests.datasets import making

pytestmark = pytest.mark.usefixtures("no_pool")


def data(directory):
    return {
        name: content for name, content in making.contents(directory).items() if "json" not in name
    }


def test_tensorflow_datasets_opens_it(made):
    builder = tfds.builder_from_directory(made)
    assert builder.info.name == "tiny"
    assert builder.info.features["label"].names == list(making.CLASS_NAMES)
    read = list(builder.as_dataset(split="train", as_supervised=True).as_numpy_iterator())
    assert sorted(making.numbers_of([image for image, _ in read])) == list(range(50))
    for image, label in read:
        (number,) = making.numbers_of([image])
        assert label == number % 2
        assert (image == making.picture(number)).all()


def test_finished_directory_holds_no_scratch(made):
    assert not (made / "unfinished").exists()
    assert not [path for path in made.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.parametrize("changed", [{"count": 51}, {"count": 50, "identity": "another"}])
def test_a_data_set_of_other_flags_is_refused(tiny, changed):
    before = making.contents(tiny)
    with pytest.raises(UserError, match="already holds a data set made from test"):
        writer.write(tiny, making.plan(**changed), processes=1)
    assert making.contents(tiny) == before


def test_a_directory_has_one_lock_by_whatever_name(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    with filelock.FileLock(tmp_path / ".real.lock"):
        for refused in (
            lambda: writer.write(tmp_path / "alias", making.plan(4), processes=1),
            lambda: writer.check_target(tmp_path / "alias"),
        ):
            with pytest.raises(UserError, match="another process is writing"):
                refused()
    assert writer.check_target(tmp_path / "alias") == tmp_path / "real"


def test_another_spelling_of_the_source_is_the_same_job(made):
    again = writer.write(made, making.plan(50, source="./test", identity="test"), processes=1)
    assert again == manifest.load(made)


def test_a_name_that_training_will_not_find_is_told(tmp_path, capsys):
    writer.check_target(tmp_path / "2024 x")
    assert "--dataset='2024 x' will not load this" in capsys.readouterr().err


def test_a_broken_state_file_costs_its_shard_only(tmp_path, made):
    with pytest.raises(UserError, match="--max_bad=0"):
        writer.write(tmp_path / "tiny", making.plan(50, bad=(1,)), processes=1)
    for number, state in enumerate((b"[]", b"{")):
        path = shards.state_path(tmp_path / "tiny", f"tiny-train.tfrecord-0000{number}-of-00002")
        path.write_bytes(state)
    done = writer.write(tmp_path / "tiny", making.plan(50, bad=(1,)), processes=1, max_bad=1)
    assert sum(shard.count for shard in done.shards) == 49


def test_a_split_without_images_is_an_error(tmp_path):
    plan = making.plan(4, bad=(2, 3))
    plan.jobs[1] = dataclasses.replace(plan.jobs[1], split="validation")
    with pytest.raises(UserError, match="for the split 'validation'"):
        writer.write(tmp_path / "set", plan, processes=1, max_bad=2)


def test_names_that_are_no_text(tmp_path):
    plan = making.plan(4, bad=(1,), name="caf\udce9.png ")
    written = writer.write(tmp_path / "set", plan, processes=1, max_bad=1)
    assert [skip.where for skip in written.skipped] == ["caf\\xe9.png 1"]
    plan = dataclasses.replace(making.plan(4), class_names=("even", "caf\udce9"))
    with pytest.raises(UserError, match="one line of UTF-8 text"):
        writer.write(tmp_path / "other", plan, processes=1)


def test_bad_images_are_counted_named_and_bounded(tmp_path):
    plan = making.plan(60, shards=3, bad=(5, 30, 31, 59))
    with pytest.raises(UserError) as failure:
        writer.write(tmp_path / "set", plan, processes=3, max_bad=3)
    assert "4 of 60 images cannot be used, more than --max_bad=3" in str(failure.value)
    assert "picture 5: it is bad" in str(failure.value)
    assert not (tmp_path / "set" / "manifest.json").exists()
    done = writer.write(tmp_path / "set", plan, processes=3, max_bad=4)
    assert done.skipped_count == 4
    assert [skip.where for skip in done.skipped] == [f"picture {n}" for n in (5, 30, 31, 59)]
    assert sum(shard.count for shard in done.shards) == 56
    assert json.loads((tmp_path / "set" / "manifest.json").read_text())["skipped_count"] == 4
    assert "4 images were skipped" in done.summary(tmp_path / "set")


def noting(start, stop):
    for number in range(start, stop):
        where = f"picture {number}"
        if number % 10 == 9:
            yield writer.LeftOut(where, "too small")
            continue
        (record,) = making.produce(number, number + 1)
        yield dataclasses.replace(record, where=where, notes=("turned",) if number > 3 else ())


def noting_plan():
    plan = making.plan(30, shards=3)
    jobs = [
        dataclasses.replace(job, produce=noting, arguments=job.arguments[:2]) for job in plan.jobs
    ]
    return dataclasses.replace(plan, jobs=jobs)


def test_what_was_done_to_images_is_counted_and_named_in_order(tmp_path):
    done = writer.write(tmp_path / "set", noting_plan(), processes=3)
    assert sum(shard.count for shard in done.shards) == 27 and done.skipped_count == 0
    said = done.summary(tmp_path / "set")
    assert "turned: 23 (picture 4, picture 5, picture 6, ...)" in said
    assert "too small: 3 (picture 9, picture 19, picture 29)\n" in said
    assert manifest.load(tmp_path / "set") == done


def test_notes_survive_an_interruption(tmp_path, monkeypatch):
    run = process_pool.run

    def run_first(tasks, processes, bar):
        yield next(run(tasks, processes, bar))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(process_pool, "run", run_first)
        writer.write(tmp_path / "set", noting_plan(), processes=1)
    done = writer.write(tmp_path / "set", noting_plan(), processes=1)
    assert done.notes == writer.write(tmp_path / "b" / "set", noting_plan(), processes=2).notes


@pytest.mark.parametrize(
    ("max_bad", "total", "most"),
    [(3, 10, 3), ("3", 10, 3), ("1%", 99, 0), ("1%", 100, 1), ("2.5%", 1000, 25), ("100%", 7, 7)],
)
def test_bad_images_may_be_a_share(max_bad, total, most):
    assert writer.most_bad(max_bad, total) == most


def test_a_share_of_bad_images_is_skipped_or_too_many(tmp_path):
    plan = making.plan(60, shards=3, bad=(5, 30, 31, 59))
    with pytest.raises(UserError, match="4 of 60 images cannot be used, more than --max_bad=5%"):
        writer.write(tmp_path / "set", plan, processes=1, max_bad="5%")
    assert writer.write(tmp_path / "set", plan, processes=1, max_bad="7%").skipped_count == 4


def test_all_bad_images_are_found_and_listed_at_once(tmp_path):
    plan = making.plan(60, shards=6, bad=tuple(range(0, 60, 5)))
    with pytest.raises(UserError) as failure:
        writer.write(tmp_path / "set", plan, processes=1)
    listed = tmp_path / "set" / "unfinished" / "skipped.txt"
    assert str(failure.value).startswith("12 of 60 images cannot be used, more than --max_bad=0")
    assert f"and 7 more, listed in {listed}" in str(failure.value)
    assert listed.read_text().splitlines() == [f"picture {n}: it is bad" for n in range(0, 60, 5)]
    done = writer.write(tmp_path / "set", plan, processes=1, max_bad=12)
    assert done.skipped_count == 12 and not listed.exists()


def test_raising_max_bad_keeps_the_shards_that_are_complete(tmp_path):
    plan = making.plan(60, shards=3, bad=(59,))
    with pytest.raises(UserError, match="picture 59"):
        writer.write(tmp_path / "set", plan, processes=1)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").glob("*.tfrecord-*")}
    assert len(kept) == 3
    writer.write(tmp_path / "set", plan, processes=1, max_bad=1)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_no_image_at_all_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no image of test can be used"):
        writer.write(tmp_path / "set", making.plan(3, bad=(0, 1, 2)), processes=1, max_bad=9)


def test_a_shard_of_bad_images_only_is_read_by_tensorflow_datasets(tmp_path):
    writer.write(tmp_path / "set", making.plan(9, 3, bad=(3, 4, 5)), processes=1, max_bad=3)
    builder = tfds.builder_from_directory(tmp_path / "set")
    read = [item["image"] for item in builder.as_dataset(split="train").as_numpy_iterator()]
    assert sorted(making.numbers_of(read)) == [0, 1, 2, 6, 7, 8]


@pytest.mark.parametrize(
    ("died_of", "expected"),
    [
        (signal.SIGKILL, "fewer --processes need less memory"),
        (signal.SIGSEGV, "is probably damaged"),
    ],
)
def test_a_dead_process_of_the_pool_is_reported(died_of, expected, tmp_path):
    plan = making.plan(10)
    plan.jobs[1] = writer.ShardJob(making.die, (5, 10, died_of), 5)
    with pytest.raises(UserError, match=expected):
        writer.write(tmp_path / "set", plan, processes=2)
    assert not list((tmp_path / "set").glob("*-00001-of-*"))


def test_further_features_have_named_values(tmp_path):
    plan = dataclasses.replace(
        making.plan(0),
        extra_features={"hand": ("left", "right")},
        jobs=[writer.ShardJob(making.produce_by_hand, (0, 6), 6)],
    )
    writer.write(tmp_path / "set", plan, processes=1)
    assert manifest.load(tmp_path / "set").extra_features == {"hand": ("left", "right")}
    builder = tfds.builder_from_directory(tmp_path / "set")
    assert builder.info.features["hand"].names == ["left", "right"]
    read = builder.as_dataset(split="train").as_numpy_iterator()
    assert [(item["label"], item["hand"]) for item in read] == [(0, 0), (1, 1)] * 3


def test_what_flags_exclude_is_told_and_is_not_bad(tmp_path):
    plan = dataclasses.replace(making.plan(4), left_out={"symbols": 7})
    written = writer.write(tmp_path / "set", plan, processes=1, max_bad=0)
    assert manifest.load(tmp_path / "set").left_out == {"symbols": 7}
    assert "left out: 7 symbols" in written.summary(tmp_path / "set")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed") / "slow"
    writer.write(directory, making.slow_plan(), processes=2, max_bad=2)
    return data(directory)


def test_killed_at_any_moment_it_ends_with_the_same_bytes(tmp_path, undisturbed):
    command = [sys.executable, "-m", "tests.datasets.making", str(tmp_path / "slow")]
    moments, interrupted = random.Random(0), 0
    for _ in range(5):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.2, 0.7))
        process.send_signal(signal.SIGKILL)
        process.wait()
        interrupted += not (tmp_path / "slow" / "manifest.json").exists()
    assert interrupted >= 2
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert data(tmp_path / "slow") == undisturbed
    assert manifest.load(tmp_path / "slow").skipped_count == 2


def test_a_full_disk_leaves_nothing_half_written(tmp_path, undisturbed):
    command = [sys.executable, "-m", "tests.datasets.making", str(tmp_path / "slow")]
    full = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)),
    )
    assert full.returncode != 0
    assert "no space left" in full.stderr
    assert not list((tmp_path / "slow").glob("*.tfrecord-*"))
    assert not list((tmp_path / "slow").rglob("*.tmp"))
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert data(tmp_path / "slow") == undisturbed


def test_the_pool_imports_no_tensorflow():
    modules = "writer, shards, pictures, digits, embedded"
    code = (
        f"import sys; from lsgan_tf.datasets import {modules}; import tools.convert_images; "
        "assert not {'tensorflow', 'tensorflow_datasets', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
