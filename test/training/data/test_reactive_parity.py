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

"""The whole way from log and map to the official scores in reactive traffic."""

import numpy as np
from pair_drive_ros.scoring import Protocol, ScoringScenes
from pair_drive_ros.scoring.preparation import KnownPaths
from pair_drive_ros.scoring.scene_file import v2_table
from pair_drive_training.data.frames import SceneFrames
from pair_drive_training.data.gpkg import read_city
from pair_drive_training.data.idm_traffic import IdmTraffic
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.metric_scene import MetricScene
from pair_drive_training.data.reactive_scene import ReactiveScene
from pair_drive_training.data.tracks import interpolate_tracks
import pytest

V2 = Protocol.NAVSIM_V2


@pytest.fixture(scope='module')
def metric_scenes(shared_golden):
    fixture = shared_golden / 'fixture'
    cities, scenes = {}, []
    for path in find_logs(fixture / 'navsim_logs'):
        log = read_log(path)
        if log.map_name not in cities:
            source, = (fixture / 'maps' / log.map_name).glob('*/map.gpkg')
            cities[log.map_name] = read_city(source, log.map_name)
        scenes.append(MetricScene(SceneFrames(log.log_name, log.map_name, log.frames),
                                  cities[log.map_name]))
    return scenes


@pytest.mark.shared_data
def test_scores_in_reactive_traffic_are_the_official_ones(shared_golden, metric_scenes):
    changed_by_reaction = 0
    with np.load(shared_golden / 'fixture' / 'expected_v2.npz') as expected:
        columns = len(expected['cols'])
        for metric in metric_scenes:
            token = metric.frames.token
            scene = metric.scene(V2)
            tracks = metric.tracks(V2)
            replay, tokens = interpolate_tracks(tracks)
            traffic = IdmTraffic.prepare(tracks[0], replay, tokens, metric.ego, metric.city)
            known = KnownPaths(metric.ego, scene.time_us, scene.reference, scene.human)
            reactive = ReactiveScene(ScoringScenes.prepare([scene], V2), traffic, known)
            scores = reactive.score(expected[f'{token}/trajectories'])
            official = expected[f'{token}/reactive_idm']
            np.testing.assert_allclose(v2_table(scores, scores)[:, 0, :columns], official,
                                       rtol=0.0, atol=1e-6, err_msg=token)
            changed_by_reaction += int((official != expected[f'{token}/nonreactive']).any())
    assert changed_by_reaction > 1
