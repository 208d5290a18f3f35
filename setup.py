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

"""Packaging for colcon (ament_python) and for ``pip install -e .``."""

from glob import glob
import os
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'pair_drive_ros'
TRAINING = 'pair_drive_training'


def requirements(name: str) -> list[str]:
    """Return the pinned lines of a file of requirements/."""
    lines = Path(__file__).resolve().parent.joinpath('requirements', name).read_text().split('\n')
    return [line for line in lines if line and not line.startswith('#')]


def installed(folder: str) -> tuple[str, list[str]]:
    """Install the files of a top-level folder into the package's share."""
    return os.path.join('share', PACKAGE, folder), sorted(glob(f'{folder}/*.*'))


setup(
    name=PACKAGE,
    version='0.1.0',
    description='PaIR-Drive: imitation and reinforcement learning planners in parallel, on ROS 2',
    author='The pair_drive_ros authors',
    maintainer='The pair_drive_ros authors',
    maintainer_email='maintainers@pair-drive.example',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=[*find_packages(include=[PACKAGE, f'{PACKAGE}.*']), TRAINING,
              *(f'{TRAINING}.{name}' for name in find_packages('training'))],
    package_dir={TRAINING: 'training'},
    package_data={PACKAGE: ['checkpoints/*', 'checkpoints/refinement/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        installed('launch'), installed('config'), installed('rviz'),
    ],
    install_requires=requirements('base.txt'),
    extras_require={'test': requirements('test.txt')},
    zip_safe=False,
    entry_points={'console_scripts': [
        'planner = pair_drive_ros.nodes.bringup:main',
        'pair_drive = pair_drive_ros.__main__:main',
        'pair_drive_training = pair_drive_training.__main__:main',
    ]},
)
