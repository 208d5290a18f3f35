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

"""Shared fixtures; keeps every ROS graph of the suite on this machine and apart from others."""

import contextlib
import os
from pathlib import Path

import pytest

# Before rclpy loads: discovery stays on this host, and parallel suites do not hear each other.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)

CHECKOUT = Path(__file__).resolve().parents[1]
# Fast DDS reads its profile once, when the first participant of a process is made. Where there
# is no ROS the tests of the nodes skip themselves.
with contextlib.suppress(ImportError):
    from pair_drive_ros.nodes.resources import use_shared_memory_profile
    use_shared_memory_profile()


def _shared(folder: str) -> Path:
    path = CHECKOUT.parent / 'shared' / folder
    if not path.is_dir():
        pytest.skip(f'shared data is not here: {folder}')
    return path


@pytest.fixture(scope='session')
def checkout() -> Path:
    """Root of the source tree."""
    return CHECKOUT


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Real driving data that is not part of the project."""
    return _shared('data')


@pytest.fixture(scope='session')
def shared_golden() -> Path:
    """Official scores that are not part of the project."""
    return _shared('golden')
