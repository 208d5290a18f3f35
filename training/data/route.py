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
PDM-Closed's route: corrected roadblocks, the lane to start from and the centreline.

Source: ``route_utils``, ``bfs_roadblock``, ``dijkstra`` and ``abstract_pdm_planner`` of NAVSIM's
devkit. The order of candidates decides ties there, so it is kept here.
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from pair_drive_ros.scoring import SceneError
from pair_drive_training.data.city_map import CityMap, Lane, Layer, Roadblock
from pair_drive_training.data.path import Path
import shapely

CANDIDATE_RADIUS_M = 1.0
MAX_HEADING_ERROR = np.pi / 4.0
MAX_DISPLACEMENT_M = 3.0
SEARCH_DEPTH_BACKWARD = 15
SEARCH_DEPTH_FORWARD = 30
FORWARD_TARGETS = 3
CENTRELINE_BLOCKS = 30
LOOP_OVERLAP_M2 = 1.0


def route_blocks(city: CityMap, ids: Iterable[str]) -> dict[str, Roadblock]:
    """
    Look the roadblocks of a route up, each once, in the order of the route.

    :raises SceneError: when the route is empty or names a block that the map lacks
    """
    blocks = {}
    for block_id in ids:
        if block_id not in city.roadblocks:
            raise SceneError(f'the route names roadblock {block_id}, which the map {city.name} '
                             'does not have: log and map are of different versions')
        blocks[block_id] = city.roadblocks[block_id]
    if not blocks:
        raise SceneError('the route is empty: filter such frames out (has_route: true)')
    return blocks


def route_lanes(city: CityMap, blocks: dict[str, Roadblock]) -> dict[str, Lane]:
    """Lanes and connectors inside the blocks of a route, in its order."""
    return {lane: city.lanes[lane] for block in blocks.values() for lane in block.lanes}


def correct_route(city: CityMap, pose: np.ndarray, route: dict[str, Roadblock]) -> list[str]:
    """
    Make a logged route start where the ego is, hang together and not cross itself.

    :param pose: [3] of the rear axle
    :param route: the logged route
    :return: ids of roadblocks, possibly repeated
    :raises SceneError: when there is no roadblock on the map
    """
    start, candidates = _current_block(city, pose, route)
    ids = list(route)
    if start.fid not in route:
        path = _search(city, ids[0], [block.fid for block in candidates], SEARCH_DEPTH_BACKWARD,
                       forward=False)
        if path:
            ids = path[::-1][:-1] + ids
        else:
            path = _search(city, start.fid, ids[:FORWARD_TARGETS], SEARCH_DEPTH_FORWARD)
            if path:
                ids = path + ids[ids.index(path[-1]) + 1:]
    return _cut_loop(city, _fill_gaps(city, ids))


def _current_block(city: CityMap, pose: np.ndarray,
                   route: Collection[str]) -> tuple[Roadblock, list[Roadblock]]:
    """Return the roadblock that the ego is in, and all that it may be in."""
    blocks = []
    for nearest in (False, True):
        for layer in (Layer.ROADBLOCK, Layer.ROADBLOCK_CONNECTOR):
            ids = city.ids(layer)
            if not ids:
                continue
            chosen = ([city.nearest(layer, *pose[:2])] if nearest
                      else city.near(layer, *pose[:2], CANDIDATE_RADIUS_M))
            blocks += [city.roadblocks[ids[index]] for index in chosen]
        if blocks:
            break
    if not blocks:
        raise SceneError(f'the map {city.name} has no roadblocks')
    suited: dict[bool, list[tuple[float, Roadblock]]] = {True: [], False: []}
    displacements = []
    for block in blocks:
        best = np.inf
        for lane in block.lanes:
            displacement, heading_error = _deviation(city.lanes[lane], pose)
            best = min(best, displacement)
            if heading_error < MAX_HEADING_ERROR and displacement < MAX_DISPLACEMENT_M:
                suited[block.fid in route].append((displacement, block))
        displacements.append(best)
    for found in (suited[True], suited[False]):
        if found:
            return min(found, key=lambda item: item[0])[1], [block for _, block in found]
    return blocks[int(np.argmin(displacements))], blocks


def _deviation(lane: Lane, pose: np.ndarray) -> tuple[float, float]:
    """Distance to the nearest point of the baseline, and the error of the heading there."""
    distances = ((lane.baseline[:, :2] - pose[:2]) ** 2).sum(axis=-1) ** 0.5
    nearest = np.argmin(distances)
    error = lane.baseline[nearest, 2] - pose[2]
    return float(distances[nearest]), float(np.abs(np.arctan2(np.sin(error), np.cos(error))))


def _search(city: CityMap, start: str, targets: Collection[str], max_depth: int,
            forward: bool = True) -> list[str]:
    """
    Search the blocks breadth first; ids from ``start`` to the first target, or none.

    The devkit's search visits a block once for every way that leads to it: the goal is the first
    visit, and a block's parent is the last one that led to it (sic). Keeping each level in the
    order of the first and of the last visits gives the same without the exponential queue.
    """
    first_visits, last_visits = [start], [start]
    parents: list[dict[str, str]] = []
    for _ in range(max_depth):
        for block in first_visits:
            if block in targets:
                path = [block]
                for level in reversed(parents):
                    path.append(level[path[-1]])
                return path[::-1]

        def neighbours(block: str) -> tuple[str, ...]:
            found = city.roadblocks.get(block)
            if found is None:  # where the map ends
                return ()
            return found.outgoing if forward else found.incoming

        level = {}
        for block in last_visits:
            for neighbour in neighbours(block):
                level.pop(neighbour, None)
                level[neighbour] = block
        first_visits = list(dict.fromkeys(
            neighbour for block in first_visits for neighbour in neighbours(block)))
        last_visits = list(level)
        parents.append(level)
        if not level:
            break
    return []


def _fill_gaps(city: CityMap, ids: Sequence[str]) -> list[str]:
    filled = list(ids[:1])
    for before, after in zip(ids[:-1], ids[1:], strict=True):
        if before not in city.roadblocks[after].incoming:
            filled += _search(city, before, [after], SEARCH_DEPTH_FORWARD)[1:-1]
        filled.append(after)
    return filled


def _cut_loop(city: CityMap, ids: list[str]) -> list[str]:
    """End the route before a connector that overlaps an earlier one."""
    passed: list[shapely.Polygon] = []
    for index, block in enumerate(city.roadblocks[block_id] for block_id in ids):
        if block.is_connector:
            overlap = shapely.area(shapely.intersection(np.array(passed), block.polygon))
            if np.any(overlap > LOOP_OVERLAP_M2):
                return ids[:index]
            passed.append(block.polygon)
    return ids


def starting_lane(lanes: dict[str, Lane], containing: Iterable[str], pose: np.ndarray,
                  centre: np.ndarray, footprint: shapely.Polygon) -> Lane:
    """
    Choose the lane of the route from which the centreline starts.

    :param lanes: the lanes of the route
    :param containing: ids of map polygons that touch the rear axle
    :param pose: [3] of the rear axle
    :param centre: [2] of the ego box
    :param footprint: the ego box
    """
    under = [lanes[lane_id] for lane_id in containing if lane_id in lanes]
    if under:
        return min(under, key=lambda lane: _deviation(lane, pose)[1])
    point = shapely.Point(centre)
    for lane in lanes.values():
        if lane.polygon.contains(point):
            return lane
    candidates = list(lanes.values())
    distances = [lane.polygon.distance(footprint) for lane in candidates]
    return candidates[int(np.argmin(distances))]


def centreline(city: CityMap, blocks: dict[str, Roadblock], lanes: dict[str, Lane],
               start: Lane) -> Path:
    """
    Join the baselines of the shortest way along the route.

    The goal is the last of 30 blocks; when it cannot be reached, the deepest lane that can.
    """
    ids = list(blocks)
    first = ids.index(start.roadblock) if start.roadblock in blocks else 0
    goal = ids[first:first + CENTRELINE_BLOCKS][-1]
    way = _shortest_way(city, lanes, start, goal)
    return Path(np.concatenate([lane.baseline for lane in way]))


def _shortest_way(city: CityMap, lanes: dict[str, Lane], start: Lane, goal: str) -> list[Lane]:
    """Dijkstra's search by baseline length; of equal lanes the one found first."""
    parents: dict[str, str | None] = {start.fid: None}
    frontier = {start.fid: (1.0, 1)}
    expanded: dict[str, tuple[float, int]] = {}
    end = None
    while frontier:
        current = min(frontier, key=lambda lane: frontier[lane][0])
        distance, depth = frontier.pop(current)
        lane = city.lanes[current]
        if lane.roadblock == goal:
            end = current
            break
        expanded[current] = distance, depth
        for following in lane.outgoing:
            if following not in lanes or following in expanded:
                continue
            reached = distance + lanes[following].line.length
            if following not in frontier or reached < frontier[following][0]:
                frontier[following] = reached, depth + 1
                parents[following] = current
    if end is None:
        deepest = max(depth for _, depth in expanded.values())
        end = min((lane for lane in expanded if expanded[lane][1] == deepest),
                  key=lambda lane: expanded[lane][0])
    way = []
    step: str | None = end
    while step is not None:
        way.append(city.lanes[step])
        step = parents[step]
    return way[::-1]
