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

"""Images and sweeps from a folder of sensor blobs, present, missing and broken."""

from types import SimpleNamespace

import cv2
import numpy as np
from pair_drive_training.data.frames import CameraRecord
from pair_drive_training.data.point_cloud_file import PointCloudFileError
from pair_drive_training.data.sensors import (
    camera_record,
    missing_files,
    read_camera,
    read_lidar,
    SensorError,
)
import pytest

IMAGE = np.random.default_rng(3).integers(0, 256, (54, 96, 3), np.uint8)
PCD = b"""# .PCD v0.7
VERSION 0.7
FIELDS x y z intensity ring lidar_info
SIZE 4 4 4 4 4 4
TYPE F F F F F F
COUNT 1 1 1 1 1 1
WIDTH 2
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS 2
DATA binary
""" + np.arange(12, dtype='<f4').tobytes()


def record(path='log/CAM_F0/a.png', centre=(48.0, 28.0)):
    intrinsics = np.array([[77.0, 0.0, centre[0]], [0.0, 77.0, centre[1]], [0.0, 0.0, 1.0]])
    return CameraRecord(path, np.eye(4), intrinsics, np.zeros(5))


def frame(cameras=('CAM_F0',), lidar='log/MergedPointCloud/a.pcd'):
    return SimpleNamespace(token='abc', lidar_path=lidar,
                           cameras={name: record(f'log/{name}/a.png') for name in cameras})


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def encoded(suffix='.png', image=IMAGE):
    return cv2.imencode(suffix, image[..., ::-1])[1].tobytes()


def test_an_image_comes_back_in_rgb(tmp_path):
    write(tmp_path / 'log/CAM_F0/a.png', encoded())
    image = read_camera(tmp_path, record())
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, IMAGE)


def test_a_sweep_comes_back_by_rows(tmp_path):
    write(tmp_path / 'log/MergedPointCloud/a.pcd', PCD)
    np.testing.assert_array_equal(read_lidar(tmp_path, frame()),
                                  np.arange(12.0).reshape(2, 6).T)


def test_the_folder_above_the_splits_may_be_named(tmp_path):
    write(tmp_path / 'blobs/test/log/CAM_F0/a.png', encoded())
    write(tmp_path / 'blobs/trainval/other/MergedPointCloud/b.pcd', PCD)
    np.testing.assert_array_equal(read_camera(tmp_path / 'blobs', record()), IMAGE)
    np.testing.assert_array_equal(read_camera(tmp_path / 'blobs/test', record()), IMAGE)
    other = frame(lidar='other/MergedPointCloud/b.pcd')
    assert read_lidar(tmp_path / 'blobs', other).shape == (6, 2)


def test_exif_orientation_is_ignored(tmp_path):
    # An APP1 segment that asks for a quarter turn; the calibration knows no such turn.
    exif = (b'Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06'
            b'\x00\x00\x00\x00\x00\x00')
    jpeg = encoded('.jpg')
    segment = b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif
    write(tmp_path / 'turned.jpg', jpeg[:2] + segment + jpeg[2:])
    write(tmp_path / 'plain.jpg', jpeg)
    plain = read_camera(tmp_path, record('plain.jpg'))
    assert plain.shape == (54, 96, 3)
    np.testing.assert_array_equal(read_camera(tmp_path, record('turned.jpg')), plain)


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('damage', [lambda content: content[:len(content) // 2],
                                    lambda content: content[:-2],
                                    lambda content: content[:-400] + bytes(400),
                                    lambda content: b'',
                                    lambda content: b'<html>not found</html>'])
def test_a_broken_image_is_never_half_used(tmp_path, suffix, damage):
    write(tmp_path / 'log/CAM_F0/a.png', damage(encoded(suffix)))
    with pytest.raises(SensorError, match=r'a\.png: .* no whole JPEG or PNG image; copy'):
        read_camera(tmp_path, record())


@pytest.mark.parametrize('size', [(48, 27), (48, 54), (96, 27)])
def test_a_resized_image_is_told_by_its_calibration(tmp_path, size):
    write(tmp_path / 'log/CAM_F0/a.png', encoded(image=cv2.resize(IMAGE, size)))
    with pytest.raises(SensorError, match=rf'a\.png: the image has {size[0]} x {size[1]} pixels, '
                                          r'but its calibration puts .* axis at \(48, 28\)'):
        read_camera(tmp_path, record())


def test_missing_files_are_named_with_the_remedy(tmp_path):
    write(tmp_path / 'log/CAM_F0/b.png', encoded())
    with pytest.raises(SensorError, match=r'log/CAM_F0/a\.png: no such file; download'):
        read_camera(tmp_path, record())
    with pytest.raises(SensorError, match=r'log/MergedPointCloud/a\.pcd: no such file'):
        read_lidar(tmp_path, frame())
    with pytest.raises(SensorError, match='nowhere: no such folder'):
        read_camera(tmp_path / 'nowhere', record())


def test_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / 'log/CAM_F0/a.png').mkdir(parents=True)
    with pytest.raises(SensorError, match=r'a\.png: cannot be read \(Is a directory\)'):
        read_camera(tmp_path, record())


def test_a_truncated_sweep_names_its_file(tmp_path):
    write(tmp_path / 'log/MergedPointCloud/a.pcd', PCD[:-1])
    with pytest.raises(PointCloudFileError, match=r'MergedPointCloud/a\.pcd: truncated'):
        read_lidar(tmp_path, frame())


def test_what_the_log_does_not_name_is_told(tmp_path):
    assert camera_record(frame(), 'CAM_F0').data_path == 'log/CAM_F0/a.png'
    with pytest.raises(SensorError, match='frame abc: the log has no calibrated CAM_L0, only '
                                          'CAM_F0'):
        camera_record(frame(), 'CAM_L0')
    with pytest.raises(SensorError, match='frame abc: the log names no LiDAR sweep'):
        read_lidar(tmp_path, frame(lidar=None))


def test_missing_files_are_counted_without_opening_them(tmp_path):
    scene = SimpleNamespace(now=frame(cameras=('CAM_L0', 'CAM_F0', 'CAM_R0')))
    write(tmp_path / 'mini/log/CAM_F0/a.png', b'not an image')
    log = tmp_path / 'mini/log'
    assert missing_files(tmp_path, scene, ['CAM_F0'], lidar=False) == []
    assert missing_files(tmp_path, scene, ['CAM_L0', 'CAM_F0', 'CAM_R0'], lidar=True) == [
        log / 'CAM_L0/a.png', log / 'CAM_R0/a.png', log / 'MergedPointCloud/a.pcd']
    write(log / 'CAM_L0/a.png', b'')
    assert missing_files(tmp_path, scene, ['CAM_L0'], lidar=False) == [log / 'CAM_L0/a.png']
    (log / 'CAM_R0/a.png').mkdir(parents=True)
    assert log / 'CAM_R0/a.png' in missing_files(tmp_path, scene, ['CAM_R0'], lidar=False)
    with pytest.raises(SensorError, match='no calibrated CAM_B0'):
        missing_files(tmp_path, scene, ['CAM_B0'], lidar=False)
