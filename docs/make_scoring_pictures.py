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

"""Render docs/scoring.md's pictures: ``PYTHONPATH=. python docs/make_scoring_pictures.py``."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
import numpy as np
from pair_drive_ros.scoring import (
    MapLayer,
    ObjectType,
    pdm_score,
    pdm_trace,
    Protocol,
    Scene,
    ScoringScenes,
)
from pair_drive_ros.scoring.comfort import (
    MAX_LONGITUDINAL_ACCELERATION,
    MIN_LONGITUDINAL_ACCELERATION,
)
from pair_drive_ros.scoring.ego_areas import MULTIPLE_LANES, NON_DRIVABLE, ONCOMING
from pair_drive_ros.scoring.example import example_scene
from pair_drive_ros.scoring.state import AX, HEADING, VX, X, Y
from pair_drive_ros.scoring.vehicle import AXLE_TO_CENTRE, HALF_LENGTH, HALF_WIDTH

IMAGES = Path(__file__).parent / 'images'
FILL = {MapLayer.ROADBLOCK: '#e4e4e4', MapLayer.LANE: '#e4e4e4', MapLayer.LANE_CONNECTOR: 'none',
        MapLayer.INTERSECTION: '#d6dde8'}
EGO, OTHER, BAD, GOOD = '#1f6fb4', '#7a7a7a', '#c03a2b', '#2c8a4b'
V2 = Protocol.NAVSIM_V2
CAR = (4.5, 1.9)
TIME_S = 0.1 * np.arange(41)


def straight(speed: float, y: float = 0.0) -> np.ndarray:
    """Plan straight ahead, or parallel to that."""
    return np.array([[0.5 * speed * k, y, 0.0] for k in range(1, 9)])


def sideways(y: float, speed: float = 8.0) -> np.ndarray:
    """Plan that swerves to the line at ``y`` in 2 s and stays there."""
    lateral = y * np.minimum(1.0, np.arange(1, 9) / 4.0)
    heading = np.arctan2(np.diff(lateral, prepend=0.0), 0.5 * speed)
    return np.stack([straight(speed)[:, 0], lateral, heading], axis=-1)


def box(x: float, y: float, heading: float, half: tuple[float, float]) -> np.ndarray:
    """Corners [4, 2] of a rectangle."""
    cos, sin = np.cos(heading), np.sin(heading)
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * half
    return corners @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def ego_box(state: np.ndarray) -> np.ndarray:
    """Corners [4, 2] of the ego in a state."""
    x, y, heading = state[[X, Y, HEADING]]
    return box(x + AXLE_TO_CENTRE * np.cos(heading), y + AXLE_TO_CENTRE * np.sin(heading),
               heading, (HALF_LENGTH, HALF_WIDTH))


def draw(axes: Axes, scene: Scene, plan: np.ndarray, name: str, title: str,
         previous: np.ndarray | None = None) -> np.ndarray:
    """Draw scene and drive from above, coloured by ego area; return the states [41, 11]."""
    scenes = ScoringScenes.prepare([scene], V2)
    scores = pdm_score(plan[None, None], scenes, V2, human_filter=False,
                       previous_plans=None if previous is None else previous[None, None])
    trace = pdm_trace(plan[None, None], scenes, V2)
    states, areas = trace.states[0, 0], trace.areas[0, 0]
    polygons = scene.polygons
    for ring, polygon in enumerate(polygons.ring_polygon):
        xy = polygons.xy[polygons.ring_offset[ring]:polygons.ring_offset[ring + 1]]
        axes.add_patch(Polygon(xy, facecolor=FILL[scene.layers[polygon]], edgecolor='white'))
    if scene.red is not None and scene.red.count:
        axes.add_patch(Polygon(scene.red.xy, facecolor=BAD, alpha=0.3))
    axes.plot(*scene.centreline.T, color='white', linestyle='--', linewidth=1)
    for t in range(0, 41, 5):
        axes.add_patch(Polygon(ego_box(states[t]), facecolor=colour(areas[t]), alpha=0.35,
                               edgecolor=colour(areas[t])))
    objects = scene.objects
    for n in range(len(objects.kind)):
        for t in (0, 20, 40):
            axes.add_patch(Polygon(box(*objects.boxes[t, n], 0.5 * objects.size[n]),
                                   facecolor=OTHER, edgecolor='black',
                                   alpha=0.3 + 0.5 * (t == 0)))
    step = {'nc': trace.collision_step, 'ttc': trace.ttc_step}.get(name, np.full((1, 1), np.inf))
    if np.isfinite(step[0, 0]):
        axes.add_patch(Polygon(ego_box(states[int(step[0, 0])]), facecolor='none', edgecolor=BAD,
                               linewidth=2))
    value = getattr(scores, name)[0, 0]
    axes.set_title(f'{title}: {value:.3g}', color=GOOD if value == 1.0 else BAD, fontsize=9)
    axes.set(xlim=(-16, 48), ylim=(-5, 7), aspect='equal', yticks=[])
    axes.set_xticks(range(-10, 50, 10))
    axes.tick_params(labelsize=7)
    axes.set_xlabel('m along the road, the ego now at 0', fontsize=7)
    return states


def colour(area: int) -> str:
    """Colour of an ego area, the worst first."""
    if area & NON_DRIVABLE:
        return BAD
    if area & ONCOMING:
        return '#b8860b'
    return '#8e44ad' if area & MULTIPLE_LANES else EGO


def save(name: str, painters: list[Callable[[Axes], None]]) -> None:
    """Write one picture with the painters' panels side by side."""
    figure, axes = plt.subplots(1, len(painters), figsize=(4.4 * len(painters), 1.9))
    for panel, paint in zip(np.atleast_1d(axes), painters, strict=True):
        paint(panel)
    figure.tight_layout()
    figure.savefig(IMAGES / f'scoring_{name}.png', dpi=150, metadata={'Software': None})
    plt.close(figure)


def view(name: str, title: str, plan: np.ndarray, objects: tuple = (),
         red: bool = False) -> Callable[[Axes], None]:
    """Painter of one drive in the example scene."""
    def paint(axes: Axes) -> None:
        draw(axes, example_scene(V2, list(objects), red), plan, name, title)
    return paint


def acceleration(title: str, plan: np.ndarray, history: bool) -> Callable[[Axes], None]:
    """Painter of the longitudinal acceleration of a drive, with its past where HC looks at it."""
    def paint(axes: Axes) -> None:
        scene = example_scene(V2)
        if history and scene.history is not None:
            motion = scene.history.motion.copy()
            motion[1, 3] = -6.0
            scene = replace(scene, history=replace(scene.history, motion=motion))
            past_s = (scene.history.times_us - scene.time_us) * 1e-6
            axes.plot(past_s, motion[:, 3], color=OTHER, marker='o', markersize=3)
        scenes = ScoringScenes.prepare([scene], V2)
        scores = pdm_score(plan[None, None], scenes, V2)
        states = pdm_trace(plan[None, None], scenes, V2).states[0, 0]
        value = scores.comfort[0, 0]
        axes.plot(TIME_S, states[:, AX], color=EGO)
        for bound in (MIN_LONGITUDINAL_ACCELERATION, MAX_LONGITUDINAL_ACCELERATION):
            axes.axhline(bound, color=BAD, linestyle=':')
        axes.set_title(f'{title}: {value:.3g}', color=GOOD if value == 1.0 else BAD, fontsize=9)
        axes.set_xlabel('time from now, s', fontsize=8)
        axes.set_ylabel('acceleration, m/s²', fontsize=8)
        axes.tick_params(labelsize=7)
    return paint


def overlap(title: str, plan: np.ndarray, previous: np.ndarray) -> Callable[[Axes], None]:
    """Painter of the speeds of two consecutive plans where EC compares them."""
    def paint(axes: Axes) -> None:
        scenes = ScoringScenes.prepare([example_scene(V2)], V2)
        value = pdm_score(plan[None, None], scenes, V2,
                          previous_plans=previous[None, None]).ec[0, 0]
        for drive, shift, style in ((previous, -0.5, '--'), (plan, 0.0, '-')):
            states = pdm_trace(drive[None, None], scenes, V2).states[0, 0]
            axes.plot(TIME_S + shift, states[:, VX], color=EGO, linestyle=style)
        axes.axvspan(0.0, 3.5, color=OTHER, alpha=0.15)
        axes.set_title(f'{title}: {value:.3g}', color=GOOD if value == 1.0 else BAD, fontsize=9)
        axes.set_xlabel('time from now, s', fontsize=8)
        axes.set_ylabel('speed, m/s', fontsize=8)
        axes.set_ylim(0.0, 9.0)
        axes.tick_params(labelsize=7)
    return paint


def main() -> None:
    """Render all pictures."""
    matplotlib.use('Agg')
    IMAGES.mkdir(exist_ok=True)
    car, cone = ObjectType.VEHICLE, ObjectType.TRAFFIC_CONE
    save('nc', [
        view('nc', 'NC, hit from behind', straight(4.0), ((car, -12.0, 0.0, 0.0, 12.0, *CAR),)),
        view('nc', 'NC, cone hit', straight(8.0), ((cone, 24.0, 0.0, 0.0, 0.0, 0.6, 0.6),)),
        view('nc', 'NC, parked car hit', straight(8.0), ((car, 24.0, 0.0, 0.0, 0.0, *CAR),))])
    save('dac', [view('dac', 'DAC, in the lane', straight(8.0)),
                 view('dac', 'DAC, a corner off the road', sideways(-1.4))])
    save('ddc', [view('ddc', 'DDC, own lane', straight(8.0)),
                 view('ddc', 'DDC, oncoming lane', sideways(3.5))])
    save('tlc', [view('tlc', 'TLC, stays before the red', straight(3.0), red=True),
                 view('tlc', 'TLC, drives on', straight(8.0), red=True)])
    save('ep', [view('ep', 'EP, as far as PDM-Closed', straight(8.0)),
                view('ep', 'EP, slower', straight(3.0))])
    braking = np.array([[x, 0.0, 0.0] for x in (4.0, 8.0, 12.0, 13.0, 13.0, 13.0, 13.0, 13.0)])
    save('ttc', [view('ttc', 'TTC, far', braking, ((car, 40.0, 0.0, 0.0, 0.0, *CAR),)),
                 view('ttc', 'TTC, brakes late', braking, ((car, 20.15, 0.0, 0.0, 0.0, *CAR),))])
    save('lk', [view('lk', 'LK, on the centreline', straight(5.0)),
                view('lk', 'LK, 1.1 m beside it', sideways(1.1, 5.0))])
    save('comfort', [acceleration('C and HC, steady', straight(8.0), False),
                     acceleration('C and HC, hard braking', straight(0.5), False),
                     acceleration('HC, jerky past', straight(8.0), True)])
    save('ec', [overlap('EC, the same intention', straight(8.0), straight(8.0)),
                overlap('EC, a new intention', straight(8.0), straight(2.0))])


if __name__ == '__main__':
    main()
