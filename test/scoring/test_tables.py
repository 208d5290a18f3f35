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

"""Filters against scipy, bearings against the reference machine, and aggregation by hand."""

from dataclasses import replace
import math

import numpy as np
from pair_drive_ros.scoring import Objects, Protocol, SubScores
from pair_drive_ros.scoring.aggregation import epdms, human_penalty_filter, pdms
from pair_drive_ros.scoring.bearing import cosine, sine, undefined_bearings
from pair_drive_ros.scoring.savgol import filter_table, savgol
from pair_drive_ros.scoring.two_stage import follow_up_weights, group_score, two_stage_score
import pytest


@pytest.mark.parametrize('window, order, derivative, samples', [
    (41, 2, 0, 41), (41, 2, 1, 41), (8, 2, 0, 41), (8, 2, 0, 56), (15, 2, 1, 55), (5, 3, 2, 41),
    (5, 2, 1, 36), (5, 2, 2, 36)])
def test_filters_equal_scipy(window, order, derivative, samples):
    signal = pytest.importorskip('scipy.signal')
    scratch = np.zeros((1, 2, samples))
    scratch[0, 0] = np.random.default_rng(samples).normal(size=samples)
    savgol(filter_table(window, order, derivative), scratch, 0, 0, 1, samples)
    expected = signal.savgol_filter(scratch[0, 0], window, order, deriv=derivative, delta=0.1)
    np.testing.assert_allclose(scratch[0, 1], np.round(expected, 8), atol=1.1e-8, rtol=0.0)


# Angle, sine and cosine as numpy 1.23.4 gives them on a machine with AVX-512.
REFERENCE = [
    ('0x0.0p+0', '0x0.0p+0',
     '0x1.0000000000000p+0'),
    ('0x1.0000000000000p-1', '0x1.eaee8744b05efp-2',
     '0x1.c1528065b7d4ep-1'),
    ('0x1.0000000000000p+0', '0x1.aed548f090ceep-1',
     '0x1.14a280fb5068bp-1'),
    ('-0x1.e666666666666p+0', '-0x1.e48171f1a3858p-1',
     '-0x1.4b0c6b93445acp-2'),
    ('0x1.eb6be27c36875p+0', '0x1.e12a788c287f0p-1',
     '-0x1.5dfd9f6230c4ap-2'),
    ('0x1.4000000000000p+1', '0x1.326af0dcfcab0p-1',
     '-0x1.9a2f7ef858b7ep-1'),
    ('-0x1.8cccccccccccdp+1', '-0x1.54a0f8298102ep-5',
     '-0x1.ff8ea4756a625p-1'),
    ('0x1.921fb54442d18p+0', '0x1.0000000000000p+0',
     '0x1.1a62633145c07p-54'),
    ('0x1.e1094d643f784p-28', '0x1.e1094d643f784p-28',
     '0x1.0000000000000p+0'),
    ('0x1.0cccccccccccdp+2', '-0x1.be3f2dfd012d7p-1',
     '-0x1.f606eec8ac71dp-2'),
    ('-0x1.8000000000000p+2', '0x1.1e1f18ab0a2c1p-2',
     '0x1.eb9b7097822f6p-1'),
]


@pytest.mark.parametrize('angle, expected_sine, expected_cosine', REFERENCE)
def test_sine_and_cosine_of_the_reference_machine(angle, expected_sine, expected_cosine):
    angle = float.fromhex(angle)
    assert sine(angle).hex() == expected_sine
    assert cosine(angle).hex() == expected_cosine
    assert sine(angle) == pytest.approx(math.sin(angle), abs=3e-16)


def objects_at(x, y, heading=0.0):
    return Objects(np.array([3]), np.array([[0.4, 0.4]]), np.tile([x, y, heading], (41, 1, 1)),
                   np.zeros((41, 1, 2)), np.ones((41, 1), bool))


def test_bearings_off_the_axis_are_defined():
    assert not undefined_bearings(objects_at(5.0, 0.01), np.zeros(3)).any()
    assert not undefined_bearings(objects_at(0.0, 0.0), np.zeros(3)).any()


def test_some_bearings_on_the_axis_are_lost_to_rounding():
    lost = []
    for turn in np.linspace(-3.0, 3.0, 61):
        ahead = 3.6 * np.array([math.cos(turn), math.sin(turn)])
        lost.append(undefined_bearings(objects_at(*ahead), np.array([0.0, 0.0, turn])).any())
    assert 0 < sum(lost) < 40


def scores(protocol, **values):
    defaults = dict.fromkeys(('nc', 'dac', 'ddc', 'ep', 'ttc', 'comfort', 'tlc', 'lk', 'ec'), 1.0)
    arrays = {name: np.array([[value]]) for name, value in (defaults | values).items()}
    return SubScores(protocol=protocol, total=None, valid=np.array([[True]]), **arrays)


@pytest.mark.parametrize('values, expected', [
    ({}, 1.0), ({'nc': 0.5}, 0.5), ({'dac': 0.0}, 0.0), ({'ddc': 0.0}, 1.0),
    ({'ep': 0.4}, 0.75), ({'ttc': 0.0}, 7.0 / 12.0), ({'comfort': 0.0}, 10.0 / 12.0)])
def test_pdms(values, expected):
    assert pdms(scores(Protocol.NAVSIM_V1, **values))[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize('values, expected', [
    ({}, 1.0), ({'ddc': 0.5, 'tlc': 1.0}, 0.5), ({'tlc': 0.0}, 0.0), ({'ep': 0.2}, 0.75),
    ({'lk': 0.0, 'comfort': 0.0}, 12.0 / 16.0), ({'ec': 0.0}, 14.0 / 16.0),
    ({'ec': np.nan}, 1.0), ({'ec': np.nan, 'lk': 0.0}, 12.0 / 14.0)])
def test_epdms(values, expected):
    assert epdms(scores(Protocol.NAVSIM_V2, **values))[0, 0] == pytest.approx(expected)


def test_human_filter_forgives_exact_zeros_only():
    plan = scores(Protocol.NAVSIM_V2, dac=0.0, ddc=0.0, ttc=0.0, ec=np.nan)
    plan = replace(plan, total=epdms(plan))
    #                  NC   DAC  DDC  TLC  EP   TTC  LK   HC
    human = np.array([[1.0, 0.0, 0.5, 1.0, 1.0, 0.0, 1.0, 1.0]])
    filtered = human_penalty_filter(plan, human)
    assert (filtered.dac[0, 0], filtered.ddc[0, 0], filtered.ttc[0, 0]) == (1.0, 0.0, 1.0)
    assert filtered.total[0, 0] == 0.0
    assert human_penalty_filter(plan, human * [[1, 1, 0, 1, 1, 1, 1, 1]]).total[0, 0] == 1.0


def test_follow_up_weights_are_gaussian():
    weights = follow_up_weights(np.zeros(2), np.array([[0.1, 0.0], [0.0, 0.5]]))
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] / weights[1] == pytest.approx(math.exp((0.25 - 0.01) / 0.2))


def test_follow_up_weights_are_uniform_when_nothing_is_near():
    assert follow_up_weights(np.zeros(2), np.full((4, 2), 50.0)).tolist() == [0.25] * 4


def test_two_stages():
    group = group_score(np.array([1.0, 0.5]), np.array([[1.0, 1.0], [0.0, 1.0]]),
                        np.array([0.75, 0.25]))
    assert group.tolist() == [0.75, 0.5]
    final = two_stage_score(np.array([[0.75, 0.5], [1.0, 1.0]]),
                            np.array([[0.25, 0.5], [0.0, 1.0]]))
    assert final.tolist() == [0.5, 0.75]
