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

"""Write the sample drive as a rosbag2 recording (mcap): the data of the demonstration."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import tempfile
from typing import Any

import cv2
import numpy as np
from pair_drive_ros.core.frames import DrivingCommand
from pair_drive_training.world import rig
from pair_drive_training.world.camera import Camera, planar_transform
from pair_drive_training.world.lidar import Lidar
from pair_drive_training.world.scene import Scene
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
import yaml

START_NS = 1_700_000_000 * 10**9
TICK_NS = 20_000_000
TICKS_PER_FRAME = 5
JPEG_QUALITY = 90
MAX_SECONDS = 60.0
MAX_WIDTH = 1920
GENERATOR = 'pair_drive_training sample-bag'
"""Written into the recording's metadata: only what carries it is ever replaced."""

IMAGE, CAMERA_INFO = 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/CameraInfo'
POINTS, ODOMETRY = 'sensor_msgs/msg/PointCloud2', 'nav_msgs/msg/Odometry'
ACCELERATION = 'geometry_msgs/msg/AccelWithCovarianceStamped'
COMMAND, TRANSFORMS = 'std_msgs/msg/Int8', 'tf2_msgs/msg/TFMessage'

_TYPESTORE = get_typestore(Stores.ROS2_JAZZY)


class SampleBagError(ValueError):
    """The sample recording cannot be written as asked."""


@dataclass(frozen=True)
class SampleBagOptions:
    """``seconds`` of driving, ``seed`` of the street, image ``size`` (width, height)."""

    seconds: float = 5.0
    seed: int = 0
    size: tuple[int, int] = (960, 540)

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds <= MAX_SECONDS:
            raise SampleBagError(f'seconds: expected more than 0 and at most {MAX_SECONDS:g}, '
                                 f'got {self.seconds:g}')
        if self.seed < 0:
            raise SampleBagError(f'seed: expected 0 or more, got {self.seed}')
        width, height = self.size
        if not (64 <= width <= MAX_WIDTH and 36 <= height <= width):
            raise SampleBagError(f'image size: expected 64x36 to {MAX_WIDTH} wide and no taller '
                                 f'than wide, got {width}x{height}')


def write_sample_bag(path: Path, options: SampleBagOptions, *, progress: bool = False) -> None:
    """
    Write the recording as the folder ``path``; the same options give the same bytes.

    The folder appears complete or not at all. An earlier sample recording there is replaced.

    :raises SampleBagError: when ``path`` is something else, or cannot be written
    """
    path = path.absolute()
    if path.exists() and not _is_sample_bag(path):
        raise SampleBagError(f'{path} exists and is not a sample recording; name another folder '
                             f'or remove it')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix='.sample_bag_', dir=path.parent) as folder:
            # The storage file is named after its folder: the new folder has its final name.
            written = Path(folder) / 'new' / path.name
            _write(written, options, progress)
            if path.exists():
                path.rename(Path(folder) / 'old')
            written.rename(path)
    except OSError as error:
        raise SampleBagError(f'{path} cannot be written ({error.strerror or error}); name a '
                             f'folder that is writable and has space') from error


def _is_sample_bag(path: Path) -> bool:
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if names != {'metadata.yaml', f'{path.name}.mcap'}:
        return False
    try:
        metadata = yaml.safe_load((path / 'metadata.yaml').read_text())
        return metadata['rosbag2_bagfile_information']['custom_data']['generator'] == GENERATOR
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return False


def _write(path: Path, options: SampleBagOptions, progress: bool) -> None:
    drive = _Drive(options)
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    with writer:
        writer.set_custom_data('generator', GENERATOR)
        connections: dict[str, Any] = {}
        for topic, msgtype in drive.topics().items():
            latched = topic in ('/tf_static', '/command')
            connections[topic] = writer.add_connection(
                topic, msgtype, typestore=_TYPESTORE,
                offered_qos_profiles=[_qos(latched)])
        ticks = round(options.seconds * 1e9 / TICK_NS)
        for tick in tqdm(range(ticks), desc='sample drive', unit='tick', disable=not progress):
            for topic, message in drive.messages(tick):
                connection = connections[topic]
                data = _TYPESTORE.serialize_cdr(message, connection.msgtype)
                writer.write(connection, START_NS + tick * TICK_NS, data)


class _Drive:
    """The messages of the drive, tick by tick: odometry always, sensors every fifth tick."""

    def __init__(self, options: SampleBagOptions):
        self._options = options
        self._scene = Scene(options.seconds, options.seed)
        matrix = rig.intrinsics(*options.size)
        self._cameras = {name: Camera(rig.base_from_sensor(pose), matrix, options.size,
                                      self._scene.ground)
                         for name, pose in rig.CAMERA_POSES.items()}
        self._lidar = Lidar(rig.base_from_sensor(rig.LIDAR_POSE), rig.LidarPattern(),
                            self._scene.ground)

    @staticmethod
    def topics() -> dict[str, str]:
        """Message type by topic, in the order in which they are written at one instant."""
        topics = {'/tf_static': TRANSFORMS, '/command': COMMAND, '/odom': ODOMETRY,
                  '/acceleration': ACCELERATION}
        for name in rig.CAMERA_POSES:
            topics[f'/camera/{name}/camera_info'] = CAMERA_INFO
            topics[f'/camera/{name}/image/compressed'] = IMAGE
        return {**topics, '/lidar/points': POINTS}

    def messages(self, tick: int) -> Iterator[tuple[str, Any]]:
        """Yield (topic, message) of one tick."""
        stamp_ns, time_s = START_NS + tick * TICK_NS, tick * TICK_NS * 1e-9
        if tick == 0:
            yield '/tf_static', _static_transforms(stamp_ns)
        if tick % TICKS_PER_FRAME == 0:
            yield '/command', _make(COMMAND, data=int(DrivingCommand.STRAIGHT))
        yield '/odom', self._odometry(stamp_ns, time_s)
        yield '/acceleration', self._acceleration(stamp_ns, time_s)
        if tick % TICKS_PER_FRAME:
            return
        world_from_base = planar_transform(self._scene.ego.pose(time_s))
        solids = self._scene.solids(time_s)
        for name, camera in self._cameras.items():
            frame = f'camera_{name}'
            yield f'/camera/{name}/camera_info', _camera_info(stamp_ns, frame, self._options.size)
            image = camera.render(world_from_base, solids)
            yield f'/camera/{name}/image/compressed', _jpeg(stamp_ns, frame, image)
        rng = np.random.default_rng([self._options.seed, tick])
        yield '/lidar/points', _point_cloud(stamp_ns, self._lidar.scan(world_from_base, solids,
                                                                       rng))

    def _odometry(self, stamp_ns: int, time_s: float) -> Any:
        x, y, heading = self._scene.ego.pose(time_s)
        speed, yaw_rate = self._scene.ego.velocity(time_s)
        pose = _make('geometry_msgs/msg/Pose', position=_point(x, y, 0.0),
                     orientation=_quaternion(0.0, 0.0, heading))
        twist = _make('geometry_msgs/msg/Twist', linear=_vector(speed, 0.0, 0.0),
                      angular=_vector(0.0, 0.0, yaw_rate))
        return _make(ODOMETRY, header=_header(stamp_ns, 'odom'), child_frame_id='base_link',
                     pose=_make('geometry_msgs/msg/PoseWithCovariance', pose=pose,
                                covariance=np.zeros(36)),
                     twist=_make('geometry_msgs/msg/TwistWithCovariance', twist=twist,
                                 covariance=np.zeros(36)))

    def _acceleration(self, stamp_ns: int, time_s: float) -> Any:
        along, across = self._scene.ego.acceleration(time_s)
        accel = _make('geometry_msgs/msg/Accel', linear=_vector(along, across, 0.0),
                      angular=_vector(0.0, 0.0, 0.0))
        return _make(ACCELERATION, header=_header(stamp_ns, 'base_link'),
                     accel=_make('geometry_msgs/msg/AccelWithCovariance', accel=accel,
                                 covariance=np.zeros(36)))


def _make(msgtype: str, **fields: Any) -> Any:
    return _TYPESTORE.types[msgtype](**fields)


def _header(stamp_ns: int, frame_id: str) -> Any:
    stamp = _make('builtin_interfaces/msg/Time', sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return _make('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def _vector(x: float, y: float, z: float) -> Any:
    return _make('geometry_msgs/msg/Vector3', x=float(x), y=float(y), z=float(z))


def _point(x: float, y: float, z: float) -> Any:
    return _make('geometry_msgs/msg/Point', x=float(x), y=float(y), z=float(z))


def _quaternion(roll: float, pitch: float, yaw: float) -> Any:
    w, x, y, z = (float(value) for value in euler2quat(roll, pitch, yaw, axes='sxyz'))
    return _make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)


def _static_transforms(stamp_ns: int) -> Any:
    frames = {'lidar': rig.LIDAR_POSE,
              **{f'camera_{name}': pose for name, pose in rig.CAMERA_POSES.items()}}
    return _make(TRANSFORMS, transforms=[
        _make('geometry_msgs/msg/TransformStamped', header=_header(stamp_ns, 'base_link'),
              child_frame_id=frame,
              transform=_make('geometry_msgs/msg/Transform', translation=_vector(*pose[:3]),
                              rotation=_quaternion(*pose[3:])))
        for frame, pose in frames.items()])


def _camera_info(stamp_ns: int, frame_id: str, size: tuple[int, int]) -> Any:
    matrix = rig.intrinsics(*size)
    region = _make('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0,
                   do_rectify=False)
    return _make(CAMERA_INFO, header=_header(stamp_ns, frame_id), width=size[0], height=size[1],
                 distortion_model='plumb_bob', d=np.zeros(5), k=matrix.ravel(),
                 r=np.eye(3).ravel(), p=np.c_[matrix, np.zeros(3)].ravel(), binning_x=0,
                 binning_y=0, roi=region)


def _jpeg(stamp_ns: int, frame_id: str, image: np.ndarray) -> Any:
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return _make(IMAGE, header=_header(stamp_ns, frame_id), format='jpeg', data=data.ravel())


def _point_cloud(stamp_ns: int, points: np.ndarray) -> Any:
    fields = [_make('sensor_msgs/msg/PointField', name=name, offset=4 * index, datatype=7, count=1)
              for index, name in enumerate(('x', 'y', 'z', 'intensity'))]
    return _make(POINTS, header=_header(stamp_ns, 'lidar'), height=1, width=len(points),
                 fields=fields, is_bigendian=False, point_step=16, row_step=16 * len(points),
                 data=points.view(np.uint8).ravel(), is_dense=True)


def _qos(latched: bool) -> Qos:
    """Reliable; a latched topic also reaches subscribers that join late."""
    forever = QosTime(9223372036, 854775807)
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE, durability,
               forever, forever, QosLiveliness.AUTOMATIC, forever, False)
