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
Synthetic scenes: navhard's second stage, one pickle per scene (``Scene.save_to_disk``).

Frames are dictionaries, but what happens after the last frame is stored as objects of nuPlan's
classes. Inert stand-ins take their place: they keep the attributes and have no behaviour.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.data.frame_fields import Fields, read_annotations, read_cameras
from pair_drive_training.data.frames import Frame, HISTORY_FRAMES, SceneFrames, Tracks
from pair_drive_training.data.log import check_order, map_name
from pair_drive_training.data.unpickling import load_pickle

_ANNOTATIONS = {'boxes': 'boxes', 'names': 'names', 'velocity': 'velocity_3d',
                'instances': 'instance_tokens', 'tracks': 'track_tokens'}
_RED = 2
_STATIC = (ObjectType.TRAFFIC_CONE, ObjectType.BARRIER, ObjectType.CZONE_SIGN,
           ObjectType.GENERIC_OBJECT)


class _StandIn(dict):
    """
    An object of a foreign class: a dictionary of its attributes, and what it was called with.

    Enumerations are pickled as a call with their value, geometries as one with their bytes.
    """

    def __init__(self, *args: object):
        super().__init__()
        self.args = args

    # Kinds of objects are keys of a dictionary in the files, one object each.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __setstate__(self, state: object) -> None:
        # Classes with __slots__ are stored as a pair: what __dict__ held, what the slots held.
        for values in state if isinstance(state, tuple) else (state,):
            self.update(values or {})


_ACTOR = 'nuplan.common.actor_state'
_STAND_INS = {(module, name): _StandIn for module, names in (
    ('nuplan.planning.simulation.observation.observation_type', ('DetectionsTracks',)),
    ('nuplan.planning.simulation.trajectory.predicted_trajectory', ('PredictedTrajectory',)),
    (f'{_ACTOR}.tracked_objects', ('TrackedObjects',)),
    (f'{_ACTOR}.tracked_objects_types', ('TrackedObjectType',)),
    (f'{_ACTOR}.agent', ('Agent',)),
    (f'{_ACTOR}.agent_state', ('AgentState',)),
    (f'{_ACTOR}.static_object', ('StaticObject',)),
    (f'{_ACTOR}.scene_object', ('SceneObject', 'SceneObjectMetadata')),
    (f'{_ACTOR}.oriented_box', ('Dimension', 'OrientedBox')),
    (f'{_ACTOR}.state_representation', ('Point2D', 'StateSE2', 'StateVector2D', 'TimeDuration',
                                        'TimePoint')),
    (f'{_ACTOR}.waypoint', ('Waypoint',)),
    ('nuplan.common.maps.maps_datatypes', ('TrafficLightStatusData', 'TrafficLightStatuses',
                                           'TrafficLightStatusType')),
    # The outline of a box, where it was asked for before the scene was stored.
    ('shapely.io', ('from_wkb',)),
    ('shapely.geometry.polygon', ('Polygon',)),
) for name in names}


def read_synthetic_scene(path: Path) -> SceneFrames:
    """
    Read a synthetic scene.

    The transform from LiDAR to ego is not stored in such files: ``lidar2ego`` is NaN.

    :raises LogError: when the file cannot be used
    """
    fields = Fields(load_pickle(path, _STAND_INS), str(path))
    about = fields.part('scene_metadata')
    token = about.text('initial_token')
    raw_frames = fields.items('frames')
    if about.integer('num_history_frames') != HISTORY_FRAMES or len(raw_frames) < HISTORY_FRAMES:
        raise fields.error(f'expected {HISTORY_FRAMES} frames of history, got '
                           f'{about["num_history_frames"]} of {len(raw_frames)} frames')
    frames = [_read_frame(Fields(values, f'{path}, frame {index}'))
              for index, values in enumerate(raw_frames)]
    # Splits, mappings and scores know the scene by this token, whatever its frame is called.
    frames[HISTORY_FRAMES - 1] = replace(frames[HISTORY_FRAMES - 1], token=token)
    check_order(tuple(frames), str(path))
    return SceneFrames(
        about.text('log_name'), map_name(about.text('map_name')), tuple(frames), synthetic=True,
        extended_tracks=tuple(
            _tracks(values, f'{path}, extended_detections_tracks, entry {index}')
            for index, values in enumerate(_optional(fields, 'extended_detections_tracks'))),
        extended_lights=tuple(
            _lights(values, f'{path}, extended_traffic_light_data, entry {index}')
            for index, values in enumerate(_optional(fields, 'extended_traffic_light_data'))))


def _read_frame(fields: Fields) -> Frame:
    ego = fields.part('ego_status')
    if ego['in_global_frame'] is not True:
        raise ego.error('in_global_frame: expected true, the pose must lie in the map frame')
    return Frame(
        token=fields.text('token'), time_us=fields.integer('timestamp'),
        roadblock_ids=fields.names('roadblock_ids'),
        traffic_lights=fields.lights('traffic_lights'),
        annotations=read_annotations(fields.part('annotations'), _ANNOTATIONS),
        pose=ego.numbers('ego_pose', 3, dtype=np.float64),
        velocity=ego.numbers('ego_velocity', 2, dtype=np.float32),
        acceleration=ego.numbers('ego_acceleration', 2, dtype=np.float32),
        command=ego.numbers('driving_command', 4, dtype=np.float32),
        cameras=read_cameras(fields.parts('camera_dict')), lidar_path=fields.path('lidar_path'),
        lidar2ego=np.full((4, 4), np.nan))


def _optional(fields: Fields, key: str) -> Sequence:
    return () if fields[key] is None else fields.items(key)


def _tracks(detections: object, where: str) -> Tracks:
    objects = Fields(detections, where).part('tracked_objects').items('tracked_objects')
    kinds, rows, tokens = [], [], []
    for index, values in enumerate(objects):
        item = Fields(values, f'{where}, object {index}')
        kind = _enumerated(item, '_tracked_object_type')
        box, velocity = item.part('_box'), (0.0, 0.0)
        centre = box.part('_center')
        if kind not in _STATIC:
            moving = item.part('_velocity')
            velocity = (moving['_x'], moving['_y'])
        kinds.append(kind)
        rows.append((centre['x'], centre['y'], centre['heading'], box['_length'], box['_width'],
                     *velocity))
        tokens.append(item.part('_metadata').text('track_token'))
    unknown = set(kinds) - set(ObjectType)
    if unknown:
        raise Fields(detections, where).error(f'unknown object types {sorted(unknown)}')
    numbers = Fields({'objects': rows}, where).numbers('objects', -1, 7, dtype=np.float64)
    return Tracks(np.array(kinds, np.int64), numbers[:, 3:5], numbers[:, :3], numbers[:, 5:],
                  tuple(tokens))


def _lights(statuses: object, where: str) -> tuple[tuple[str, bool], ...]:
    lights = [Fields(values, f'{where}, light {index}') for index, values in enumerate(
        Fields(statuses, where).items('traffic_lights'))]
    return Fields({'traffic_lights': [
        (light['lane_connector_id'], _enumerated(light, 'status') == _RED)
        for light in lights]}, where).lights('traffic_lights')


def _enumerated(fields: Fields, key: str) -> int:
    value = fields[key]
    if not (isinstance(value, _StandIn) and len(value.args) == 1
            and isinstance(value.args[0], int)):
        raise fields.error(f'{key}: expected a member of an enumeration, got {value!r}')
    return value.args[0]
