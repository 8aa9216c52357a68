"""Compares the scores of `lsgan_tf.metrics` with other people's, over the same features.

    python -m venv peers
    peers/bin/pip install torch torchvision torch-fidelity torchmetrics clean-fid prdc absl-py
    peers/bin/python -m tools.compare_scores --features=FILE.npz[,FILE.npz...]

The peers live in an environment of their own, which needs neither TensorFlow nor Keras. A FILE
holds `real` [N, D] and `fake` [M, D], float32, and may hold `posteriors` [M, K], float. Prints a
row for each file, score and peer and, as the last line, the largest relative difference; the exit
status is 1 if that exceeds --tolerance. What the peers' sources define otherwise:

- Peers calculate in the precision they are handed: float32 in their own use, which costs KID some
  1e-3 of its value where the sets are close. Ours is float64, and float64 is handed to them here.
- prdc's balls leave their surface out (`<`). That tells where features are exact copies of others,
  which tie: its scores are smaller then, and a note stands above the rows of the file. Elsewhere
  rounding decides ties.
- torchmetrics shuffles posteriors before it splits them, into parts of ceil(M / 10), and divides
  their variance by 9, not 10. Here ours gets its order, both a multiple of ten images, and the
  deviation is left out.
- For KID every peer draws subsets of its own; here all get the same ones.
- Of fewer images than features, the peers' root of C1 C2 is off by some 1e-8 of the traces, which
  the FID of sets that are all but equal does not hide. clean-fid adds 1e-6 to both diagonals
  should the root not be finite; SciPy 1.18 is to drop an argument that it passes.
- torch-fidelity's precision takes the generated set first from 0.4 on, the real one before.
"""

import contextlib
import importlib
import importlib.metadata
import io
import os
import sys
import warnings
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import flags

from lsgan_tf.metrics import fid, inception_score, kid, moments, neighbours
from lsgan_tf.utils import command_line
from lsgan_tf.utils.errors import UserError, printable
from tools.sources import archives

MODULES = {
    "torch-fidelity": ("metric_fid", "metric_isc", "metric_kid", "metric_prc"),
    "torchmetrics": ("image.fid", "image.inception", "image.kid"),
    "clean-fid": ("fid",),
    "prdc": ("prdc",),
}
_PACKAGES = {"torch-fidelity": "torch_fidelity", "clean-fid": "cleanfid"}  # if not named alike
_INSTALL = "pip install torch torchvision torch-fidelity torchmetrics clean-fid prdc absl-py"
_PRECISION_NEIGHBOURS, _DENSITY_NEIGHBOURS = 3, 5
_FEWEST = 10  # images: one for each split of the Inception score, and more than neighbours
_SUBSETS, _SUBSET_SIZE = 10, 1000  # of KID
_NOTHING = 1e-9  # what both numbers stay below is rounding, and relative to nothing


class Features(NamedTuple):
    """What a file holds."""

    real: np.ndarray  # float32 [N, D]
    fake: np.ndarray  # float32 [M, D]
    posteriors: np.ndarray | None  # float64 [M, K], rows that sum to one


class Row(NamedTuple):
    """One score as we and a peer calculate it."""

    score: str
    peer: str  # a key of MODULES
    ours: float
    theirs: float

    @property
    def difference(self) -> float:
        """Relative to the larger one; infinite where a number is none."""
        if not np.isfinite([self.ours, self.theirs]).all():
            return np.inf
        return abs(self.ours - self.theirs) / max(abs(self.ours), abs(self.theirs), _NOTHING)


def read(path: str) -> Features:
    """Reads and checks a file.

    Raises:
        UserError: it is not there or not readable, or holds something else.
    """
    if not os.path.isfile(path):
        raise UserError(f"--features: there is no file {path!r}")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no .npz; numpy.savez writes one")
    names = Features._fields
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in names if name in stored}
    except archives.BROKEN as error:
        raise UserError(f"{path} is damaged or holds no plain arrays: {error}") from error
    for name in names[:2]:
        if name not in arrays:
            raise UserError(f"{path} holds no {name!r}; needed are `real` and `fake`, float [N, D]")
    for name, array in arrays.items():
        _check(array, f"{path}: {name!r}")
    real, fake, posteriors = map(arrays.get, names)
    if real.shape[1] != fake.shape[1]:
        raise UserError(f"{path}: `real` has {real.shape[1]} features, `fake` {fake.shape[1]}")
    if posteriors is not None:
        posteriors = _normalised(posteriors, len(fake), path)
    return Features(real, fake, posteriors)


def _check(array: np.ndarray, name: str) -> None:
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{name} is {array.dtype} {array.shape}; needed are two axes of floats")
    if len(array) < _FEWEST or array.shape[1] < 2:
        raise UserError(f"{name} is {array.shape}; needed are {_FEWEST} images and 2 numbers each")
    if not np.isfinite(array).all():
        raise UserError(f"{name} holds NaN or infinity")


def _normalised(posteriors: np.ndarray, count: int, path: str) -> np.ndarray:
    """Rows to a sum of one in float64, as a softmax of their logarithms makes them."""
    if len(posteriors) != count:
        raise UserError(f"{path}: {len(posteriors)} `posteriors` for {count} `fake`")
    posteriors = posteriors.astype(np.float64)
    sums = posteriors.sum(axis=1, keepdims=True)
    if (posteriors < 0.0).any() or abs(sums - 1.0).max() > 1e-3:
        raise UserError(f"{path}: `posteriors` are no probabilities that sum to one; take softmax")
    return posteriors / sums


def load_peers() -> None:
    """Imports all peers, so that one that is missing shows before the first score.

    Raises:
        UserError: some are not there, or of a version that has other modules.
    """
    for peer, modules in MODULES.items():
        try:
            for module in modules:
                _module(peer, module)
        except ImportError as error:
            raise UserError(
                f"{peer} cannot be imported: {error}. Run this in an environment that has the "
                f"peers: {_INSTALL}"
            ) from error
    version = importlib.metadata.version("torch-fidelity")
    if tuple(map(int, version.split(".")[:2])) < (0, 4):
        raise UserError(f"torch-fidelity is {version}, which takes sets in another order; take 0.4")


def _module(peer, name):
    return importlib.import_module(f"{_PACKAGES.get(peer, peer)}.{name}")


def compare(features: Features) -> Iterator[Row]:
    """Yields all rows of one file."""
    comparisons = [_frechet, _kernel, _precision, _density]
    if features.posteriors is not None:
        comparisons.append(_inception_score)
    for comparison in comparisons:
        with _silence():
            rows = list(comparison(features))
        yield from rows


@contextlib.contextmanager
def _silence():
    """Keeps quiet what peers print, and warn of what they are about to drop."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _tensors(*arrays):
    """As float64 tensors."""
    import torch

    return [torch.from_numpy(array.astype(np.float64)) for array in arrays]


def _frechet(features):
    ours = fid.frechet_distance(*map(moments.Moments.of, features[:2]))
    fidelity = _module("torch-fidelity", "metric_fid")
    both = [fidelity.fid_features_to_statistics(tensor) for tensor in _tensors(*features[:2])]
    theirs = fidelity.fid_statistics_to_metric(*both, verbose=False)
    yield Row("FID", "torch-fidelity", ours, theirs[fidelity.KEY_METRIC_FID])
    # The other two take moments, not features: those that NumPy calculates.
    numbers = [statistics[key] for statistics in both for key in ("mu", "sigma")]
    theirs = _module("torchmetrics", "image.fid")._compute_fid(*_tensors(*numbers))
    yield Row("FID", "torchmetrics", ours, float(theirs))
    theirs = _module("clean-fid", "fid").frechet_distance(*numbers)
    yield Row("FID", "clean-fid", ours, float(theirs))


def _kernel(features):
    subsets = list(_subsets(features))
    ours = np.mean([kid.squared_mmd(*subset) for subset in subsets])
    for peer, distance in _kernel_distances().items():
        theirs = np.mean([float(distance(*_doubles(subset))) for subset in subsets])
        yield Row("KID", peer, float(ours), float(theirs))


def _subsets(features):
    """Yields the same pairs of subsets for all, of equal sizes as the peers want them."""
    size = min(_SUBSET_SIZE, *map(len, features[:2]))
    rng = np.random.default_rng(0)
    for _ in range(_SUBSETS):
        yield [array[rng.choice(len(array), size, replace=False)] for array in features[:2]]


def _kernel_distances():
    """Peer -> its squared MMD of two equally large sets, float64 [N, D]."""
    fidelity = _module("torch-fidelity", "metric_kid")
    metrics = _module("torchmetrics", "image.kid")
    clean = _module("clean-fid", "fid")
    return {
        "torch-fidelity": fidelity.kernel_mmd,
        "torchmetrics": lambda *both: metrics.poly_mmd(*_tensors(*both)),
        # The one subset it draws is as large as the sets: all of them in another order.
        "clean-fid": lambda one, other: clean.kernel_distance(one, other, 1, len(one)),
    }


def _doubles(arrays):
    return [array.astype(np.float64) for array in arrays]


def _precision(features):
    k = _PRECISION_NEIGHBOURS
    ours = neighbours.precision_recall(*features[:2], k)
    fidelity = _module("torch-fidelity", "metric_prc")
    real, fake = _tensors(*features[:2])
    theirs = fidelity.prc_features_to_metric(fake, real, prc_neighborhood=k, verbose=False)
    yield from _by_name(ours, "torch-fidelity", theirs)
    yield from _by_name(ours, "prdc", _prdc(features, k))


def _density(features):
    ours = neighbours.density_coverage(*features[:2], _DENSITY_NEIGHBOURS)
    yield from _by_name(ours, "prdc", _prdc(features, _DENSITY_NEIGHBOURS))


def _prdc(features, k):
    return _module("prdc", "prdc").compute_prdc(*_doubles(features[:2]), nearest_k=k)


def _by_name(ours, peer, theirs):
    """Yields a row for each score of the named tuple `ours`."""
    for name, value in ours._asdict().items():
        yield Row(name, peer, value, float(theirs[name]))


def _inception_score(features):
    posteriors = features.posteriors
    logits = np.log(np.maximum(posteriors, np.finfo(np.float64).tiny))  # the peers' 0 log 0 is NaN
    ours = inception_score.inception_score(posteriors)
    fidelity = _module("torch-fidelity", "metric_isc")
    (tensor,) = _tensors(logits)
    theirs = fidelity.isc_features_to_metric(tensor, inception_score.SPLITS, shuffle=False)
    yield Row("IS", "torch-fidelity", ours.mean, theirs[fidelity.KEY_METRIC_ISC_MEAN])
    yield Row("IS deviation", "torch-fidelity", ours.std, theirs[fidelity.KEY_METRIC_ISC_STD])
    count = len(logits) // inception_score.SPLITS * inception_score.SPLITS
    order, theirs = _shuffled_score(tensor[:count])
    ours = inception_score.inception_score(posteriors[order])
    yield Row("IS", "torchmetrics", ours.mean, theirs)


def _shuffled_score(logits):
    """torchmetrics' score and the order in which it takes the rows, int64 [len(logits)]."""
    import torch

    metric = _module("torchmetrics", "image.inception").InceptionScore(
        feature=torch.nn.Identity(), splits=inception_score.SPLITS
    )
    metric.update(logits)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        order = torch.randperm(len(logits)).numpy()
        torch.manual_seed(0)
        return order, float(metric.compute()[0])


def _copies(features):
    """How many rows of both sets equal another one."""
    both = np.concatenate(features[:2])
    return len(both) - len(np.unique(both, axis=0))


def _line(row, version, tolerance):
    mark = "" if row.difference <= tolerance else "  exceeds --tolerance"
    return (
        f"{row.score:13} {f'{row.peer} {version}':22} "
        f"{row.ours:17.10g} {row.theirs:17.10g} {row.difference:11.1e}{mark}"
    )


def report(paths: list[str], tolerance: float) -> float:
    """Prints the rows of all files, and returns the largest difference."""
    files = {path: read(path) for path in paths}
    load_peers()
    largest = 0.0
    for path, features in files.items():
        (count, width), others = features.real.shape, len(features.fake)
        print(printable(f"{path}: {count} real, {others} generated images, {width} features"))
        if copies := _copies(features):
            print(f"{copies} of them are copies of others: prdc leaves ties out, see --help")
        print(f"{'score':13} {'peer':22} {'ours':>17} {'theirs':>17} {'difference':>11}")
        for row in compare(features):
            print(_line(row, importlib.metadata.version(row.peer), tolerance), flush=True)
            largest = max(largest, row.difference)
    print(f"largest relative difference: {largest:.1e}")
    return largest


def main() -> None:
    paths = [path for path in flags.FLAGS.features if path]
    if not paths:
        raise UserError("--features names no file")
    largest = report(paths, flags.FLAGS.tolerance)
    sys.exit(0 if largest <= flags.FLAGS.tolerance else 1)


if __name__ == "__main__":
    flags.DEFINE_list(
        "features",
        None,
        "the .npz files, separated by commas",
        required=True,
        allow_overwrite=False,  # of a second flag, which would hide the first one's files
    )
    flags.DEFINE_float("tolerance", 1e-4, "largest relative difference to accept", lower_bound=0.0)
    command_line.run(main)
