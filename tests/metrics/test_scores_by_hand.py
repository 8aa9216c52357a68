"""The scores against numbers worked out by hand, closed forms and properties they must have."""

import dataclasses
import math
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from lsgan_tf.metrics import neighbours, scores
from lsgan_tf.metrics.fid import Moments, frechet_distance
from lsgan_tf.metrics.inception_score import Posteriors, inception_score, softmax
from lsgan_tf.metrics.kid import kernel_distance, squared_mmd
from lsgan_tf.metrics.measurements import Measured


def _features(count, dimension=6, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(count, dimension)) + shift


class TestMoments:
    def test_of_three_points(self):
        moments = Moments.of(np.array([[0.0, 2.0], [2.0, 2.0], [4.0, 8.0]]))
        assert moments.count == 3
        np.testing.assert_allclose(moments.mean, [2.0, 4.0])
        np.testing.assert_allclose(moments.covariance, [[4.0, 6.0], [6.0, 12.0]])

    @pytest.mark.parametrize("size", [1, 7, 100])
    def test_batches_change_nothing_far_from_zero(self, size):
        features = _features(100, shift=1e6)
        moments = Moments(6)
        for start in range(0, 100, size):
            moments.update(features[start : start + size])
        moments.update(features[:0])
        np.testing.assert_allclose(moments.covariance, np.cov(features.T), rtol=1e-8)
        np.testing.assert_allclose(moments.mean, features.mean(axis=0), rtol=1e-14)

    def test_restored(self):
        moments = Moments.of(_features(10))
        again = Moments.restored(moments.count, moments.mean, moments.covariance)
        for state in (moments, again):
            state.update(_features(5, seed=1))
        np.testing.assert_allclose(again.covariance, moments.covariance, rtol=1e-12)

    def test_one_vector_has_no_covariance(self):
        with pytest.raises(ValueError, match="at least 2"):
            _ = Moments.of(np.zeros((1, 3))).covariance


class TestFrechet:
    def test_of_gaussians_with_known_moments(self):
        """Commuting covariances: |m|^2 + sum (sqrt a - sqrt b)^2, turned by any rotation."""
        rotation, _ = np.linalg.qr(_features(3, 3))
        a, b, shift = np.array([4.0, 9.0, 1.0]), np.array([1.0, 4.0, 0.0]), [3.0, 0.0, 4.0]
        one = Moments.restored(10, np.zeros(3), rotation @ np.diag(a) @ rotation.T)
        other = Moments.restored(10, shift, rotation @ np.diag(b) @ rotation.T)
        expected = 25.0 + 1.0 + 1.0 + 1.0
        assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-12)
        assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-12)

    def test_of_covariances_that_do_not_commute(self):
        """2x2: tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)), here with tr M = 23, det M = 3 * 5."""
        one = Moments.restored(9, np.zeros(2), [[2.0, 1.0], [1.0, 2.0]])
        other = Moments.restored(9, np.zeros(2), [[6.0, -1.0], [-1.0, 1.0]])
        trace = np.trace(np.array([[2, 1], [1, 2]]) @ np.array([[6, -1], [-1, 1]]))
        expected = 4.0 + 7.0 - 2.0 * math.sqrt(trace + 2.0 * math.sqrt(15.0))
        assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("count", [5, 40, 500])
    def test_of_a_set_with_itself_is_zero(self, count):
        """Also where there are fewer images than features."""
        features = 50.0 * _features(count, 64)
        one, other = Moments.of(features), Moments.of(features[::-1])
        assert frechet_distance(one, other) < 1e-6

    def test_features_of_other_lengths(self):
        with pytest.raises(ValueError, match="6 and of 5 numbers"):
            frechet_distance(Moments.of(_features(9)), Moments.of(_features(9, 5)))


class TestKernel:
    def test_by_hand(self):
        """D = 1: k(x, y) = (xy + 1)^3."""
        one, other = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
        # k(0, 1) = 1; k(1, 2) = 27; across: k(0, 1) = k(0, 2) = 1, k(1, 1) = 8, k(1, 2) = 27.
        assert squared_mmd(one, other) == pytest.approx(1.0 + 27.0 - 2.0 * 37.0 / 4.0)

    def test_the_plain_formula(self):
        one, other = _features(40), _features(30, seed=1)
        pairs = (one, one), (other, other), (one, other)
        within, within_other, across = ((a @ b.T / 6 + 1.0) ** 3 for a, b in pairs)
        plain = (within.sum() - np.trace(within)) / (40 * 39) - 2.0 * across.mean()
        plain += (within_other.sum() - np.trace(within_other)) / (30 * 29)
        assert squared_mmd(one, other) == pytest.approx(plain, rel=1e-12)

    def test_is_unbiased(self):
        """Of two halves of one set it is zero on average, and so below zero at times."""
        values = [
            squared_mmd(_features(50, seed=2 * n), _features(50, seed=2 * n + 1)) for n in range(60)
        ]
        assert min(values) < 0.0 < max(values)
        assert abs(np.mean(values)) < 3.0 * np.std(values) / math.sqrt(60)

    def test_subsets(self):
        one, other = _features(60), _features(80, seed=1, shift=0.5)
        distance = kernel_distance(one, other, subsets=20, subset_size=30, seed=3)
        assert distance == kernel_distance(one, other, subsets=20, subset_size=30, seed=3)
        assert distance != kernel_distance(one, other, subsets=20, subset_size=30, seed=4)
        assert distance.std > 0.0
        assert abs(distance.mean - squared_mmd(one, other)) < distance.std

    def test_whole_sets_have_one_subset(self):
        one, other = _features(20), _features(20, seed=1)
        assert kernel_distance(one, other) == (squared_mmd(one, other), None)

    def test_one_image(self):
        with pytest.raises(ValueError, match="at least 2"):
            squared_mmd(_features(1), _features(5))


class TestInceptionScore:
    def test_certain_and_even_is_the_number_of_classes(self):
        assert inception_score(np.tile(np.eye(4), (25, 1)), splits=5).mean == pytest.approx(4.0)

    def test_certain_of_one_class_is_one(self):
        assert inception_score(np.tile(np.eye(4)[:1], (20, 1))) == pytest.approx((1.0, 0.0))

    def test_by_hand(self):
        """Two images, p = (3/4, 1/4) and (1/4, 3/4), marginal (1/2, 1/2)."""
        divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
        score = inception_score(np.array([[0.75, 0.25], [0.25, 0.75]]), splits=1)
        assert score.mean == pytest.approx(math.exp(divergence))

    def test_splits_are_stretches_of_the_order(self):
        """As the authors cut them: 7 images in 3 splits are 0-1, 2-3 and 4-6."""
        posteriors = softmax(3.0 * _features(7))
        parts = [posteriors[:2], posteriors[2:4], posteriors[4:]]
        means = [inception_score(part, splits=1).mean for part in parts]
        assert inception_score(posteriors, splits=3) == pytest.approx(
            (np.mean(means), np.std(means))
        )

    @pytest.mark.parametrize("size", [1, 3, 50])
    def test_batches_change_nothing(self, size):
        posteriors = softmax(_features(50))
        seen = Posteriors(50, 6)
        for start in range(0, 50, size):
            seen.update(posteriors[start : start + size])
        assert seen.score() == pytest.approx(inception_score(posteriors), rel=1e-12)

    def test_an_unfinished_one_is_refused(self):
        seen = Posteriors(5, 6)
        seen.update(softmax(_features(4)))
        with pytest.raises(ValueError, match="4 of 5"):
            seen.score()

    def test_softmax_of_large_logits(self):
        np.testing.assert_allclose(
            softmax([[1000.0, 1000.0], [-1000.0, 0.0]]), [[0.5, 0.5], [0, 1]]
        )


# On a line: real images at 0, 1, 3 and generated ones at 0.5, 3.5, 10.
REAL, FAKE = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [3.5], [10.0]])


class TestNeighbours:
    def test_nearest_others(self):
        np.testing.assert_allclose(neighbours.nearest_others(REAL, 2), [[1, 3], [1, 2], [2, 3]])

    def test_by_hand(self):
        """k = 1. Real balls [-1, 1], [0, 2], [1, 5] hold 0.5, 0.5 and 3.5; generated ones
        [-2.5, 3.5], [0.5, 6.5], [3.5, 16.5] hold all real images. The threshold is 1."""
        ks = {"precision_k": 1, "coverage_k": 1}
        assert neighbours.compare(REAL, FAKE, **ks) == (2 / 3, 1.0, 1.0, 1.0, 2 / 3, 0.0)
        scores = neighbours.compare(FAKE, REAL, **ks)
        assert (scores.precision, scores.recall) == (1.0, 2 / 3)
        scores = neighbours.compare(REAL, FAKE[1:], **ks)
        assert (scores.density, scores.coverage) == (0.5, 1 / 3)

    @pytest.mark.parametrize("block", [1 << 23, 500])
    def test_the_plain_formulas(self, monkeypatch, block):
        """Of all distances at once; more images than a group, in one block and in many."""
        monkeypatch.setattr(neighbours, "_BLOCK", block)
        real, fake = _features(401, 4), 0.8 * _features(310, 4, seed=1)
        fake[0], fake[2], real[7] = real[5], fake[1], real[6]
        within_real, within_fake, across = (
            np.sqrt(((one[:, None] - other) ** 2).sum(axis=2))
            for one, other in ((real, real), (fake, fake), (real, fake))
        )
        for distances in (within_real, within_fake):
            np.fill_diagonal(distances, np.inf)
        in_order = np.sort(within_real, axis=1)
        np.testing.assert_allclose(neighbours.nearest_others(real, 7), in_order[:, :7], atol=1e-9)
        threshold = np.quantile(in_order[:, 0], 0.05)
        in_precise, in_covered = (across <= in_order[:, [k - 1]] for k in (3, 5))
        assert neighbours.compare(real, fake, near_quantile=0.05) == pytest.approx(
            (
                in_precise.any(axis=0).mean(),
                (across <= np.sort(within_fake, axis=1)[:, 2]).any(axis=1).mean(),
                in_covered.sum() / (5 * 310),
                in_covered.any(axis=1).mean(),
                (across.min(axis=0) <= threshold).mean(),
                (within_fake.min(axis=1) <= threshold).mean(),
            ),
            rel=1e-12,
        )

    def test_memory_is_bounded(self, monkeypatch):
        """A few blocks and what grows with the number of images, not with its square."""
        monkeypatch.setattr(neighbours, "_BLOCK", 1 << 15)
        real, fake = _features(2000, 4), _features(2000, 4, seed=1)
        tracemalloc.start()
        try:
            neighbours.compare(real, fake)
            neighbours.nearest(real, fake, 5)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 6 * 8 * (1 << 15)

    def test_the_surface_is_inside_also_where_images_repeat(self):
        twice = np.repeat(_features(40, 3), 4, axis=0)
        scores = neighbours.compare(twice, twice[::4])
        assert scores.precision == scores.coverage == 1.0

    def test_nearest(self):
        numbers, distances = neighbours.nearest(REAL, FAKE, 2)
        assert numbers.tolist() == [[0, 1], [2, 1], [2, 1]]
        np.testing.assert_allclose(distances, [[0.5, 0.5], [0.5, 2.5], [7.0, 9.0]])

    def test_distances_survive_a_large_mean_and_many_blocks(self, monkeypatch):
        monkeypatch.setattr(neighbours, "_MOST_ROWS", 7)
        one, other = _features(30, shift=1e4), _features(20, seed=1, shift=1e4)
        near = _features(30), _features(20, seed=1)
        assert neighbours.compare(one, other) == neighbours.compare(*near)
        brute = np.sqrt(((near[1][:, None] - near[0]) ** 2).sum(axis=2))
        numbers, distances = neighbours.nearest(one, other, 3)
        np.testing.assert_array_equal(numbers, brute.argsort(axis=1)[:, :3])
        np.testing.assert_allclose(distances, np.sort(brute, axis=1)[:, :3], rtol=1e-6)

    def test_too_few_images(self):
        with pytest.raises(ValueError, match="3 images have no 3 neighbours"):
            neighbours.compare(REAL, FAKE, precision_k=3, coverage_k=1)

    def test_collapse_and_memory_are_told_apart(self):
        """One image is precise and nothing else; the training images have it all, and are copies;
        new images of the distribution are neither."""
        training, new = _features(1000, 4), _features(500, 4, seed=1)
        one, copies = np.repeat(new[:1], 500, axis=0), training[:500] + 1e-6
        measured = {
            name: neighbours.compare(training, fake)._asdict()
            for name, fake in (("new", new), ("one", one), ("copies", copies))
        }
        assert measured["one"]["recall"] < 0.01 and measured["one"]["coverage"] < 0.05
        assert measured["one"]["repeats"] == 1.0 and measured["one"]["duplicates"] in (0.0, 1.0)
        assert measured["copies"]["duplicates"] == 1.0 and measured["copies"]["repeats"] < 0.05
        assert measured["copies"]["coverage"] > 0.85 and measured["copies"]["recall"] > 0.85
        assert measured["new"]["duplicates"] < 0.05 and measured["new"]["repeats"] < 0.05
        assert measured["new"]["coverage"] > 0.85


class TestClasses:
    def test_accuracy(self):
        assert scores.class_accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75
        with pytest.raises(ValueError, match="predictions"):
            scores.class_accuracy([0, 1], [0])

    def test_a_tenth_of_the_real_share_covers_a_class(self):
        real = scores.class_histogram(np.repeat([0, 1, 2], 100), 4)
        assert real.tolist() == [100, 100, 100, 0]
        assert scores.classes_covered(real, [60, 2, 1, 0]) == 1
        assert scores.classes_covered(real, [54, 2, 4, 3]) == 2
        assert scores.classes_covered(real, [10, 10, 10, 10]) == 3

    def test_one_picture_a_class_has_neither_recall_nor_coverage_within_it(self):
        """Of two classes far from each other one is copied and one is the same point again and
        again: the means over the classes are half of a whole."""
        real, labels = _features(80, 3), np.repeat([0, 1], 40)
        real[40:] += 1000.0
        fake = real.copy()
        fake[:40] = real[0]
        measured = [Measured(Moments.of(one), one, None, None, labels) for one in (real, fake)]
        names = SimpleNamespace(name="net", class_names=None)
        extractor = SimpleNamespace(network=names, dimension=3)
        found = scores.compare(*measured, extractor, scores.Settings(kid_subset_size=20))
        by_name = {score.name: score for score in found}
        assert 0.5 <= by_name["class_recall"].value < 0.55  # the point itself is recalled
        assert (
            0.5 <= by_name["class_coverage"].value < 0.65
        )  # and lies within its neighbours' balls
        assert by_name["class_recall"].details == {"classes": 2}
        unlabelled = [dataclasses.replace(one, labels=None) for one in measured]
        found = scores.compare(*unlabelled, extractor, scores.Settings(kid_subset_size=20))
        assert "class_recall" not in {score.name for score in found}
