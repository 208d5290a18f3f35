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
The layers of a nuPlan map as flat arrays, and a city made of them.

Keys are ``<layer>/<array>``, rows in the order of the map file's ``fid``: ``fid`` [N]; columns of
ids as integers with -1 where there is none, ``speed_limit_mps`` with NaN where there is none;
``xy`` [V, 2] metres, float64. Polygons have ``ring`` [V], ``part`` [R] and ``row`` [P]: the ring
of each vertex, the part of each ring (shell first, then holes) and the row of each part. Lines
have ``row`` [V].
"""

from collections import defaultdict
from collections.abc import Iterable
import itertools
import math
from typing import Any

import numpy as np
from pair_drive_training.data.city_map import CityMap, Lane, Layer, MapError, Roadblock
import shapely

LANES, CONNECTORS = 'lanes_polygons', 'lane_connectors'
CONNECTOR_POLYGONS = 'gen_lane_connectors_scaled_width_polygons'
BASELINES = 'baseline_paths'
BLOCKS, BLOCK_CONNECTORS = 'lane_groups_polygons', 'lane_group_connectors'
AREAS = {Layer.INTERSECTION: 'intersections', Layer.CARPARK_AREA: 'carpark_areas',
         Layer.WALKWAY: 'walkways', Layer.CROSSWALK: 'crosswalks',
         Layer.STOP_POLYGON: 'stop_polygons'}
NO_ID = -1

LayerArrays = dict[str, np.ndarray]
Neighbours = list[tuple[tuple[str, ...], tuple[str, ...]]]


class DefectiveLane(Lane):
    """
    A lane or connector of which the map lacks the baseline or, of a connector, the polygon.

    Asking for what is missing raises ``MapError``. The devkit too looks baselines and polygons up
    one by one and fails only in a scene that needs the missing one; every other scene counts.

    :param defects: by the name of the missing attribute, the sentence of the error
    """

    def __init__(self, defects: dict[str, str], **known: object):
        vars(self).update(known, defects=defects)

    def __getattr__(self, name: str) -> object:
        """Explain what is missing; called only for attributes that are not there."""
        defects = vars(self).get('defects', {})
        if name in defects:
            raise MapError(defects[name])
        raise AttributeError(f'a lane has no attribute {name!r}')


def flat_polygons(geometries: np.ndarray) -> LayerArrays:
    """Take polygons and multi-polygons apart into ``xy``, ``ring``, ``part`` and ``row``."""
    parts, row = shapely.get_parts(geometries, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    return {'xy': xy, 'ring': ring.astype(np.int32), 'part': part.astype(np.int32),
            'row': row.astype(np.int32)}


def flat_lines(geometries: np.ndarray) -> LayerArrays:
    """Take lines apart into ``xy`` and ``row``."""
    xy, row = shapely.get_coordinates(geometries, return_index=True)
    return {'xy': xy, 'row': row.astype(np.int32)}


def build_city(name: str, arrays: LayerArrays) -> CityMap:
    """Make a city of the arrays of its layers."""
    areas = {layer: (_texts(arrays[f'{table}/fid']), _polygons(arrays, table))
             for layer, table in AREAS.items()}
    lanes, without_polygon = _lanes(name, arrays)
    city = CityMap(name, lanes, _roadblocks(arrays), areas)
    # No query of a place can find these, as in the devkit; the look-up by id can.
    for lane in without_polygon:
        city.lanes.setdefault(lane.fid, lane)
    return city


def _lanes(city: str, arrays: LayerArrays) -> tuple[list[Lane], list[Lane]]:
    """Lanes and connectors with a polygon, and connectors without."""
    # The lane that a connector exits is the one it comes from, as the devkit has it.
    of_lanes, of_connectors = _neighbours(arrays, LANES, CONNECTORS, 'exit_lane_fid',
                                          'entry_lane_fid')
    polygons_of_lanes = _by_id(arrays[f'{LANES}/fid'], _polygons(arrays, LANES))
    polygons_of_connectors = _by_id(arrays[f'{CONNECTOR_POLYGONS}/lane_connector_fid'],
                                    _polygons(arrays, CONNECTOR_POLYGONS))
    whole: list[Lane] = []
    without_polygon: list[Lane] = []
    for table, group, neighbours, polygons, baselines in (
            (LANES, 'lane_group_fid', of_lanes, polygons_of_lanes,
             _baselines(arrays, 'lane_fid')),
            (CONNECTORS, 'lane_group_connector_fid', of_connectors, polygons_of_connectors,
             _baselines(arrays, 'lane_connector_fid'))):
        for fid, block, limit, (incoming, outgoing) in zip(
                arrays[f'{table}/fid'].tolist(), _texts(arrays[f'{table}/{group}']),
                arrays[f'{table}/speed_limit_mps'].tolist(), neighbours, strict=True):
            known: dict[str, Any] = {
                'fid': str(fid), 'is_connector': table == CONNECTORS, 'roadblock': block,
                'speed_limit': None if math.isnan(limit) else limit,
                'incoming': incoming, 'outgoing': outgoing}
            defects = {}
            for part, candidates in (('polygon', polygons), ('baseline', baselines)):
                found = candidates.get(fid, ())
                if len(found) == 1:
                    known[part] = found[0]
                else:
                    defects[part] = (f'{city}: the map has {len(found)} {part}s instead of one '
                                     f'for row {fid} of {table}; a scene that needs it cannot '
                                     'be used')
            lane = DefectiveLane(defects, **known) if defects else Lane(**known)
            (without_polygon if 'polygon' in defects else whole).append(lane)
    return whole, without_polygon


def _roadblocks(arrays: LayerArrays) -> list[Roadblock]:
    of_blocks, of_connectors = _neighbours(arrays, BLOCKS, BLOCK_CONNECTORS,
                                           'from_lane_group_fid', 'to_lane_group_fid')
    roadblocks = []
    for table, neighbours, lanes, group in (
            (BLOCKS, of_blocks, LANES, 'lane_group_fid'),
            (BLOCK_CONNECTORS, of_connectors, CONNECTORS, 'lane_group_connector_fid')):
        inside = _by_id(arrays[f'{lanes}/{group}'], _texts(arrays[f'{lanes}/fid']))
        roadblocks += [
            Roadblock(str(fid), table == BLOCK_CONNECTORS, polygon, tuple(inside.get(fid, ())),
                      incoming, outgoing)
            for fid, polygon, (incoming, outgoing) in zip(
                arrays[f'{table}/fid'].tolist(), _polygons(arrays, table), neighbours,
                strict=True)]
    return roadblocks


def _neighbours(arrays: LayerArrays, nodes: str, edges: str, come: str,
                go: str) -> tuple[Neighbours, Neighbours]:
    """Ids before and after each node and each edge; ``come`` and ``go`` name edges' columns."""
    names = _texts(arrays[f'{edges}/fid'])
    sources, targets = arrays[f'{edges}/{come}'], arrays[f'{edges}/{go}']
    into, out_of = _by_id(targets, names), _by_id(sources, names)
    of_nodes = [(tuple(into.get(fid, ())), tuple(out_of.get(fid, ())))
                for fid in arrays[f'{nodes}/fid'].tolist()]
    of_edges = [((source,) if source else (), (target,) if target else ())
                for source, target in zip(_texts(sources), _texts(targets), strict=True)]
    return of_nodes, of_edges


def _baselines(arrays: LayerArrays, owner: str) -> dict[int, list[np.ndarray]]:
    """Baselines [M, 3] with headings, by the id in the column ``owner``."""
    xy = arrays[f'{BASELINES}/xy']
    owners = arrays[f'{BASELINES}/{owner}']
    ends = np.cumsum(np.bincount(arrays[f'{BASELINES}/row'], minlength=len(owners)))
    # All lines at once; the step from one line into the next is then written over.
    steps = np.diff(xy, axis=0, append=xy[-1:])
    poses = np.column_stack([xy, np.arctan2(steps[:, 1], steps[:, 0])])
    poses[ends - 1, 2] = poses[ends - 2, 2]
    return _by_id(owners, [poses[start:end] for start, end
                           in itertools.pairwise([0, *ends.tolist()])])


def _polygons(arrays: LayerArrays, layer: str) -> np.ndarray:
    rings = shapely.linearrings(arrays[f'{layer}/xy'], indices=arrays[f'{layer}/ring'])
    parts = shapely.polygons(rings, indices=arrays[f'{layer}/part'])
    row = arrays[f'{layer}/row']
    counts = np.bincount(row, minlength=len(arrays[f'{layer}/fid']))
    polygons = np.empty(len(counts), dtype=object)
    polygons[counts == 1] = parts[counts[row] == 1]
    for index in np.flatnonzero(counts > 1):
        polygons[index] = shapely.multipolygons(parts[row == index])
    return polygons


def _by_id(ids: np.ndarray, values: Iterable) -> dict[int, list]:
    grouped = defaultdict(list)
    for key, value in zip(ids.tolist(), values, strict=True):
        grouped[key].append(value)
    return grouped


def _texts(ids: np.ndarray) -> tuple[str, ...]:
    return tuple('' if fid == NO_ID else str(fid) for fid in ids.tolist())
