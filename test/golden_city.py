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

"""The lane graphs and scenes of the official PDM-Closed numbers, as city maps and frames."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pair_drive_ros.core.geometry import relative_to
from pair_drive_ros.scoring import MapLayer
from pair_drive_training.data.city_map import (
    baseline_with_headings,
    CityMap,
    Lane,
    Layer,
    Roadblock,
)
from pair_drive_training.data.frames import Annotations, Frame, SceneFrames
from pair_drive_training.data.metric_scene import MetricScene
from pair_drive_training.data.tracks import KINDS
import shapely

HALF_LANE_M = 1.75
NAMES = {int(kind): name for name, kind in KINDS.items()}
NOTHING = Annotations(np.zeros((0, 7)), (), np.zeros((0, 3)), ())


class GoldenScene:
    """One scene of golden_dev.npz with the lane graph of golden_pdmclosed_dev.npz."""

    def __init__(self, key: str, scene: np.lib.npyio.NpzFile, closed: np.lib.npyio.NpzFile):
        self.key, self._scene, self._closed = key, scene, closed

    def scene(self, field: str) -> np.ndarray:
        """Field of the scene."""
        return self._scene[f'{self.key}/{field}']

    def closed(self, field: str) -> np.ndarray:
        """Field of PDM-Closed's inputs and outputs."""
        return self._closed[f'{self.key}/{field}']

    def metric_scene(self) -> MetricScene:
        """Build the scene as if it came from a log: three frames before now and ten after."""
        frames = tuple(self._frame(index) for index in range(14))
        return MetricScene(SceneFrames('golden', 'golden', frames), self.city())

    def _frame(self, index: int) -> Frame:
        """Frame of the log, 3 being now; its objects are put into the ego frame."""
        time_us, x, y, heading, *motion = self.scene('ego_frames')[index]
        pose = np.array([x, y, heading])
        lights = tuple((str(connector), bool(red)) for connector, red in self.closed('tl'))
        return Frame(self.key, int(time_us), tuple(self.closed('route_in')), lights,
                     self._annotations(index - 3, pose), pose, np.float32(motion[:2]),
                     np.float32(motion[2:]), np.array([0, 1, 0, 0]), {}, None, np.eye(4))

    def _annotations(self, index: int, pose: np.ndarray) -> Annotations:
        if index < 0:
            return NOTHING
        seen = self.scene('raw2hz/valid')[index]
        boxes = relative_to(pose, self.scene('raw2hz/box')[index][seen])
        size = self.scene('raw2hz/dims')[seen]
        moved = np.column_stack([self.scene('raw2hz/vel')[index][seen], np.zeros(seen.sum())])
        velocity = relative_to(np.array([0.0, 0.0, pose[2]]), moved)
        height = np.zeros((seen.sum(), 1))
        return Annotations(
            np.column_stack([boxes[:, :2], height, size, boxes[:, 2]]),
            tuple(NAMES[kind] for kind in self.scene('raw2hz/type')[seen].tolist()),
            np.column_stack([velocity[:, :2], height]),
            tuple(self.scene('raw2hz/token')[seen].tolist()))

    def city(self) -> CityMap:
        """Build the map; what lies too far away to be in the file gets a plain shape."""
        polygons = self._polygons()
        points = np.split(self.closed('path_xy'), self.closed('path_offset')[1:-1])
        baselines = {str(lane): baseline_with_headings(xy)
                     for lane, xy in zip(self.closed('path_id'), points, strict=True)}

        def polygon_of(layer: MapLayer, lane: str) -> shapely.Polygon:
            far = shapely.LineString(baselines[lane][:, :2]).buffer(HALF_LANE_M, cap_style='flat')
            return polygons.get((layer, lane), far)

        connectors = list(zip(*(map(str, self.closed(f'conn_{field}'))
                                for field in ('id', 'group', 'from', 'to')),
                              self.closed('conn_speed'), strict=True))
        lanes = [Lane(lane, False, str(group), polygon_of(MapLayer.LANE, lane), baselines[lane],
                      _limit(speed), tuple(c[0] for c in connectors if c[3] == lane),
                      tuple(c[0] for c in connectors if c[2] == lane))
                 for lane, group, speed in zip(map(str, self.closed('lane_id')),
                                               self.closed('lane_group'),
                                               self.closed('lane_speed'), strict=True)]
        lanes += [Lane(lane, True, group, polygon_of(MapLayer.LANE_CONNECTOR, lane),
                       baselines[lane], _limit(speed), (source,), (target,))
                  for lane, group, source, target, speed in connectors]
        links = [tuple(map(str, link)) for link in self.closed('group_conn')]
        groups = dict.fromkeys(str(group) for group in self.closed('lane_group'))
        blocks = []
        for block, source, target in [(group, None, None) for group in groups] + links:
            inside = [lane for lane in lanes if lane.roadblock == block]
            shape = shapely.union_all([lane.polygon for lane in inside])
            is_connector = source is not None
            blocks.append(Roadblock(
                block, is_connector, polygons.get((MapLayer.ROADBLOCK, block), shape),
                tuple(lane.fid for lane in inside),
                (source,) if is_connector else tuple(k for k, _, end in links if end == block),
                (target,) if is_connector else tuple(k for k, start, _ in links
                                                     if start == block)))
        areas = {}
        for layer, kind in ((Layer.INTERSECTION, MapLayer.INTERSECTION),
                            (Layer.CARPARK_AREA, MapLayer.CARPARK_AREA)):
            ids = tuple(name for found, name in polygons if found == kind)
            areas[layer] = ids, np.array([polygons[kind, name] for name in ids], dtype=object)
        return CityMap('golden', lanes, blocks, areas)

    def _polygons(self) -> dict[tuple[int, str], shapely.Polygon]:
        rings = np.split(self.scene('map/ring_xy'), self.scene('map/ring_offset')[1:-1])
        shapes: list[dict[int, list[np.ndarray]]] = [{} for _ in range(int(self.scene('map/n')))]
        for ring, polygon, part in zip(rings, self.scene('map/ring_poly'),
                                       self.scene('map/ring_part'), strict=True):
            shapes[polygon].setdefault(int(part), []).append(ring)
        polygons = [shapely.MultiPolygon([(parts[n][0], parts[n][1:]) for n in parts])
                    for parts in shapes]
        return {(int(layer), str(token)): polygon for layer, token, polygon in zip(
            self.scene('map/type'), self.scene('map/token'), polygons, strict=True)}


def golden_scenes(folder: Path) -> Iterator[GoldenScene]:
    """Scenes of shared/golden, one after the other."""
    with np.load(folder / 'golden_dev.npz') as scene, \
            np.load(folder / 'golden_pdmclosed_dev.npz') as closed:
        for key in sorted({name.split('/')[0] for name in closed.files if '/' in name}):
            yield GoldenScene(key, scene, closed)


def _limit(speed: float) -> float | None:
    return None if np.isnan(speed) else float(speed)
