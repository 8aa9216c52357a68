"""Our scores against those of other libraries, on the same features.

    python -m pip install torch torchvision torch-fidelity torchmetrics clean-fid prdc
    python -m pytest -m stress tests/stress/test_scores_of_other_libraries.py -rP

A test is skipped if its library is not installed; -rP shows the differences. The features are
correlated Gaussians, of fewer and of more features than images, and, where there are real images,
those of CIFAR-10's training and test split under the first layers of the Inception network. What
the libraries define otherwise:

- They calculate in the precision that they are given: float32 in their own use, which costs KID
  some 1e-3 of its value where the sets are close. We calculate in float64, and they are given it.
- prdc's balls do not contain their surface (`<`). That shows where features are exact copies.
- torchmetrics shuffles posteriors before it splits them, into parts of ceil(M / 10), and divides
  their variance by 9 instead of 10. Here ours gets its order and a multiple of ten images, and the
  deviation is not compared.
- For KID each library draws its own subsets; here all get the same ones.
- With fewer images than features their root of C1 C2 is off by some 1e-8 of the traces, which
  shows in the FID of sets that are all but equal.
- torch-fidelity's precision takes the generated set first from 0.4 on, the real one before.
"""

import importlib.util
import io
import sys
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from lsgan_tf.metrics import inception_score, kid, neighbours
from lsgan_tf.metrics.extractor import Extractor
from lsgan_tf.metrics.features import Choice
from lsgan_tf.metrics.fid import Moments, frechet_distance

pytestmark = [
    pytest.mark.stress,
    # clean-fid passes an argument that SciPy is to drop.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

LIBRARIES = ("torch_fidelity", "torchmetrics", "cleanfid", "prdc")
TOLERANCE = 1e-6  # relative; two of the libraries average some scores in float32
REAL_IMAGES = 800  # of each split: more than the 768 features
CLASSES = 10


@pytest.fixture(autouse=True)
def no_triton(monkeypatch):
    """torch does without it on a CPU; its LLVM crashes in a process that has TensorFlow's."""
    monkeypatch.setitem(sys.modules, "triton", None)


class Features(NamedTuple):
    """Features as our scores take them, float32 [N, D] and [M, D]."""

    real: np.ndarray
    fake: np.ndarray

    def doubles(self):
        """As the libraries take them, so that they calculate in float64."""
        return [array.astype(np.float64) for array in self]

    def tensors(self):
        torch = pytest.importorskip("torch")
        return [torch.from_numpy(array) for array in self.doubles()]


def draw(count, width, seed):
    """Correlated features, float32 [count, width]."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(9).standard_normal((width, width))
    return (rng.standard_normal((count, width)) @ mix).astype(np.float32)


def gaussians(width):
    fake = draw(127, width, seed=1) * np.float32(0.9) + np.float32(0.2)
    return Features(draw(150, width, seed=0), fake)


def cifar10(real_data):
    """Features float32 [REAL_IMAGES, 768] of the training and of the test split."""
    network = Choice(str(real_data / "inception_2015_mixed7" / "saved_model")).load("cifar10")
    extractor = Extractor(network, (32, 32, 3))
    with np.load(real_data / "cifar10" / "cifar10_jpeg.npz") as stored:
        parts = [pictures(stored, split) for split in ("train", "test")]
    return Features(*(extractor(part).features for part in parts))


def pictures(stored, split):
    """The first images of a split, uint8 [REAL_IMAGES, 32, 32, 3]."""
    stream, offsets = stored[f"{split}_jpeg"], stored[f"{split}_offsets"]
    ranges = zip(offsets[:REAL_IMAGES], offsets[1:], strict=False)
    files = [stream[start:stop].tobytes() for start, stop in ranges]
    return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])


@pytest.fixture(scope="module", params=["full rank", "more features than images", "cifar10"])
def features(request):
    if not any(map(importlib.util.find_spec, LIBRARIES)):
        pytest.skip(f"none of {', '.join(LIBRARIES)} is installed")
    if request.param == "cifar10":
        return cifar10(request.getfixturevalue("real_data"))
    return gaussians({"full rank": 24, "more features than images": 200}[request.param])


@pytest.fixture
def posteriors(features):
    """Of the generated images under a random linear classifier, float64 [M, CLASSES]."""
    weights = np.random.default_rng(2).standard_normal((features.fake.shape[1], CLASSES))
    logits = features.fake @ weights
    values = inception_score.softmax(3.0 * logits / logits.std()).astype(np.float64)
    values[0] = np.eye(CLASSES)[3]  # with 0 log 0
    return values


def assert_equal(ours, theirs):
    difference = abs(ours - theirs) / max(abs(ours), abs(theirs), 1e-9)
    print(f"ours {ours:.12g}, theirs {theirs:.12g}, relative difference {difference:.1e}")
    assert ours == pytest.approx(theirs, rel=TOLERANCE, abs=1e-15)


def fid(features):
    return frechet_distance(*map(Moments.of, features))


def mean_and_covariance(features):
    """Of the real and of the generated features: mean, covariance, mean, covariance."""
    both = features.doubles()
    return [of(array) for array in both for of in (lambda a: a.mean(axis=0), covariance)]


def covariance(array):
    return np.cov(array, rowvar=False)


def test_fid_of_torch_fidelity(features):
    library = pytest.importorskip("torch_fidelity.metric_fid")
    statistics = [library.fid_features_to_statistics(tensor) for tensor in features.tensors()]
    theirs = library.fid_statistics_to_metric(*statistics, verbose=False)
    assert_equal(fid(features), theirs[library.KEY_METRIC_FID])


def test_fid_of_torchmetrics(features):
    library = pytest.importorskip("torchmetrics.image.fid")
    torch = pytest.importorskip("torch")
    statistics = map(torch.from_numpy, mean_and_covariance(features))
    assert_equal(fid(features), float(library._compute_fid(*statistics)))


def test_fid_of_clean_fid(features):
    library = pytest.importorskip("cleanfid.fid")
    assert_equal(fid(features), library.frechet_distance(*mean_and_covariance(features)))


def subsets(features):
    """Ten pairs of subsets of equal size, as the libraries want them."""
    size = min(1000, *map(len, features))
    rng = np.random.default_rng(0)
    for _ in range(10):
        yield Features(*(each[rng.choice(len(each), size, replace=False)] for each in features))


def assert_equal_kid(features, distance):
    """Compares the mean squared MMD of the subsets with that of `distance`."""
    ours = np.mean([kid.squared_mmd(*subset) for subset in subsets(features)])
    theirs = np.mean([float(distance(subset)) for subset in subsets(features)])
    assert_equal(ours, theirs)


def test_kid_of_torch_fidelity(features):
    library = pytest.importorskip("torch_fidelity.metric_kid")
    assert_equal_kid(features, lambda subset: library.kernel_mmd(*subset.doubles()))


def test_kid_of_torchmetrics(features):
    library = pytest.importorskip("torchmetrics.image.kid")
    assert_equal_kid(features, lambda subset: library.poly_mmd(*subset.tensors()))


def test_kid_of_clean_fid(features):
    library = pytest.importorskip("cleanfid.fid")
    # The one subset that it draws is as large as the sets: all of them in another order.
    assert_equal_kid(
        features, lambda subset: library.kernel_distance(*subset.doubles(), 1, len(subset.real))
    )


def test_precision_and_recall_of_torch_fidelity(features):
    pytest.importorskip("torch_fidelity", minversion="0.4")
    library = pytest.importorskip("torch_fidelity.metric_prc")
    real, fake = features.tensors()
    theirs = library.prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    ours = neighbours.compare(*features, precision_k=3)
    for name in ("precision", "recall"):
        assert_equal(getattr(ours, name), float(theirs[name]))


@pytest.mark.parametrize(
    ("names", "nearest"), [(("precision", "recall"), 3), (("density", "coverage"), 5)]
)
def test_scores_of_prdc(features, names, nearest):
    library = pytest.importorskip("prdc")
    theirs = library.compute_prdc(*features.doubles(), nearest_k=nearest)
    ours = neighbours.compare(*features, precision_k=3, coverage_k=5)
    for name in names:
        assert_equal(getattr(ours, name), float(theirs[name]))


def logits_of(posteriors):
    torch = pytest.importorskip("torch")
    return torch.from_numpy(np.log(np.maximum(posteriors, np.finfo(np.float64).tiny)))


def test_inception_score_of_torch_fidelity(posteriors):
    library = pytest.importorskip("torch_fidelity.metric_isc")
    ours = inception_score.inception_score(posteriors)
    theirs = library.isc_features_to_metric(
        logits_of(posteriors), inception_score.SPLITS, shuffle=False
    )
    assert_equal(ours.mean, theirs[library.KEY_METRIC_ISC_MEAN])
    assert_equal(ours.std, theirs[library.KEY_METRIC_ISC_STD])


def test_inception_score_of_torchmetrics(posteriors):
    library = pytest.importorskip("torchmetrics.image.inception")
    torch = pytest.importorskip("torch")
    count = len(posteriors) // inception_score.SPLITS * inception_score.SPLITS
    metric = library.InceptionScore(feature=torch.nn.Identity(), splits=inception_score.SPLITS)
    metric.update(logits_of(posteriors[:count]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        order = torch.randperm(count).numpy()
        torch.manual_seed(0)
        theirs, _ = metric.compute()
    assert_equal(inception_score.inception_score(posteriors[order]).mean, float(theirs))
