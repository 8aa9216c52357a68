"""Names lead to data sets, or to a message that says what to do."""

import dataclasses
import subprocess
import sys

import pytest

from lsgan_tf import datasets
from lsgan_tf.datasets import catalog, digits, embedded, manifest, writer
from lsgan_tf.utils.errors import UserError
from tests.datasets import making

pytestmark = pytest.mark.usefixtures("no_pool")


def load_error(name, data_dir, **options):
    with pytest.raises(UserError) as error:
        datasets.load(name, str(data_dir), **options)
    return str(error.value)


def test_importing_is_light():
    code = (
        "import sys; import lsgan_tf.datasets; "
        "assert not {'tensorflow', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


KEPT = "https://web.archive.org/web/20150703060412/http://137.189.35.203/WebUI/CatDatabase/Data"
DIRECTIONS = {
    "lsun_church": [
        "church_outdoor_train_lmdb.zip",
        "https://github.com/fyu/lsun",
        "python -m tools.convert_lsun --lmdb_dir=church_outdoor_train_lmdb.zip "
        "--output_dir={directory} --image_size=112",
        "python -m tools.convert_images --source=FOLDER --output_dir={directory} --image_size=112",
    ],
    "lsun_bedroom_64": [  # the papers' smaller size
        "python -m tools.convert_lsun --lmdb_dir=bedroom_train_lmdb.zip "
        "--output_dir={directory} --image_size=64",
    ],
    "hwdb": [
        "CASIA-HWDB1.0",
        "academic use",
        "unalz",
        "http://www.nlpr.ia.ac.cn/databases/handwriting/Download.html",
        "python -m tools.convert_hwdb --source=GNT_FOLDER_OR_ZIP --output_dir={directory} --level1",
    ],
    "cats": [
        f"  {KEPT}/CAT_DATASET_01.zip\n",
        f"  {KEPT}/CAT_DATASET_02.zip\n",
        f"  {KEPT}/00000003_015.jpg.cat\n",
        "python -m tools.convert_cats "
        "--source=CAT_DATASET_01.zip,CAT_DATASET_02.zip,00000003_015.jpg.cat "
        "--output_dir={directory}",
        "--exclude=setting_up_script.sh",
    ],
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_without_data_it_says_what_to_download_and_how_to_convert(name, tmp_path):
    message = load_error(name, tmp_path)
    for line in DIRECTIONS[name]:
        assert line.format(directory=tmp_path / name) in message


@pytest.mark.parametrize("name", catalog.LSUN_SCENES)
def test_every_scene_has_its_directions(name, tmp_path):
    assert "_train_lmdb.zip" in load_error(name, tmp_path)


def test_an_unknown_name_lists_the_known_and_the_present(made):
    message = load_error("prined_digits", made.parent)
    assert "no data set 'prined_digits'" in message
    for name in ("printed_digits", "lsun_church", "hwdb", "cats", "tfds:NAME"):
        assert name in message
    assert f"Present in {made.parent}: tiny." in message


def test_a_data_dir_that_does_not_exist(tmp_path):
    assert "Present in" in load_error("some", tmp_path / "absent")
    assert "nothing" in load_error("some", tmp_path / "absent")


@pytest.mark.parametrize("name", ["../tiny", "/etc", "", ".", "a/b", "tiny/"])
def test_names_cannot_leave_the_data_dir(name, made):
    assert "is not the name of a data set" in load_error(name, made.parent)


def test_an_unfinished_conversion_is_told_apart(tmp_path):
    (tmp_path / "set" / "unfinished").mkdir(parents=True)
    assert "is not finished. Run the same command again" in load_error("set", tmp_path)


def test_a_converted_set_comes_before_the_download(made, tmp_path):
    (tmp_path / "fashion_mnist").symlink_to(made)
    assert datasets.load("fashion_mnist", str(tmp_path)).num_examples == 50


def test_negative_image_size(made):
    assert "--image_size=-1" in load_error("tiny", made.parent, image_size=-1)


def test_an_embedded_set_is_rendered_on_first_use(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # of a notebook
    known = datasets.facts("digits_rotate", str(tmp_path))
    assert not list(tmp_path.iterdir())
    first = datasets.load("digits_rotate", str(tmp_path))
    assert known == datasets.facts("digits_rotate", str(tmp_path))
    assert known == datasets.Facts(first.image_shape, first.num_examples, first.class_names)
    assert (first.num_examples, first.image_shape) == (10_000, (28, 28, 1))
    assert first.class_names == tuple("0123456789")
    written = (tmp_path / "digits_rotate" / "manifest.json").stat().st_mtime_ns
    again = datasets.load("digits_rotate", str(tmp_path))
    assert again.fingerprint == first.fingerprint
    assert (tmp_path / "digits_rotate" / "manifest.json").stat().st_mtime_ns == written


def test_an_embedded_set_that_cannot_be_rendered(tmp_path, capfd):
    (tmp_path / "digits_shift").mkdir()
    (tmp_path / "digits_shift" / "note.txt").write_text("mine")
    assert "rendering digits_shift" in load_error("digits_shift", tmp_path)
    printed = capfd.readouterr().err
    assert "is not empty" in printed and "Traceback" not in printed


@pytest.mark.parametrize("split", ["test", "no such"])
def test_a_split_that_is_not_there_is_refused_with_those_that_are(split, made, tmp_path):
    # Before the embedded set is rendered, too.
    for name, data_dir in (("tiny", made.parent), ("digits_shift", tmp_path)):
        assert f"{name} has no split {split!r}, only train" in load_error(
            name, data_dir, split=split
        )
    assert not list(tmp_path.iterdir())


def test_splits_are_known_before_an_embedded_set_is_rendered(made, tmp_path):
    assert datasets.splits("printed_digits", str(tmp_path)) == ("train",)
    assert datasets.test_split("printed_digits", str(tmp_path)) is None
    assert datasets.splits("tiny", str(made.parent)) == ("train",)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_converted_set_serves_its_splits(split, tmp_path):
    plan = making.plan(20)
    plan.jobs[1] = dataclasses.replace(plan.jobs[1], split=split)
    writer.write(tmp_path / "set", plan, processes=1)
    data_dir = str(tmp_path)
    assert datasets.splits("set", data_dir) == ("train", split)
    for name, numbers in (("train", range(10)), (split, range(10, 20))):
        images, _ = datasets.load("set", data_dir, split=name).first_images(10)
        assert sorted(making.numbers_of(images)) == list(numbers)
    images, _ = datasets.test_split("set", data_dir).first_images(10)
    assert sorted(making.numbers_of(images)) == list(range(10, 20))


def test_the_embedded_sets_are_the_known_ones():
    assert set(embedded.PLANS) == set(catalog.EMBEDDED)
    for name, make_plan in embedded.PLANS.items():
        plan = make_plan()
        count = sum(job.expected for job in plan.jobs)
        known = datasets.Facts(plan.image_shape, count, plan.class_names)
        assert known == catalog.EMBEDDED[name] == datasets.expected(name)


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("lsun_bedroom", (112, 112, 3), None),
        ("lsun_bedroom_64", (64, 64, 3), None),
        ("lsun_church", (112, 112, 3), None),
        ("lsun_conference_room", (112, 112, 3), None),
        ("lsun_dining_room", (112, 112, 3), None),
        ("lsun_kitchen", (112, 112, 3), None),
        ("cats", (128, 128, 3), None),
        ("hwdb", (28, 28, 1), 3740),
        ("mnist", (28, 28, 1), 10),
        ("fashion_mnist", (28, 28, 1), 10),
        ("cifar10", (32, 32, 3), 10),
    ],
)
def test_what_is_expected_of_sets_that_are_not_there(name, shape, classes):
    known = datasets.expected(name)
    assert (known.image_shape, known.num_examples) == (shape, None)
    assert (known.class_names and len(set(known.class_names))) == classes
    resized = datasets.expected(name, image_size=16)
    assert resized == dataclasses.replace(known, image_shape=(16, 16, shape[2]))


@pytest.mark.parametrize("name", ["mine", "mixture", "tfds:mnist"])
def test_nothing_is_expected_of_other_sets(name):
    assert datasets.expected(name) is None


def test_facts_of_a_converted_set(made):
    data_dir = str(made.parent)
    assert datasets.facts("tiny", data_dir) == datasets.Facts((8, 8, 1), 50, making.CLASS_NAMES)
    assert datasets.facts("tiny", data_dir, image_size=4).image_shape == (4, 4, 1)
    assert datasets.load("tiny", data_dir, image_size=4).image_shape == (4, 4, 1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lsun_church", {}),
        ("hwdb", {}),
        ("cats", {}),
        ("prined_digits", {}),
        ("../tiny", {}),
        ("tiny", {"image_size": -1}),
    ],
)
def test_facts_complain_as_load_does(name, options, made):
    with pytest.raises(UserError) as error:
        datasets.facts(name, str(made.parent), **options)
    assert str(error.value) == load_error(name, made.parent, **options)
    missing = options == {} and name != "../tiny"
    assert isinstance(error.value, datasets.MissingDataset) == missing


def test_facts_of_a_set_with_a_missing_shard(tiny):
    (tiny / "tiny-train.tfrecord-00000-of-00002").unlink()
    with pytest.raises(UserError, match="00000-of-00002 is missing") as error:
        datasets.facts("tiny", str(tiny.parent))
    assert not isinstance(error.value, datasets.MissingDataset)


def test_catalog_lists_converted_sets_only(made):
    (made.parent / "other").mkdir(exist_ok=True)
    assert catalog.present(made.parent) == ["tiny"]
    assert manifest.load(made).class_names == making.CLASS_NAMES
    assert digits.PRINTED in catalog.EMBEDDED


def test_the_mixture_names_its_experiment(tmp_path):
    with pytest.raises(UserError, match="lsgan_tf.experiments.gaussian_mixture") as error:
        datasets.load("mixture", str(tmp_path))
    assert not isinstance(error.value, datasets.MissingDataset)


def test_no_advice_leads_to_writing_over_photographs(tmp_path):
    photographs = tmp_path / "photos"
    photographs.mkdir()
    (photographs / "a.jpg").write_bytes(making.png(making.picture(1)))
    (tmp_path / "photos_2").mkdir()
    (tmp_path / "photos_2" / "another.txt").touch()
    advice = load_error("photos", tmp_path)
    assert f"--source={photographs} --output_dir={photographs}_3 --image_size=64" in advice
    assert f"{photographs} holds something else, which stays as it is" in advice
    assert "--dataset=photos_3" in advice
    with pytest.raises(UserError) as refused:
        writer.check_target(photographs)
    assert f"It stays as it is. Choose another directory, such as --output_dir={photographs}_3" in (
        str(refused.value)
    )
    for message in (advice, str(refused.value)):
        assert not {"delete", "empty this", "remove"} & set(message.lower().split())


@pytest.mark.parametrize("name", DIRECTIONS)
def test_directions_name_a_folder_that_is_free(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "data.mdb").touch()
    advice = load_error(name, tmp_path)
    assert f"--output_dir={tmp_path / name}_2" in advice and f"--dataset={name}_2" in advice


def test_another_set_in_the_place_is_not_to_be_deleted(tmp_path):
    writer.write(tmp_path / "set", making.plan(4), processes=1)
    with pytest.raises(UserError) as refused:
        writer.write(tmp_path / "set", making.plan(5), processes=1)
    assert str(refused.value).endswith(f"such as --output_dir={tmp_path / 'set'}_2")
    assert "delete" not in str(refused.value)
