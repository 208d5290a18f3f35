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

"""Solids fit their boxes and show their outsides, or parts of them would vanish."""

import numpy as np
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.world.sensors.mesh import block, ellipsoid, faces, panel, polygons
from pair_drive_training.world.sensors.people import actor_mesh
from pair_drive_training.world.sensors.scenery import building_mesh
from pair_drive_training.world.towns.town import Building
from pair_drive_training.world.traffic.drive import Actor
import pytest

BODIES = [(ObjectType.VEHICLE, (4.6, 1.85, 1.45)), (ObjectType.VEHICLE, (3.6, 1.6, 1.5)),
          (ObjectType.VEHICLE, (5.6, 2.1, 2.4)), (ObjectType.VEHICLE, (8.0, 2.5, 3.4)),
          (ObjectType.VEHICLE, (12.0, 2.6, 3.2)), (ObjectType.PEDESTRIAN, (0.7, 0.7, 1.75)),
          (ObjectType.PEDESTRIAN, (0.5, 0.5, 1.1)), (ObjectType.BICYCLE, (1.8, 0.7, 1.75)),
          (ObjectType.TRAFFIC_CONE, (0.4, 0.4, 0.75)), (ObjectType.BARRIER, (0.5, 2.0, 1.0)),
          (ObjectType.BARRIER, (2.4, 0.4, 1.0)), (ObjectType.CZONE_SIGN, (0.4, 0.9, 1.5)),
          (ObjectType.GENERIC_OBJECT, (1.0, 1.0, 1.2))]


@pytest.mark.parametrize('model', range(4))
@pytest.mark.parametrize(('kind', 'size'), BODIES)
def test_a_body_fills_its_box_and_hardly_leaves_it(kind, size, model):
    mesh = actor_mesh(Actor('0' * 16, kind, np.array(size), model, 3))
    points = mesh.corners.reshape(-1, 3)
    assert np.abs(points[:, :2]).max(axis=0) == pytest.approx(np.array(size[:2]) / 2, abs=0.25)
    assert points[:, 2].min() == pytest.approx(0.0, abs=0.02)
    assert points[:, 2].max() == pytest.approx(size[2], abs=0.15)


@pytest.mark.parametrize(('kind', 'size'), BODIES)
def test_polygons_are_flat_and_have_unit_normals(kind, size):
    mesh = actor_mesh(Actor('0' * 16, kind, np.array(size), 1, 0))
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0, abs=1e-5)
    heights = np.einsum('pki,pi->pk', mesh.corners - mesh.corners[:, :1], mesh.normals)
    assert np.abs(heights).max() < 0.01


@pytest.mark.parametrize('solid', [faces(block((1.0, 2.0, 3.0), (4.0, 2.0, 1.0), top=(0.5, 0.7))),
                                   ellipsoid((0.0, 1.0, 2.0), (1.0, 2.0, 3.0), 7, 2)])
def test_convex_solids_face_outwards(solid):
    mesh = polygons(solid, (1.0, 1.0, 1.0))
    points = solid.reshape(-1, 3)
    for corners, normal in zip(solid, mesh.normals, strict=True):
        assert ((points - corners[0]) @ normal).max() < 1e-5


def test_a_panel_lies_where_it_is_put_as_seen_from_outside():
    body = block((0.0, 0.0, 0.0), (4.0, 2.0, 1.0))
    left_half = panel(body, 'rear', (0.0, 0.5), (0.5, 1.0), 0.01)[0]
    # Seen from behind, the left of the vehicle is on the left.
    assert left_half[:, 1].min() == 0.0 and left_half[:, 1].max() == 1.0
    assert left_half[:, 2].min() == 0.5
    assert left_half[:, 0] == pytest.approx(-2.01)


@pytest.mark.parametrize('turn', [slice(None), slice(None, None, -1)])
def test_walls_face_outwards_either_way_round(turn):
    ring = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 6.0], [0.0, 6.0]])[turn]
    mesh = building_mesh(Building(ring, 8.0, 0))
    outwards = mesh.corners.mean(axis=1) - [5.0, 3.0, 4.0]
    assert ((outwards * mesh.normals).sum(axis=1) > 0.0).all()
