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

"""Whether large ROS 2 messages get through from process to process on this machine."""

from collections.abc import Generator
from importlib import metadata, util
import os
from pathlib import Path
import shutil

from pair_drive_training.doctor.report import not_checked, ok, Row, warn

KILTED = 9
OLD_VARIABLE, NEW_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
PROFILE = '$(ros2 pkg prefix pair_drive_ros)/share/pair_drive_ros/config/fastdds_shm.xml'
SHARED_MEMORY = Path('/dev/shm')
SEGMENT_MB = 64
# A process each: three cameras, LiDAR, odometry, the planner, a viewer, a recorder.
PROCESSES = 8


def transport_rows() -> Generator[Row, None, None]:
    """Check what Fast DDS needs for images and point clouds, where there is ROS 2."""
    if util.find_spec('rclpy') is None:
        yield not_checked('ROS 2', 'rclpy is not installed; training and evaluation do without',
                          'To run the node source a distribution, or: make setup ROS=kilted')
        return
    version = metadata.version('rclpy')
    discovery = os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET (unset)')
    domain = os.environ.get('ROS_DOMAIN_ID', '0 (unset)')
    yield ok('ROS 2', f'rclpy {version}, ROS_AUTOMATIC_DISCOVERY_RANGE {discovery}, '
                      f'ROS_DOMAIN_ID {domain}')
    middleware = os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    if 'fastrtps' in middleware:
        # Jazzy's Fast DDS 2 reads the old name only, Kilted's Fast DDS 3 complains of it.
        newer = int(version.split('.')[0]) >= KILTED
        yield _profile_row(NEW_VARIABLE if newer else OLD_VARIABLE)
        yield _shared_memory_row()
    else:
        yield not_checked('DDS profile', f'RMW_IMPLEMENTATION is {middleware}',
                          'See to it that messages of 6 MB get through: the profile of this '
                          'package is for Fast DDS.')


def _profile_row(variable: str) -> Row:
    check, path = 'DDS profile', os.environ.get(variable)
    remedy = f'Run, where the drivers are started: export {variable}={PROFILE}'
    if not path:
        return warn(check, f'{variable} is not set: the commands of this package set it for '
                           'themselves, but large messages of other processes get lost', remedy)
    if not Path(path).is_file():
        return warn(check, f'{variable} is {path}, which is no file: Fast DDS uses its '
                           'default segments of 0.5 MB', remedy)
    return ok(check, f'{variable} is {path}')


def _shared_memory_row() -> Row:
    usage = shutil.disk_usage(SHARED_MEMORY)
    total_mb, free_mb = usage.total // 2 ** 20, usage.free // 2 ** 20
    found = f'{SHARED_MEMORY}: {free_mb:,} of {total_mb:,} MB free'
    if free_mb >= PROCESSES * SEGMENT_MB:
        return ok('shared memory', found)
    return warn('shared memory', f'{found}; {PROCESSES} processes fill {PROCESSES * SEGMENT_MB}',
                f'Run: mount -o remount,size=2G {SHARED_MEMORY} (of a container: start it with '
                '--shm-size=2g)')
