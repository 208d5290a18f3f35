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
From a scene's frames and its city to what the score needs, PDM-Closed's reference included.

Source: ``MetricCacheProcessor`` of NAVSIM's devkit.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from pair_drive_ros.scoring import (
    History,
    MapLayer,
    Objects,
    Polygons,
    Protocol,
    Reference,
    Scene,
    SceneError,
)
from pair_drive_ros.scoring.proposals import ProposalScores, score_proposals
from pair_drive_ros.scoring.protocol import POSES
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE
from pair_drive_training.data.city_map import CityMap, Lane, Layer
from pair_drive_training.data.forecast import ego_footprint, Forecast, forecast
from pair_drive_training.data.frames import Frame, human_future, SceneFrames, Tracks
from pair_drive_training.data.path import Path
from pair_drive_training.data.pdm_closed import (
    NODE_CAPACITY,
    proposals_of,
    roll_out,
    Rollout,
    trajectory_of,
    TRAJECTORY_STEPS,
)
from pair_drive_training.data.route import (
    centreline,
    correct_route,
    route_blocks,
    route_lanes,
    starting_lane,
)
from pair_drive_training.data.tracks import (
    interpolate_tracks,
    STEPS_A_FRAME,
    tracks_of_scene,
)
import shapely

MAP_RADIUS_M = 100.0
STEP_US = 100_000


def packed(polygons: np.ndarray) -> Polygons:
    """Turn an array of geometries into the score's rings."""
    parts, polygon_of_part = shapely.get_parts(polygons, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    xy, ring_of_vertex = shapely.get_coordinates(rings, return_index=True)
    offset = np.searchsorted(ring_of_vertex, np.arange(len(rings) + 1))
    return Polygons(len(polygons), xy, offset, polygon_of_part[part_of_ring].astype(np.int64))


class MetricScene:
    """
    One scene seen by the score; what both protocols share is made once, when it is asked for.

    :raises SceneError: from every property, when log and map do not allow a score
    """

    def __init__(self, frames: SceneFrames, city: CityMap):
        self.frames = frames
        self.city = city
        self._tracks: list[Tracks] = []
        now = frames.now
        self.ego = np.concatenate([now.pose, now.velocity, now.acceleration]).astype(np.float64)

    @cached_property
    def centre(self) -> np.ndarray:
        """Centre [2] of the ego box."""
        heading = self.ego[2]
        return self.ego[:2] + AXLE_TO_CENTRE * np.array([np.cos(heading), np.sin(heading)])

    @cached_property
    def _route(self) -> tuple[dict[str, Lane], Lane, Path]:
        """Lanes of the corrected route, the lane to start from, and the centreline."""
        logged = route_blocks(self.city, self.frames.now.roadblock_ids)
        pose = self.ego[:3]
        blocks = route_blocks(self.city, correct_route(self.city, pose, logged))
        lanes = route_lanes(self.city, blocks)
        if not lanes:
            raise SceneError('no roadblock of the route has a lane on the map')
        ids, geometries, _ = self._drivable_map
        tree = shapely.STRtree(geometries, NODE_CAPACITY)
        under = tree.query(shapely.Point(pose[:2]), predicate='intersects')
        start = starting_lane(lanes, [ids[index] for index in under], pose, self.centre,
                              ego_footprint(pose))
        return lanes, start, centreline(self.city, blocks, lanes, start)

    @property
    def route_lanes(self) -> dict[str, Lane]:
        """Lanes and connectors of the corrected route by id."""
        return self._route[0]

    @property
    def centreline(self) -> Path:
        """PDM-Closed's centreline."""
        return self._route[2]

    @cached_property
    def _drivable_map(self) -> tuple[list[str], np.ndarray, list[MapLayer]]:
        """Ids, geometries and layers around the ego, in the devkit's order."""
        city = self.city
        ids: list[str] = []
        geometries: list[shapely.Geometry] = []
        layers: list[MapLayer] = []
        near = {layer: city.near(layer, *self.centre, MAP_RADIUS_M)
                for layer in (Layer.ROADBLOCK, Layer.ROADBLOCK_CONNECTOR, Layer.INTERSECTION,
                              Layer.CARPARK_AREA)}

        def add_areas(layer: Layer, kind: MapLayer) -> None:
            ids.extend(city.ids(layer)[index] for index in near[layer])
            geometries.extend(city.polygons(layer)[near[layer]])
            layers.extend([kind] * len(near[layer]))

        def add_lanes(layer: Layer, kind: MapLayer) -> None:
            for index in near[layer]:
                for lane in city.roadblocks[city.ids(layer)[index]].lanes:
                    ids.append(lane)
                    geometries.append(city.lanes[lane].polygon)
                    layers.append(kind)

        add_areas(Layer.ROADBLOCK, MapLayer.ROADBLOCK)
        add_lanes(Layer.ROADBLOCK, MapLayer.LANE)
        add_lanes(Layer.ROADBLOCK_CONNECTOR, MapLayer.LANE_CONNECTOR)
        add_areas(Layer.INTERSECTION, MapLayer.INTERSECTION)
        add_areas(Layer.CARPARK_AREA, MapLayer.CARPARK_AREA)
        if not ids:
            x, y = self.centre
            raise SceneError(f'the ego at ({x:.1f}, {y:.1f}) is off the map {city.name}: nothing '
                             f'drivable within {MAP_RADIUS_M:g} m')
        return ids, np.array(geometries, dtype=object), layers

    @cached_property
    def _polygons(self) -> tuple[Polygons, np.ndarray, np.ndarray]:
        """Packed polygons, their layers, and which are lanes of the route."""
        ids, geometries, layers = self._drivable_map
        on_route = np.array([lane in self.route_lanes for lane in ids])
        return packed(geometries), np.array(layers), on_route

    def tracks(self, protocol: Protocol) -> list[Tracks]:
        """Tracks at 2 Hz over as long as the protocol looks ahead."""
        count = protocol.object_steps // STEPS_A_FRAME + 1
        if len(self._tracks) < count:
            self._tracks = tracks_of_scene(self.frames, count)
        return self._tracks[:count]

    @cached_property
    def forecast(self) -> Forecast:
        """Forecast what PDM-Closed expects of the other objects."""
        return forecast(self.tracks(Protocol.NAVSIM_V2)[0], self.ego[:3])

    @cached_property
    def rollouts(self) -> list[Rollout]:
        """PDM-Closed's proposals, unrolled to 4 s."""
        red = [lane.polygon for lane in self._red_now]
        return roll_out(self.centreline, self.ego, self._route[1].speed_limit, self.forecast, red)

    @property
    def _red_now(self) -> list[Lane]:
        """Red connectors of the corrected route, as PDM-Closed sees them."""
        return [self.route_lanes[connector]
                for connector, is_red in self.frames.now.traffic_lights
                if is_red and connector in self.route_lanes]

    @cached_property
    def _red_ahead(self) -> tuple[Polygons, np.ndarray]:
        """Red connectors of the logged route and when they are red [41, R], for the score."""
        logged = route_lanes(self.city,
                             route_blocks(self.city, self.frames.now.roadblock_ids))
        lights = [frame.traffic_lights for frame in (self.frames.now, *self.frames.future)]
        lights += self.frames.extended_lights
        red_at: dict[str, np.ndarray] = {}
        for step in range(POSES):
            frame = step // STEPS_A_FRAME
            for connector, is_red in lights[frame] if frame < len(lights) else ():
                if is_red and connector in logged:
                    red_at.setdefault(connector, np.zeros(POSES, bool))[step] = True
        geometries = np.array([logged[connector].polygon for connector in red_at], dtype=object)
        red_on = np.array(list(red_at.values()), bool).reshape(len(red_at), POSES).T
        return packed(geometries), red_on

    def proposal_scores(self, protocol: Protocol) -> ProposalScores:
        """PDM-Closed's proposals scored among themselves, in its own forecast."""
        red = np.array([lane.polygon for lane in self._red_now], dtype=object)
        scene = self._scene(self.forecast.objects(protocol.object_steps), None, packed(red),
                            np.ones((POSES, len(red)), bool))
        return score_proposals(proposals_of(self.rollouts), scene, protocol)

    def reference(self, protocol: Protocol) -> Reference:
        """PDM-Closed's trajectory over 5 s: the path of the best proposal, not simulated."""
        chosen = int(np.argmax(self.proposal_scores(protocol).total))
        times = self.frames.now.time_us + STEP_US * np.arange(TRAJECTORY_STEPS + 1)
        return Reference(times, trajectory_of(self.rollouts, chosen))

    def scene(self, protocol: Protocol) -> Scene:
        """Build the scene that plans are scored in."""
        objects, _ = interpolate_tracks(self.tracks(protocol))
        reference = self.reference(protocol)
        if protocol is Protocol.NAVSIM_V1:
            return self._scene(objects, reference)
        red, red_on = self._red_ahead
        return self._scene(objects, reference, red, red_on, history_of(self.frames.history),
                           None if self.frames.synthetic else human_future(self.frames))

    def _scene(self, objects: Objects, reference: Reference | None, red: Polygons | None = None,
               red_on: np.ndarray | None = None, history: History | None = None,
               human: np.ndarray | None = None) -> Scene:
        polygons, layers, on_route = self._polygons
        return Scene(self.frames.token, self.ego, self.frames.now.time_us, polygons, layers,
                     on_route, self.centreline.poses[:, :2], objects, reference, red, red_on,
                     history, human)


def history_of(frames: Sequence[Frame]) -> History:
    """Return the logged motion of the past frames and the current one."""
    return History(np.array([frame.time_us for frame in frames]),
                   np.stack([np.concatenate([frame.pose[2:], frame.velocity, frame.acceleration])
                             for frame in frames]).astype(np.float64))
