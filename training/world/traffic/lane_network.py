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

"""The lanes of a town as packed arrays, which the traffic's kernels walk along."""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from pair_drive_training.world.towns.town import Town, TownLane
import shapely

SPACING_M = 1.5
# Where no limit is posted, traffic goes by the look of the road.
UNPOSTED_SPEED = 12.5
# Two paths nearer than this cannot be driven at the same time.
CONFLICT_M = 2.7
# How far to the left of the lane's middle one may have to swing out round an obstacle.
MAX_SWING_M = 4.0
SWING_STEP_M = 0.4
# The bodies that may swing are at most this wide, half of it.
HALF_BODY_M = 1.3
BEND_WINDOW_M = 4.5
I_YIELD, THEY_YIELD, FIRST_COME = 1, -1, 0


class Network(NamedTuple):
    """
    L lanes and connectors with P samples on their baselines, in metres about ``origin``.

    Lane l has the samples ``first[l]`` to ``first[l] + samples[l] - 1``, ``spacing[l]`` apart.
    ``xy`` [P, 2], ``heading`` and ``curvature`` [P], 1/m, positive to the left; ``room`` [P] how
    far left of the baseline a wide car's middle may go on drivable ground. ``following`` [L, F],
    ``left`` and ``right`` hold indices, -1 for none. ``turn`` 1 left, 0, -1 right. ``run`` [L]
    metres of road ahead of the lane's end, as far as one can go.

    Conflicts of lane l are the rows ``conflict_first[l]`` to ``conflict_first[l + 1] - 1``:
    ``rival`` the other connector, ``zone`` [R, 4] where the conflict begins and ends along this
    connector and along the rival, ``rank`` who yields.
    """

    origin: np.ndarray
    ids: np.ndarray
    first: np.ndarray
    samples: np.ndarray
    spacing: np.ndarray
    length: np.ndarray
    width: np.ndarray
    limit: np.ndarray
    is_connector: np.ndarray
    turn: np.ndarray
    group: np.ndarray
    left: np.ndarray
    right: np.ndarray
    following: np.ndarray
    run: np.ndarray
    xy: np.ndarray
    heading: np.ndarray
    curvature: np.ndarray
    room: np.ndarray
    conflict_first: np.ndarray
    rival: np.ndarray
    zone: np.ndarray
    rank: np.ndarray


def lane_network(town: Town) -> Network:
    """Pack a town's lanes; the order is that of their ids."""
    lanes = [town.lanes[lane] for lane in sorted(town.lanes)]
    index = {lane.fid: number for number, lane in enumerate(lanes)}
    origin = np.stack([lane.baseline[0] for lane in lanes]).mean(axis=0).round()
    samples = [_resampled(lane.baseline - origin) for lane in lanes]
    count = np.array([len(xy) for xy, _ in samples])
    spacing = np.array([step for _, step in samples])
    headings = [_headings(xy) for xy, _ in samples]
    xy = np.concatenate([points for points, _ in samples])
    heading = np.concatenate(headings)
    curvature = np.concatenate([_curvature(angles, step) for angles, (_, step)
                                in zip(headings, samples, strict=True)])
    length = spacing * (count - 1)
    options = max(1, *(len(lane.outgoing) for lane in lanes))
    following = np.full((len(lanes), options), -1)
    for number, lane in enumerate(lanes):
        following[number, :len(lane.outgoing)] = [index[other] for other in lane.outgoing]
    limits = np.array([lane.speed_limit or UNPOSTED_SPEED for lane in lanes])
    turns = np.array([0 if lane.turn is None else ('right', 'straight', 'left').index(
        lane.turn.value) - 1 for lane in lanes])
    return Network(
        origin, np.array([lane.fid for lane in lanes]), np.cumsum([0, *count[:-1]]), count,
        spacing, length, np.array([float(lane.width) for lane in lanes]), limits,
        np.array([lane.is_connector for lane in lanes]), turns,
        np.array([lane.group for lane in lanes]),
        np.array([-1 if lane.left is None else index[lane.left] for lane in lanes]),
        np.array([-1 if lane.right is None else index[lane.right] for lane in lanes]),
        following, _run(following, length), xy, heading, curvature,
        _room(town, xy + origin, heading), *_conflicts(town, lanes, index, samples))


def quantised(values: np.ndarray) -> np.ndarray:
    """
    Round to about a micrometre.

    Mathematical libraries differ in the last bit, and traffic would make another drive of that.
    """
    return np.round(values * 2.0 ** 20) / 2.0 ** 20


def _resampled(points: np.ndarray) -> tuple[np.ndarray, float]:
    steps = np.hypot(*np.diff(points, axis=0).T)
    points = points[np.append(True, steps > 1e-6)]
    along = np.append(0.0, np.cumsum(steps[steps > 1e-6]))
    count = max(3, round(along[-1] / SPACING_M) + 1)
    at = np.linspace(0.0, along[-1], count)
    xy = np.column_stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)])
    return quantised(xy), float(quantised(along[-1] / (count - 1)))


def _headings(xy: np.ndarray) -> np.ndarray:
    steps = np.diff(xy, axis=0)
    middle = np.arctan2(xy[2:, 1] - xy[:-2, 1], xy[2:, 0] - xy[:-2, 0])
    ends = np.arctan2(steps[[0, -1], 1], steps[[0, -1], 0])
    return quantised(np.unwrap(np.concatenate([ends[:1], middle, ends[1:]])))


def _curvature(heading: np.ndarray, spacing: float) -> np.ndarray:
    """Smooth, since a bend is not felt point by point."""
    bend = np.gradient(heading, spacing)
    half = max(1, round(BEND_WINDOW_M / spacing / 2.0))
    padded = np.pad(bend, half, mode='edge')
    window = np.ones(2 * half + 1) / (2 * half + 1)
    return quantised(np.convolve(padded, window, mode='valid'))


def _run(following: np.ndarray, length: np.ndarray, horizon: float = 3000.0) -> np.ndarray:
    """Find the longest way on from each lane's end, up to the horizon."""
    run = np.zeros(len(length))
    while True:
        ahead = np.where(following >= 0, length[following] + run[following], 0.0).max(axis=1)
        longer = np.minimum(ahead, horizon)
        if np.array_equal(longer, run):
            return run
        run = longer


def _room(town: Town, xy: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Widen step by step, as long as the left side of a wide car stays on a street."""
    streets = shapely.union_all([*town.groups.values()])
    shapely.prepare(streets)
    room = np.zeros(len(xy))
    open_ = np.ones(len(xy), bool)
    for swing in np.arange(SWING_STEP_M, MAX_SWING_M + 1e-9, SWING_STEP_M):
        reach = swing + HALF_BODY_M
        open_ &= shapely.contains_xy(streets, xy[:, 0] - reach * np.sin(heading),
                                     xy[:, 1] + reach * np.cos(heading))
        room[open_] = swing
    return room


def _conflicts(town: Town, lanes: list[TownLane], index: dict[int, int],
               samples: list[tuple[np.ndarray, float]]) -> tuple[np.ndarray, ...]:
    """Find the pairs of a junction's connectors that cannot be driven at the same time."""
    rows: list[list[tuple]] = [[] for _ in lanes]
    inside: dict[int, list[TownLane]] = {}
    for lane in lanes:
        if lane.is_connector and lane.junction is not None:
            inside.setdefault(lane.junction, []).append(lane)
    for junction in sorted(inside):
        yields = town.junctions[junction].yields_to or {}
        for one, other in permutations(inside[junction], 2):
            if set(one.incoming) & set(other.incoming):
                continue
            (a, step_a), (b, step_b) = samples[index[one.fid]], samples[index[other.fid]]
            near = np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])
            on_a, on_b = np.nonzero(near < CONFLICT_M)
            if not len(on_a):
                continue
            rank = (I_YIELD if other.fid in yields.get(one.fid, ()) else
                    THEY_YIELD if one.fid in yields.get(other.fid, ()) else FIRST_COME)
            rows[index[one.fid]].append((index[other.fid], on_a.min() * step_a,
                                        on_a.max() * step_a, on_b.min() * step_b,
                                        on_b.max() * step_b, rank))
    first = np.cumsum([0, *map(len, rows)])
    table = np.array([row for of_lane in rows for row in of_lane], float).reshape(-1, 6)
    return first, table[:, 0].astype(np.int64), table[:, 1:5].copy(), table[:, 5].astype(np.int64)
