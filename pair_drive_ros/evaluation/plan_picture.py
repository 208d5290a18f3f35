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
Pictures of plans: seen from above with the LiDAR points, and on the road of a camera image.

Everything is drawn in ``base_link`` of one instant: the anchor of the plan that is shown strong.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
import numpy as np
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.core.frames import CameraCalibration, CameraImage, EgoState, LidarSweep
from pair_drive_ros.core.geometry import (
    compose,
    invert_transform,
    project_to_image,
    relative_to,
    transform_points,
    wrap_angle,
)
from pair_drive_ros.core.trajectory import Trajectory

# NAVSIM's ego vehicle (Chrysler Pacifica): metres from the rear axle.
VEHICLE_WIDTH = 2.297
VEHICLE_FRONT, VEHICLE_REAR = 4.049, -1.127

FIGURE_SIZE = (14.35, 6.1)
"""Inches: the camera image, the view from above, the colour bar."""
BACKGROUND, PANEL, GRID, TEXT = '#0e1218', '#131922', '#2a3442', '#d5dde8'
CHOSEN, OTHERS, DRIVEN = '#2ee6a6', '#5b8def', '#ffd166'
RIBBON_RGB, RIBBON_EDGE_RGB = (46, 230, 166), (222, 255, 244)
RIBBON_OPACITY_NEAR, RIBBON_OPACITY_FAR = 0.55, 0.18
RIBBON_SAMPLES = 160
SUBPIXEL_BITS = 4
NEAREST_DEPTH = 0.5
# Height of the LiDAR points above ground that the colours span, metres.
HEIGHT_RANGE = (-0.2, 4.0)


class PlanPictureError(ValueError):
    """A picture cannot be drawn from these inputs or cannot be written."""


def draw_on_image(rgb: np.ndarray, calibration: CameraCalibration, base_from_camera: np.ndarray,
                  trajectory: Trajectory) -> np.ndarray:
    """
    Lay the plan on the road as a translucent ribbon of the vehicle's width.

    :param rgb: uint8 [H, W, 3], of the size the calibration is for, without lens distortion
    :param base_from_camera: 4x4 pose of the optical frame; the road is z = 0 of ``base_link``
    :return: a new image; the plan's part that is behind or beside the camera is left out
    :raises PlanPictureError: when image and calibration differ in size
    """
    if rgb.shape[:2] != (calibration.height, calibration.width):
        raise PlanPictureError(f'the image has {rgb.shape[1]}x{rgb.shape[0]} pixels but the '
                               f'calibration is for {calibration.width}x{calibration.height}; '
                               f'pass the calibration of this image')
    poses = _smooth(trajectory, RIBBON_SAMPLES)
    left, left_ahead = _road_pixels(poses, VEHICLE_WIDTH / 2.0, calibration, base_from_camera)
    right, right_ahead = _road_pixels(poses, -VEHICLE_WIDTH / 2.0, calibration, base_from_camera)
    ahead = left_ahead & right_ahead
    opacity = np.zeros(rgb.shape[:2], np.float32)
    edges = np.zeros(rgb.shape[:2], np.uint8)
    shades = np.linspace(RIBBON_OPACITY_NEAR, RIBBON_OPACITY_FAR, RIBBON_SAMPLES)
    for i in np.flatnonzero(ahead[:-1] & ahead[1:]):
        piece = _fixed_point(np.stack([left[i], left[i + 1], right[i + 1], right[i]]))
        cv2.fillConvexPoly(opacity, piece, float(shades[i]), cv2.LINE_8, SUBPIXEL_BITS)
        for side in (left, right):
            cv2.polylines(edges, [_fixed_point(side[i:i + 2])], False, int(255 * shades[i] + 90),
                          2, cv2.LINE_AA, SUBPIXEL_BITS)
    painted = _blend(rgb.astype(np.float32), RIBBON_RGB, cv2.GaussianBlur(opacity, (3, 3), 0))
    painted = _blend(painted, RIBBON_EDGE_RGB, edges.astype(np.float32) / 255.0)
    return painted.round().astype(np.uint8)


def draw_bev(axes: Axes, points: np.ndarray, chosen: Trajectory, *,
             others: Sequence[np.ndarray] = (), driven: np.ndarray | None = None
             ) -> PathCollection:
    """
    Draw plans from above, forward up, left to the left.

    :param points: LiDAR points [N, >=3] in ``base_link``, coloured by height
    :param others: further plans, poses [T, 3] in ``base_link`` of the chosen plan's anchor
    :param driven: path [M, >=2] that was really driven, in the same frame
    :return: the points, for a colour bar
    """
    axes.set_facecolor(PANEL)
    low, high = HEIGHT_RANGE
    order = np.argsort(points[:, 2])
    cloud = axes.scatter(-points[order, 1], points[order, 0], s=1.8, c=points[order, 2],
                         cmap='viridis', vmin=low, vmax=high, linewidths=0, alpha=0.75,
                         rasterized=True)
    lines = [np.c_[-plan[:, 1], plan[:, 0]] for plan in others]
    axes.add_collection(LineCollection(lines, colors=OTHERS, linewidths=1.0, alpha=0.45,
                                       label=f'all {len(lines)} plans of the drive', zorder=3))
    if driven is not None:
        axes.plot(-driven[:, 1], driven[:, 0], color=DRIVEN, linestyle=(0, (4, 3)), linewidth=1.6,
                  label='driven path', zorder=7)
    path = np.concatenate([np.zeros((1, 3)), chosen.poses])
    curve = _smooth(chosen, RIBBON_SAMPLES)
    axes.plot(-curve[:, 1], curve[:, 0], color=CHOSEN, linewidth=3.0, solid_capstyle='round',
              zorder=6)
    axes.plot(-path[:, 1], path[:, 0], color=CHOSEN, linestyle='none', marker='o', markersize=4.5,
              markeredgecolor=BACKGROUND, markeredgewidth=0.8,
              label=f'plan, {chosen.horizon_s:g} s, a dot every {chosen.step_s:g} s', zorder=6)
    half = VEHICLE_WIDTH / 2.0
    body = [(half, VEHICLE_REAR), (half, VEHICLE_FRONT - 0.8), (0.55 * half, VEHICLE_FRONT),
            (-0.55 * half, VEHICLE_FRONT), (-half, VEHICLE_FRONT - 0.8), (-half, VEHICLE_REAR)]
    axes.add_patch(Polygon(body, closed=True, facecolor='#e8eef6', edgecolor=BACKGROUND,
                           label='ego vehicle', zorder=4))
    axes.set_aspect('equal')
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    return cloud


def plans_figure(path: str | Path, image: CameraImage, base_from_camera: np.ndarray,
                 sweep: LidarSweep, plans: Sequence[tuple[EgoState, Trajectory]],
                 chosen: int, driven: np.ndarray) -> None:
    """
    Write one PNG: the chosen plan on the camera image, and all plans of a drive from above.

    :param image: the camera image at the chosen plan's anchor, with its calibration
    :param sweep: the LiDAR sweep at that anchor, in ``base_link``
    :param plans: each plan with the ego state it was anchored to
    :param chosen: number of the plan that is shown strong
    :param driven: SE(2) poses [M, 3] of the ego in the odometry frame of the plans' ego states
    :raises PlanPictureError: without calibration, or when the file cannot be written
    """
    if image.calibration is None:
        raise PlanPictureError(f'{image.name}: the image has no calibration; wait for its '
                               f'camera_info')
    ego, trajectory = plans[chosen]
    others = [relative_to(ego.pose, compose(state.pose, plan.poses)) for state, plan in plans]
    picture = draw_on_image(image.rgb, image.calibration, base_from_camera, trajectory)
    figure = Figure(figsize=FIGURE_SIZE, dpi=120, facecolor=BACKGROUND)
    front = figure.add_axes(_inches(0.2, 0.55, 9.25, 5.2))
    front.imshow(picture, interpolation='antialiased')
    front.set_axis_off()
    front.set_title(_caption(image.name, ego, trajectory), color=TEXT, fontsize=11, loc='left')
    above = figure.add_axes(_inches(10.1, 0.55, 3.47, 5.2))
    cloud = draw_bev(above, sweep.points, trajectory, others=others,
                     driven=relative_to(ego.pose, driven))
    above.set_xlim(-18.0, 18.0)
    above.set_ylim(-14.0, 40.0)
    _label(above)
    bar = figure.colorbar(cloud, cax=figure.add_axes(_inches(13.7, 0.55, 0.12, 5.2)))
    bar.set_label('LiDAR point height (m)', color=TEXT, fontsize=9)
    bar.ax.tick_params(colors=TEXT, labelsize=8)
    bar.outline.set_edgecolor(GRID)
    _save(figure, Path(path))


def _inches(left: float, bottom: float, width: float, height: float
            ) -> tuple[float, float, float, float]:
    """Axes rectangle in shares of the figure, from inches."""
    across, up = FIGURE_SIZE
    return left / across, bottom / up, width / across, height / up


def _caption(camera: str, ego: EgoState, trajectory: Trajectory) -> str:
    length = np.linalg.norm(np.diff(trajectory.poses[:, :2], axis=0, prepend=0.0), axis=1).sum()
    return (f'{camera} camera   |   {ego.speed:.1f} m/s, {np.degrees(ego.yaw_rate):+.1f} deg/s'
            f'   |   plan: {length:.1f} m in {trajectory.horizon_s:g} s')


def _label(axes: Axes) -> None:
    """Name the axes of the view from above and add its legend."""
    axes.set_title('from above', color=TEXT, fontsize=11, loc='left')
    axes.set_xlabel('right of the rear axle (m)', color=TEXT, fontsize=9)
    axes.set_ylabel('ahead of the rear axle (m)', color=TEXT, fontsize=9, labelpad=1.0)
    axes.tick_params(colors=TEXT, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    axes.legend(loc='lower left', fontsize=7.5, facecolor=BACKGROUND, edgecolor=GRID,
                labelcolor=TEXT, framealpha=0.85)


def _save(figure: Figure, path: Path) -> None:
    try:
        with written_whole(path) as file:
            figure.savefig(file, format='png', facecolor=figure.get_facecolor())
    except OSError as error:
        raise PlanPictureError(f'{path} cannot be written ({error.strerror}); name a folder that '
                               f'is writable') from error


def _smooth(trajectory: Trajectory, count: int) -> np.ndarray:
    """
    Poses [count, 3] along the curve that leaves each pose of the plan along its heading.

    Between poses it is the cubic Hermite curve whose end speeds are the chord's length: what
    a vehicle drives, where straight interpolation would show corners.
    """
    knots = np.concatenate([np.zeros((1, 3)), trajectory.poses])
    progress = np.linspace(0.0, len(trajectory.poses), count)
    piece = np.minimum(progress.astype(int), len(trajectory.poses) - 1)
    u = (progress - piece)[:, None]
    start, end = knots[piece], knots[piece + 1]
    chord = np.linalg.norm(end[:, :2] - start[:, :2], axis=1, keepdims=True)
    leave, arrive = (chord * np.c_[np.cos(p[:, 2]), np.sin(p[:, 2])] for p in (start, end))
    position = ((1 + 2 * u) * (1 - u) ** 2 * start[:, :2] + u * (1 - u) ** 2 * leave
                + u ** 2 * (3 - 2 * u) * end[:, :2] + u ** 2 * (u - 1) * arrive)
    heading = start[:, 2] + u[:, 0] * wrap_angle(end[:, 2] - start[:, 2])
    return np.c_[position, heading]


def _road_pixels(poses: np.ndarray, side: float, calibration: CameraCalibration,
                 base_from_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 2] of the road beside the poses, and which of them [N] the camera looks at."""
    beside = compose(poses, np.array([0.0, side, 0.0]))
    road = np.c_[beside[:, :2], np.zeros(len(beside))]
    optical = transform_points(invert_transform(base_from_camera), road)
    seen, ahead = project_to_image(optical, calibration.intrinsics, NEAREST_DEPTH)
    limit = 4.0 * max(calibration.width, calibration.height)
    pixels = np.zeros((len(poses), 2))
    pixels[ahead] = seen
    return pixels, ahead & (np.abs(pixels) < limit).all(axis=1)


def _blend(image: np.ndarray, colour: tuple[int, int, int], share: np.ndarray) -> np.ndarray:
    return image + share.clip(0.0, 1.0)[..., None] * (np.array(colour, np.float32) - image)


def _fixed_point(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels * (1 << SUBPIXEL_BITS)).astype(np.int32)
