"""--classes, --max_images and --balanced: the choice is the same each time, the rest is told."""

import pytest

from tests.datasets import making
from tests.tools import conversions
from tests.tools.conversions import examples
from tools import convert_images

pytestmark = pytest.mark.usefixtures("no_pool")
CLASSES = ("cat", "dog", "owl")


@pytest.fixture
def source(tmp_path):
    """Thirty pictures: twenty cats, six dogs, four owls."""
    for number in range(30):
        name = CLASSES[(number >= 20) + (number >= 26)]
        path = tmp_path / "p" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(making.png(making.picture(number)))
    return tmp_path / "p"


def convert(source, target, **options):
    return convert_images.convert(source, target, convert_images.Options(8, **options))


def test_some_classes_in_an_order_of_the_user(source, target):
    done = convert(source, target, classes=("owl", "dog"))
    assert done.class_names == ("owl", "dog") and done.left_out == {"images of other classes": 20}
    assert examples(target) == {n: int(n < 26) for n in range(20, 30)}


def test_so_many_images(source, target):
    done = convert(source, target, max_images=12)
    kept = examples(target)
    assert len(kept) == 12 and len(set(kept.values())) > 1
    assert done.left_out == {"images beyond --max_images=12": 18}
    assert convert(source, target, max_images=12) == done
    more = target.with_name("more")
    convert(source, more, max_images=18)
    assert set(kept) < set(examples(more))  # a larger number adds some
    refused = conversions.failure(convert, source, target, max_images=9)
    assert "with other flags" in refused


def test_classes_that_lose_all_images_are_named(source, target, capsys):
    convert(source, target, max_images=1)
    assert "without images are 2 classes (" in capsys.readouterr().err


def test_so_many_images_a_class(source, target, capsys):
    convert(source, target, max_images=5, balanced=True)
    labels = list(examples(target).values())
    assert [labels.count(number) for number in range(3)] == [5, 5, 4]
    assert "fewer than --max_images=5 have 1 class (owl)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"classes": ("cow",)}, "there is no class cow; there are cat, dog, owl"),
        ({"classes": ("cat", "cat")}, "--classes=cat,cat names a class twice"),
        ({"classes": ("cat",), "labels": "none"}, "--classes: the source has no labels"),
        ({"balanced": True}, "--balanced goes with --max_images, of a source that has labels"),
    ],
)
def test_choices_that_do_not_fit(options, expected, source, target):
    assert expected in conversions.failure(convert, source, target, **options)


def test_the_flags(source, target):
    flags = ["--classes=dog,owl", "--max_images=3", "--balanced", "--image_size=8"]
    done = conversions.run("convert_images", f"--source={source}", f"--output_dir={target}", *flags)
    assert done.returncode == 0 and "6 images, 8x8x1, 2 classes" in done.stdout
    assert "left out: 20 images of other classes" in done.stdout
