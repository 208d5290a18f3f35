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

"""A picture to look at: what the sensors saw in some scenes, and where the human then drove."""

from collections.abc import Iterable, Iterator, Sequence
import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
import numpy as np
from pair_drive_ros.core.geometry import relative_to
from pair_drive_ros.evaluation.plan_picture import BACKGROUND, GRID, PANEL, TEXT
from pair_drive_ros.scoring import Protocol, ScoringScenes
from pair_drive_ros.scoring.interpolation import plan_times_us, sample_path
from pair_drive_training.data.frames import human_future, SceneFrames
from pair_drive_training.data.log import find_logs, read_log
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.data.metric_scene import MetricScene
from pair_drive_training.data.scene_filter import load_filter, SceneFilter, scenes_of_log
from pair_drive_training.data.sensors import camera_record, read_camera, read_lidar
from pair_drive_training.data.transfuser_scene import SCENE_CAMERAS
from pair_drive_training.evaluation.bev_picture import draw_scene, ScenePlans
from pair_drive_training.world.world_folder import FILTERS, LOGS, MAPS, SENSORS, WorldError

# Widths of an image and of a square panel, and height of a row, inches.
WIDE, SQUARE = 4.0, 2.5
DOTS_PER_INCH = 110
LIDAR_RANGE_M = 32.0
HEIGHT_RANGE_M = (-0.2, 4.0)
COMMANDS = ('left', 'straight', 'right', 'unknown')


def contact_sheet(world: Path, tokens: Sequence[str]) -> bytes:
    """
    Draw a row for each scene, as a PNG: three cameras, the sweep and the map from above.

    The thick line on the map is the human's future; forward is up.

    :param world: folder of a world
    :param tokens: scenes whose sensor data is there
    :raises WorldError: when a token is of none of the world's scenes
    :raises SensorError: when a file of the sensors is missing
    """
    scenes = {scene.token: scene for scene in _scenes(world, tokens)}
    missing = [token for token in tokens if token not in scenes]
    if missing:
        raise WorldError(f'{world}: has no scene {missing[0]}; name tokens of its scene_filter')
    columns = len(SCENE_CAMERAS)
    width, height = columns * WIDE + 2 * SQUARE, len(tokens) * (SQUARE + 0.05)
    figure = Figure((width, height), facecolor=BACKGROUND, layout=ConstrainedLayoutEngine(
        w_pad=0.01, h_pad=0.05, wspace=0.0, hspace=0.0))
    rows = figure.subplots(len(tokens), columns + 2, squeeze=False,
                           width_ratios=[WIDE] * columns + [SQUARE] * 2)
    maps = MapStore(world / MAPS)
    for axes, token in zip(rows, tokens, strict=True):
        _draw_row(axes, scenes[token], world / SENSORS, maps)
    picture = io.BytesIO()
    figure.savefig(picture, format='png', dpi=DOTS_PER_INCH)
    return picture.getvalue()


def examples(world: Path, count: int) -> list[str]:
    """Choose up to ``count`` scenes, spread evenly over those of all splits of a world."""
    tokens = [token for path in sorted((world / FILTERS).glob('*.yaml'))
              for token in load_filter(path).tokens or ()]
    chosen = np.linspace(0, len(tokens) - 1, min(count, len(tokens))).round().astype(int)
    return [tokens[index] for index in chosen]


def _scenes(world: Path, tokens: Iterable[str]) -> Iterator[SceneFrames]:
    wanted = SceneFilter(tokens=tuple(tokens))
    for path in find_logs(world / LOGS):
        yield from scenes_of_log(read_log(path), wanted)


def _draw_row(axes: Sequence[Axes], scene: SceneFrames, sensors: Path, maps: MapStore) -> None:
    now = scene.now
    for place, name in zip(axes, SCENE_CAMERAS, strict=False):
        place.imshow(read_camera(sensors, camera_record(now, name)))
        place.set_axis_off()
    speed = float(np.hypot(*now.velocity))
    command = COMMANDS[int(np.argmax(now.command))]
    axes[0].set_title(f'{scene.token}  {scene.log_name}  {speed:.1f} m/s  {command}',
                      color=TEXT, fontsize=8, loc='left')
    _draw_sweep(axes[-2], read_lidar(sensors, now))
    metric = MetricScene(scene, maps.city(scene.map_name)).scene(Protocol.NAVSIM_V1)
    reference = relative_to(now.pose, sample_path(
        metric.reference.poses, metric.reference.times_us, plan_times_us(now.time_us)[1:]))
    prepared = ScoringScenes.prepare([metric], Protocol.NAVSIM_V1)
    draw_scene(axes[-1], ScenePlans(prepared, human_future(scene), reference, None))


def _draw_sweep(axes: Axes, points: np.ndarray) -> None:
    x, y, z = points[:3]
    axes.scatter(-y, x, c=np.clip(z, *HEIGHT_RANGE_M), s=1.5, linewidths=0.0, cmap='turbo')
    axes.set(xlim=(-LIDAR_RANGE_M, LIDAR_RANGE_M), ylim=(-LIDAR_RANGE_M, LIDAR_RANGE_M),
             facecolor=PANEL, aspect='equal')
    axes.tick_params(colors=TEXT, labelsize=7)
    for spine in axes.spines.values():
        spine.set_color(GRID)
