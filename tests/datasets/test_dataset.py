"""Batches are a pure function of (seed, step)."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from lsgan_tf import datasets
from lsgan_tf.datasets import decoding, example, writer
from lsgan_tf.datasets.dataset import Dataset
from lsgan_tf.utils.errors import UserError
from tests.datasets import making


@pytest.fixture(scope="module")
def dataset(made):
    return datasets.load("tiny", str(made.parent))


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data") / "colour"
    plan = making.plan(12, channels=3, labelled=False)
    writer.write(directory, plan, processes=1)
    return datasets.load("colour", str(directory.parent))


def take(dataset, count, **options):
    options = {"seed": 1, "step": 0, "batch_size": 10} | options
    return list(dataset.batches(**options).take(count).as_numpy_iterator())


def numbers(dataset, count, **options):
    batches = take(dataset, count, value_range=(0.0, 255.0), **options)
    return [number for images in batches for number in making.numbers_of(images)]


def test_what_it_says_about_itself(dataset, unlabelled):
    assert (dataset.name, dataset.image_shape, dataset.num_examples) == ("tiny", (8, 8, 1), 50)
    assert dataset.class_names == making.CLASS_NAMES
    assert unlabelled.image_shape == (8, 8, 3)
    assert unlabelled.class_names is None
    assert dataset.fingerprint != unlabelled.fingerprint


def test_an_epoch_holds_every_example_once_and_epochs_differ(dataset):
    stream = numbers(dataset, 15)
    epochs = [stream[:50], stream[50:100], stream[100:]]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 3


def test_batches_that_straddle_epochs(dataset):
    assert numbers(dataset, 9, batch_size=16)[:140] == numbers(dataset, 14)


def test_a_batch_larger_than_the_set(dataset):
    stream = numbers(dataset, 1, batch_size=120)
    assert sorted(stream[:50]) == sorted(stream[50:100]) == list(range(50))
    assert len(stream) == 120


@pytest.mark.parametrize("step", [1, 4, 7, 10**9])
def test_starting_at_a_step_equals_running_up_to_it(dataset, step):
    near = step - 1
    assert numbers(dataset, 3, step=near)[10:] == numbers(dataset, 2, step=step)


def test_seeds_differ_and_repeat(dataset):
    assert numbers(dataset, 5, seed=1) == numbers(dataset, 5, seed=1)
    assert numbers(dataset, 5, seed=1) != numbers(dataset, 5, seed=2)
    assert numbers(dataset, 5, seed=2**63) != numbers(dataset, 5, seed=2**31)


def test_slices_together_are_the_global_batch(dataset):
    whole = numbers(dataset, 6, batch_size=12, step=2)
    assert numbers(dataset, 18, batch_size=12, step=2, num_slices=3) == whole
    first = numbers(dataset, 6, batch_size=12, step=2, num_slices=3, slices_per_step=1)
    others = numbers(dataset, 12, batch_size=12, step=2, num_slices=3, slice_offset=1)
    for step in range(6):
        batch = first[step * 4 : step * 4 + 4] + others[step * 8 : step * 8 + 8]
        assert batch == whole[step * 12 : step * 12 + 12]


def test_elements_have_static_shapes(dataset):
    images, labels = dataset.batches(
        seed=0, step=0, batch_size=12, num_slices=3, labelled=True
    ).element_spec
    assert (images.shape, images.dtype.name) == ((4, 8, 8, 1), "float32")
    assert (labels.shape, labels.dtype.name) == ((4,), "int32")


def test_labels_belong_to_their_images(dataset):
    for images, labels in take(dataset, 5, labelled=True, value_range=(0.0, 255.0)):
        assert labels.tolist() == [number % 2 for number in making.numbers_of(images)]


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)])
def test_value_ranges_are_met_exactly(unlabelled, value_range):
    for images in take(unlabelled, 3, batch_size=4, value_range=value_range):
        assert (images[:, 0, 0] == value_range[0]).all()
        assert (images[:, 0, 1] == value_range[1]).all()


def test_pixels_are_the_recorded_ones(unlabelled):
    (images,) = take(unlabelled, 1, batch_size=12, value_range=(0.0, 255.0))
    for image, number in zip(images, making.numbers_of(images), strict=True):
        assert np.array_equal(image, making.picture(number, channels=3))


def flips(dataset, count, **options):
    """Whether each image of so many slices is flipped; every one is its original or its mirror."""
    options |= {"labelled": True, "value_range": (0.0, 255.0)}
    flipped = []
    pairs = zip(
        take(dataset, count, mirror=True, **options), take(dataset, count, **options), strict=True
    )
    for (images, labels), (originals, expected) in pairs:
        assert np.array_equal(labels, expected)
        for image, original in zip(images, originals, strict=True):
            is_flipped = np.array_equal(image, original[:, ::-1])
            assert is_flipped or np.array_equal(image, original)
            flipped.append(is_flipped)
    return flipped


def test_mirrored_images_are_half_of_all_others_in_each_epoch(dataset):
    flipped = np.reshape(flips(dataset, 20, batch_size=50), (20, 50))
    assert abs(flipped.mean() - 0.5) < 0.06  # four standard deviations
    by_example = np.zeros(50)
    order = np.reshape(numbers(dataset, 20, batch_size=50), (20, 50))
    np.add.at(by_example, order, flipped)
    assert by_example.min() > 0 and by_example.max() < 20  # 1 in 10,000 seeds would not do


def test_which_images_are_mirrored_is_a_function_of_seed_and_step(dataset):
    whole = flips(dataset, 6, batch_size=12, step=2)
    assert flips(dataset, 6, batch_size=12, step=2) == whole
    assert flips(dataset, 6, batch_size=12, step=2, seed=2) != whole
    assert flips(dataset, 3, batch_size=12, step=5) == whole[36:]
    assert flips(dataset, 18, batch_size=12, step=2, num_slices=3) == whole
    second = flips(dataset, 6, batch_size=12, step=2, num_slices=2, slice_offset=1)
    assert second == np.reshape(whole, (6, 12))[:, 6:].ravel().tolist()


def test_first_images(dataset, unlabelled):
    images, labels = dataset.first_images(70)
    assert images.shape == (70, 8, 8, 1) and images.dtype == np.uint8
    chosen = making.numbers_of(images)
    assert labels.tolist() == [number % 2 for number in chosen]
    assert sorted(chosen[:50]) == list(range(50))
    assert np.array_equal(images[:9], dataset.first_images(9)[0])
    assert unlabelled.first_images(3)[1] is None


def test_examples_of_classes(dataset):
    images = dataset.examples_of([1, 0, 1, 1])
    assert images.shape == (4, 8, 8, 1) and images.dtype == np.uint8
    chosen = making.numbers_of(images)
    assert [number % 2 for number in chosen] == [1, 0, 1, 1]
    assert len(set(chosen)) == 4  # another example each time
    for image, number in zip(images, chosen, strict=True):
        assert np.array_equal(image, making.picture(number))
    assert np.array_equal(images, dataset.examples_of([1, 0, 1, 1]))
    assert np.array_equal(images[:2], dataset.examples_of([1, 0]))
    assert dataset.examples_of([]).shape == (0, 8, 8, 1)


def test_examples_that_are_used_up_come_again(dataset):
    chosen = making.numbers_of(dataset.examples_of([0] * 60))
    assert sorted(chosen[:25]) == list(range(0, 50, 2))
    assert chosen[25:50] == chosen[:25] and chosen[50:] == chosen[:10]


class Listed:
    """Records that are held in memory and counted when read."""

    def __init__(self, labels, pictures):
        self.examples = [
            example.encode({"image": picture, "label": label})
            for label, picture in zip(labels, pictures, strict=True)
        ]
        self.read_so_far = 0

    def __len__(self):
        return len(self.examples)

    def read(self, index):
        self.read_so_far += 1
        return self.examples[index]

    def where(self, index):
        return f"record {index}"


def listed(labels, class_names, broken=()):
    """A set of such labels; the pictures of the classes `broken` are no pictures."""
    picture = making.png(making.picture(7))
    records = Listed(labels, [b"junk" if label in broken else picture for label in labels])
    contents = SimpleNamespace(image_shape=(8, 8, 1), encoding="png", class_names=class_names)
    return records, Dataset("set", records, decoding.converted(contents), class_names, "")


def test_the_search_for_examples_ends_early_and_decodes_no_others():
    records, dataset = listed([number % 10 for number in range(5000)], tuple("0123456789"), {4, 5})
    images = dataset.examples_of([3, 9, 3])
    assert np.array_equal(images, [making.picture(7)] * 3)
    assert records.read_so_far < 500
    with pytest.raises(
        UserError, match=r"record \d+ does not fit data set set: its picture does not"
    ):
        dataset.examples_of([4])


def test_labels_alone():
    _, dataset = listed([0, 2, 1, 3], ("a", "b", "c"), broken=(0, 1, 2))
    labels = dataset.labels(np.array([2, 1, 0]))
    assert labels.dtype == np.int32 and labels.tolist() == [1, 2, 0]
    with pytest.raises(UserError, match=r"record 3 .*: its label is 3, not within 0\.\.2"):
        dataset.labels(np.array([3]))


def test_a_class_without_examples_is_named_or_grey():
    records, dataset = listed([0, 2, 2], ("和", "永", "年"))
    with pytest.raises(
        UserError, match="set has no example of '永', though it is one of its class"
    ):
        dataset.examples_of([0, 1])
    images = dataset.examples_of([1, 2, 1, 0], at_most=3)
    assert (images[[0, 2]] == 128).all()
    assert np.array_equal(images[[1, 3]], [making.picture(7)] * 2)
    records.read_so_far = 0
    assert (dataset.examples_of([1], at_most=2) == 128).all()
    assert records.read_so_far == 2


def test_examples_of_no_class_are_refused(dataset, unlabelled):
    for label in (-1, 2):
        with pytest.raises(ValueError, match="not within 0..1"):
            dataset.examples_of([0, label])
    with pytest.raises(UserError, match="colour has no labels"):
        unlabelled.examples_of([0])


def test_resizing_while_reading(made):
    dataset = datasets.load("tiny", str(made.parent), image_size=4)
    assert dataset.image_shape == (4, 4, 1)
    (images,) = take(dataset, 1, batch_size=50, value_range=(0.0, 255.0))
    whole = datasets.load("tiny", str(made.parent))
    (originals,) = take(whole, 1, batch_size=50, value_range=(0.0, 255.0))
    # Antialiasing weighs all pixels alike but at the borders, so that means agree.
    assert np.allclose(images.mean(), originals.mean(), atol=3)
    assert images.min() >= 0 and images.max() <= 255
    examples = dataset.examples_of([1, 0])
    assert examples.shape == (2, 4, 4, 1) and examples.dtype == np.uint8


def test_labels_of_an_unlabelled_set_are_refused(unlabelled):
    with pytest.raises(UserError, match="colour has no labels"):
        unlabelled.batches(seed=0, step=0, batch_size=4, labelled=True)


def test_a_batch_that_cannot_be_cut_is_refused(dataset):
    with pytest.raises(UserError, match="--batch_size=10 cannot be cut into 4"):
        dataset.batches(seed=0, step=0, batch_size=10, num_slices=4)


@pytest.mark.parametrize("options", [{"slice_offset": 2}, {"slices_per_step": 3}])
def test_slices_outside_the_batch_are_refused(dataset, options):
    with pytest.raises(ValueError, match="of 2"):
        dataset.batches(seed=0, step=0, batch_size=10, num_slices=2, **options)


def test_a_process_ends_while_its_pipeline_is_still_filling(made):
    code = (
        "import sys; from lsgan_tf import datasets\n"
        "dataset = datasets.load('tiny', sys.argv[1])\n"
        "iterator = iter(dataset.batches(seed=0, step=0, batch_size=64))\n"
        "for _ in range(3): next(iterator)"
    )
    command = [sys.executable, "-c", code, str(made.parent)]
    subprocess.run(command, check=True, timeout=60, stderr=subprocess.DEVNULL)
