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

"""What must hold for every scene: batching, order, rigid motion, far-away things."""

from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from pair_drive_ros.core.geometry import compose
from pair_drive_ros.scoring import (
    MapLayer,
    Objects,
    pdm_score,
    Polygons,
    Protocol,
    Reference,
    Scene,
    ScoringScenes,
)
from pair_drive_ros.scoring.example import example_plans, example_scene, parked_row
from pair_drive_ros.scoring.scene_file import SceneFile
import pytest

ARRAYS = ('nc', 'dac', 'ddc', 'ep', 'ttc', 'comfort', 'tlc', 'lk', 'ec', 'total', 'valid')
TRAFFIC = [(0, 20.0, 0.3, 0.0, 3.0, 4.5, 1.9), (1, 30.0, -4.0, 1.5, 1.2, 0.6, 0.6),
           (3, 14.0, 2.4, 0.4, 0.0, 0.4, 0.4), *parked_row(6)]


def assert_same(first, second, exact=True):
    for name in ARRAYS:
        one, other = getattr(first, name), getattr(second, name)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=0.0, atol=0.0 if exact else 1e-9,
                                       err_msg=name)


def pick(scores, index):
    """Select plans or scenes of every array."""
    return replace(scores, **{field.name: getattr(scores, field.name)[index]
                              for field in fields(scores)
                              if field.name in ARRAYS and getattr(scores, field.name) is not None})


def score_all(scenes, plans, protocol, previous=None, **options):
    prepared = ScoringScenes.prepare(scenes, protocol)
    return pdm_score(plans, prepared, protocol, previous_plans=previous, **options)


def load(path, protocol):
    with SceneFile(path) as file:
        return ([file.scene(key, protocol) for key in file.keys],
                np.stack([file.plans(key) for key in file.keys]),
                np.stack([file.previous_plans(key) for key in file.keys]))


def test_together_equals_one_by_one(golden_small, protocol):
    scenes, plans, previous = load(golden_small, protocol)
    together = score_all(scenes, plans, protocol, previous, threads=2)
    for b, scene in enumerate(scenes):
        prepared = ScoringScenes.prepare([scene], protocol)
        for k in range(0, plans.shape[1], 5):
            alone = pdm_score(plans[b, k][None, None], prepared, protocol, threads=1,
                              previous_plans=previous[b, k][None, None])
            assert_same(alone, pick(together, (slice(b, b + 1), slice(k, k + 1))))


def test_order_of_plans_and_scenes_does_not_matter(golden_small, protocol):
    scenes, plans, previous = load(golden_small, protocol)
    rng = np.random.default_rng(3)
    order, plan_order = rng.permutation(len(scenes)), rng.permutation(plans.shape[1])
    expected = pick(score_all(scenes, plans, protocol, previous), np.ix_(order, plan_order))
    shuffled = np.ix_(order, plan_order)
    assert_same(score_all([scenes[b] for b in order], plans[shuffled], protocol,
                          previous[shuffled]), expected)


def test_concatenated_parts_equal_one_preparation(golden_small, protocol):
    scenes, plans, previous = load(golden_small, protocol)
    parts = [ScoringScenes.prepare([scene], protocol) for scene in scenes]
    batch = ScoringScenes.concatenate(parts, protocol)
    assert batch.names == tuple(scene.name for scene in scenes)
    assert_same(pdm_score(plans, batch, protocol, previous_plans=previous),
                score_all(scenes, plans, protocol, previous))


def test_order_of_objects_does_not_matter(golden_small, protocol):
    scenes, plans, _ = load(golden_small, protocol)
    rng = np.random.default_rng(4)
    shuffled = []
    for scene in scenes:
        order, objects = rng.permutation(len(scene.objects.kind)), scene.objects
        shuffled.append(replace(scene, objects=Objects(
            objects.kind[order], objects.size[order], objects.boxes[:, order],
            objects.velocity[:, order], objects.seen[:, order])))
    assert_same(score_all(shuffled, plans, protocol), score_all(scenes, plans, protocol))


def move(scene: Scene, pose: np.ndarray) -> Scene:
    """Move a whole scene rigidly by an SE(2) pose."""
    def points(xy):
        flat = np.column_stack([xy, np.zeros(len(xy))])
        return compose(pose, flat)[:, :2]

    def polygons(given):
        return given and Polygons(given.count, points(given.xy), given.ring_offset,
                                  given.ring_polygon)

    objects, turn = scene.objects, pose[2]
    cos, sin = np.cos(turn), np.sin(turn)
    velocity = objects.velocity @ np.array([[cos, sin], [-sin, cos]])
    ego = np.concatenate([compose(pose, scene.ego[:3]), scene.ego[3:]])
    history = scene.history
    if history is not None:
        history = replace(history, motion=history.motion + [turn, 0.0, 0.0, 0.0, 0.0])
    return replace(scene, ego=ego, polygons=polygons(scene.polygons), red=polygons(scene.red),
                   centreline=points(scene.centreline), history=history,
                   objects=replace(objects, boxes=compose(pose, objects.boxes),
                                   velocity=velocity),
                   reference=Reference(scene.reference.times_us,
                                       compose(pose, scene.reference.poses)))


@settings(max_examples=8, deadline=None)
@given(st.floats(-5e5, 5e5), st.floats(-4e6, 4e6), st.floats(-3.1, 3.1),
       st.sampled_from(Protocol))
def test_rigid_motion_changes_nothing(x, y, turn, protocol):
    scene = example_scene(protocol, TRAFFIC, red=True)
    plans = example_plans(9)[None]
    moved = move(scene, np.array([x, y, turn]))
    still = score_all([scene], plans, protocol, plans)
    for name in ('nc', 'dac', 'ddc', 'ttc', 'comfort', 'tlc', 'lk'):
        if getattr(still, name) is not None:
            assert np.array_equal(getattr(still, name),
                                  getattr(score_all([moved], plans, protocol, plans), name)), name
    np.testing.assert_allclose(score_all([moved], plans, protocol, plans).total, still.total,
                               rtol=0.0, atol=1e-6)


def test_far_things_change_nothing(golden_small, protocol):
    scenes, plans, _ = load(golden_small, protocol)
    padded = []
    for scene in scenes:
        away = scene.ego[:2] + 5000.0
        ring = away + np.array([[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], float)
        polygons, objects = scene.polygons, scene.objects
        steps = len(objects.boxes)
        box = np.broadcast_to([*away, 0.3], (steps, 1, 3))
        padded.append(replace(
            scene, layers=np.append(scene.layers, MapLayer.LANE),
            on_route=np.append(scene.on_route, True),
            polygons=Polygons(polygons.count + 1, np.concatenate([polygons.xy, ring]),
                              np.append(polygons.ring_offset, len(polygons.xy) + 5),
                              np.append(polygons.ring_polygon, polygons.count)),
            objects=Objects(np.append(objects.kind, 0), np.vstack([objects.size, [4.0, 2.0]]),
                            np.concatenate([objects.boxes, box], axis=1),
                            np.concatenate([objects.velocity, np.zeros((steps, 1, 2))], axis=1),
                            np.concatenate([objects.seen, np.ones((steps, 1), bool)], axis=1))))
    assert_same(score_all(padded, plans, protocol), score_all(scenes, plans, protocol))


@pytest.mark.parametrize('plans', [0, 3])
def test_no_scenes_or_no_plans(protocol, plans):
    empty = pdm_score(np.zeros((0, plans, 8, 3)), ScoringScenes.prepare([], protocol), protocol)
    assert empty.total.shape == (0, plans)
    scenes = ScoringScenes.prepare([example_scene(protocol)], protocol)
    assert pdm_score(np.zeros((1, 0, 8, 3)), scenes, protocol).total.shape == (1, 0)


def test_empty_map_is_not_drivable(protocol):
    none = np.zeros(0, int)
    scene = replace(example_scene(protocol), layers=none, on_route=none.astype(bool),
                    polygons=Polygons(0, np.zeros((0, 2)), np.zeros(1, int), none))
    scores = score_all([scene], example_plans(3)[None], protocol, human_filter=False)
    assert scores.dac.tolist() == [[0.0, 0.0, 0.0]]
    assert scores.total.tolist() == [[0.0, 0.0, 0.0]]


def test_threads_change_nothing(protocol):
    scenes = [example_scene(protocol, TRAFFIC) for _ in range(3)]
    plans = np.stack([example_plans(70)] * 3)
    assert_same(score_all(scenes, plans, protocol, threads=1),
                score_all(scenes, plans, protocol, threads=4))


def test_single_precision_agrees_away_from_knife_edges(golden_small, protocol):
    scenes, plans, previous = load(golden_small, protocol)
    rough = pdm_score(plans, ScoringScenes.prepare(scenes, protocol, np.float32), protocol,
                      previous_plans=previous)
    exact = score_all(scenes, plans, protocol, previous)
    np.testing.assert_allclose(rough.total, exact.total, rtol=0.0, atol=1e-5)
