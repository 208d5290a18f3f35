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

"""Files that are installed beside the code: parameter files and the Fast DDS profile."""

from importlib.metadata import version
import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory, PackageNotFoundError

PACKAGE = 'pair_drive_ros'
_KILTED = 9


def config_file(name: str) -> Path:
    """
    Return the path of a file of ``config/``: of the installed package, else of the checkout.

    :raises FileNotFoundError: when neither has it
    """
    checkout = Path(__file__).resolve().parents[2]
    candidates = [checkout / 'config' / name]
    try:
        candidates.insert(0, Path(get_package_share_directory(PACKAGE)) / 'config' / name)
    except (OSError, PackageNotFoundError):
        # Not built by colcon, or no workspace sourced: the checkout serves an editable install.
        pass
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(f'{name} is neither installed nor in {checkout / "config"}; build the '
                            f'package with colcon, or install it with pip install -e')


def use_shared_memory_profile() -> None:
    """
    Let Fast DDS use shared-memory segments that hold whole images.

    Its default segment of half a MiB silently loses large best-effort messages between
    processes. A profile of the user's own wins. Call it before rclpy starts.
    """
    old, new = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
    if not (os.environ.get(old) or os.environ.get(new)):
        # Jazzy's Fast DDS 2 reads the old name only, Kilted's Fast DDS 3 complains of it.
        kilted = int(version('rclpy').split('.')[0]) >= _KILTED
        os.environ[new if kilted else old] = str(config_file('fastdds_shm.xml'))
