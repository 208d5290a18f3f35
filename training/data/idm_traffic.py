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
Reactive traffic of NAVSIM v2: vehicles follow their lanes and brake for each other and the ego.

Source: ``NavsimIDMTrafficAgents`` of the devkit v2.2 as its configuration ``reactive`` sets it up,
``navsim_idm_agents`` and ``navsim_idm_agent_manager``. What is marked (sic) looks unintended; the
official numbers depend on it. Traffic lights never reach the devkit's vehicles: none of them
passes the end of the lane it starts on.
"""

from collections.abc import Mapping, Sequence
import math

import numpy as np
from pair_drive_ros.scoring import Objects, ObjectType
from pair_drive_ros.scoring.protocol import POSES, STEPS
from pair_drive_ros.scoring.state import HEADING, STATE_SIZE, X, Y
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE, HALF_LENGTH, HALF_WIDTH
from pair_drive_training.data.city_map import CityMap, Lane, Layer
from pair_drive_training.data.frames import Tracks
from pair_drive_training.data.idm_path import knots_of_baseline, Rail
from pair_drive_training.data.idm_vehicle import box_polygons, Driver, Ego, nearest, Vehicle
import shapely

EGO_SIZE = np.array([2.0 * HALF_LENGTH, 2.0 * HALF_WIDTH])
RADIUS_M = 100.0
SNAP_THRESHOLD_M = 3.0
STANDING_MPS = 0.1
TARGET_SPEED_MPS = 10.0
HEADING_DISTANCE_M = 0.5
# What cannot meet is never built; the margin covers the rounding of what can.
MARGIN_M = 0.1
REMEDY = 'score this scene with the log replayed'


class IdmTrafficError(ValueError):
    """The devkit cannot simulate the scene either, or an array has the wrong shape."""


class IdmTraffic:
    """
    The reactive vehicles of one scene, prepared once for any number of plans.

    ``arrays`` (see :meth:`to_arrays`) for A drivers, F frozen vehicles and N tracks of the log:
    ``present`` [N] seen now; ``driver`` [A] and ``frozen`` [F] rows of the tracks; ``progress``
    [A] m, ``speed`` [A] and ``target_speed`` [A] m/s; ``start`` [A, 3] the pose put on the lane;
    ``knot`` and ``knot_offset`` [A + 1] the rails; ``may_follow`` [A, A] and ``may_hide`` [F, A]
    whether a driver can ever come into another's corridor, or touch a frozen vehicle.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], replay: Objects):
        self._arrays = dict(arrays)
        self._replay = replay
        offset = arrays['knot_offset']
        self._drivers = [
            Driver(Rail(arrays['knot'][offset[i]:offset[i + 1]]), *replay.size[row].tolist(),
                   float(arrays['progress'][i]), float(arrays['speed'][i]),
                   float(arrays['target_speed'][i]), arrays['start'][i])
            for i, row in enumerate(arrays['driver'])]
        self._may_follow = [np.flatnonzero(row).tolist() for row in arrays['may_follow']]
        self._ways = _lines([driver.way for driver in self._drivers])
        shapely.prepare(self._ways)
        self._frozen = box_polygons(replay.boxes[0, arrays['frozen']],
                                    replay.size[arrays['frozen']])

    @classmethod
    def prepare(cls, now: Tracks, replay: Objects, tokens: Sequence[str], ego: np.ndarray,
                city: CityMap) -> 'IdmTraffic':
        """
        Put the vehicles of the current frame on their lanes.

        :param now: tracks of the current frame in the map frame
        :param replay: the log's tracks at 41 steps of 0.1 s; its rows are named by ``tokens``
        :param ego: [7] x, y, heading of the rear axle, ...
        :raises IdmTrafficError: where the devkit stops with an error too, or for a wrong shape
        """
        if len(replay.boxes) != POSES:
            raise IdmTrafficError(f'the replay has {len(replay.boxes)} steps, reactive traffic '
                                  f'needs {POSES}: interpolate 4 s of the log')
        row_of = {token: row for row, token in enumerate(tokens)}
        rows = np.array([row_of[token] for token in now.tokens], np.int64)
        placed, frozen = _place(now, np.asarray(ego, np.float64)[:3], city)
        drivers = list(placed.values())
        ways = _lines([driver.way for driver in drivers])
        trails = _lines([driver.trail for driver in drivers])
        reach = np.array([driver.reach for driver in drivers])
        half_width = np.array([driver.width / 2.0 for driver in drivers]).reshape(-1, 1)
        may_follow = shapely.dwithin(ways[:, None], trails, half_width + reach + MARGIN_M)
        np.fill_diagonal(may_follow, False)
        frozen_boxes = box_polygons(now.boxes[frozen], now.size[frozen])
        knots = [driver.rail.knots for driver in drivers]
        return cls({
            'present': np.isin(np.arange(len(tokens)), rows),
            'driver': rows[list(placed)],
            'frozen': rows[frozen],
            'progress': np.array([driver.progress for driver in drivers]),
            'speed': np.array([driver.speed for driver in drivers]),
            'target_speed': np.array([driver.target_speed for driver in drivers]),
            'start': np.array([driver.start for driver in drivers]).reshape(-1, 3),
            'knot': np.concatenate([np.zeros((0, 4)), *knots]),
            'knot_offset': np.cumsum([0, *map(len, knots)]),
            'may_follow': may_follow,
            'may_hide': shapely.dwithin(frozen_boxes[:, None], trails, reach + MARGIN_M),
        }, replay)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all that the replayed log does not hold, as plain arrays."""
        return dict(self._arrays)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], replay: Objects) -> 'IdmTraffic':
        """Rebuild from :meth:`to_arrays` and the replay that :meth:`prepare` was given."""
        return cls(arrays, replay)

    def run(self, states: np.ndarray) -> Objects:
        """
        Simulate 4 s of traffic round one plan.

        Step 0 is the logged frame. From step 1 on the drivers and the frozen vehicles stand in
        for all logged vehicles, every other type replays the log; step t reacts to the ego of
        step t - 1 (sic).

        :param states: [41, 11] simulated ego states, the rear axle in the map frame
        :return: objects in the order of the replay's rows
        :raises IdmTrafficError: for states of another shape
        """
        if states.shape != (POSES, STATE_SIZE):
            raise IdmTrafficError(f'states: expected [{POSES}, {STATE_SIZE}], got '
                                  f'{list(states.shape)}')
        replay, arrays = self._replay, self._arrays
        boxes, velocity, seen = replay.boxes.copy(), replay.velocity.copy(), replay.seen.copy()
        seen[0] = arrays['present']
        seen[1:, replay.kind == ObjectType.VEHICLE] = False
        poses, speeds, active = self._drive(states)
        rows = arrays['driver']
        boxes[1:, rows], seen[1:, rows] = poses, active
        velocity[1:, rows] = speeds[..., None] * np.stack([np.cos(poses[..., 2]),
                                                           np.sin(poses[..., 2])], axis=-1)
        rows = arrays['frozen']
        boxes[1:, rows], velocity[1:, rows] = boxes[0, rows], velocity[0, rows]
        seen[1:, rows] = self._visible(poses, active)
        return Objects(replay.kind, replay.size, boxes, velocity, seen)

    def _drive(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Poses [40, A, 3], speeds [40, A] and presence [40, A] of the drivers."""
        # (sic) The devkit takes the rear axle for the centre of the ego's box.
        ego_boxes = box_polygons(states[:STEPS, [X, Y, HEADING]], EGO_SIZE)
        half_width = np.array([driver.width / 2.0 for driver in self._drivers]).reshape(-1, 1)
        may_meet = shapely.dwithin(self._ways[:, None], ego_boxes, half_width + MARGIN_M)
        present = {i: Vehicle(driver) for i, driver in enumerate(self._drivers)}
        poses = np.zeros((STEPS, len(present), 3))
        speeds, active = np.zeros(poses.shape[:2]), np.zeros(poses.shape[:2], bool)
        for step in range(STEPS):
            ego = Ego(states[step], ego_boxes[step])
            present = {i: vehicle for i, vehicle in present.items()
                       if math.dist(vehicle.pose[:2], ego.pose[:2]) <= RADIUS_M}
            order = [*present.values(), ego]
            # One after the other: those behind in the order see where those before went.
            for i, vehicle in present.items():
                others: list[Vehicle | Ego] = [present[j] for j in self._may_follow[i]
                                               if j in present]
                if may_meet[i, step]:
                    others.append(ego)
                vehicle.advance(*nearest(vehicle, others, order))
                poses[step, i], speeds[step, i] = vehicle.pose, vehicle.speed
                active[step, i] = True
        return poses, speeds, active

    def _visible(self, poses: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Whether each frozen vehicle [40, F] touches no driver and none shown before it."""
        size = self._replay.size[self._arrays['driver']]
        visible = np.ones((STEPS, len(self._frozen)), bool)
        for f, box in enumerate(self._frozen):
            near = np.flatnonzero(self._arrays['may_hide'][f])
            touched = shapely.intersects(box, box_polygons(poses[:, near], size[near]))
            before = np.flatnonzero(shapely.intersects(box, self._frozen[:f]))
            visible[:, f] = ~((touched & active[:, near]).any(axis=1)
                              | visible[:, before].any(axis=1))
        return visible


def _place(now: Tracks, axle: np.ndarray, city: CityMap) -> tuple[dict[int, Driver], list[int]]:
    """
    Sort the vehicles of a frame into drivers on lanes, frozen ones and (neither) vanishing ones.

    :return: drivers by their index in ``now``, and the indices of the frozen vehicles
    """
    centre = axle + AXLE_TO_CENTRE * np.array([np.cos(axle[2]), np.sin(axle[2]), 0.0])
    taken = [box_polygons(centre, EGO_SIZE)]
    drivers, frozen = {}, []
    target_speed = TARGET_SPEED_MPS
    for index in np.flatnonzero(now.kind == ObjectType.VEHICLE).tolist():
        pose, size = now.boxes[index], now.size[index]
        speed = float(np.hypot(*now.velocity[index]))
        lane, on_road = _lane_under(city, pose)
        if lane is None:
            if speed < STANDING_MPS and not on_road:
                frozen.append(index)
            continue
        progress, start = _nearest_pose(lane, pose)
        if np.hypot(*(start - pose)[:2]) > SNAP_THRESHOLD_M:
            frozen.append(index)
            continue
        box = box_polygons(start, size)
        if shapely.intersects(box, np.array(taken)).any():
            continue
        taken.append(box)
        # (sic) A lane without a speed limit takes over that of the vehicle before.
        target_speed = lane.speed_limit or target_speed
        knots = knots_of_baseline(lane.baseline)
        if len(knots) < 2:
            raise IdmTrafficError(f'{city.name}: vehicle {now.tokens[index]} stands on lane '
                                  f'{lane.fid}, whose baseline has too few points for the devkit '
                                  f'to drive on; {REMEDY}')
        driver = Driver(Rail(knots), *size.tolist(), progress, speed, target_speed, start)
        first = Vehicle(driver)
        if (math.dist(first.pose[:2], axle[:2]) <= RADIUS_M
                and not shapely.intersects(first.corridor, box)):
            raise IdmTrafficError(f'{city.name}: vehicle {now.tokens[index]} stands beyond the '
                                  f'last but one point of lane {lane.fid}, where the devkit '
                                  f'loses it and stops; {REMEDY}')
        drivers[index] = driver
    return drivers, frozen


def _lane_under(city: CityMap, pose: np.ndarray) -> tuple[Lane | None, bool]:
    """
    Return the lane or connector under a pose [3] and whether it is on a lane or intersection.

    Of several the one whose heading differs least, without wrapping the difference (sic).
    """
    x, y = pose[:2]
    layer, found = Layer.LANE, city.containing(Layer.LANE, x, y)
    on_road = bool(len(found)) or bool(len(city.containing(Layer.INTERSECTION, x, y)))
    if not len(found) and on_road:
        layer, found = Layer.LANE_CONNECTOR, city.containing(Layer.LANE_CONNECTOR, x, y)
    if not len(found):
        return None, on_road
    lanes = [city.lanes[city.ids(layer)[index]] for index in found]
    errors = [abs(_nearest_pose(lane, pose)[1][2] - pose[2]) for lane in lanes]
    return lanes[int(np.argmin(errors))], on_road


def _nearest_pose(lane: Lane, pose: np.ndarray) -> tuple[float, np.ndarray]:
    """Project a pose on a baseline: the progress (m) there and the pose [3], headed along it."""
    progress = shapely.line_locate_point(lane.line, shapely.Point(pose[:2]))

    def point(at: float) -> np.ndarray:
        # A negative distance counts from the end of the line, here as in the devkit (sic).
        return shapely.get_coordinates(shapely.line_interpolate_point(lane.line, at))[0]

    here, further = point(progress), point(progress + HEADING_DISTANCE_M)
    step = further - here
    if not step.any():
        step = here - point(progress - HEADING_DISTANCE_M)
    return float(progress), np.array([*here, math.atan2(step[1], step[0])])


def _lines(points: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([shapely.linestrings(line) for line in points], object)
