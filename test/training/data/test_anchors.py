# Copyright 2026 The pair_drive_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""Anchors: the typical drives among many."""

import numpy as np
from pair_drive_training.data import anchors as module
from pair_drive_training.data.anchors import (
    AnchorMakingError,
    distortion,
    make_anchors,
    nearest_anchors,
)
import pytest
from scipy.cluster.vq import ClusterError


def groups(centres, each, spread, seed=0):
    """Draw futures round centres [M, 8, 2]; return them and the means of the groups."""
    random = np.random.default_rng(seed)
    drawn = centres[:, None] + random.normal(scale=spread, size=(len(centres), each, 8, 2))
    return drawn.reshape(-1, 8, 2), drawn.mean(axis=1)


def drives(count, seed=1):
    """Straight and bent drives at different speeds."""
    random = np.random.default_rng(seed)
    time, speed = 0.5 * np.arange(1, 9), random.uniform(0.0, 15.0, (count, 1))
    bend = random.normal(scale=0.2, size=(count, 1))
    return np.stack([speed * time, 0.5 * bend * time ** 2], axis=-1)


def test_anchors_are_the_means_of_groups_sorted_by_their_ends():
    centres = 10.0 * drives(5)
    centres[:, -1, 0] = centres[::-1, -1, 0]
    futures, means = groups(centres, 40, 0.01)
    anchors, _ = make_anchors(futures, 5)
    assert anchors.dtype == np.float32
    np.testing.assert_allclose(anchors, means[np.argsort(means[:, -1, 0])], atol=1e-4)


def test_distortion_by_hand():
    anchors = np.zeros((2, 8, 2), np.float32)
    anchors[1, :, 0] = 10.0
    futures = np.zeros((3, 8, 2))
    futures[0, :4] = [3.0, 4.0]  # half the points 5 m off the first
    futures[1, :, 0] = 9.0  # 1 m off the second
    nearest, distances = nearest_anchors(futures, anchors)
    assert nearest.tolist() == [0, 1, 0]
    np.testing.assert_allclose(distances, [2.5, 1.0, 0.0])
    assert distortion(futures, anchors) == pytest.approx(3.5 / 3)


def test_batches_change_nothing(monkeypatch):
    futures, anchors = drives(50), drives(4, 2)
    whole = nearest_anchors(futures, anchors)
    monkeypatch.setattr(module, 'BATCH', 7)
    for one, other in zip(whole, nearest_anchors(futures, anchors), strict=True):
        np.testing.assert_array_equal(one, other)


def test_same_scenes_in_any_order_give_the_same_bytes():
    futures = drives(300)
    anchors, distance = make_anchors(futures, 20, seed=4)
    again, _ = make_anchors(np.random.default_rng(0).permutation(futures), 20, seed=4)
    assert anchors.tobytes() == again.tobytes()
    assert distance == distortion(futures, anchors)
    assert make_anchors(futures, 20, seed=5)[0].tobytes() != anchors.tobytes()


def test_the_best_of_several_runs_counts(monkeypatch):
    futures = drives(200)
    distances = []
    for runs in (1, 2, 6):
        monkeypatch.setattr(module, 'RESTARTS', runs)
        distances.append(make_anchors(futures, 12)[1])
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < distances[0]


def test_too_few_different_futures():
    futures = np.repeat(drives(3), 10, axis=0)
    assert len(make_anchors(futures, 3)[0]) == 3
    with pytest.raises(AnchorMakingError, match='3 different human futures, too few for 4'):
        make_anchors(futures, 4)
    with pytest.raises(AnchorMakingError, match='0 different'):
        make_anchors(futures[:0], 20)


def test_runs_that_lose_an_anchor_do_not_count(monkeypatch):
    outcomes = [ClusterError(), ClusterError(), None]
    original = module.kmeans2

    def kmeans2(*arguments, **options):
        error = outcomes.pop(0)
        if error is not None:
            raise error
        return original(*arguments, **options)

    monkeypatch.setattr(module, 'kmeans2', kmeans2)
    monkeypatch.setattr(module, 'RESTARTS', 3)
    assert len(make_anchors(drives(30), 5)[0]) == 5
    outcomes += [ClusterError()] * 3
    with pytest.raises(AnchorMakingError, match='in none of 3 runs could the 30 futures'):
        make_anchors(drives(30), 5)
