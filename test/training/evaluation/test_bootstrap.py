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

"""Means and bootstrap intervals."""

import numpy as np
from pair_drive_training.evaluation.bootstrap import clusters_of, mean_intervals
import pytest


def test_logs_are_drawn_when_there_are_ten():
    clusters = clusters_of([f'log {n % 10}' for n in range(30)])
    assert (clusters.unit, clusters.count) == ('logs', 10)
    assert clusters.index[0] == clusters.index[10] != clusters.index[1]


def test_scenes_are_drawn_when_there_are_fewer_logs():
    clusters = clusters_of([f'log {n % 9}' for n in range(30)])
    assert (clusters.unit, clusters.count) == ('scenes', 30)


def test_interval_of_independent_scenes_is_the_normal_one():
    values = np.random.default_rng(1).normal(0.6, 0.2, (400, 1))
    mean, low, high = mean_intervals(values, clusters_of(['a'] * 400))[:, 0]
    error = 1.96 * values.std() / 20.0
    assert mean == pytest.approx(values.mean())
    assert low == pytest.approx(mean - error, abs=0.1 * error)
    assert high == pytest.approx(mean + error, abs=0.1 * error)


def test_scenes_of_a_log_that_are_alike_say_no_more_than_the_log():
    """Fifty copies of every log's value leave the interval of the 20 values."""
    values = np.random.default_rng(2).uniform(size=20)
    logs = [f'log {n:02d}' for n in range(20)]
    once = mean_intervals(values[:, None], clusters_of(logs))
    often = mean_intervals(np.repeat(values, 50)[:, None], clusters_of(np.repeat(logs, 50)))
    np.testing.assert_allclose(once, often)
    naive = mean_intervals(np.repeat(values, 50)[:, None], clusters_of(['a'] * 1000))
    assert np.diff(naive[1:], axis=0)[0, 0] < 0.3 * np.diff(often[1:], axis=0)[0, 0]


def test_the_mean_is_over_scenes_and_not_over_logs():
    logs = ['big'] * 90 + [f'small {n}' for n in range(10)]
    values = np.r_[np.ones(90), np.zeros(10)][:, None]
    assert mean_intervals(values, clusters_of(logs))[0, 0] == pytest.approx(0.9)


def test_what_is_not_defined_counts_nowhere():
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [0.0, np.nan]])
    result = mean_intervals(values, clusters_of(['a'] * 3))
    assert result[0, 0] == 0.5
    assert np.isnan(result[:, 1]).all()


def test_the_same_numbers_every_time():
    values = np.random.default_rng(3).uniform(size=(50, 2))
    clusters = clusters_of(['a'] * 50)
    np.testing.assert_array_equal(mean_intervals(values, clusters),
                                  mean_intervals(values, clusters))


def test_no_scenes_at_all():
    assert np.isnan(mean_intervals(np.zeros((0, 3)), clusters_of([]))).all()
