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

"""Scenes of Argoverse 2 logs: real boxes, a real map, and the human's own drive as plan."""

import json
from pathlib import Path

import numpy as np
from pair_drive_ros.core.geometry import compose, relative_to
from pair_drive_ros.scoring import (
    History,
    MapLayer,
    Objects,
    ObjectType,
    Polygons,
    Protocol,
    Reference,
    Scene,
)
from scoring.arrow_file import read_columns

FRAME_S = 0.1
STATIC = {'BOLLARD': ObjectType.GENERIC_OBJECT, 'SIGN': ObjectType.GENERIC_OBJECT,
          'CONSTRUCTION_CONE': ObjectType.TRAFFIC_CONE,
          'CONSTRUCTION_BARREL': ObjectType.BARRIER, 'STOP_SIGN': ObjectType.CZONE_SIGN}
RIDERS = ('BICYCLE', 'BICYCLIST', 'MOTORCYCLE', 'MOTORCYCLIST', 'WHEELED_RIDER')


def yaw(table: dict[str, np.ndarray]) -> np.ndarray:
    """Heading of the quaternions of a table."""
    w, x, y, z = (table[name] for name in ('qw', 'qx', 'qy', 'qz'))
    return np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


class Log:
    """One log: ego poses [F, 3] at the frames of the annotations, boxes, and the map."""

    def __init__(self, folder: Path):
        self.name = folder.name
        boxes = read_columns(next(folder.glob('annotations*.feather')))
        kept = boxes['category'] != 'EGO_VEHICLE'
        boxes = {name: column[kept] for name, column in boxes.items()}
        ego = read_columns(folder / 'city_SE3_egovehicle.feather')
        stamps, frame = np.unique(boxes['timestamp_ns'], return_inverse=True)
        times = ego['timestamp_ns']
        heading = np.interp(stamps, times, np.unwrap(yaw(ego)))
        self.ego = np.stack([np.interp(stamps, times, ego['tx_m']),
                             np.interp(stamps, times, ego['ty_m']), heading], axis=-1)
        self.times_us = stamps // 1000
        tokens, track = np.unique(boxes['track_uuid'], return_inverse=True)
        self.boxes = np.zeros((len(stamps), len(tokens), 3))
        self.seen = np.zeros((len(stamps), len(tokens)), bool)
        pose = np.stack([boxes['tx_m'], boxes['ty_m'], yaw(boxes)], axis=-1)
        self.boxes[frame, track] = compose(self.ego[frame], pose)
        self.seen[frame, track] = True
        first = np.unique(boxes['track_uuid'], return_index=True)[1]
        self.kind = np.array([kind_of(name) for name in boxes['category'][first]])
        self.size = np.stack([boxes['length_m'], boxes['width_m']], axis=-1)[first]
        self.polygons, self.layers = read_map(next(folder.glob('map/log_map_archive_*.json')))

    def scene(self, frame: int, protocol: Protocol) -> Scene:
        """Scene at a frame that has 1.5 s before and 5 s after it."""
        steps = protocol.object_steps
        window = slice(frame, frame + steps)
        seen = self.seen[window]
        kept = seen.any(axis=0)
        velocity = np.gradient(self.boxes[window, :, :2], FRAME_S, axis=0)
        # A difference across a gap is no velocity; such a track starts as standing.
        speed_known = seen & np.roll(self.seen, -1, axis=0)[window]
        velocity[~speed_known] = 0.0
        motion = self.motion()
        past = frame - np.array([15, 10, 5, 0])
        return Scene(
            name=f'{self.name}@{frame}', ego=np.concatenate([self.ego[frame], motion[frame, 1:]]),
            time_us=int(self.times_us[frame]), polygons=self.polygons, layers=self.layers,
            on_route=np.isin(self.layers, MapLayer.LANE),
            centreline=self.ego[frame:frame + 60, :2],
            objects=Objects(self.kind[kept], self.size[kept], self.boxes[window][:, kept],
                            velocity[:, kept], seen[:, kept]),
            reference=Reference(self.times_us[frame:frame + 51], self.ego[frame:frame + 51]),
            history=History(self.times_us[past], motion[past]), human=self.human_plan(frame))

    def human_plan(self, frame: int) -> np.ndarray:
        """Return the human's next 4 s as a plan [8, 3]."""
        return relative_to(self.ego[frame], self.ego[frame + 5:frame + 45:5])

    def motion(self) -> np.ndarray:
        """Heading, and velocity and acceleration in the body frame, of every frame [F, 5]."""
        velocity = np.gradient(self.ego[:, :2], FRAME_S, axis=0)
        acceleration = np.gradient(velocity, FRAME_S, axis=0)
        cos, sin = np.cos(self.ego[:, 2]), np.sin(self.ego[:, 2])
        return np.stack([self.ego[:, 2]] + [component for vector in (velocity, acceleration)
                                            for component in (
                                                cos * vector[:, 0] + sin * vector[:, 1],
                                                -sin * vector[:, 0] + cos * vector[:, 1])],
                        axis=-1)


def kind_of(category: str) -> ObjectType:
    """Object type of an annotation's category."""
    if category in STATIC:
        return STATIC[category]
    if category in RIDERS:
        return ObjectType.BICYCLE
    return ObjectType.PEDESTRIAN if category == 'PEDESTRIAN' else ObjectType.VEHICLE


def read_map(path: Path) -> tuple[Polygons, np.ndarray]:
    """Drivable areas, lanes and intersection lanes as polygons with their layers."""
    archive = json.loads(path.read_text())

    def line(points: list[dict]) -> np.ndarray:
        return np.array([[point['x'], point['y']] for point in points])

    rings, layers = [], []
    for area in archive['drivable_areas'].values():
        rings.append(line(area['area_boundary']))
        layers.append(MapLayer.DRIVABLE_AREA)
    for lane in archive['lane_segments'].values():
        rings.append(np.concatenate([line(lane['left_lane_boundary']),
                                     line(lane['right_lane_boundary'])[::-1]]))
        layers.append(MapLayer.LANE)
    rings = [np.vstack([ring, ring[:1]]) for ring in rings]
    return (Polygons(len(rings), np.concatenate(rings),
                     np.cumsum([0] + [len(ring) for ring in rings]), np.arange(len(rings))),
            np.array(layers))
