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

"""A scene and its plans from above, in the ego frame: forward is up, left is left."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
import numpy as np
from pair_drive_ros.evaluation.plan_picture import (
    BACKGROUND,
    CHOSEN,
    DRIVEN,
    GRID,
    OTHERS,
    PANEL,
    TEXT,
)
from pair_drive_ros.scoring.ego_areas import DRIVABLE, LANE, ON_ROUTE
from pair_drive_ros.scoring.scenes import ScoringScenes
from pair_drive_ros.scoring.score import pdm_trace
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE, HALF_LENGTH, HALF_WIDTH

ROAD, LANE_EDGE, ROUTE, RED = '#232d3a', '#3d4a5c', '#2b4460', '#d64550'
MOVING, STATIC, EGO, HIT = '#ff9f5a', '#8d99a8', '#e8eef6', '#ff4d6d'
# The square that is shown, metres: at least half its side, how far behind, what lies round plans.
LEAST_HALF, LEAST_BEHIND, AROUND_PLANS = 25.0, 12.0, 8.0
# Objects within this distance of the ego, metres, are drawn where they were at a collision.
NEAR_COLLISION = 8.0
CORNERS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])


@dataclass(frozen=True)
class ScenePlans:
    """
    One prepared scene and paths [8, 3] in its ego frame.

    ``plan`` is what is judged, ``reference`` PDM-Closed's trajectory, ``human`` the logged future
    where there is one.
    """

    scene: ScoringScenes
    plan: np.ndarray
    reference: np.ndarray
    human: np.ndarray | None


def draw_scene(axes: Axes, shown: ScenePlans) -> None:
    """
    Draw map, objects now and their tracks, the ego, and the paths.

    The thin line is the simulated drive, which is what the score judges; where it first hits
    something by its own fault its box is drawn.
    """
    _draw_map(axes, shown.scene)
    _draw_objects(axes, shown.scene)
    _draw_paths(axes, shown)
    paths = [shown.plan, shown.reference, *([] if shown.human is None else [shown.human])]
    ends = np.concatenate(paths)
    rear = min(-LEAST_BEHIND, ends[:, 0].min() - AROUND_PLANS)
    half = max(LEAST_HALF, np.abs(ends[:, 1]).max() + AROUND_PLANS,
               0.5 * (ends[:, 0].max() + AROUND_PLANS - rear))
    axes.set(xlim=(-half, half), ylim=(rear, rear + 2.0 * half), facecolor=PANEL, aspect='equal')
    axes.tick_params(colors=TEXT, labelsize=7)
    for spine in axes.spines.values():
        spine.set_color(GRID)


def legend() -> dict[str, str]:
    """Colours by what they mean."""
    return {'route': ROUTE, 'red light': RED, 'road users now, and their tracks': MOVING,
            'static objects': STATIC, 'plan': CHOSEN, 'its simulated drive': EGO,
            'human': DRIVEN, 'PDM-Closed': OTHERS,
            'first collision at fault, with what was near': HIT}


def _draw_map(axes: Axes, scenes: ScoringScenes) -> None:
    arrays = scenes.arrays
    use = arrays.polygon_use
    layers = [(use & DRIVABLE > 0, ROAD, 'none', 1.0), (use & LANE > 0, 'none', LANE_EDGE, 1.0),
              (use & ON_ROUTE > 0, ROUTE, LANE_EDGE, 0.55), (use == 0, RED, 'none', 0.35)]
    for order, (chosen, face, edge, opacity) in enumerate(layers):
        rings = [ring for index in np.flatnonzero(chosen).tolist()
                 for ring in _rings(scenes, index)]
        if rings:
            outline = Outline.make_compound_path(*(Outline(ring, closed=True) for ring in rings))
            axes.add_patch(PathPatch(outline, facecolor=face, edgecolor=edge, linewidth=0.6,
                                     alpha=opacity, zorder=order))
    line = _on_paper(arrays.line, scenes)
    axes.plot(*line.T, color=LANE_EDGE, linewidth=1.0, linestyle=(0, (6, 4)), zorder=4)


def _rings(scenes: ScoringScenes, polygon: int) -> list[np.ndarray]:
    """Split a packed polygon into closed rings: each ends where its first vertex comes again."""
    first, last = scenes.arrays.polygon_vertex_offset[polygon:polygon + 2]
    vertices = _on_paper(scenes.arrays.vertex[first:last], scenes)
    rings, start = [], 0
    while start < len(vertices):
        again = np.flatnonzero((vertices[start + 1:] == vertices[start]).all(axis=1))
        end = start + 2 + int(again[0]) if len(again) else len(vertices)
        rings.append(vertices[start:end])
        start = end
    return rings


def _draw_objects(axes: Axes, scenes: ScoringScenes) -> None:
    arrays = scenes.arrays
    tracks = [_on_paper(box[seen][:, :2], scenes)
              for box, seen in zip(arrays.object_box, arrays.object_seen, strict=True)]
    axes.add_collection(LineCollection(tracks, colors=MOVING, linewidths=1.0, alpha=0.6,
                                       zorder=5))
    now = arrays.object_seen[:, 0]
    for static, colour in ((False, MOVING), (True, STATIC)):
        chosen = now & (arrays.object_static == static)
        box, half = arrays.object_box[chosen, 0], arrays.object_half_size[chosen]
        corners = _corners(box[:, :2], box[:, 2], box[:, 3], half)
        axes.add_collection(PolyCollection(list(_on_paper(corners, scenes)), facecolors=colour,
                                           edgecolors=BACKGROUND, linewidths=0.5, alpha=0.9,
                                           zorder=6))


def _draw_paths(axes: Axes, shown: ScenePlans) -> None:
    for path, colour in ((shown.human, DRIVEN), (shown.reference, OTHERS)):
        if path is not None:
            points = np.concatenate([np.zeros((1, 2)), path[:, :2]])
            axes.plot(-points[:, 1], points[:, 0], color=colour, linewidth=1.8, marker='o',
                      markersize=2.5, zorder=7)
    plan = np.concatenate([np.zeros((1, 2)), shown.plan[:, :2]])
    axes.plot(-plan[:, 1], plan[:, 0], color=CHOSEN, linewidth=2.4, marker='o', markersize=3.5,
              zorder=8)
    trace = pdm_trace(shown.plan[None, None].astype(np.float64), shown.scene,
                      shown.scene.protocol)
    states = trace.states[0, 0]
    axes.plot(*_on_paper(states[:, :2], shown.scene).T, color=EGO, linewidth=0.9, zorder=9)
    _draw_ego(axes, shown.scene, states[0], EGO)
    if np.isfinite(trace.collision_step[0, 0]):
        _draw_collision(axes, shown.scene, states, int(trace.collision_step[0, 0]))


def _draw_collision(axes: Axes, scenes: ScoringScenes, states: np.ndarray, step: int) -> None:
    """Outline the ego and what was near it at a step."""
    arrays = scenes.arrays
    _draw_ego(axes, scenes, states[step], HIT)
    box = arrays.object_box[:, step]
    near = arrays.object_seen[:, step] & (
        np.hypot(*(box[:, :2] - states[step, :2]).T) < NEAR_COLLISION)
    corners = _corners(box[near, :2], box[near, 2], box[near, 3], arrays.object_half_size[near])
    axes.add_collection(PolyCollection(list(_on_paper(corners, scenes)), facecolors='none',
                                       edgecolors=HIT, linewidths=0.9, linestyles='--',
                                       zorder=10))


def _draw_ego(axes: Axes, scenes: ScoringScenes, state: np.ndarray, colour: str
              ) -> None:
    cos, sin = np.cos(state[2:3]), np.sin(state[2:3])
    centre = state[None, :2] + AXLE_TO_CENTRE * np.stack([cos, sin], axis=-1)
    corners = _corners(centre, cos, sin, np.array([[HALF_LENGTH, HALF_WIDTH]]))
    axes.add_collection(PolyCollection(list(_on_paper(corners, scenes)), facecolors='none',
                                       edgecolors=colour, linewidths=1.6, zorder=10))


def _corners(centre: np.ndarray, cos: np.ndarray, sin: np.ndarray, half: np.ndarray
             ) -> np.ndarray:
    """Corners [N, 4, 2] of boxes."""
    along, across = (CORNERS * half[:, None]).transpose(2, 0, 1)
    cos, sin = cos[:, None], sin[:, None]
    return centre[:, None] + np.stack([along * cos - across * sin, along * sin + across * cos],
                                      axis=-1)


def _on_paper(points: np.ndarray, scenes: ScoringScenes) -> np.ndarray:
    """Turn ego-centred points [..., 2] of global axes: right of the ego, ahead of the ego."""
    heading = scenes.arrays.start[0, 0]
    cos, sin = np.cos(heading), np.sin(heading)
    x, y = points[..., 0], points[..., 1]
    return np.stack([sin * x - cos * y, cos * x + sin * y], axis=-1)
