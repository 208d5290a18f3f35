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

"""From log and map on disk to the official scores, and what is refused on the way."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring import (
    MapLayer,
    pdm_score,
    Protocol,
    SceneError,
    ScoringScenes,
)
from pair_drive_ros.scoring.scene_file import v1_table, v2_table
from pair_drive_training.data.frames import SceneFrames
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.metric_scene import MetricScene, packed
import pytest
import shapely
import tiny_navsim

V1, V2 = Protocol


@pytest.mark.shared_data
def test_scores_through_the_files_are_the_official_ones(shared_golden, tmp_path):
    fixture = shared_golden / 'fixture'
    store = MapStore(fixture / 'maps', tmp_path)
    scenes = plans_compared = 0
    with np.load(fixture / 'expected_v1.npz') as v1, np.load(fixture / 'expected_v2.npz') as v2:
        for path in find_logs(fixture / 'navsim_logs'):
            log = read_log(path)
            metric = MetricScene(SceneFrames(log.log_name, log.map_name, log.frames),
                                 store.city(log.map_name))
            token = metric.frames.token
            for protocol, plans, official, continuous in (
                    (V1, v1[f'{token}/trajectories'], v1[token], [2, 6]),
                    (V2, v2[f'{token}/trajectories'], v2[f'{token}/nonreactive'], [4])):
                prepared = ScoringScenes.prepare([metric.scene(protocol)], protocol)
                scores = pdm_score(plans[None], prepared, protocol)
                table = (v1_table(scores) if protocol is V1 else v2_table(scores, scores))[0]
                error = np.abs(table[:, :official.shape[1]] - official)
                assert error[:, continuous].max() < 1e-6
                assert not np.delete(error, continuous, axis=1).any()
                plans_compared += len(plans)
            scenes += 1
    assert (scenes, plans_compared) == (8, 256)


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp('navsim')
    tiny_navsim.write_city(folder / 'maps')
    store = MapStore(folder / 'maps')
    log = read_log(tiny_navsim.write_log(folder / 'logs'))
    return SceneFrames(log.log_name, log.map_name, log.frames[:14]), store.city(log.map_name)


@pytest.mark.parametrize('protocol', list(Protocol))
def test_a_human_who_drives_along_scores_well(tiny, protocol):
    frames, city = tiny
    scene = MetricScene(frames, city).scene(protocol)
    human = MetricScene(frames, city).scene(V2).human
    score = pdm_score(human[None, None], ScoringScenes.prepare([scene], protocol), protocol)
    assert score.nc == score.dac == 1.0
    assert score.total[0, 0] > 0.8


def test_the_map_around_the_ego_holds_the_layers_of_the_score(tiny):
    scene = MetricScene(*tiny).scene(V1)
    assert set(scene.layers) == {MapLayer.ROADBLOCK, MapLayer.LANE, MapLayer.LANE_CONNECTOR,
                                 MapLayer.INTERSECTION, MapLayer.CARPARK_AREA}
    assert set(scene.layers[scene.on_route]) == {MapLayer.LANE, MapLayer.LANE_CONNECTOR}


def test_both_protocols_share_all_but_traffic_and_lights(tiny):
    metric = MetricScene(*tiny)
    first, second = metric.scene(V1), metric.scene(V2)
    assert first.polygons is second.polygons
    assert (len(first.objects.boxes), len(second.objects.boxes)) == (51, 41)
    assert first.red is None
    assert second.history is not None


def test_a_red_light_counts_only_on_the_logged_route(tiny):
    frames, city = tiny
    turning = MetricScene(_routed(frames, tiny_navsim.RIGHT_TURN_ROUTE), city).scene(V2)
    straight = MetricScene(frames, city).scene(V2)
    assert turning.red.count == 1
    assert turning.red_on.all()
    assert straight.red.count == 0


def test_a_light_is_held_until_the_next_frame(tiny):
    frames, city = tiny
    routed = _routed(frames, tiny_navsim.RIGHT_TURN_ROUTE).frames
    green = tuple(replace(frame, traffic_lights=()) for frame in routed[5:])
    scene = MetricScene(replace(frames, frames=routed[:5] + green), city).scene(V2)
    np.testing.assert_array_equal(np.flatnonzero(scene.red_on[:, 0]), np.arange(10))


def test_synthetic_scenes_have_no_human(tiny):
    frames, city = tiny
    scene = MetricScene(replace(frames, synthetic=True), city).scene(V2)
    assert scene.human is None


def test_an_empty_route_is_refused(tiny):
    frames, city = tiny
    with pytest.raises(SceneError, match='route is empty'):
        MetricScene(_routed(frames, ()), city).scene(V1)


def test_a_route_of_another_map_is_refused(tiny):
    frames, city = tiny
    with pytest.raises(SceneError, match='roadblock 4711.*different versions'):
        MetricScene(_routed(frames, ('4711',)), city).scene(V1)


def test_an_ego_off_the_map_is_refused(tiny):
    frames, city = tiny
    moved = tuple(replace(frame, pose=frame.pose + [5000.0, 0.0, 0.0])
                  for frame in frames.frames)
    with pytest.raises(SceneError, match=r'ego at \(.*\) is off the map .*within 100 m'):
        MetricScene(replace(frames, frames=moved), city).scene(V1)


def test_a_scene_that_ends_too_early_is_refused(tiny):
    frames, city = tiny
    short = replace(frames, frames=frames.frames[:12])
    MetricScene(short, city).scene(V2)
    with pytest.raises(SceneError, match='5 s of objects are needed.*has 4 s'):
        MetricScene(short, city).scene(V1)


def test_holes_and_parts_become_rings():
    square, hole = shapely.box(0, 0, 9, 9), shapely.box(2, 2, 4, 4)
    several = shapely.MultiPolygon([shapely.box(20, 0, 21, 1), shapely.box(30, 0, 31, 1)])
    rings = packed(np.array([square.difference(hole), several, square], dtype=object))
    assert rings.count == 3
    np.testing.assert_array_equal(rings.ring_polygon, [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(np.diff(rings.ring_offset), [5] * 5)


def _routed(frames: SceneFrames, route: tuple[str, ...]) -> SceneFrames:
    return replace(frames, frames=tuple(replace(frame, roadblock_ids=route)
                                        for frame in frames.frames))
