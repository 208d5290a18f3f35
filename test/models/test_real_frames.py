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

"""Features, projection and the network on one real NAVSIM and one real nuScenes frame."""

import cv2
import numpy as np
from pair_drive_ros.core.geometry import invert_transform, project_to_image, transform_points
from pair_drive_ros.models.features import transfuser_features
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig
import pytest
from shared_formats import (
    draw_features,
    draw_points,
    navsim_frame,
    nuscenes_centres,
    nuscenes_frame,
    points_in_image,
    read_plain_pickle,
    read_tensor,
)
import torch

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope='module')
def navsim_folder(shared_data):
    return shared_data / '01_navsim_frame_8bc34517e08758ff'


@pytest.fixture(scope='module')
def nuscenes_folder(shared_data):
    return shared_data / '06_nuscenes_frame_scene0061'


@pytest.fixture(scope='module')
def navsim(navsim_folder):
    return navsim_frame(navsim_folder)


@pytest.fixture(scope='module')
def nuscenes(nuscenes_folder):
    return nuscenes_frame(nuscenes_folder)


def histogram_by_numpy(points):
    edges = np.linspace(-32.0, 32.0, 257)
    above = points[(points[:, 2] > 0.2) & (points[:, 2] < 100.0)]
    counts = np.histogramdd(above[:, :2], bins=(edges, edges))[0]
    return (np.minimum(counts, 5.0) / 5.0)[None].astype(np.float32)


@pytest.mark.parametrize('rig', ['navsim', 'nuscenes'])
def test_features_of_a_real_frame(rig, request, tmp_path):
    real = request.getfixturevalue(rig)
    features = transfuser_features(real.frame)
    camera, lidar = features['camera_feature'][0].numpy(), features['lidar_feature'][0].numpy()
    assert camera.shape == (3, 256, 1024)
    assert camera.min() >= 0.0 and camera.max() <= 1.0
    # The middle of the stitched image is the front view, whatever it was resized by.
    front = real.frame.cameras['front'].rgb
    middle = cv2.resize(front, (480, 270))[7:-7].transpose(2, 0, 1) / 255.0
    assert np.abs(camera[:, :, 272:752] - middle).mean() < 0.02
    np.testing.assert_array_equal(lidar, histogram_by_numpy(real.frame.lidar.points))
    draw_features(tmp_path / 'features.png', camera, lidar)
    assert cv2.imread(str(tmp_path / 'features.png')).shape == (512, 1024, 3)


def test_golden_numbers_of_the_navsim_frame(navsim):
    features = transfuser_features(navsim.frame)
    histogram = features['lidar_feature'][0, 0].numpy()
    assert len(navsim.frame.lidar.points) == 82_630
    assert np.count_nonzero(histogram) == 6_707
    assert np.count_nonzero(histogram == 1.0) == 1_706
    np.testing.assert_allclose(features['status_feature'][0],
                               [0, 0, 1, 0, 5.1252, 0.0486, 0.0331, 0.1830], atol=1e-4)


def test_navsim_points_land_where_its_own_matrix_puts_them(navsim, navsim_folder, tmp_path):
    image_from_lidar = read_tensor(navsim_folder / 'lidar2image.tensor').reshape(-1, 4, 4)
    points = navsim.frame.lidar.points[:, :3].astype(np.float64)
    homogeneous = np.column_stack([points, np.ones(len(points))])
    for index, name in enumerate(('left', 'front', 'right')):
        pixels, seen = points_in_image(navsim, name)
        theirs = homogeneous[seen] @ image_from_lidar[index].T
        theirs = theirs[:, :2] / theirs[:, 2:3]
        assert np.abs(pixels - theirs).max() < 0.5
        assert 0.15 < seen.mean() < 0.3
    draw_points(tmp_path / 'front.png', navsim, 'front', scale=2)
    assert cv2.imread(str(tmp_path / 'front.png')).shape == (512, 1408, 3)


def test_nuscenes_boxes_land_on_their_annotated_pixels(nuscenes, nuscenes_folder, tmp_path):
    centres, annotated = nuscenes_centres(nuscenes_folder)
    camera_from_base = invert_transform(nuscenes.base_from_camera['front'])
    intrinsics = nuscenes.frame.cameras['front'].calibration.intrinsics
    pixels, _ = project_to_image(transform_points(camera_from_base, centres), intrinsics)
    distance = np.linalg.norm(pixels[None] - annotated[:, None], axis=2).min(axis=1)
    assert len(annotated) == 47
    assert distance.max() < 0.1
    _, seen = points_in_image(nuscenes, 'front')
    assert 0.05 < seen.mean() < 0.15
    draw_points(tmp_path / 'front.png', nuscenes, 'front')
    assert cv2.imread(str(tmp_path / 'front.png')).shape == (900, 1600, 3)


def test_the_full_size_network_runs_on_another_rig(nuscenes):
    torch.manual_seed(0)
    network = Transfuser(TransfuserConfig()).eval()
    with torch.inference_mode():
        outputs = network(transfuser_features(nuscenes.frame, network.feature_spec))
    assert {name: tuple(tensor.shape) for name, tensor in outputs.items()} == {
        'trajectory': (1, 8, 3), 'agent_states': (1, 30, 5), 'agent_labels': (1, 30),
        'bev_semantic_map': (1, 7, 128, 256)}
    assert all(torch.isfinite(tensor).all() for tensor in outputs.values())


def test_the_reader_unpickles_plain_data_only():
    with pytest.raises(Exception, match=r'posix\.system is not allowed'):
        read_plain_pickle(b'cposix\nsystem\n(S"true"\ntR.')
