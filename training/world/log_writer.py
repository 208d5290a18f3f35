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

"""
A drive as an OpenScene log (v1.1, NAVSIM's): a pickle with one dictionary per 2 Hz frame.

The LiDAR frame is the ego frame: rear axle, x forward, y left, z up from the ground.
"""

from collections.abc import Mapping, Sequence
import pickle

import numpy as np
from pair_drive_ros.core.frames import DrivingCommand
from pair_drive_ros.core.geometry import relative_to, rigid_transform
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE
from pair_drive_training.data.city_map import CityMap, Lane
from pair_drive_training.data.forecast import ego_footprint
from pair_drive_training.data.frames import FRAME_STEP_S
from pair_drive_training.data.path import Path
from pair_drive_training.data.route import centreline, route_blocks, route_lanes, starting_lane
from pair_drive_training.data.tracks import AGENTS, KINDS
from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.sensors.camera_rig import CameraModel, NO_DISTORTION
from pair_drive_training.world.traffic.drive import Drive, STEP_S
import shapely

STEPS_A_FRAME = round(FRAME_STEP_S / STEP_S)
FRAME_STEP_US = round(FRAME_STEP_S * 1e6)
# Sweeps of real logs are that unpunctual, microseconds: standard deviation and bound.
JITTER_US, MAX_JITTER_US = 150.0, 1000.0
ANNOTATED_M = 80.0
LIGHTS_M = 150.0
ROUTE_AHEAD_M = 150.0
COMMAND_AHEAD_M = 20.0
COMMAND_OFFSET_M = 2.0
# The only protocol whose names of modules end with a line feed, see log_bytes.
PROTOCOL = 3

_NAMES = {int(kind): name for name, kind in KINDS.items()}
_NO_ROTATION = [1.0, 0.0, 0.0, 0.0]


def log_frames(drive: Drive, key: DriveKey, city: CityMap, location: str,
               cameras: Sequence[CameraModel]) -> list[dict[str, object]]:
    """
    Describe every fifth step of a drive as OpenScene does.

    All present actors within 80 m are annotated, all signals within 150 m reported, and the route
    is that from the block before the present one to 150 m ahead.

    :param city: the map the drive's lanes and route are in
    :param location: the map's name in a log
    :param cameras: all that a log names, whether or not their images are rendered
    """
    route = RouteProgress(drive.route, city)
    signals = _Signals(drive.red, city)
    steps = range(0, len(drive.ego), STEPS_A_FRAME)
    tokens = [key.token('frame', index) for index in range(len(steps))]
    random = np.random.default_rng(key.randomness('clock'))
    jitter = np.clip(random.normal(0.0, JITTER_US, len(steps)), -MAX_JITTER_US, MAX_JITTER_US)
    yaw_rates = np.gradient(np.unwrap(drive.ego[:, 2]), STEP_S)
    tracks = [key.token('track', actor.token) for actor in drive.actors]
    # One object for all frames: pickled once, which makes the log half as large.
    log_name, upright, origin = key.log_name, np.eye(4), np.zeros(3)
    calibrations = {camera.name: _calibration(camera) for camera in cameras}
    frames: list[dict[str, object]] = []
    for index, step in enumerate(steps):
        x, y, heading, *motion = (float(value) for value in drive.ego[step])
        pose, token = drive.ego[step, :3], tokens[index]
        ids, command = route.advance(pose)
        quaternion = [float(np.cos(0.5 * heading)), 0.0, 0.0, float(np.sin(0.5 * heading))]
        turned = np.array([[np.cos(heading), -np.sin(heading), 0.0],
                           [np.sin(heading), np.cos(heading), 0.0], [0.0, 0.0, 1.0]])
        to_global = rigid_transform(np.array([x, y, 0.0]), turned)
        frames.append({
            'token': token, 'frame_idx': index,
            'timestamp': drive.start_us + FRAME_STEP_US * index + round(float(jitter[index])),
            'log_name': log_name, 'log_token': key.token('log'),
            'scene_name': f'{log_name}-0000', 'scene_token': key.token('scene'),
            'map_location': location, 'roadblock_ids': ids, 'vehicle_name': 'pacifica',
            'can_bus': np.array([x, y, 0.0, *quaternion, motion[2], motion[3], 0.0, *motion[:2],
                                 0.0, 0.0, 0.0, yaw_rates[step], 0.0, 0.0]),
            'lidar_path': f'{log_name}/MergedPointCloud/{token}.pcd',
            'lidar2ego_translation': origin, 'lidar2ego_rotation': list(_NO_ROTATION),
            'ego2global_translation': [x, y, 0.0], 'ego2global_rotation': quaternion,
            'ego_dynamic_state': motion, 'traffic_lights': signals.at(step, pose),
            'driving_command': np.eye(len(DrivingCommand), dtype=np.int64)[command],
            'cams': {name: {'data_path': f'{log_name}/{name}/{token}.jpg', **calibration}
                     for name, calibration in calibrations.items()},
            'sample_prev': tokens[index - 1] if index else None,
            'sample_next': tokens[index + 1] if index + 1 < len(tokens) else None,
            'ego2global': to_global, 'lidar2ego': upright, 'lidar2global': to_global,
            'anns': _annotations(drive, key, step, tracks)})
    return frames


def log_bytes(frames: Sequence[Mapping[str, object]]) -> bytes:
    """
    Pickle a log so that every numpy can read it; equal logs give equal bytes.

    numpy 2 names a module that numpy 1, which NAVSIM's devkit needs, does not have; the name of
    numpy 1 is known to both.
    """
    return pickle.dumps(list(frames), PROTOCOL).replace(b'cnumpy._core.multiarray\n',
                                                        b'cnumpy.core.multiarray\n')


def driving_command(line: Path, pose: np.ndarray) -> DrivingCommand:
    """
    Command of a route: where its centreline is 20 m ahead of the rear axle.

    Source: OpenScene's metadata; 2 m or more to the left or to the right are a turn.
    """
    ahead = line.interpolate(np.asarray(line.project(*pose[:2]) + COMMAND_AHEAD_M))
    left = relative_to(pose, ahead)[1]
    if left >= COMMAND_OFFSET_M:
        return DrivingCommand.LEFT
    return DrivingCommand.RIGHT if left <= -COMMAND_OFFSET_M else DrivingCommand.STRAIGHT


class RouteProgress:
    """
    The blocks of a drive, and how far it has come among them.

    :param route: ids of roadblocks and roadblock connectors
    """

    def __init__(self, route: Sequence[int], city: CityMap):
        self._city = city
        self._ids = [str(block) for block in route]
        self._now = 0

    def advance(self, pose: np.ndarray) -> tuple[list[str], DrivingCommand]:
        """
        Return the route from the block before the present one to 150 m ahead, and the command.

        :param pose: [3] of the rear axle, no nearer to the start than that of the call before
        """
        point = shapely.Point(pose[:2])
        polygons = [self._city.roadblocks[block].polygon for block in self._ids]
        while self._now + 1 < len(self._ids) and (
                polygons[self._now + 1].distance(point) < polygons[self._now].distance(point)):
            self._now += 1
        ids = self._ahead(point)
        lanes = route_lanes(self._city, route_blocks(self._city, ids))
        return ids, driving_command(self._centreline(ids, lanes, pose, point), pose)

    def _ahead(self, point: shapely.Point) -> list[str]:
        """List each block once: a route that comes back to a block ends before that."""
        ids = self._ids[max(self._now - 1, 0):self._now + 1]
        beyond = self._length(ids[-1]) - self._line(ids[-1]).project(point)
        for block in self._ids[self._now + 1:]:
            if block in ids or beyond > ROUTE_AHEAD_M:
                break
            ids.append(block)
            beyond += self._length(block)
        return ids

    def _line(self, block: str) -> shapely.LineString:
        return self._city.lanes[self._city.roadblocks[block].lanes[0]].line

    def _length(self, block: str) -> float:
        return self._line(block).length

    def _centreline(self, ids: Sequence[str], lanes: dict[str, Lane], pose: np.ndarray,
                    point: shapely.Point) -> Path:
        under = [fid for fid, lane in lanes.items() if lane.polygon.intersects(point)]
        centre = pose[:2] + AXLE_TO_CENTRE * np.array([np.cos(pose[2]), np.sin(pose[2])])
        start = starting_lane(lanes, under, pose, centre, ego_footprint(pose))
        return centreline(self._city, route_blocks(self._city, ids), lanes, start)


class _Signals:
    """All signalled connectors of a drive."""

    def __init__(self, red: Mapping[int, np.ndarray], city: CityMap):
        self._ids = sorted(red)
        self._red = red
        self._polygons = np.array([city.lanes[str(connector)].polygon for connector in self._ids],
                                  dtype=object)

    def at(self, step: int, pose: np.ndarray) -> list[tuple[int, bool]]:
        """Connectors near a pose and whether they are red."""
        near = shapely.distance(self._polygons, shapely.Point(pose[:2])) <= LIGHTS_M
        return [(int(connector), bool(self._red[connector][step]))
                for connector, is_near in zip(self._ids, near, strict=True) if is_near]


def _annotations(drive: Drive, key: DriveKey, step: int, tracks: Sequence[str]
                 ) -> dict[str, object]:
    pose = drive.ego[step, :3]
    distance = np.hypot(*(drive.poses[step, :, :2] - pose[:2]).T)
    seen = np.flatnonzero(drive.present[step] & (distance <= ANNOTATED_M)).tolist()
    actors = [drive.actors[row] for row in seen]
    boxes = np.zeros((len(seen), 7), np.float32)
    velocity = np.zeros((len(seen), 3), np.float32)
    if seen:
        placed = relative_to(pose, drive.poses[step, seen])
        size = np.stack([actor.size for actor in actors])
        boxes[:] = np.column_stack([placed[:, :2], 0.5 * size[:, 2], size, placed[:, 2]])
        moving = np.isin([actor.kind for actor in actors], [int(kind) for kind in AGENTS])
        still = np.array([0.0, 0.0, pose[2]])
        velocity[:, :2] = np.where(moving[:, None], relative_to(still, np.column_stack(
            [drive.velocity[step, seen], np.zeros(len(seen))]))[:, :2], 0.0)
    return {'gt_boxes': boxes, 'gt_names': [_NAMES[actor.kind] for actor in actors],
            'gt_velocity_3d': velocity,
            'instance_tokens': [key.token('box', step, tracks[row]) for row in seen],
            'track_tokens': [tracks[row] for row in seen]}


def _calibration(camera: CameraModel) -> dict[str, object]:
    return {'sensor2lidar_rotation': camera.rotation,
            'sensor2lidar_translation': camera.translation,
            'cam_intrinsic': camera.intrinsics, 'distortion': NO_DISTORTION}
