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

"""Write a drive of a world as a rosbag2 recording (mcap): the data of the demonstration."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import tempfile
from typing import Any

import numpy as np
from pair_drive_ros.core.geometry import relative_to
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.data.map_store import MapStore
from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.log_writer import RouteProgress
from pair_drive_training.world.procedural_world import ProceduralWorld, town_of
from pair_drive_training.world.sensors.camera_rig import CameraModel
from pair_drive_training.world.sensors.encoding import encode_jpeg
from pair_drive_training.world.sensors.scene_builder import moment_of
from pair_drive_training.world.towns.map_writer import write_maps
from pair_drive_training.world.traffic.drive import STEP_S
from pair_drive_training.world.traffic.simulation import simulate
from pair_drive_training.world.world_folder import Identity
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from tqdm import tqdm
from transforms3d.euler import euler2quat
from transforms3d.quaternions import mat2quat
import yaml

START_NS = 1_700_000_000 * 10**9
STEP_NS = round(STEP_S * 1e9)
# Odometry comes at 50 Hz, as vehicles send it.
ODOMETRY_A_STEP = 5
MAX_SECONDS = 35.0
CAMERAS = {'left': 'CAM_L0', 'front': 'CAM_F0', 'right': 'CAM_R0'}
# Where the points' frame lies in base_link, as config/sample_rig.yaml has it.
LIDAR_POSITION = np.array([1.2, 0.0, 1.85])
GENERATOR = 'pair_drive_training make-world'
"""Written into the recording's metadata: only what carries it is ever replaced."""

IMAGE, CAMERA_INFO = 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/CameraInfo'
POINTS, ODOMETRY = 'sensor_msgs/msg/PointCloud2', 'nav_msgs/msg/Odometry'
ACCELERATION = 'geometry_msgs/msg/AccelWithCovarianceStamped'
COMMAND, TRANSFORMS = 'std_msgs/msg/Int8', 'tf2_msgs/msg/TFMessage'
OBJECTS, MARKER = 'visualization_msgs/msg/MarkerArray', 'visualization_msgs/msg/Marker'
CUBE, ADD = 1, 0
COLOURS = {ObjectType.VEHICLE: (1.0, 0.62, 0.35), ObjectType.PEDESTRIAN: (0.95, 0.35, 0.6),
           ObjectType.BICYCLE: (0.4, 0.8, 0.95)}
OTHER_COLOUR = (0.55, 0.6, 0.66)

_TYPESTORE = get_typestore(Stores.ROS2_JAZZY)


class DriveBagError(ValueError):
    """A recording cannot be written as asked; the sentence says why and what to do."""


@dataclass(frozen=True)
class BagOptions:
    """``seconds`` from the start of a drive, ``seed`` of the world, ``preset`` of its sensors."""

    seconds: float = 5.0
    seed: int = 0
    preset: str = 'mini'

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds <= MAX_SECONDS:
            raise DriveBagError(f'seconds: expected more than 0 and at most {MAX_SECONDS:g}, got '
                                f'{self.seconds:g}')
        if self.seed < 0:
            raise DriveBagError(f'seed: expected 0 or more, got {self.seed}')


def write_drive_bag(path: Path, options: BagOptions, *, progress: bool = False) -> None:
    """
    Write the first drive of a world's test split as the folder ``path``.

    The same options give the same bytes. The folder appears complete or not at all. An earlier
    recording of a drive there is replaced.

    :raises DriveBagError: when ``path`` is something else, or cannot be written
    """
    path = path.absolute()
    if path.exists() and not _is_drive_bag(path):
        raise DriveBagError(f'{path} exists and is not a recording of a drive; name another '
                            f'folder or remove it')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix='.drive_bag_', dir=path.parent) as folder:
            # The storage file is named after its folder: the new folder has its final name.
            written = Path(folder) / 'new' / path.name
            _write(written, _RecordedDrive(options, Path(folder) / 'maps'), progress)
            if path.exists():
                path.rename(Path(folder) / 'old')
            written.rename(path)
    except OSError as error:
        raise DriveBagError(f'{path} cannot be written ({error.strerror or error}); name a '
                            f'folder that is writable and has space') from error


def _is_drive_bag(path: Path) -> bool:
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if names != {'metadata.yaml', f'{path.name}.mcap'}:
        return False
    try:
        metadata = yaml.safe_load((path / 'metadata.yaml').read_text())
        return metadata['rosbag2_bagfile_information']['custom_data']['generator'] == GENERATOR
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return False


def _write(path: Path, drive: '_RecordedDrive', progress: bool) -> None:
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    with writer:
        writer.set_custom_data('generator', GENERATOR)
        connections: dict[str, Any] = {}
        for topic, msgtype in drive.topics().items():
            latched = topic in ('/tf_static', '/command')
            connections[topic] = writer.add_connection(topic, msgtype, typestore=_TYPESTORE,
                                                       offered_qos_profiles=[_qos(latched)])
        for step in tqdm(range(drive.steps), desc='drive', unit='step', disable=not progress):
            for topic, stamp_ns, message in drive.messages(step):
                connection = connections[topic]
                data = _TYPESTORE.serialize_cdr(message, connection.msgtype)
                writer.write(connection, stamp_ns, data)


class _RecordedDrive:
    """
    The messages of a drive, step by step of 0.1 s.

    ``odom`` is the ego frame of the first step.

    :param maps: a folder for the map of the drive's town
    """

    def __init__(self, options: BagOptions, maps: Path):
        identity = Identity(options.seed, options.preset, tuple(CAMERAS.values()))
        world, key = ProceduralWorld(identity), DriveKey(options.seed, 'test', 0)
        town = town_of(key)
        self.steps = round(options.seconds / STEP_S)
        self._drive = simulate(town, key.randomness('drive'), options.seconds)
        write_maps(maps, {town.city: [town]})
        self._route = RouteProgress(self._drive.route, MapStore(maps).city(town.city))
        self._renderer, self._look = world.renderer(key), world.look(key)
        self._jpeg_quality = world.rig.jpeg_quality
        self._cameras = {name: camera for name, navsim in CAMERAS.items()
                         for camera in world.rig.cameras if camera.name == navsim}
        self._heading = np.unwrap(self._drive.ego[:, 2])
        self._yaw_rate = np.gradient(self._heading, STEP_S)

    @staticmethod
    def topics() -> dict[str, str]:
        """Return the message type by topic, in the order of writing at one instant."""
        topics = {'/tf_static': TRANSFORMS, '/command': COMMAND, '/odom': ODOMETRY,
                  '/acceleration': ACCELERATION}
        for name in CAMERAS:
            topics[f'/camera/{name}/camera_info'] = CAMERA_INFO
            topics[f'/camera/{name}/image/compressed'] = IMAGE
        return {**topics, '/lidar/points': POINTS, '/ground_truth/objects': OBJECTS}

    def messages(self, step: int) -> Iterator[tuple[str, int, Any]]:
        """Yield (topic, time of writing in ns, message) of one step, odometry beyond it."""
        stamp_ns = START_NS + step * STEP_NS
        for topic, message in self._sensed(step, stamp_ns):
            yield topic, stamp_ns, message
        for part in range(1, ODOMETRY_A_STEP) if step + 1 < self.steps else ():
            later_ns = stamp_ns + part * STEP_NS // ODOMETRY_A_STEP
            yield '/odom', later_ns, self._odometry(later_ns, step + part / ODOMETRY_A_STEP)

    def _sensed(self, step: int, stamp_ns: int) -> Iterator[tuple[str, Any]]:
        pose = self._drive.ego[step, :3]
        if step == 0:
            yield '/tf_static', _static_transforms(stamp_ns, self._cameras)
        yield '/command', _make(COMMAND, data=int(self._route.advance(pose)[1]))
        yield '/odom', self._odometry(stamp_ns, step)
        yield '/acceleration', _acceleration(stamp_ns, *self._drive.ego[step, 5:])
        moment = moment_of(self._drive, step)
        images = self._renderer.cameras(*moment, self._look)
        for name, camera in self._cameras.items():
            frame = f'camera_{name}'
            yield f'/camera/{name}/camera_info', _camera_info(stamp_ns, frame, camera)
            yield f'/camera/{name}/image/compressed', _make(
                IMAGE, header=_header(stamp_ns, frame), format='jpeg', data=np.frombuffer(
                    encode_jpeg(images[camera.name], self._jpeg_quality), np.uint8))
        sweep = self._renderer.lidar(*moment, self._look)
        yield '/lidar/points', _point_cloud(stamp_ns, sweep)
        yield '/ground_truth/objects', self._objects(stamp_ns, step)

    def _odometry(self, stamp_ns: int, at: float) -> Any:
        """Return the motion at a step or, interpolated, between two."""
        step, part = int(at), at % 1.0
        after = min(step + 1, self.steps - 1)
        ego = self._drive.ego[step] + part * (self._drive.ego[after] - self._drive.ego[step])
        turn = (1.0 - part) * self._yaw_rate[step] + part * self._yaw_rate[after]
        ego[2] = self._heading[step] + part * (self._heading[after] - self._heading[step])
        x, y, heading = relative_to(self._drive.ego[0, :3], ego[:3])
        pose = _make('geometry_msgs/msg/Pose', position=_point(x, y, 0.0),
                     orientation=_yaw_quaternion(heading))
        twist = _make('geometry_msgs/msg/Twist', linear=_vector(ego[3], ego[4], 0.0),
                      angular=_vector(0.0, 0.0, turn))
        return _make(ODOMETRY, header=_header(stamp_ns, 'odom'), child_frame_id='base_link',
                     pose=_make('geometry_msgs/msg/PoseWithCovariance', pose=pose,
                                covariance=np.zeros(36)),
                     twist=_make('geometry_msgs/msg/TwistWithCovariance', twist=twist,
                                 covariance=np.zeros(36)))

    def _objects(self, stamp_ns: int, step: int) -> Any:
        """Boxes of all that is there, in base_link, for as long as to the next message."""
        drive = self._drive
        present = np.flatnonzero(drive.present[step]).tolist()
        poses = relative_to(drive.ego[step, :3], drive.poses[step, present])
        return _make(OBJECTS, markers=[
            _marker(stamp_ns, row, drive.actors[row].kind, pose, drive.actors[row].size)
            for row, pose in zip(present, poses, strict=True)])


def _make(msgtype: str, **fields: Any) -> Any:
    return _TYPESTORE.types[msgtype](**fields)


def _header(stamp_ns: int, frame_id: str) -> Any:
    stamp = _make('builtin_interfaces/msg/Time', sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return _make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def _vector(x: float, y: float, z: float) -> Any:
    return _make('geometry_msgs/msg/Vector3', x=float(x), y=float(y), z=float(z))


def _point(x: float, y: float, z: float) -> Any:
    return _make('geometry_msgs/msg/Point', x=float(x), y=float(y), z=float(z))


def _quaternion(wxyz: np.ndarray) -> Any:
    w, x, y, z = (float(value) for value in wxyz)
    return _make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)


def _yaw_quaternion(yaw: float) -> Any:
    return _quaternion(euler2quat(0.0, 0.0, yaw, axes='sxyz'))


def _acceleration(stamp_ns: int, along: float, across: float) -> Any:
    accel = _make('geometry_msgs/msg/Accel', linear=_vector(along, across, 0.0),
                  angular=_vector(0.0, 0.0, 0.0))
    return _make(ACCELERATION, header=_header(stamp_ns, 'base_link'),
                 accel=_make('geometry_msgs/msg/AccelWithCovariance', accel=accel,
                             covariance=np.zeros(36)))


def _static_transforms(stamp_ns: int, cameras: dict[str, CameraModel]) -> Any:
    frames = {'lidar': (LIDAR_POSITION, np.eye(3)),
              **{f'camera_{name}': (camera.translation, camera.rotation)
                 for name, camera in cameras.items()}}
    return _make(TRANSFORMS, transforms=[
        _make('geometry_msgs/msg/TransformStamped', header=_header(stamp_ns, 'base_link'),
              child_frame_id=frame,
              transform=_make('geometry_msgs/msg/Transform', translation=_vector(*translation),
                              rotation=_quaternion(mat2quat(rotation))))
        for frame, (translation, rotation) in frames.items()])


def _camera_info(stamp_ns: int, frame_id: str, camera: CameraModel) -> Any:
    matrix, (width, height) = camera.intrinsics, camera.size
    region = _make('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0,
                   do_rectify=False)
    return _make(CAMERA_INFO, header=_header(stamp_ns, frame_id), width=width, height=height,
                 distortion_model='plumb_bob', d=np.zeros(5), k=matrix.ravel(),
                 r=np.eye(3).ravel(), p=np.c_[matrix, np.zeros(3)].ravel(), binning_x=0,
                 binning_y=0, roi=region)


def _point_cloud(stamp_ns: int, sweep: np.ndarray) -> Any:
    """Put x, y, z and intensity of a sweep in base_link [N, 6] into the LiDAR's frame."""
    points = np.ascontiguousarray(sweep[:, :4], np.float32)
    points[:, :3] -= LIDAR_POSITION.astype(np.float32)
    fields = [_make('sensor_msgs/msg/PointField', name=name, offset=4 * index, datatype=7, count=1)
              for index, name in enumerate(('x', 'y', 'z', 'intensity'))]
    return _make(POINTS, header=_header(stamp_ns, 'lidar'), height=1, width=len(points),
                 fields=fields, is_bigendian=False, point_step=16, row_step=16 * len(points),
                 data=points.view(np.uint8).ravel(), is_dense=True)


def _marker(stamp_ns: int, number: int, kind: int, pose: np.ndarray, size: np.ndarray) -> Any:
    x, y, heading = pose
    red, green, blue = COLOURS.get(ObjectType(kind), OTHER_COLOUR)
    return _make(
        MARKER, header=_header(stamp_ns, 'base_link'), ns=ObjectType(kind).name.lower(),
        id=number, type=CUBE, action=ADD,
        pose=_make('geometry_msgs/msg/Pose', position=_point(x, y, 0.5 * size[2]),
                   orientation=_yaw_quaternion(heading)),
        scale=_vector(*size), color=_make('std_msgs/msg/ColorRGBA', r=red, g=green, b=blue, a=0.8),
        lifetime=_make('builtin_interfaces/msg/Duration', sec=0, nanosec=STEP_NS),
        frame_locked=False, points=[], colors=[], texture_resource='',
        texture=_make(IMAGE, header=_header(0, ''), format='', data=np.zeros(0, np.uint8)),
        uv_coordinates=[], text='', mesh_resource='',
        mesh_file=_make('visualization_msgs/msg/MeshFile', filename='',
                        data=np.zeros(0, np.uint8)),
        mesh_use_embedded_materials=False)


def _qos(latched: bool) -> Qos:
    """Reliable; a latched topic also reaches subscribers that join late."""
    forever = QosTime(9223372036, 854775807)
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE, durability,
               forever, forever, QosLiveliness.AUTOMATIC, forever, False)
