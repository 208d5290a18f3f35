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

"""Each sub-score on hand-made scenes with known answers."""

from dataclasses import replace

import numpy as np
from pair_drive_ros.scoring import ObjectType, pdm_score, Protocol, ScoringScenes
from pair_drive_ros.scoring.ego_areas import MULTIPLE_LANES, NON_DRIVABLE, ONCOMING
from pair_drive_ros.scoring.example import example_scene
from pair_drive_ros.scoring.state import VX, X
from pair_drive_ros.scoring.vehicle import AXLE_TO_FRONT
import pytest

CAR = (4.5, 1.9)
STRAIGHT = np.array([[8.0 * 0.5 * k, 0.0, 0.0] for k in range(1, 9)])


def vehicle(x, y, heading=0.0, speed=0.0, size=CAR, kind=ObjectType.VEHICLE):
    return (kind, x, y, heading, speed, *size)


def plan(speed):
    return STRAIGHT * [speed / 8.0, 1.0, 1.0]


def sideways(y, speed=8.0):
    """Swerve to the line at ``y`` within 2 s and stay there."""
    lateral = y * np.minimum(1.0, np.arange(1, 9) / 4.0)
    heading = np.arctan2(np.diff(lateral, prepend=0.0), 0.5 * speed)
    return np.stack([plan(speed)[:, 0], lateral, heading], axis=-1)[None]


def test_perfect_drive_scores_one(score, straight, protocol):
    scores = score(straight(), protocol)
    for name in ('nc', 'dac', 'ddc', 'ep', 'ttc', 'comfort', 'total'):
        assert getattr(scores, name)[0, 0] == pytest.approx(1.0), name


def test_parked_car_ahead_is_hit_at_fault(score, straight, trace, protocol):
    objects = [vehicle(20.0, 0.0)]
    assert score(straight(), protocol, objects).nc[0, 0] == 0.0
    # Front bumper 4.049 m ahead of the axle, car's tail at 17.75 m, 0.8 m a step.
    assert trace(straight(), protocol, objects).collision_step[0, 0] == 18.0


def test_static_object_costs_half(score, straight, protocol):
    objects = [vehicle(20.0, 0.0, size=(0.4, 0.4), kind=ObjectType.TRAFFIC_CONE)]
    assert score(straight(), protocol, objects).nc[0, 0] == 0.5


def test_rear_end_collision_is_not_at_fault(score, straight, protocol):
    scores = score(straight(4.0), protocol, [vehicle(-12.0, 0.0, speed=12.0)])
    assert scores.nc[0, 0] == 1.0


def test_standing_ego_is_not_at_fault(protocol):
    scene = example_scene(protocol, [vehicle(12.0, 0.0, np.pi, 4.0)])
    scene = replace(scene, ego=np.zeros(7))
    scenes = ScoringScenes.prepare([scene], protocol)
    scores = pdm_score(np.zeros((1, 1, 8, 3)), scenes, protocol, human_filter=False)
    assert scores.nc[0, 0] == 1.0
    assert scores.ttc[0, 0] == 1.0


def test_side_collision_is_at_fault_only_off_the_lane(score, protocol):
    # The other car comes from the right, slowly enough to meet the ego's flank.
    crossing = [vehicle(14.0, -9.8, np.pi / 2.0, 4.0, size=(4.5, 1.0))]
    assert score(STRAIGHT[None], protocol, crossing).nc[0, 0] == 1.0
    between_lanes = score(sideways(1.75), protocol,
                          [vehicle(14.0, -8.4, np.pi / 2.0, 4.0, size=(4.5, 1.0))])
    assert between_lanes.nc[0, 0] == 0.0


def test_v2_forgets_objects_that_touch_the_ego_at_the_start(score, straight):
    touching = [vehicle(3.0, 0.0, size=(0.4, 0.4), kind=ObjectType.GENERIC_OBJECT)]
    assert score(straight(), Protocol.NAVSIM_V1, touching).nc[0, 0] == 0.5
    assert score(straight(), Protocol.NAVSIM_V2, touching).nc[0, 0] == 1.0


def test_object_is_judged_by_its_first_speed(protocol):
    scene = example_scene(protocol, [vehicle(0.0, 3.2, 0.0, 8.0)])
    stopped_first = replace(scene.objects, velocity=np.zeros_like(scene.objects.velocity))
    results = []
    for objects in (scene.objects, stopped_first):
        boxes = objects.boxes.copy()
        boxes[..., 1] -= np.minimum(1.2, 0.05 * np.arange(len(boxes)))[:, None]
        moved = replace(scene, objects=replace(objects, boxes=boxes))
        scenes = ScoringScenes.prepare([moved], protocol)
        results.append(pdm_score(STRAIGHT[None, None], scenes, protocol,
                                 human_filter=False).nc[0, 0])
    assert results == [1.0, 0.0]


def test_ttc_looks_nine_steps_ahead(score, trace, protocol):
    ahead = [4.0, 8.0, 12.0, 13.0, 13.0, 13.0, 13.0, 13.0]
    braking = np.array([[[x, 0.0, 0.0] for x in ahead]])
    states = trace(braking, protocol).states[0, 0]
    driven, feared = states[:, X].max(), (states[:, X] + 0.9 * states[:, VX])[:32].max()
    assert feared > driven + 0.1

    def ttc(axle):
        scores = score(braking, protocol,
                       [vehicle(axle + AXLE_TO_FRONT + CAR[0] / 2.0, 0.0)])
        assert scores.nc[0, 0] == 1.0
        return scores.ttc[0, 0]

    assert ttc(0.5 * (driven + feared)) == 0.0
    assert ttc(feared + 0.1) == 1.0


def test_leaving_the_road_costs_dac(score, trace, protocol):
    assert score(sideways(-2.5), protocol).dac[0, 0] == 0.0
    assert score(sideways(-0.3), protocol).dac[0, 0] == 1.0
    assert trace(sideways(-2.5), protocol).areas[0, 0, 25] & NON_DRIVABLE


def test_two_lanes_at_once(trace, protocol):
    areas = trace(sideways(1.75), protocol).areas[0, 0]
    assert areas[15] & MULTIPLE_LANES
    assert not areas[0] & MULTIPLE_LANES


def test_oncoming_lane_costs_driving_direction(score, trace, protocol):
    scores = score(np.concatenate([STRAIGHT[None], sideways(3.5)]), protocol)
    assert scores.ddc[0].tolist() == [1.0, 0.0]
    assert trace(sideways(3.5), protocol).areas[0, 0, 20] & ONCOMING


def test_red_light(score, straight):
    assert score(straight(), red=True).tlc[0, 0] == 0.0
    assert score(straight(3.0), red=True).tlc[0, 0] == 1.0
    assert score(straight(), red=False).tlc[0, 0] == 1.0


def test_red_light_does_not_exist_in_version_1(score, straight):
    assert score(straight(), Protocol.NAVSIM_V1, red=True).total[0, 0] == pytest.approx(1.0)


def test_progress_is_relative_to_pdm_closed(score, straight, protocol):
    scores = score(np.concatenate([straight(4.0), straight(8.0), straight(11.0)]), protocol)
    slow, same, fast = scores.ep[0]
    # The ego starts at 8 m/s, so its slow plan still gains a little more than 16 m.
    assert 0.5 < slow < 0.7
    assert same == pytest.approx(1.0)
    assert fast == 1.0


def test_progress_without_a_multiplier(score):
    off_road = sideways(-2.5)
    assert score(off_road, Protocol.NAVSIM_V1).ep[0, 0] == 0.0
    assert score(off_road, Protocol.NAVSIM_V2).ep[0, 0] > 0.9


def test_hard_braking_is_uncomfortable(score, straight, protocol):
    scores = score(np.concatenate([straight(8.0), straight(0.5)]), protocol)
    assert scores.comfort[0].tolist() == [1.0, 0.0]


def test_lane_keeping_allows_less_than_two_seconds(score):
    scores = score(np.concatenate([sideways(1.5, 5.0), sideways(0.3, 5.0)]))
    assert scores.lk[0].tolist() == [0.0, 1.0]


def test_extended_comfort_compares_with_the_plan_before(score, straight):
    same = score(straight(), previous_plans=straight()[None])
    other = score(straight(), previous_plans=straight(1.0)[None])
    none = score(straight())
    assert (same.ec[0, 0], other.ec[0, 0]) == (1.0, 0.0)
    assert np.isnan(none.ec[0, 0])
    assert none.total[0, 0] == pytest.approx(1.0)


def test_human_filter_forgives_what_the_human_did(straight):
    scene = example_scene(Protocol.NAVSIM_V2, red=True)
    scenes = ScoringScenes.prepare([scene], Protocol.NAVSIM_V2)
    unfiltered = pdm_score(straight()[None], scenes, Protocol.NAVSIM_V2, human_filter=False)
    filtered = pdm_score(straight()[None], scenes, Protocol.NAVSIM_V2)
    assert unfiltered.tlc[0, 0] == 0.0 and unfiltered.total[0, 0] == 0.0
    assert filtered.tlc[0, 0] == 1.0 and filtered.total[0, 0] > 0.9


def test_history_counts_for_comfort(straight):
    scene = example_scene(Protocol.NAVSIM_V2)
    motion = scene.history.motion.copy()
    motion[:, 3] = [0.0, -6.0, 0.0, 0.0]
    jerky = replace(scene, history=replace(scene.history, motion=motion))
    without = replace(scene, history=None)
    results = [pdm_score(straight()[None], ScoringScenes.prepare([s], Protocol.NAVSIM_V2),
                         Protocol.NAVSIM_V2).comfort[0, 0] for s in (scene, jerky, without)]
    assert results == [1.0, 0.0, 1.0]
