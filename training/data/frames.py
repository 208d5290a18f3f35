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

"""Typed frames and scenes of an OpenScene log, as NAVSIM's devkit sees them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.geometry import relative_to
from pair_drive_ros.core.trajectory import PLAN_POSES

HISTORY_FRAMES = 4
FRAME_STEP_S = 0.5


class LogError(ValueError):
    """A log, or a scene cut from it, cannot be used; the sentence says what and where."""


@dataclass(frozen=True)
class Annotations:
    """
    Boxes of one frame.

    ``boxes`` [N, 7] x, y, z, length, width, height, yaw in the ego (rear-axle) frame; ``names`` of
    nuPlan's object types; ``velocity`` [N, 3] m/s in the ego frame; ``track_tokens`` constant over
    a track.
    """

    boxes: np.ndarray
    names: tuple[str, ...]
    velocity: np.ndarray
    track_tokens: tuple[str, ...]


@dataclass(frozen=True)
class Tracks:
    """
    Objects of one instant in the map frame.

    ``kind`` [N] of the score's ``ObjectType``; ``size`` [N, 2] length and width, m; ``boxes``
    [N, 3] x, y, heading of the centre; ``velocity`` [N, 2] m/s, 0 for static objects; ``tokens``
    constant over a track.
    """

    kind: np.ndarray
    size: np.ndarray
    boxes: np.ndarray
    velocity: np.ndarray
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class CameraRecord:
    """
    One image of a frame: where it lies and how it was calibrated.

    ``sensor2lidar`` [4, 4] (optical frame to LiDAR frame), ``intrinsics`` [3, 3], ``distortion``
    [5].
    """

    data_path: str
    sensor2lidar: np.ndarray
    intrinsics: np.ndarray
    distortion: np.ndarray


@dataclass(frozen=True)
class Frame:
    """
    One 2 Hz frame of a log.

    ``time_us`` epoch; ``pose`` [3] float64 x, y, yaw of the rear axle in the map frame;
    ``velocity`` [2] and ``acceleration`` [2] float32 in the ego frame; ``command`` [4] one-hot
    left, straight, right, unknown; ``traffic_lights`` lane connector id and whether it is red;
    ``cameras`` by NAVSIM's names (``CAM_F0``...), empty where the log names none; ``lidar2ego``
    [4, 4].
    """

    token: str
    time_us: int
    roadblock_ids: tuple[str, ...]
    traffic_lights: tuple[tuple[str, bool], ...]
    annotations: Annotations
    pose: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    command: np.ndarray
    cameras: Mapping[str, CameraRecord]
    lidar_path: str | None
    lidar2ego: np.ndarray


@dataclass(frozen=True)
class SceneFrames:
    """
    The frames of one scene: ``HISTORY_FRAMES`` up to now, then the future.

    ``token`` is that of the current frame. A synthetic scene (second stage of navhard) has no
    human future; what happens after its last frame is in ``extended_tracks`` and
    ``extended_lights``, one entry every 0.5 s.
    """

    log_name: str
    map_name: str
    frames: tuple[Frame, ...]
    synthetic: bool = False
    extended_tracks: tuple[Tracks, ...] = ()
    extended_lights: tuple[tuple[tuple[str, bool], ...], ...] = ()

    @property
    def token(self) -> str:
        """Token of the current frame, which names the scene."""
        return self.now.token

    @property
    def now(self) -> Frame:
        """Return the current frame."""
        return self.frames[HISTORY_FRAMES - 1]

    @property
    def history(self) -> tuple[Frame, ...]:
        """Return the past frames and the current one."""
        return self.frames[:HISTORY_FRAMES]

    @property
    def future(self) -> tuple[Frame, ...]:
        """Return the frames after the current one."""
        return self.frames[HISTORY_FRAMES:]


def human_future(scene: SceneFrames) -> np.ndarray:
    """
    Poses [8, 3] that the human drove in the next 4 s, seen from the current rear axle.

    :raises LogError: when the scene ends before, as synthetic scenes do
    """
    if len(scene.future) < PLAN_POSES:
        raise LogError(f'{scene.log_name}, scene {scene.token}: {len(scene.future)} future '
                       f'frames, the human plan needs {PLAN_POSES}; cut scenes with a longer '
                       'future (num_future_frames of the scene filter)')
    return relative_to(scene.now.pose, np.stack(
        [frame.pose for frame in scene.future[:PLAN_POSES]]))
