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

"""Packages, arithmetic and transport: what differs is told apart from what is as it should be."""

from collections import namedtuple
import sys

import numpy as np
from pair_drive_training.doctor import numerics, transport
import pytest
import torch

Usage = namedtuple('Usage', 'total used free')


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Let a distribution look as if it were installed."""
    monkeypatch.syspath_prepend(tmp_path)

    def installed(name, version, *lines):
        folder = tmp_path / f'{name}-{version}.dist-info'
        folder.mkdir()
        (folder / 'METADATA').write_text('\n'.join(
            ['Metadata-Version: 2.1', f'Name: {name}', f'Version: {version}', *lines]) + '\n')
        return tmp_path
    return installed


def test_versions_as_pinned(install, call):
    install('pair_drive_ros', '0.1.0', 'Requires-Python: >=3.10', 'Provides-Extra: test',
            f'Requires-Dist: numpy=={np.__version__} ; python_version >= "3"',
            'Requires-Dist: numpy==1.0 ; python_version < "3"',
            f'Requires-Dist: torch=={torch.__version__.split("+")[0]}', 'Requires-Dist: tqdm>=1',
            'Requires-Dist: nowhere==1 ; extra == "test"')
    result = call()
    assert result.code == 0
    for check in ('Python', 'numpy', 'torch', 'other packages'):
        assert result.of(check)[0] == 'OK'
    assert result.of('numpy')[1].startswith(np.__version__)
    assert result.of('other packages')[1] == 'tqdm as pinned'


def test_other_versions_are_warnings_with_the_command(install, call, monkeypatch):
    monkeypatch.delenv('ROS_DISTRO', raising=False)
    install('pair_drive_ros', '0.1.0', 'Requires-Dist: numpy==1.23.4', 'Requires-Dist: tqdm==0.1',
            'Requires-Dist: nowhere==1')
    result = call()
    assert result.code == 0
    state, found, remedy = result.of('numpy')
    assert state == 'WARN'
    assert found.endswith(', tested with ==1.23.4')
    assert remedy == "Run: python -m pip install 'numpy==1.23.4'"
    state, found, remedy = result.of('other packages')
    assert state == 'WARN'
    assert 'nowhere absent (tested with ==1)' in found
    assert remedy == "Run: python -m pip install 'tqdm==0.1' 'nowhere==1'"


def test_a_ros_distribution_keeps_its_numpy(install, call, monkeypatch):
    install('pair_drive_ros', '0.1.0', 'Requires-Dist: numpy==1.23.4',
            'Requires-Dist: torch==1.0')
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    result = call()
    assert result.of('numpy')[0] == 'OK'
    assert result.of('torch')[0] == 'WARN'


def test_a_python_that_is_too_old_fails(install, call):
    install('pair_drive_ros', '0.1.0', 'Requires-Python: >=4')
    result = call()
    assert result.code == 1
    assert result.of('Python')[1].endswith('needed: >=4')


def test_a_package_that_is_missing_ends_it_with_its_command(call, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    result = call()
    assert result.code == 1
    assert result.failed == {'torch'}
    assert "Run: python -m pip install 'torch" in result.of('torch')[2]
    assert 'GPU' not in [row[0] for row in result.rows]
    assert result.rows[-1][:2] == ('all else', 'not checked')


def test_a_cuda_build_without_a_gpu_is_a_warning(call, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.version, 'cuda', '12.8')
    state, found, remedy = call().of('GPU')
    assert state == 'WARN'
    assert 'built for CUDA 12.8' in found
    assert 'nvidia-smi' in remedy


def test_the_arithmetic_of_this_machine():
    assert numerics.profile_error() < 1e-11
    assert numerics.drive_error() < 1e-11
    assert numerics.product_error('cpu') < 1e-11


@pytest.mark.parametrize('change', [1e-8, np.nan])
def test_another_speed_profile_fails(call, monkeypatch, change):
    right = numerics.velocity_profile_matrix()
    right[7, 5] += change
    monkeypatch.setattr(numerics, 'velocity_profile_matrix', lambda: right)
    result = call()
    assert result.code == 1
    assert result.failed == {'tracker: speed profile'}
    assert 'cannot be compared' in result.of('tracker: speed profile')[2]


def test_another_drive_fails(call, monkeypatch):
    ends = np.array(numerics.DRIVE_ENDS)
    ends[1, 2] += 1e-8
    monkeypatch.setattr(numerics, 'DRIVE_ENDS', ends)
    assert call().failed == {'tracker: drive of 4 s'}


def test_single_precision_in_torch_fails(call, monkeypatch):
    exact = torch.from_numpy
    monkeypatch.setattr(torch, 'from_numpy', lambda array: exact(array).float())
    assert 'torch float64 on cpu' in call().failed


def test_other_map_coordinates_fail(call, monkeypatch):
    x, y = numerics.PLACE_METRES
    monkeypatch.setattr(numerics, 'PLACE_METRES', (x + 0.002, y))
    assert call().failed == {'map projection'}


def test_a_projection_without_its_data_fails(call, monkeypatch):
    monkeypatch.setattr(numerics, 'PLACE_CRS', 'EPSG:1')
    result = call()
    assert result.failed == {'map projection'}
    assert 'PROJ_DATA' in result.of('map projection')[2]


def test_kernels_that_cannot_be_kept_are_a_warning(call, monkeypatch):
    monkeypatch.setattr(numerics.os, 'access', lambda path, mode: False)
    result = call()
    assert result.code == 0
    state, _, remedy = result.of('compiled kernels')
    assert state == 'WARN'
    assert 'NUMBA_CACHE_DIR' in remedy


@pytest.fixture
def ros(install, monkeypatch):
    """Let a version of rclpy look as if it were installed, with no variable set."""
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE',
                 'RMW_IMPLEMENTATION'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, 'rclpy', raising=False)

    def present(version):
        folder = install('rclpy', version)
        (folder / 'rclpy.py').write_text('raise AssertionError("nobody needs to import it")\n')
    return present


@pytest.mark.parametrize(('version', 'variable', 'other'), [
    ('9.1.2', 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('7.1.6', 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_the_profile_of_fast_dds(ros, call, monkeypatch, tmp_path, version, variable, other):
    ros(version)
    profile = tmp_path / 'profile.xml'
    profile.touch()
    monkeypatch.setenv(other, str(profile))
    state, found, remedy = call().of('DDS profile')
    assert (state, found.split()[0]) == ('WARN', variable)
    assert f'export {variable}=' in remedy
    monkeypatch.setenv(variable, str(tmp_path / 'nowhere.xml'))
    state, found, _ = call().of('DDS profile')
    assert state == 'WARN'
    assert 'nowhere.xml, which is no file' in found
    monkeypatch.setenv(variable, str(profile))
    assert call().of('DDS profile')[0] == 'OK'


def test_little_shared_memory_is_a_warning(ros, call, monkeypatch):
    ros('9.1.2')
    monkeypatch.setattr(transport.shutil, 'disk_usage',
                        lambda path: Usage(64 * 2 ** 20, 2 ** 20, 63 * 2 ** 20))
    state, found, remedy = call().of('shared memory')
    assert state == 'WARN'
    assert '63 of 64 MB free' in found
    assert '--shm-size' in remedy


def test_another_middleware_has_no_profile_of_ours(ros, call, monkeypatch):
    ros('9.1.2')
    monkeypatch.setenv('RMW_IMPLEMENTATION', 'rmw_zenoh_cpp')
    result = call()
    assert result.of('DDS profile')[:2] == ('not checked', 'RMW_IMPLEMENTATION is rmw_zenoh_cpp')
    assert 'shared memory' not in [row[0] for row in result.rows]


def test_the_discovery_range_is_shown(ros, call, monkeypatch):
    ros('9.1.2')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    assert 'ROS_AUTOMATIC_DISCOVERY_RANGE LOCALHOST' in call().of('ROS 2')[1]


def test_without_ros_the_transport_is_not_checked(call, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    result = call()
    assert result.code == 0
    assert result.of('ROS 2')[0] == 'not checked'
    assert 'DDS profile' not in [row[0] for row in result.rows]
