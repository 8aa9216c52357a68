"""Sound sets pass with the right numbers; every kind of damage is found and named."""

import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.datasets import example, manifest, process_pool, tfds_metadata, tfrecord, writer
from lsgan_tf.utils.errors import UserError
from tests.datasets import making
from tools import verify_dataset
from tools.verifying import contact_sheet, faults, layout_check, shard_check

COMMAND = [sys.executable, "-m", "tools.verify_dataset"]
FIRST, SECOND = (f"tiny-train.tfrecord-0000{number}-of-00002" for number in range(2))
GREYS = (0, 10, 250)


def flat(colour, size=8, mode="L", kind="png", **options):
    """The file of an image of one colour."""
    buffer = io.BytesIO()
    Image.new(mode, (size, size), colour).save(buffer, kind, **options)
    return buffer.getvalue()


def produce(start, stop):
    """Number n is of class n % 3 and of its grey, but for one corner, which is n."""
    for number in range(start, stop):
        pixels = np.full((8, 8), GREYS[number % 3], np.uint8)
        pixels[0, 0] = number
        yield writer.Record(making.png(pixels), number % 3, {"hand": number % 2})


def write(directory, count=24):
    plan = dataclasses.replace(
        making.plan(count),
        class_names=("black", "dark", "bright"),
        extra_features={"hand": ("left", "right")},
        left_out={"blots": 5},
        jobs=[
            writer.ShardJob(produce, bounds, count // 2)
            for bounds in ((0, count // 2), (count // 2, count))
        ],
    )
    writer.write(directory, plan, processes=2)
    return directory


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def tiny(made, tmp_path):
    """A copy that a test may damage: 24 images in two shards of 12."""
    return shutil.copytree(made, tmp_path / "tiny")


def findings(directory):
    contents = layout_check.load_manifest(directory)
    font = contact_sheet.Font(None)
    return verify_dataset.verify(directory, contents, font, processes=1)


def layout_faults(directory):
    """What is wrong without a look into the shards."""
    found = faults.Faults()
    layout_check.check(directory, layout_check.load_manifest(directory), found)
    return found.listed


def run(*arguments, **environment):
    command = [*COMMAND, *map(str, arguments)]
    environment = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def change_json(path, change):
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data))


def offsets(directory, file):
    return np.fromfile(directory / "index" / f"{file}.u64", "<u8").astype(int)


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def replace_records(directory, examples):
    """Gives the first shard other records at its begin and adapts all that is known of it."""
    places = offsets(directory, FIRST)
    data = (directory / FIRST).read_bytes()
    framed = [data[start:end] for start, end in zip(places[:-1], places[1:], strict=True)]
    for number, features in enumerate(examples):
        payload = features if isinstance(features, bytes) else example.encode(features)
        framed[number] = tfrecord.frame(payload)
    (directory / FIRST).write_bytes(b"".join(framed))
    np.cumsum([0, *map(len, framed)]).astype("<u8").tofile(directory / "index" / f"{FIRST}.u64")
    refresh(directory)


def refresh(directory, declare=lambda data: None):
    """Adapts the metadata to the files, whatever they hold."""

    def adapt(data):
        for shard in data["shards"]:
            content = (directory / shard["file"]).read_bytes()
            shard["bytes"] = len(content)
            shard["sha256"] = hashlib.sha256(content).hexdigest()
        declare(data)

    change_json(directory / "manifest.json", adapt)
    size = sum(path.stat().st_size for path in directory.glob("*.tfrecord-*"))
    change_json(
        directory / "dataset_info.json",
        lambda info: info["splits"][0].update(numBytes=str(size)),
    )


def test_a_sound_set(tiny):
    done = run(f"--dataset_dir={tiny}", "--processes=2")
    assert done.returncode == 0, done.stdout + done.stderr
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
    assert "24/24" in done.stderr
    assert Image.open(f"{tiny}.png").height == 3 * 58 + 2


def test_colours_duplicates_and_empty_classes(tmp_path):
    def declare(data):
        data["class_names"] = ["red", "none", "blue"]

    directory = tmp_path / "tiny"
    writer.write(directory, making.plan(2, channels=3, labelled=True), processes=1)
    for number, (colour, label) in enumerate((((200, 0, 4), 0), ((200, 0, 4), 2))):
        file = f"tiny-train.tfrecord-0000{number}-of-00002"
        framed = tfrecord.frame(example.encode({"image": flat(colour, mode="RGB"), "label": label}))
        (directory / file).write_bytes(framed)
        np.array([0, len(framed)], "<u8").tofile(directory / "index" / f"{file}.u64")
    refresh(directory, declare)
    (directory / "label.labels.txt").write_text("red\nnone\nblue\n")
    classes = {"classLabel": {"numClasses": "3"}}
    change_json(
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


def test_results_do_not_depend_on_the_processes(made):
    contents, font = layout_check.load_manifest(made), contact_sheet.Font(None)
    one, two = (verify_dataset.verify(made, contents, font, processes=count) for count in (1, 2))
    assert one.sheet == two.sheet
    assert np.array_equal(one.statistics.pixels, two.statistics.pixels)


def test_a_flipped_byte_is_named_and_hides_nothing_else(tiny):
    starts = offsets(tiny, FIRST)
    flip(tiny / FIRST, starts[3] + 40)
    flip(tiny / FIRST, starts[5] + 40)
    found = findings(tiny)
    first, second, third = found.faults.listed
    what = "the checksum of its data does not match"
    assert first == f"{FIRST}: record 3 at offset {starts[3]}: {what}"
    assert second == f"{FIRST}: record 5 at offset {starts[5]}: {what}"
    assert third.startswith(f"{FIRST}: sha256: ")
    assert found.statistics.records == 22


def test_a_flipped_length_is_bridged_by_the_index(tiny):
    starts = offsets(tiny, FIRST)
    for record, byte in ((3, 0), (5, 7), (8, 9)):  # two of the length, one of its checksum
        flip(tiny / FIRST, starts[record] + byte)
    found = findings(tiny)
    assert found.faults.listed[:3] == [
        f"{FIRST}: record {record} at offset {starts[record]}: "
        "the checksum of its length does not match"
        for record in (3, 5, 8)
    ]
    assert found.statistics.records == 21


def test_without_an_index_a_flipped_length_ends_the_shard(tiny):
    start = offsets(tiny, FIRST)[3]
    (tiny / "index" / f"{FIRST}.u64").unlink()
    flip(tiny / FIRST, start)
    found = findings(tiny)
    assert "the rest of the file is not checked" in found.faults.listed[0]
    assert found.statistics.records == 3 + 12


def test_a_missing_index_is_only_noted(tiny):
    (tiny / "index" / f"{FIRST}.u64").unlink()
    found = findings(tiny)
    assert not found.faults.count and found.statistics.records == 24
    assert found.notes == [f"{FIRST} has no index: its records are searched each time it is opened"]


def test_a_length_beyond_the_file_with_a_valid_checksum(tiny):
    start = offsets(tiny, FIRST)[3]
    data = bytearray((tiny / FIRST).read_bytes())
    length = (1 << 62).to_bytes(8, "little")
    data[start : start + 12] = length + tfrecord.masked_crc(length).to_bytes(4, "little")
    (tiny / FIRST).write_bytes(data)
    found = findings(tiny)
    where = f"{FIRST}: record 3 at offset {start}"
    assert found.faults.listed[0] == f"{where}: the file ends inside it"
    assert found.faults.count == 2 and found.statistics.records == 15


def test_a_truncated_shard(tiny):
    places = offsets(tiny, SECOND)
    os.truncate(tiny / SECOND, places[-1] - 5)
    listed = findings(tiny).faults.listed
    assert f"{SECOND}: record 11 at offset {places[11]}: the file ends inside it" in listed
    assert f"{SECOND}: bytes: {places[-1] - 5}, but {places[-1]} in the manifest" in listed


def test_a_shard_cut_between_two_records(tiny):
    places = offsets(tiny, SECOND)
    os.truncate(tiny / SECOND, places[10])
    listed = findings(tiny).faults.listed
    assert f"{SECOND}: records: 10, but 12 in the manifest" in listed
    assert f"index/{SECOND}.u64: it has 104 bytes, not 88" in listed
    assert any(fault.startswith(f"{SECOND}: sha256") for fault in listed)


def test_an_empty_shard(tiny):
    os.truncate(tiny / FIRST, 0)
    assert f"{FIRST}: records: 0, but 12 in the manifest" in findings(tiny).faults.listed


def test_a_missing_shard(tiny):
    (tiny / FIRST).unlink()
    found = findings(tiny)
    assert found.faults.listed == [f"{FIRST}: it is missing"]
    assert found.statistics.records == 12


def test_a_pipe_in_place_of_a_shard(tiny):
    (tiny / FIRST).unlink()
    os.mkfifo(tiny / FIRST)
    assert findings(tiny).faults.listed == [f"{FIRST}: it cannot be read: it is not a file"]


def test_files_too_many(tiny):
    shutil.copy(tiny / FIRST, tiny / "tiny-train.tfrecord-00002-of-00003")
    shutil.copy(tiny / "index" / f"{FIRST}.u64", tiny / "index" / "other.u64")
    assert layout_faults(tiny) == [
        "tiny-train.tfrecord-00002-of-00003: manifest.json does not list it",
        "index/other.u64: it is the index of no shard",
    ]


def test_hidden_files_are_no_fault(tiny):
    for name in (".DS_Store", f"._{FIRST}", f"index/._{FIRST}.u64", "index/.DS_Store"):
        (tiny / name).write_bytes(b"x")
    assert layout_faults(tiny) == []


def test_swapped_shards(tiny):
    (tiny / FIRST).rename(tiny / "kept")
    (tiny / SECOND).rename(tiny / FIRST)
    (tiny / "kept").rename(tiny / SECOND)
    listed = findings(tiny).faults.listed
    assert [fault.split(":")[0] for fault in listed if "sha256" in fault] == [FIRST, SECOND]


def test_a_shard_listed_twice(tiny):
    change_json(tiny / "manifest.json", lambda data: data["shards"].append(data["shards"][0]))
    listed = layout_faults(tiny)
    assert any("where tiny-train.tfrecord-00002-of-00003 belongs" in fault for fault in listed)


GOOD = {"image": flat(7), "label": 1, "hand": 0}


WRONG = [
    (GOOD | {"label": 3}, "its label is 3, which is not in 0..2"),
    (GOOD | {"label": -1}, "its label is -1, which is not in 0..2"),
    (GOOD | {"hand": 2}, "its hand is 2, which is not in 0..1"),
    (GOOD | {"label": b"1"}, "its feature 'label' is bytes, not int"),
    (GOOD | {"image": 3}, "its feature 'image' is int, not bytes"),
    ({"image": flat(7), "label": 1}, "it has no feature 'hand'"),
    (GOOD | {"foot": 1}, "it has a feature 'foot', which the manifest does not declare"),
    (b"", "the Example has no value"),
    (b"\x0a\x7f", "it is no tf.train.Example: a field is longer than what holds it"),
    (GOOD | {"image": flat(7, 9)}, "its image is PNG 9x9 L, not PNG 8x8 L"),
    (GOOD | {"image": flat(7, 6000)}, "its image is PNG 6000x6000 L, not PNG 8x8 L"),
    (GOOD | {"image": flat(7, mode="RGB")}, "its image is PNG 8x8 RGB, not PNG 8x8 L"),
    (GOOD | {"image": flat(1, mode="1")}, "its image is PNG 8x8 1, not PNG 8x8 L"),
    (GOOD | {"image": flat(7, kind="jpeg")}, "its image is JPEG 8x8 L, not PNG 8x8 L"),
    (GOOD | {"image": flat(7)[:50]}, "its image does not decode: "),
    # Pillow decodes these two, TensorFlow does not.
    (GOOD | {"image": flat(7)[:-1]}, "its image is not a whole PNG"),
    (GOOD | {"image": flat(7)[:-13] + flat(7)[-12:]}, "its image is not a whole PNG"),
    (GOOD | {"image": b""}, "its image does not decode: not an image of a known format"),
    # It would be decoded as a second channel.
    (GOOD | {"image": flat(7, transparency=7)}, "its image has a transparent colour"),
]


def test_wrong_records_with_valid_checksums(tmp_path):
    directory = write(tmp_path / "tiny", count=40)
    replace_records(directory, [features for features, _ in WRONG])
    found = findings(directory)
    assert found.statistics.records == 40 - len(WRONG)
    places = offsets(directory, FIRST)
    for number, (fault, (_, expected)) in enumerate(zip(found.faults.listed, WRONG, strict=True)):
        assert fault.startswith(f"{FIRST}: record {number} at offset {places[number]}: {expected}")


def test_a_stale_index(tiny):
    index = tiny / "index" / f"{FIRST}.u64"
    places = offsets(tiny, FIRST)
    wrong = places.copy()
    wrong[[4, 6]] += 1
    wrong.astype("<u8").tofile(index)
    assert findings(tiny).faults.listed == [
        f"index/{FIRST}.u64: entry 4 is {places[4] + 1}, not {places[4]}"
    ]
    places[:-1].astype("<u8").tofile(index)
    assert findings(tiny).faults.listed == [
        f"index/{FIRST}.u64: it ends before entry 12, which would be {places[12]}"
    ]


def change_info(change):
    return "dataset_info.json", change


def change_split(**changes):
    return "dataset_info.json", lambda info: info["splits"][0].update(changes)


def change_feature(name, change):
    return "features.json", lambda data: change(data["featuresDict"]["features"][name])


CLASS = "tensorflow_datasets.core.features."
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
WRONG_METADATA = [
    (change_split(shardLengths=["12", "13"]), "splits.train.shardLengths[1]: '13'", "'12'"),
    (change_split(shardLengths=["12"]), "number of splits.train.shardLengths: 1", "2"),
    (change_split(filepathTemplate="{SPLIT}"), "splits.train.filepathTemplate: '{SPLIT}'",
     f"'{TEMPLATE}'"),
    (change_info(lambda info: info["splits"].append(info["splits"][0])), "number of splits: 2",
     "1"),
    (change_info(lambda info: info.update(name="other")), "name: 'other'", "'tiny'"),
    (change_info(lambda info: info.update(fileFormat="riegeli")), "fileFormat: 'riegeli'",
     "'tfrecord'"),
    (change_info(lambda info: info.pop("version")), "version: nothing", "'1.0.0'"),
    (change_info(lambda info: info.update(other=3)), "other: 3", "nothing"),
    (change_info(lambda info: info["supervisedKeys"]["tuple"]["items"][1].update(featureKey="x")),
     "supervisedKeys.tuple.items[1].featureKey: 'x'", "'label'"),
    (("features.json", lambda data: data.update(pythonClassName="x.Y")), "pythonClassName: 'x.Y'",
     f"'{CLASS}features_dict.FeaturesDict'"),
    (change_feature("label", lambda label: label.pop("pythonClassName")),
     "featuresDict.features.label.pythonClassName: nothing",
     f"'{CLASS}class_label_feature.ClassLabel'"),
    (change_feature("image", lambda image: image["image"].update(encodingFormat="jpeg")),
     "featuresDict.features.image.image.encodingFormat: 'jpeg'", "'png'"),
    (change_feature("image", lambda image: image["image"]["shape"]["dimensions"].reverse()),
     "featuresDict.features.image.image.shape.dimensions[0]: '1'", "'8'"),
    (change_feature("hand", lambda hand: hand["classLabel"].update(numClasses="3")),
     "featuresDict.features.hand.classLabel.numClasses: '3'", "'2'"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "found", "wanted"), WRONG_METADATA)
def test_metadata_that_contradicts_the_manifest(tiny, change, found, wanted):
    file, edit = change
    change_json(tiny / file, edit)
    assert layout_faults(tiny) == [f"{file}: {found}, but the manifest asks for {wanted}"]


def test_metadata_without_what_the_manifest_declares(tiny):
    change_json(tiny / "dataset_info.json", lambda info: info["splits"][0].update(name="test"))
    change_json(tiny / "features.json", lambda data: data["featuresDict"]["features"].pop("hand"))
    info, more_info, feature = layout_faults(tiny)
    assert info.startswith("dataset_info.json: splits.test: {")
    assert info.endswith("but the manifest asks for nothing")
    assert more_info.startswith("dataset_info.json: splits.train: nothing, but the manifest asks")
    assert feature.startswith("features.json: featuresDict.features.hand: nothing, but the man")


def test_metadata_of_another_structure(tiny):
    change_json(tiny / "dataset_info.json", lambda info: info.update(splits=3))
    (tiny / "features.json").write_text("[]")
    info, features = layout_faults(tiny)
    assert info.startswith("dataset_info.json: it is not laid out as expected: TypeError")
    assert features == "features.json: it does not hold a JSON object"


def test_a_split_without_records(tiny):
    file = "tiny-validation.tfrecord-00000-of-00001"
    (tiny / file).write_bytes(b"")
    np.zeros(1, "<u8").tofile(tiny / "index" / f"{file}.u64")
    empty = manifest.Shard(file, "validation", 0, 0, hashlib.sha256(b"").hexdigest())
    contents = manifest.load(tiny)
    contents = dataclasses.replace(contents, shards=(*contents.shards, empty))
    contents.save(tiny)
    tfds_metadata.write(tiny, contents)
    assert findings(tiny).faults.listed == [
        "manifest.json: its split 'validation' has no records, and TensorFlow Datasets cannot read "
        "such a split"
    ]


def test_metadata_files_that_cannot_be_read(tiny):
    (tiny / "dataset_info.json").write_text("{")
    (tiny / "features.json").write_text("[" * 100_000)
    (tiny / "label.labels.txt").write_text("black\nbright\ndark\n")
    (tiny / "hand.labels.txt").unlink()
    listed = layout_faults(tiny)
    assert [fault.split(": ")[:2] for fault in listed] == [
        ["dataset_info.json", "it is not valid JSON"],
        ["features.json", "it is not valid JSON"],
        ["label.labels.txt", "names[1]"],
        ["hand.labels.txt", "it is missing"],
    ]


def test_many_faults_are_counted_and_the_first_listed(tiny):
    def change(data):
        data.update(image_shape=[9, 8, 1], source="\x1b[2J\ud800")

    change_json(tiny / "manifest.json", change)
    done = run(f"--dataset_dir={tiny}")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    # 24 images and features.json.
    assert lines[-1] == "NOT sound: 25 faults" and "and 5 more" in lines
    assert sum(line.startswith("fault: ") for line in lines) == 20
    # What a manifest says cannot confuse the terminal.
    assert "  source      \\x1b[2J\\ud800" in lines
    assert not tiny.with_name("tiny.png").exists()


def test_no_name_can_confuse_the_terminal(tiny):
    hostile = "a\x1b[2Jb"

    def change(data):
        data.update(class_names=["black", hostile, "bright"], source=hostile)
        data["shards"][0]["split"] = hostile

    directory = tiny.rename(tiny.with_name(hostile))
    (directory / f"{hostile}.tfrecord").touch()
    change_json(directory / "manifest.json", change)
    done = run(f"--dataset_dir={directory}")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    for line in ("fault: a\\x1b[2Jb.tfrecord: manifest.json does not list it", "8  a\\x1b[2Jb"):
        assert line in done.stdout
    assert "a\\x1b[2Jb: " in done.stderr  # the progress


@pytest.mark.parametrize("redirection", ["| true", ">&- 2>&-"])
def test_the_verdict_stands_though_nobody_reads_the_report(tiny, redirection):
    (tiny / SECOND).unlink()
    status = tiny.with_name("status")
    command = f"{{ {' '.join(COMMAND)} --dataset_dir={tiny}; echo $? > {status}; }} {redirection}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and status.read_text() == "1\n"
    assert contact_sheet.is_sheet(tiny.with_name("tiny.png"))


def test_characters_that_the_terminal_lacks(tiny):
    change_json(tiny / "manifest.json", lambda data: data.update(source="Ärger"))
    done = run(f"--dataset_dir={tiny}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "source      \\xc4rger" in done.stdout


def test_200_random_mutations_of_a_shard_are_each_found_by_the_checksums_alone(made, tmp_path):
    contents = manifest.load(made)
    sound, rng = contents.shards[0], np.random.default_rng(0)
    data = (made / FIRST).read_bytes()
    (tmp_path / "index").mkdir()
    mutants = []
    for number in range(200):
        mutant = bytearray(data)
        mutant[rng.integers(len(data))] ^= rng.integers(1, 256)
        file = f"mutant-{number}"
        (tmp_path / file).write_bytes(mutant)
        shutil.copy(made / "index" / f"{FIRST}.u64", tmp_path / "index" / f"{file}.u64")
        mutants.append(dataclasses.replace(sound, file=file))
    contents = dataclasses.replace(contents, shards=tuple(mutants))
    tasks = [
        process_pool.Task(shard_check.check_shard, (number, tmp_path, contents))
        for number in range(200)
    ]
    reports = list(process_pool.run(tasks, 2, verify_dataset.tqdm.tqdm(disable=True)))
    assert len(reports) == 200
    for report in reports:
        record, sha256 = report.faults.listed
        assert "the checksum of its" in record and "sha256" in sha256
        assert report.statistics.records == 11  # the other records of the shard


def sheet_tiles(data, rows, columns, tile):
    """The tiles of a sheet, whose right part is a grid: uint8 [rows, columns, tile, tile]."""
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    pitch = tile + 2
    grid = pixels[2:, pixels.shape[1] - columns * pitch :].reshape(rows, pitch, columns, pitch)
    return grid.swapaxes(1, 2)[:, :, :tile, :tile]


def test_the_contact_sheet_has_a_row_for_each_class(made):
    tiles = sheet_tiles(findings(made).sheet, rows=3, columns=8, tile=56)
    for row, grey in enumerate(GREYS):
        assert (tiles[row, :, 7:, :] == grey).all()
        # All eight of the class, in the order of the set, each pixel enlarged to 7x7.
        assert tiles[row, :, :7, :7].reshape(8, 49).tolist() == [
            [number] * 49 for number in range(row, 24, 3)
        ]


def test_the_contact_sheet_of_an_unlabelled_set_spreads_over_it(tmp_path):
    directory = tmp_path / "tiny"
    writer.write(directory, making.plan(200, labelled=False), processes=2)
    tiles = sheet_tiles(findings(directory).sheet, rows=8, columns=8, tile=56)
    small = tiles[:, :, 3::7, 3::7].reshape(64, 8, 8, 1)
    numbers = making.numbers_of(small)
    assert [number * 64 // 200 for number in numbers] == list(range(64))
    for image, number in zip(small, numbers, strict=True):
        assert np.array_equal(image, making.picture(number))


def test_rows_of_many_classes_and_names_that_cannot_be_drawn():
    shard = manifest.Shard("x", "train", 60, 0, "")
    names = tuple(map(chr, range(0x4E00, 0x4E00 + 30)))
    contents = manifest.Manifest(
        "x", (8, 8, 1), "png", names, {}, "", "", {}, "", (shard,), 0, (), {}
    )
    gallery = contact_sheet.Gallery(contents)
    assert gallery.classes == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27]
    font = contact_sheet.Font(None)
    assert font.shown("一") == "U+4E00" and font.shown("Ärger") == "Ärger"
    assert font.shown("a\nb") == "U+0061 U+000A U+0062"
    gallery.offer((0, 9), 5, Image.new("L", (8, 8), 77))
    gallery.offer((0, 10), 6, Image.new("L", (8, 8), 99))  # no row is its
    tiles = sheet_tiles(contact_sheet.draw(gallery, contents, font), 12, 1, 56)
    assert tiles[:, 0, 0, 0].tolist() == [128, 128, 77, *[128] * 9]


@pytest.mark.parametrize("labelled", [True, False])
def test_sheets_of_large_noise_stay_small(labelled):
    shard = manifest.Shard("x", "train", 64, 0, "")
    contents = manifest.Manifest(
        "x", (200, 200, 3), "png", ("a",) if labelled else None, {}, "", "", {}, "", (shard,), 0,
        (), {},
    )  # fmt: skip
    gallery, rng = contact_sheet.Gallery(contents), np.random.default_rng(0)
    for number in range(64):
        noise = rng.integers(0, 256, (200, 200, 3), np.uint8)
        gallery.offer((0, number), 0 if labelled else None, Image.fromarray(noise))
    data = contact_sheet.draw(gallery, contents, contact_sheet.Font(None))
    assert 150_000 < len(data) <= 300_000


def set_aside(path):
    (path / "manifest.json").rename(path / "x")
    (path / "unfinished").mkdir()


def declare(**changes):
    return lambda path: change_json(path / "manifest.json", lambda data: data.update(changes))


def list_another_shard(path):
    change = {"file": "../x"}
    change_json(path / "manifest.json", lambda data: data["shards"][0].update(change))


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (shutil.rmtree, "is not a directory"),
        (lambda path: (path / "manifest.json").unlink(), "is no converted data set"),
        (set_aside, "is not finished. Run the same command again"),
        (lambda path: (path / "manifest.json").write_text("[]"), "not hold a JSON object"),
        (list_another_shard, "shard file name '../x'"),
        (declare(extra_features={"../../x": []}), "declares a feature '../../x'"),
        (declare(image_shape=[10**5, 10**5, 1]), "100000x100000 pixels, which are too many"),
    ],
)
def test_what_is_no_set_to_check(tiny, arrange, expected):
    arrange(tiny)
    with pytest.raises(UserError) as error:
        layout_check.load_manifest(tiny)
    assert expected in str(error.value)


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


def test_an_earlier_sheet_is_replaced(tiny):
    sheet = tiny.with_name("tiny.png")
    sheet.write_bytes(findings(tiny).sheet + b"x")
    assert run(f"--dataset_dir={tiny}").returncode == 0
    assert sheet.read_bytes() == findings(tiny).sheet
    with Image.open(sheet) as image:
        image.load()
        assert image.info == {"Software": "lsgan_tf verify_dataset"}


def test_a_file_of_the_user_is_only_replaced_if_it_is_named(tiny):
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


def test_ctrl_c_ends_quietly(tmp_path):
    directory = write(tmp_path / "tiny", count=240)
    # A shard that takes long: the records of the first, thousands of times.
    data = (directory / "tiny-train.tfrecord-00000-of-00002").read_bytes()
    (directory / "tiny-train.tfrecord-00000-of-00002").write_bytes(data * 2000)
    with subprocess.Popen(
        [*COMMAND, f"--dataset_dir={directory}", "--processes=1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A shell in the background ignores it, and so would we.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        shown = ""
        while not re.search(r"[1-9]\d*(/240|image)", shown):  # the pool is at work
            shown += process.stderr.read(8)
            assert process.poll() is None, shown
        for _ in range(2):  # impatient people press it twice
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert said.rstrip().endswith("interrupted") and "Traceback" not in said


def test_a_dead_process_of_the_pool_is_a_clear_error(tiny):
    contents, font = layout_check.load_manifest(tiny), contact_sheet.Font(None)
    doomed = dataclasses.replace(contents, flags={"x": Doom()})
    with pytest.raises(UserError, match="a process of the pool died while it read .*tiny"):
        verify_dataset.verify(tiny, doomed, font, processes=1)


class Doom:
    """Kills the process that unpickles it."""

    def __reduce__(self):
        return (_die, ())


def _die():
    os.kill(os.getpid(), signal.SIGKILL)
