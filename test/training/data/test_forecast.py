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

"""Which objects PDM-Closed expects where."""

import numpy as np
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.data.forecast import forecast
from pair_drive_training.data.frames import Tracks
import pytest

EGO = np.zeros(3)


def tracks(kind: int, boxes: list, velocity: list) -> Tracks:
    count = len(boxes)
    return Tracks(np.full(count, kind), np.tile([4.0, 2.0], (count, 1)),
                  np.array(boxes, float), np.array(velocity, float),
                  tuple(f'{n}' for n in range(count)))


def test_a_box_moves_along_its_heading_at_its_speed():
    # The velocity points 45 degrees off; only its magnitude counts.
    found = forecast(tracks(ObjectType.VEHICLE, [[20.0, 5.0, 0.0]], [[3.0, 3.0]]), EGO)
    boxes = found.objects(41).boxes[:, 0]
    np.testing.assert_allclose(boxes[10], [20.0 + 18.0 ** 0.5, 5.0, 0.0])


def test_a_box_rolls_backwards_when_its_velocity_points_back():
    found = forecast(tracks(ObjectType.VEHICLE, [[20.0, 5.0, 0.0]], [[-2.0, 0.0]]), EGO)
    np.testing.assert_allclose(found.objects(41).boxes[40, 0], [12.0, 5.0, 0.0], atol=1e-12)


def test_the_forecast_is_held_for_a_tenth_of_a_second():
    found = forecast(tracks(ObjectType.VEHICLE, [[20.0, 5.0, 0.0]], [[1.0, 0.0]]), EGO)
    np.testing.assert_allclose(found.objects(6).boxes[:, 0, 0],
                               [20.0, 20.0, 20.2, 20.2, 20.4, 20.4])


@pytest.mark.parametrize(('kind', 'most'), [
    (ObjectType.VEHICLE, 50), (ObjectType.PEDESTRIAN, 25), (ObjectType.BICYCLE, 10),
    (ObjectType.BARRIER, 50)])
def test_only_the_nearest_of_a_kind_are_kept(kind, most):
    boxes = [[10.0 + n, 20.0, 0.0] for n in reversed(range(most + 5))]
    found = forecast(tracks(kind, boxes, [[0.0, 0.0]] * len(boxes)), EGO)
    assert found.objects(41).boxes.shape[1] == most
    assert found.tracks.boxes[:, 0].max() == 10.0 + most - 1


def test_objects_beyond_a_hundred_metres_of_the_ego_centre_are_left_out():
    boxes = [[101.4, 0.0, 0.0], [101.5, 0.0, 0.0]]
    found = forecast(tracks(ObjectType.VEHICLE, boxes, [[0.0, 0.0]] * 2), EGO)
    np.testing.assert_array_equal(found.tracks.boxes[:, 0], [101.4])


def test_static_objects_stay_and_the_touching_ones_are_no_objects():
    found = forecast(tracks(ObjectType.TRAFFIC_CONE, [[30.0, 0.0, 0.0], [2.0, 0.0, 0.0]],
                            [[5.0, 0.0], [0.0, 0.0]]), EGO)
    objects = found.objects(51)
    np.testing.assert_array_equal(objects.boxes[:, 0, 0], np.full(51, 30.0))
    assert objects.boxes.shape[1] == 1
