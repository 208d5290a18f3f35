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

"""One-stage scores: batches, EC pairs, failures; and the official numbers through this path."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring import pdm_score, Protocol, ScoringScenes
from pair_drive_ros.scoring.scene_file import SceneFile, V1_COLUMNS, v1_table, V2_COLUMNS
from pair_drive_training.evaluation.one_stage import previous_tokens, SceneHead, score_scenes
import pytest

V1, V2 = Protocol.NAVSIM_V1, Protocol.NAVSIM_V2
EC, EPDMS, NO_EC = (V2_COLUMNS.index(name) for name in ('EC', 'EPDMS', 'EPDMS_noEC'))


def evaluate(drive, plans, failures=None):
    previous = previous_tokens(drive.heads[token] for token in plans)
    return score_scenes(drive.heads, plans, previous, drive.scoring_scenes, drive.protocol,
                        failures or {})


def head(token, log='a', time_s=0.0, synthetic=False):
    return SceneHead(token, log, int(time_s * 1e6), np.zeros(3), synthetic)


def test_previous_token_is_the_frame_before_in_the_same_log():
    heads = [head('c', time_s=1.0), head('a', time_s=0.0), head('b', time_s=0.5),
             head('other log', 'b', 0.9), head('after a gap', time_s=1.56),
             head('synthetic', time_s=1.1, synthetic=True)]
    assert previous_tokens(heads) == {'b': 'a', 'c': 'b'}


def test_two_frames_of_one_instant_are_no_pair():
    assert previous_tokens([head('a'), head('b')]) == {}


def test_same_scores_as_the_scorer(make_drive, drive_at):
    drive = make_drive({'a': 3}, V1)
    plans = {token: np.concatenate([drive_at(8.0), drive_at(4.0), drive_at(8.0, 2.0)])
             for token in drive.heads}
    scores = evaluate(drive, plans)
    assert scores.failures == {}
    assert scores.previous == {}
    for token, table in scores.tables.items():
        expected = v1_table(pdm_score(plans[token][None], drive.scoring_scenes([token]), V1))[0]
        np.testing.assert_array_equal(table, expected)
        assert table.shape == (3, len(V1_COLUMNS))


def test_extended_comfort_needs_a_predecessor(make_drive, drive_at):
    drive = make_drive({'a': 3, 'b': 1}, V2)
    # The second frame plans to stop hard, the others to go on.
    plans = {token: drive_at(1.0 if token == 'a-1' else 8.0) for token in drive.heads}
    tables = {token: table[0] for token, table in evaluate(drive, plans).tables.items()}
    assert np.isnan(tables['a-0'][EC])
    assert np.isnan(tables['b-0'][EC])
    assert tables['a-0'][EPDMS] == tables['a-0'][NO_EC]
    assert tables['a-1'][EC] == tables['a-2'][EC] == 0.0
    assert tables['a-2'][EPDMS] == pytest.approx(tables['a-2'][NO_EC] * 14 / 16)


def test_extended_comfort_of_steady_plans(make_drive, drive_at):
    drive = make_drive({'a': 2}, V2)
    scores = evaluate(drive, {token: drive_at() for token in drive.heads})
    assert scores.tables['a-1'][0, EC] == 1.0
    assert scores.previous == {'a-1': 'a-0'}


def test_the_plan_before_starts_as_its_own_scene_does(make_drive, drive_at):
    """The history of a synthetic scene may tell another past than the scene before it."""
    drive = make_drive({'a': 2}, V2)
    drive.history_speed = 2.0
    scores = evaluate(drive, {token: drive_at() for token in drive.heads})
    assert scores.tables['a-1'][0, EC] == 1.0


def test_plan_k_is_compared_with_plan_k(make_drive, drive_at):
    drive = make_drive({'a': 2}, V2)
    fast, slow = drive_at(8.0), drive_at(1.0)
    scores = evaluate(drive, {'a-0': np.concatenate([fast, slow]),
                              'a-1': np.concatenate([fast, fast])})
    assert scores.tables['a-1'][:, EC].tolist() == [1.0, 0.0]


def test_no_extended_comfort_where_the_numbers_of_plans_differ(make_drive, drive_at):
    drive = make_drive({'a': 2}, V2)
    scores = evaluate(drive, {'a-0': drive_at(), 'a-1': np.concatenate([drive_at()] * 2)})
    assert np.isnan(scores.tables['a-1'][:, EC]).all()
    assert scores.previous == {}


def test_failed_predecessor_leaves_extended_comfort_undefined(make_drive, drive_at):
    drive = make_drive({'a': 3}, V2)
    plans = {token: drive_at() for token in ('a-0', 'a-2')}
    scores = evaluate(drive, plans, {'a-1': 'no plan'})
    assert np.isnan(scores.tables['a-2'][0, EC])
    assert scores.failures == {'a-1': 'no plan'}


def test_damaged_scene_fails_alone(make_drive, drive_at):
    drive = make_drive({'a': 1, 'b': 1, 'c': 1}, V1)
    drive.broken = {'b-0'}
    scores = evaluate(drive, {token: drive_at() for token in drive.heads})
    assert scores.failures == {'b-0': 'b-0: the record is damaged'}
    assert sorted(scores.tables) == ['a-0', 'c-0']


def test_batches_change_nothing(make_drive, drive_at, monkeypatch):
    drive = make_drive({'a': 5, 'b': 2}, V2)
    plans = {token: drive_at(8.0 - 1.7 * (index % 3)) for index, token in enumerate(drive.heads)}
    whole = evaluate(drive, plans).tables
    monkeypatch.setattr('pair_drive_training.evaluation.one_stage.BATCH', 2)
    drive.calls.clear()
    for token, table in evaluate(drive, plans).tables.items():
        np.testing.assert_array_equal(table, whole[token])
    assert max(len(call) for call in drive.calls) == 2
    assert sum(len(call) for call in drive.calls) == len(plans)


def test_official_numbers_with_the_frame_before_as_a_scene_of_its_own(checkout):
    """The golden scenes: EC from the scene before equals the devkit's, as do all columns."""
    with SceneFile(checkout / 'test/scoring/data/golden_small.npz') as file:
        scenes, heads, plans, official = {}, {}, {}, {}
        for key in file.keys:
            scene = file.scene(key, V2)
            frame = file.read(key, 'ego_frames')[2]
            before = replace(scene, ego=frame[1:], time_us=int(frame[0]), history=None)
            for token, item, its_plans in ((f'{key}-before', before, file.previous_plans(key)),
                                           (key, scene, file.plans(key))):
                scenes[token], plans[token] = item, its_plans
                heads[token] = SceneHead(token, key, item.time_us, item.ego[:3], False)
            official[key] = file.read(key, 'v2/scores_filtered')
    scores = score_scenes(
        heads, plans, previous_tokens(heads.values()),
        lambda tokens: ScoringScenes.prepare([scenes[token] for token in tokens], V2), V2, {})
    assert scores.failures == {}
    ec = np.concatenate([table[:, EC] for table in official.values()])
    assert 0.0 < ec.mean() < 1.0
    for key, expected in official.items():
        np.testing.assert_allclose(scores.tables[key], expected, rtol=0.0, atol=1e-6)
        np.testing.assert_array_equal(scores.tables[key][:, EC], expected[:, EC])
