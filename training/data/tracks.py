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
From boxes in the ego frame at 2 Hz to tracks in the map frame at 10 Hz.

Source: ``annotations_to_detection_tracks`` and ``_interpolate_gt_observation`` of NAVSIM's devkit.
"""

from collections.abc import Sequence

import numpy as np
from pair_drive_ros.scoring import Objects, ObjectType, SceneError
from pair_drive_ros.scoring.protocol import STEP_S
from pair_drive_training.data.frames import Frame, FRAME_STEP_S, SceneFrames, Tracks

KINDS = {'vehicle': ObjectType.VEHICLE, 'pedestrian': ObjectType.PEDESTRIAN,
         'bicycle': ObjectType.BICYCLE, 'traffic_cone': ObjectType.TRAFFIC_CONE,
         'barrier': ObjectType.BARRIER, 'czone_sign': ObjectType.CZONE_SIGN,
         'generic_object': ObjectType.GENERIC_OBJECT, 'ego': ObjectType.EGO}
AGENTS = (ObjectType.VEHICLE, ObjectType.PEDESTRIAN, ObjectType.BICYCLE, ObjectType.EGO)
STEPS_A_FRAME = round(FRAME_STEP_S / STEP_S)


def tracks_of_frame(frame: Frame) -> Tracks:
    """
    Turn a frame's boxes into the map frame by x, y and yaw of the ego alone (sic).

    :raises SceneError: on an object type that NAVSIM does not know, or an unknown velocity
    """
    annotations = frame.annotations
    unknown = set(annotations.names) - KINDS.keys()
    if unknown:
        raise SceneError(f'frame {frame.token}: unknown object types '
                         f'{", ".join(sorted(unknown))}')
    kind = np.array([KINDS[name] for name in annotations.names], np.int64)
    heading = frame.pose[2]
    sin, cos = np.sin(heading), np.cos(heading)
    boxes = annotations.boxes.astype(np.float64)
    velocity = annotations.velocity.astype(np.float64)
    turned = boxes[:, 6] + heading
    for _ in range(2):  # the devkit wraps twice, which may change the last bit
        turned = np.arctan2(np.sin(turned), np.cos(turned))
    placed = np.column_stack([boxes[:, 0] * cos - boxes[:, 1] * sin + frame.pose[0],
                              boxes[:, 0] * sin + boxes[:, 1] * cos + frame.pose[1], turned])
    moving = np.isin(kind, AGENTS)[:, None]
    turned_velocity = np.column_stack([velocity[:, 0] * cos - velocity[:, 1] * sin,
                                       velocity[:, 0] * sin + velocity[:, 1] * cos])
    world_velocity = np.where(moving, turned_velocity, 0.0)
    if not np.isfinite(world_velocity).all():
        row = int(np.argmin(np.isfinite(world_velocity).all(axis=1)))
        raise SceneError(f'frame {frame.token}: the velocity of {annotations.names[row]} '
                         f'{annotations.track_tokens[row]} is not known')
    return Tracks(kind, boxes[:, 3:5], placed, world_velocity, annotations.track_tokens)


def tracks_of_scene(scene: SceneFrames, count: int) -> list[Tracks]:
    """
    Tracks of the current frame and the ``count - 1`` frames after it.

    :raises SceneError: when the scene ends earlier
    """
    frames = [tracks_of_frame(frame) for frame in (scene.now, *scene.future)[:count]]
    frames += scene.extended_tracks[:count - len(frames)]
    if len(frames) < count:
        raise SceneError(f'{(count - 1) * FRAME_STEP_S:g} s of objects are needed after the '
                         f'current frame, the log has {(len(frames) - 1) * FRAME_STEP_S:g} s; '
                         'raise num_future_frames of the scene filter')
    return frames


def interpolate_tracks(frames: Sequence[Tracks]) -> tuple[Objects, tuple[str, ...]]:
    """
    Interpolate tracks seen every 0.5 s to steps of 0.1 s.

    A track exists from its first to its last sighting, gaps bridged. One seen in a single frame
    stands there, unmoved, at every step (sic). Kind and size are those of the first sighting.
    Returned with the track tokens, in the order of first sightings.
    """
    row_of: dict[str, int] = {}
    first = []
    for index, frame in enumerate(frames):
        for row, token in enumerate(frame.tokens):
            if token not in row_of:
                row_of[token] = len(row_of)
                first.append((index, row))
    count, last = len(first), len(frames) - 1
    state = np.full((count, len(frames), 5), np.nan)
    for index, frame in enumerate(frames):
        rows = [row_of[token] for token in frame.tokens]
        state[rows, index] = np.column_stack([frame.boxes, frame.velocity])
    known = ~np.isnan(state[..., 0])
    index = np.arange(len(frames))
    before = np.maximum.accumulate(np.where(known, index, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, index, len(frames))[:, ::-1], axis=1)[:, ::-1]
    filled = np.take_along_axis(state, np.maximum(before, 0)[..., None], axis=1)
    # Before the first sighting there is nothing; unwrapping must not see a jump there.
    begin = np.argmax(known, axis=1)
    heading = np.where(before < 0, state[np.arange(count), begin, 2][:, None], filled[..., 2])
    state[..., 2] = np.unwrap(heading, axis=1)

    steps = np.arange(last * STEPS_A_FRAME + 1)
    # Of the two sightings round a step the later one may be the step itself.
    end = after[:, -(-steps // STEPS_A_FRAME)]
    seen = (steps >= STEPS_A_FRAME * begin[:, None]) & (end < len(frames))
    end = np.minimum(end, before[:, -1:])
    second = np.append(after, after[:, -1:], axis=1)[np.arange(count), begin + 1]
    once = known.sum(axis=1) == 1
    end = np.maximum(end, np.where(once, begin, second)[:, None])
    start = np.take_along_axis(before, np.maximum(end - 1, 0), axis=1)
    start = np.where(once[:, None], begin[:, None], start)
    a, b = (np.take_along_axis(state, at[..., None], axis=1) for at in (start, end))
    span = np.where(once[:, None], 1.0, FRAME_STEP_S * (end - start))[..., None]
    found = (b - a) / span * (STEP_S * steps - FRAME_STEP_S * start)[..., None] + a
    found[..., 2] = np.arctan2(np.sin(found[..., 2]), np.cos(found[..., 2]))
    found[once] = state[once, begin[once]][:, None]
    seen |= once[:, None]
    found[~seen] = 0.0
    found = found.transpose(1, 0, 2)
    kind = np.array([frames[index].kind[row] for index, row in first], np.int64)
    size = np.array([frames[index].size[row] for index, row in first]).reshape(-1, 2)
    return Objects(kind, size, found[..., :3], found[..., 3:], seen.T), tuple(row_of)
