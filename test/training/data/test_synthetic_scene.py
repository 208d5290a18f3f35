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

"""Synthetic scenes: nuPlan's objects are read as data, by way of classes that pickle like them."""

from dataclasses import dataclass
import enum
import pickle
import sys
import types

import numpy as np
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.data.frames import LogError
from pair_drive_training.data.synthetic_scene import read_synthetic_scene
from pair_drive_training.data.unpickling import UnpicklingRefusal
import pytest
import shapely

TOKEN = '5421fa2f2e2b4cb13'


class TrackedObjectType(enum.Enum):
    VEHICLE = 0, 'vehicle'
    PEDESTRIAN = 1, 'pedestrian'
    TRAFFIC_CONE = 3, 'traffic_cone'

    def __new__(cls, value, fullname):
        member = object.__new__(cls)
        member._value_, member.fullname = value, fullname
        return member

    # As Python 3.9, on which the devkit runs, does it; 3.11 had another way for a while.
    def __reduce_ex__(self, protocol):
        return type(self), (self._value_,)


class TrafficLightStatusType(enum.IntEnum):
    GREEN = 0
    YELLOW = 1
    RED = 2

    def __reduce_ex__(self, protocol):
        return type(self), (self._value_,)


@dataclass
class Point2D:
    x: float
    y: float
    __slots__ = 'x', 'y'


@dataclass
class StateSE2(Point2D):
    heading: float
    __slots__ = ('heading',)


class StateVector2D:
    __slots__ = '_array', '_x', '_y'

    def __init__(self, x, y):
        self._x, self._y, self._array = x, y, np.array([x, y])


@dataclass
class TimePoint:
    time_us: int
    __slots__ = ('time_us',)


class OrientedBox:

    def __init__(self, center, length, width, height):
        self._center, self._length, self._width, self._height = center, length, width, height


@dataclass(frozen=True)
class SceneObjectMetadata:
    timestamp_us: int
    token: str
    track_id: int
    track_token: str
    category_name: str = None


class Agent:

    def __init__(self, kind, box, velocity, metadata):
        self._initial_time_stamp = TimePoint(metadata.timestamp_us)
        self._predictions, self._past_trajectory = [], None
        self._metadata, self.instance_token = metadata, None
        self._tracked_object_type, self._box = kind, box
        self._velocity, self._angular_velocity = velocity, None


class StaticObject:

    def __init__(self, kind, box, metadata):
        self._metadata, self.instance_token = metadata, None
        self._tracked_object_type, self._box = kind, box
        self.predictions = self.past_trajectory = None
        self.velocity = StateVector2D(0.0, 0.0)


class TrackedObjects:

    def __init__(self, tracked_objects):
        self.tracked_objects = tracked_objects
        # A property that was asked for before the scene was stored.
        self._ranges_per_type = {kind: (0, 1) for kind in TrackedObjectType}


@dataclass
class DetectionsTracks:
    tracked_objects: TrackedObjects


@dataclass
class TrafficLightStatusData:
    status: TrafficLightStatusType
    lane_connector_id: int
    timestamp: int


@dataclass
class TrafficLightStatuses:
    traffic_lights: list


ACTOR = 'nuplan.common.actor_state'
MODULES = {
    TrackedObjectType: f'{ACTOR}.tracked_objects_types',
    Point2D: f'{ACTOR}.state_representation', StateSE2: f'{ACTOR}.state_representation',
    StateVector2D: f'{ACTOR}.state_representation', TimePoint: f'{ACTOR}.state_representation',
    OrientedBox: f'{ACTOR}.oriented_box', SceneObjectMetadata: f'{ACTOR}.scene_object',
    Agent: f'{ACTOR}.agent', StaticObject: f'{ACTOR}.static_object',
    TrackedObjects: f'{ACTOR}.tracked_objects',
    DetectionsTracks: 'nuplan.planning.simulation.observation.observation_type',
    TrafficLightStatusType: 'nuplan.common.maps.maps_datatypes',
    TrafficLightStatusData: 'nuplan.common.maps.maps_datatypes',
    TrafficLightStatuses: 'nuplan.common.maps.maps_datatypes',
}


def metadata(token):
    return SceneObjectMetadata(0, 'box', None, token)


def detections(step):
    """Three objects; the car moves 4 m a step."""
    box = OrientedBox(StateSE2(664000.25 + 4.0 * step, 3997000.5, 0.3), 4.5, 1.9, 1.7)
    box.geometry = shapely.box(0.0, 0.0, 1.0, 1.0)
    return DetectionsTracks(TrackedObjects([
        Agent(TrackedObjectType.VEHICLE, box, StateVector2D(8.0, 0.5), metadata('car')),
        Agent(TrackedObjectType.PEDESTRIAN,
              OrientedBox(StateSE2(1.0, 2.0, np.float64(-3.0)), np.float32(0.7), 0.6, 1.8),
              StateVector2D(0.0, -1.2), metadata('walker')),
        StaticObject(TrackedObjectType.TRAFFIC_CONE,
                     OrientedBox(StateSE2(5.0, 6.0, 0.0), 0.4, 0.3, 0.9), metadata('cone'))]))


def lights():
    return TrafficLightStatuses([
        TrafficLightStatusData(TrafficLightStatusType.RED, 71, 0),
        TrafficLightStatusData(TrafficLightStatusType.GREEN, 62, 0),
        TrafficLightStatusData(TrafficLightStatusType.YELLOW, 63, 0)])


def raw_scene():
    """Return what the devkit's ``Scene.save_to_disk`` stores: four frames, eight steps after."""
    frames = [{
        'token': f'frame{index}', 'timestamp': 1_640_000_000_000_000 + 500_000 * index,
        'roadblock_ids': ['10', '60'], 'traffic_lights': [(71, True)],
        'annotations': {'boxes': np.ones((2, 7), np.float32), 'names': ['vehicle', 'pedestrian'],
                        'velocity_3d': np.zeros((2, 3), np.float32),
                        'instance_tokens': ['a', 'b'], 'track_tokens': ['car', 'walker']},
        'ego_status': {'ego_pose': np.array([664000.5 + index, 3997000.25, 0.3]),
                       'ego_velocity': np.array([8.0, 0.0], np.float32),
                       'ego_acceleration': np.array([0.5, 0.0], np.float32),
                       'driving_command': np.array([0, 1, 0, 0]), 'in_global_frame': True},
        'lidar_path': None,
        'camera_dict': {'cam_f0': {
            'data_path': 'scene/CAM_F0/1.jpg', 'sensor2lidar_rotation': np.eye(3),
            'sensor2lidar_translation': np.array([0.1, 0.2, 0.3]), 'cam_intrinsic': np.eye(3),
            'distortion': np.zeros(5)}, 'cam_b0': {}},
    } for index in range(4)]
    return {
        'scene_metadata': {'log_name': 'log', 'scene_token': TOKEN, 'map_name': 'las_vegas',
                           'initial_token': TOKEN, 'num_history_frames': 4,
                           'num_future_frames': 0, 'corresponding_original_scene': 'original',
                           'corresponding_original_initial_token': 'initial'},
        'frames': frames,
        'extended_traffic_light_data': [lights() for _ in range(8)],
        'extended_detections_tracks': [detections(step) for step in range(8)],
    }


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a scene as a process would that has nuPlan's classes; they are gone afterwards."""
    def write(scene, protocol=pickle.HIGHEST_PROTOCOL):
        path = tmp_path / f'{TOKEN}.pkl'
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, 'nuplan', types.ModuleType('nuplan'))
            for kind, name in MODULES.items():
                module = sys.modules.get(name) or types.ModuleType(name)
                patch.setitem(sys.modules, name, module)
                patch.setattr(module, kind.__name__, kind, raising=False)
                patch.setattr(kind, '__module__', name)
            path.write_bytes(pickle.dumps(scene, protocol))
        assert not any(name.startswith('nuplan') for name in sys.modules)
        return path
    return write


@pytest.mark.parametrize('protocol', [4, 5])
def test_the_future_is_read_in_the_map_frame(write, protocol):
    scene = read_synthetic_scene(write(raw_scene(), protocol))
    assert len(scene.extended_tracks) == len(scene.extended_lights) == 8
    assert scene.extended_lights[3] == (('71', True), ('62', False), ('63', False))
    tracks = scene.extended_tracks[2]
    assert tracks.tokens == ('car', 'walker', 'cone')
    assert tracks.kind.tolist() == [ObjectType.VEHICLE, ObjectType.PEDESTRIAN,
                                    ObjectType.TRAFFIC_CONE]
    assert tracks.boxes.tolist() == [[664008.25, 3997000.5, 0.3], [1.0, 2.0, -3.0],
                                     [5.0, 6.0, 0.0]]
    assert tracks.size.tolist() == [[4.5, 1.9], [float(np.float32(0.7)), 0.6], [0.4, 0.3]]
    assert tracks.velocity.tolist() == [[8.0, 0.5], [0.0, -1.2], [0.0, 0.0]]


def test_frames_are_read_like_those_of_a_log(write):
    scene = read_synthetic_scene(write(raw_scene()))
    assert scene.synthetic
    assert (scene.log_name, scene.map_name) == ('log', 'us-nv-las-vegas-strip')
    assert len(scene.frames) == 4
    assert scene.future == ()
    frame = scene.frames[1]
    assert frame.pose.tolist() == [664001.5, 3997000.25, 0.3]
    assert frame.velocity.dtype == frame.acceleration.dtype == np.float32
    assert (frame.velocity.tolist(), frame.acceleration.tolist()) == ([8.0, 0.0], [0.5, 0.0])
    assert frame.command.tolist() == [0, 1, 0, 0]
    assert frame.traffic_lights == (('71', True),)
    assert frame.annotations.track_tokens == ('car', 'walker')
    assert frame.annotations.boxes.dtype == np.float32
    assert set(frame.cameras) == {'CAM_F0'}
    assert frame.cameras['CAM_F0'].sensor2lidar[:3, 3].tolist() == [0.1, 0.2, 0.3]
    assert frame.lidar_path is None


def test_a_scene_goes_by_its_initial_token(write):
    scene = read_synthetic_scene(write(raw_scene()))
    assert scene.token == TOKEN
    assert [frame.token for frame in scene.frames] == ['frame0', 'frame1', 'frame2', TOKEN]


def test_where_lidar_and_ego_are_apart_is_not_known(write):
    assert np.isnan(read_synthetic_scene(write(raw_scene())).now.lidar2ego).all()


def test_a_scene_may_end_with_its_frames(write):
    scene = read_synthetic_scene(write(raw_scene() | {'extended_detections_tracks': None,
                                                      'extended_traffic_light_data': None}))
    assert scene.extended_tracks == scene.extended_lights == ()


def test_a_step_may_be_empty(write):
    raw = raw_scene()
    raw['extended_detections_tracks'][0].tracked_objects.tracked_objects = []
    raw['extended_traffic_light_data'][0].traffic_lights = []
    scene = read_synthetic_scene(write(raw))
    assert scene.extended_tracks[0].boxes.shape == (0, 3)
    assert scene.extended_tracks[0].kind.shape == (0,)
    assert scene.extended_lights[0] == ()


def test_classes_that_are_not_known_are_refused(write):
    with pytest.raises(UnpicklingRefusal, match=r'builtins\.print'):
        read_synthetic_scene(write(raw_scene() | {'extended_detections_tracks': [print]}))


def change_first(raw, **values):
    vars(raw['extended_detections_tracks'][1].tracked_objects.tracked_objects[0]).update(values)


@pytest.mark.parametrize('change, reason', [
    (lambda raw: raw.pop('scene_metadata'), "there is no 'scene_metadata'"),
    (lambda raw: raw.pop('extended_detections_tracks'), "no 'extended_detections_tracks'"),
    (lambda raw: raw['scene_metadata'].update(num_history_frames=3), 'expected 4 frames of hist'),
    (lambda raw: raw['frames'].pop(), 'expected 4 frames of history, got 4 of 3'),
    (lambda raw: raw['frames'][2].pop('timestamp'), "frame 2: there is no 'timestamp'"),
    (lambda raw: raw['frames'][2].update(timestamp=0), 'frame 2: its timestamp'),
    (lambda raw: raw['frames'][2]['ego_status'].update(in_global_frame=False),
     'frame 2, ego_status: in_global_frame'),
    (lambda raw: raw['frames'][2].update(annotations=None), 'frame 2, annotations: expected'),
    (lambda raw: change_first(raw, _tracked_object_type='vehicle'),
     'entry 1, object 0: _tracked_object_type: expected a member'),
    (lambda raw: change_first(raw, _velocity=None), 'entry 1, object 0, _velocity: expected'),
    (lambda raw: change_first(raw, _metadata=metadata(None)), 'track_token: expected text'),
    (lambda raw: change_first(raw, _box=OrientedBox(StateSE2(0.0, np.nan, 0.0), 1, 1, 1)),
     'entry 1: objects: not finite'),
    (lambda raw: raw['extended_traffic_light_data'][5].traffic_lights.append(None),
     'extended_traffic_light_data, entry 5, light 3: expected a dictionary'),
])
def test_what_cannot_be_is_named(write, change, reason):
    raw = raw_scene()
    change(raw)
    with pytest.raises(LogError, match=TOKEN) as error:
        read_synthetic_scene(write(raw))
    assert reason in str(error.value)
