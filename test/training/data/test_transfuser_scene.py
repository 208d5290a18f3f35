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

"""Features of a logged scene against those that the car builds from the same sensors."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
from pair_drive_ros.conversions.rotation import rotation_from_rpy
from pair_drive_ros.core.frames import (
    CameraCalibration,
    CameraImage,
    DrivingCommand,
    EgoState,
    LidarSweep,
    PlannerInput,
)
from pair_drive_ros.core.geometry import rigid_transform
from pair_drive_ros.models.ego_status import EgoStatus
from pair_drive_ros.models.features import (
    LIDAR,
    STITCHED_CAMERAS,
    transfuser_features,
    transfuser_spec,
)
from pair_drive_ros.models.policy import TensorSpec
from pair_drive_ros.models.transfuser_config import TransfuserConfig
from pair_drive_training.data.bev import SemanticClass
from pair_drive_training.data.cache import (
    Cache,
    CacheError,
    CacheHeader,
    SCHEMA_VERSION,
    write_header,
)
from pair_drive_training.data.frames import CameraRecord, LogError, SceneFrames
from pair_drive_training.data.gpkg import read_city
from pair_drive_training.data.log import read_log
from pair_drive_training.data.point_cloud_file import PointCloudFileError
from pair_drive_training.data.records import pack_records, scene_record, SCENES
from pair_drive_training.data.sensors import missing_files, SensorError
from pair_drive_training.data.shards import ShardCard, stack_records, write_shard
from pair_drive_training.data.targets import scene_targets
from pair_drive_training.data.transfuser_scene import (
    as_features,
    FEATURE_SPECS,
    FEATURES,
    features_kind,
    FEATURES_MINI,
    read_features,
    SCENE_CAMERAS,
    scene_features,
)
import pytest
from shared_formats import navsim_frame
from tiny_cache import noise_features
import tiny_navsim
from tiny_network import OPTICAL
import torch

FULL = transfuser_spec(validity=True)
MINI = TransfuserConfig.mini().feature_spec
EGO = EgoStatus().feature_spec
NAMES = ('x', 'y', 'z', 'intensity', 'ring', 'lidar_info')


def write_camera(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    jpeg = cv2.imencode('.jpg', rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    path.write_bytes(jpeg.tobytes())


def write_sweep(path, points):
    """Write x, y, z, intensity [N, 4] as a merged sweep."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.column_stack([points, np.zeros((len(points), 2))]).astype('<f4')
    header = (f'# .PCD v0.7\nVERSION 0.7\nFIELDS {" ".join(NAMES)}\nSIZE 4 4 4 4 4 4\n'
              f'TYPE F F F F F F\nCOUNT 1 1 1 1 1 1\nWIDTH {len(points)}\nHEIGHT 1\n'
              f'VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(points)}\nDATA binary\n')
    path.write_bytes(header.encode() + rows.tobytes())


def logged(folder, frame):
    """Write a planner input as sensor blobs and return the scene that a log makes of it."""
    cameras = {}
    for navsim_name, name in zip(SCENE_CAMERAS, STITCHED_CAMERAS, strict=True):
        image = frame.cameras[name]
        write_camera(folder / f'log/{navsim_name}/now.jpg', image.rgb)
        calibration = image.calibration
        cameras[navsim_name] = CameraRecord(
            f'log/{navsim_name}/now.jpg', calibration.base_from_camera, calibration.intrinsics,
            calibration.distortion)
    write_sweep(folder / 'log/MergedPointCloud/now.pcd', frame.lidar.points)
    now = SimpleNamespace(token='now', time_us=0, pose=np.zeros(3), cameras=cameras,
                          velocity=frame.ego.velocity.astype(np.float32),
                          acceleration=frame.ego.acceleration.astype(np.float32),
                          command=frame.command.one_hot(),
                          lidar_path='log/MergedPointCloud/now.pcd',
                          lidar2ego=np.diag([-1.0, -1.0, 1.0, 1.0]))
    return SceneFrames('log', 'somewhere', (now,) * 4)


def decoded(folder, frame, without=()):
    """Replace the images of an input by what their JPEGs hold; leave sensors out."""
    cameras = {}
    for navsim_name, name in zip(SCENE_CAMERAS, STITCHED_CAMERAS, strict=True):
        bgr = cv2.imread(str(folder / f'log/{navsim_name}/now.jpg'))
        if name not in without:
            cameras[name] = CameraImage(name, 0, bgr[..., ::-1], frame.cameras[name].calibration)
    return PlannerInput(0, frame.ego, frame.command, cameras,
                        None if LIDAR in without else frame.lidar)


def drawn_frame(height=1080, width=1920, seed=2):
    random = np.random.default_rng(seed)
    matrix = np.array([[0.8 * width, 0.0, 0.5 * width], [0.0, 0.8 * width, 0.5 * height],
                       [0.0, 0.0, 1.0]])
    cameras = {}
    for name, turn in zip(STITCHED_CAMERAS, (0.95, 0.0, -0.95), strict=True):
        pose = rigid_transform(np.array([1.5, 0.0, 1.6]),
                               rotation_from_rpy(0.0, 0.0, turn) @ OPTICAL)
        rgb = cv2.resize(random.integers(0, 256, (27, 48, 3), np.uint8), (width, height))
        cameras[name] = CameraImage(name, 0, rgb, CameraCalibration(
            width, height, matrix, np.array([-0.3, 0.1, 0.001, 0.0, 0.0]), 'plumb_bob', pose))
    points = random.normal(0.0, (15.0, 8.0, 1.0, 50.0), (20_000, 4)).astype(np.float32)
    ego = EgoState(0, np.zeros(3), np.array([7.3, -0.1]), np.array([0.4, 0.2]))
    return PlannerInput(0, ego, DrivingCommand.RIGHT, cameras, LidarSweep(0, points))


def assert_equal_features(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.dtype == other[name].dtype == torch.float32
        assert torch.equal(tensor, other[name]), name


def batch_of_one(stored, spec, missing=()):
    return as_features({name: array[None] for name, array in stored.items()}, spec, missing)


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """Return a drawn frame, the folder of its files and its stored features by kind."""
    folder, frame = tmp_path_factory.mktemp('drawn'), drawn_frame()
    return frame, folder, scene_features(logged(folder, frame), folder, list(FEATURE_SPECS))


def test_what_is_stored(drawn):
    _, _, stored = drawn
    for kind, expected in {
            FEATURES: {'camera_feature': ('uint8', (3, 256, 1024)),
                       'lidar_feature': ('uint8', (1, 256, 256)),
                       'status_feature': ('float32', (8,))},
            FEATURES_MINI: {'camera_feature': ('uint8', (3, 96, 384)),
                            'lidar_feature': ('uint8', (1, 128, 128)),
                            'ground_feature': ('uint8', (9, 64, 128)),
                            'status_feature': ('float32', (8,))}}.items():
        assert {name: (array.dtype.name, array.shape)
                for name, array in stored[kind].items()} == expected
        assert all(array.flags.c_contiguous for array in stored[kind].values())
        assert stored[kind]['lidar_feature'].max() == 5
    assert all(stored[FEATURES_MINI]['ground_feature'].any(axis=(1, 2)))


@pytest.mark.parametrize('spec', [FULL, MINI])
@pytest.mark.parametrize('without', [(), ('left',), ('front', 'lidar'),
                                     ('left', 'right', 'lidar'), STITCHED_CAMERAS])
def test_stored_features_are_those_of_the_car_bit_by_bit(drawn, spec, without):
    """With every sensor, and with some taken away from what is stored of all."""
    frame, folder, stored = drawn
    # The mounting of the log's LiDAR, here half a turn, is not applied, as in the devkit.
    assert_equal_features(batch_of_one(stored[features_kind(spec)], spec, without),
                          transfuser_features(decoded(folder, frame, without), spec))


def test_images_of_other_sizes_and_the_car(tmp_path):
    frame = drawn_frame(512, 640)
    stored = scene_features(logged(tmp_path, frame), tmp_path, [FEATURES])[FEATURES]
    assert_equal_features(batch_of_one(stored, FULL),
                          transfuser_features(decoded(tmp_path, frame), FULL))


@pytest.mark.parametrize('spec', [
    TransfuserConfig.mini(lidar=False).feature_spec, transfuser_spec(96, 384, 128), EGO])
def test_only_the_policys_features_are_made(drawn, spec):
    frame, folder, stored = drawn
    assert_equal_features(batch_of_one(stored[FEATURES_MINI], spec),
                          transfuser_features(decoded(folder, frame), spec))


def test_sensors_are_read_once_for_both_kinds(drawn, monkeypatch):
    frame, folder, stored = drawn
    read = []
    whole = 'pair_drive_training.data.transfuser_scene.read_camera'
    original = sys.modules[whole.rpartition('.')[0]].read_camera
    monkeypatch.setattr(whole, lambda root, record: read.append(record.data_path) or original(
        root, record))
    scene_features(logged(folder, frame), folder, list(FEATURE_SPECS))
    assert len(read) == 3


def test_stacked_scenes_give_stacked_features(tmp_path):
    scenes = []
    for seed in range(2):
        folder = tmp_path / str(seed)
        scenes.append(scene_features(logged(folder, drawn_frame(256, 512, seed)), folder,
                                     [FEATURES_MINI])[FEATURES_MINI])
    together = as_features({name: np.stack([scene[name] for scene in scenes])
                            for name in scenes[0]}, MINI, ('right',))
    for index, scene in enumerate(scenes):
        assert_equal_features({name: tensor[index] for name, tensor in together.items()},
                              as_features(scene, MINI, ('right',)))


@pytest.mark.parametrize(('config', 'kind'), [
    (TransfuserConfig(), 'features'), (TransfuserConfig(lidar=False), 'features'),
    (TransfuserConfig.mini(), 'features_mini'),
    (TransfuserConfig.mini(lidar=False), 'features_mini')])
def test_presets_have_a_kind_of_features(config, kind):
    assert features_kind(config.feature_spec) == kind


def test_the_status_alone_comes_without_sensors():
    assert features_kind(EGO) == SCENES


@pytest.mark.parametrize('spec', [
    transfuser_spec(64, 256, 128), transfuser_spec(64, 256, 256), transfuser_spec(ground=True),
    {**MINI, 'validity_feature': TensorSpec((3,))}, {'status_feature': TensorSpec((7,))},
    {'status_feature': TensorSpec((8,), torch.float64)}, {**MINI, 'map': TensorSpec((2, 2))}])
def test_features_that_no_cache_holds(spec):
    name, expected = list(spec.items())[-1]
    with pytest.raises(CacheError, match='configure the policy') as caught:
        features_kind(spec)
    assert f'{name} {list(expected.shape)}' in str(caught.value)
    assert 'features_mini: camera_feature [3, 96, 384]' in str(caught.value)


def cache_of(folder, stored, scene):
    """Write a cache of three shards: two of features_mini, one of scenes."""
    write_header(folder, CacheHeader({FEATURES_MINI: 1, SCENES: 1}))
    for log, records in (('one', stored[:2]), ('two', stored[2:])):
        tokens = tuple(f'{log}{index}' for index in range(len(records)))
        write_shard(folder / FEATURES_MINI, ShardCard(
            SCHEMA_VERSION, FEATURES_MINI, 1, log, tokens, {}), stack_records(records))
    write_shard(folder / SCENES, ShardCard(SCHEMA_VERSION, SCENES, 1, 'one', ('one0',), {}),
                pack_records(SCENES, [scene_record(scene)]))
    return Cache.open(folder)


@pytest.fixture(scope='module')
def cached(tmp_path_factory, drawn):
    """Return a cache of the drawn frame and two others of noise, and what lies in it."""
    frame, folder, stored = drawn
    noise = noise_features(np.random.default_rng(0), 2)
    records = [stored[FEATURES_MINI],
               *({name: array[index] for name, array in noise.items()} for index in range(2))]
    scene = logged(folder, frame)
    frames = SceneFrames('log', 'somewhere', scene.frames, synthetic=True)
    return cache_of(tmp_path_factory.mktemp('cache'), records, frames), records


def test_features_are_copied_out_of_the_shards_in_the_order_asked(cached):
    cache, (first, second, third) = cached
    read = read_features(cache, ['two0', 'one0', 'one1', 'two0'], MINI)
    for name in first:
        np.testing.assert_array_equal(read[name], np.stack(
            [record[name] for record in (third, first, second, third)]))
        assert read[name].dtype == first[name].dtype
        assert read[name].flags.writeable


def test_only_what_the_policy_reads_is_copied(cached):
    cache, _ = cached
    spec = transfuser_spec(96, 384, lidar=False)
    assert list(read_features(cache, ['one0'], spec)) == ['camera_feature', 'status_feature']


def test_status_from_scenes_is_that_of_the_features(cached):
    cache, (first, *_) = cached
    read = read_features(cache, ['one0'], EGO)
    assert list(read) == ['status_feature']
    assert read['status_feature'].dtype == np.float32
    np.testing.assert_array_equal(read['status_feature'], first['status_feature'][None])


def test_missing_records_are_told(cached):
    cache, _ = cached
    with pytest.raises(CacheError, match='no record features_mini of scene three0'):
        read_features(cache, ['three0'], MINI)
    with pytest.raises(CacheError, match='not made of features but of features_mini, scenes'):
        read_features(cache, ['one0'], FULL)


def test_features_of_other_sizes_are_refused(tmp_path, drawn):
    frame, folder, stored = drawn
    old = {**stored[FEATURES_MINI], 'camera_feature': np.zeros((3, 128, 512), np.uint8)}
    scene = SceneFrames('log', 'somewhere', logged(folder, frame).frames, synthetic=True)
    cache = cache_of(tmp_path, [old] * 3, scene)
    with pytest.raises(CacheError, match=r'holds camera_feature of \[3, 128, 512\], .* reads '
                                         r'\[3, 96, 384\]; make the cache again'):
        read_features(cache, ['one0'], MINI)


def test_command_of_scenes_that_is_none(tmp_path, drawn):
    frame, folder, _ = drawn
    scene = SceneFrames('log', 'somewhere', logged(folder, frame).frames, synthetic=True)
    scene.now.command = np.array([0, 0, 0, 0])
    record = {'status_feature': np.zeros(8, np.float32)}
    cache = cache_of(tmp_path, [record] * 3, scene)
    with pytest.raises(LogError, match=r'log, frame now: the driving command is \[0, 0, 0, 0\]'):
        read_features(cache, ['one0'], EGO)


def test_tensors_are_scaled_as_arrays_are(drawn):
    _, _, stored = drawn
    tensors = {name: torch.from_numpy(array) for name, array in stored[FEATURES_MINI].items()}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    for missing in ((), ('left', LIDAR)):
        assert_equal_features(as_features(tensors, MINI, missing),
                              as_features(stored[FEATURES_MINI], MINI, missing))
    assert all(torch.equal(tensors[name], before[name]) for name in tensors)


def test_read_only_arrays_are_not_shared(tmp_path):
    stored = scene_features(logged(tmp_path, drawn_frame(256, 512)), tmp_path,
                            [FEATURES])[FEATURES]
    before = stored['status_feature'].copy()
    for array in stored.values():
        array.flags.writeable = False
    for tensor in as_features(stored, FULL, ('left',)).values():
        tensor += 1.0
    np.testing.assert_array_equal(stored['status_feature'], before)


def test_broken_sensors_and_commands_are_told(tmp_path):
    scene = logged(tmp_path, drawn_frame(256, 512))
    scene.now.command = np.array([0, 1, 1, 0])
    with pytest.raises(LogError, match=r'log, frame now: the driving command is \[0, 1, 1, 0\]'):
        scene_features(scene, tmp_path, [FEATURES])
    sweep = tmp_path / 'log/MergedPointCloud/now.pcd'
    sweep.write_bytes(sweep.read_bytes()[:-1])
    with pytest.raises(PointCloudFileError, match='truncated'):
        scene_features(scene, tmp_path, [FEATURES])
    (tmp_path / 'log/CAM_R0/now.jpg').unlink()
    with pytest.raises(SensorError, match=r'CAM_R0/now\.jpg: no such file'):
        scene_features(scene, tmp_path, [FEATURES])
    del scene.now.cameras['CAM_F0']
    with pytest.raises(SensorError, match='no calibrated CAM_F0, only CAM_L0, CAM_R0'):
        scene_features(scene, tmp_path, [FEATURES])


def test_a_log_a_map_and_sensor_blobs_end_to_end(tmp_path):
    city = read_city(tiny_navsim.write_city(tmp_path / 'maps'), tiny_navsim.CITY)
    log = tiny_navsim.write_log(tmp_path / 'logs')
    tiny_navsim.write_sensors(tmp_path / 'blobs/mini', frames=[3])
    frames = read_log(log).frames
    scene = SceneFrames('tiny', tiny_navsim.CITY, tuple(frames[:14]))
    assert not missing_files(tmp_path / 'blobs', scene, SCENE_CAMERAS, lidar=True)
    later = SceneFrames('tiny', tiny_navsim.CITY, tuple(frames[1:15]))
    assert len(missing_files(tmp_path / 'blobs', later, SCENE_CAMERAS, lidar=True)) == 4

    stored = scene_features(scene, tmp_path / 'blobs', [FEATURES_MINI])[FEATURES_MINI]
    features = as_features(stored, MINI)
    np.testing.assert_array_equal(features['validity_feature'], [1, 1, 1, 1])
    np.testing.assert_array_equal(features['status_feature'], [0, 1, 0, 0, 8, 0, 0, 0])
    targets = scene_targets(scene, city)
    # Ego drives straight on at 8 m/s along y = -1.75, seen from x = 52 in the local frame.
    np.testing.assert_allclose(targets['trajectory'],
                               [[4.0 * step, 0.0, 0.0] for step in range(1, 9)], atol=1e-3)
    assert targets['agent_labels'].sum() == 3
    np.testing.assert_allclose(targets['agent_states'][0, :2], [3.0, -8.25], atol=1e-3)
    cells = targets['bev_semantic_map']

    def cell(x, y):
        return SemanticClass(cells[int((x - 52.0) / 0.25), int((y + 1.75) / 0.25 + 128)])

    assert cell(60.0, 0.0) == cell(75.0, 3.0) == SemanticClass.ROAD
    assert cell(60.0, -1.75) == cell(60.0, 5.25) == SemanticClass.CENTRELINE
    assert cell(56.0, 8.5) == SemanticClass.WALKWAY
    assert cell(80.5, -1.75) == SemanticClass.VEHICLE
    assert cell(61.8, 8.5) == SemanticClass.PEDESTRIAN
    assert cell(80.0, -4.2) == SemanticClass.STATIC_OBJECT
    # The car park is no road for this map.
    assert cell(65.0, -15.0) == SemanticClass.NOTHING


@pytest.mark.shared_data
def test_a_real_navsim_frame_through_files(shared_data, tmp_path):
    frame = navsim_frame(shared_data / '01_navsim_frame_8bc34517e08758ff').frame
    stored = scene_features(logged(tmp_path, frame), tmp_path, list(FEATURE_SPECS))
    for kind, spec in ((FEATURES_MINI, MINI), (FEATURES, FULL)):
        for without in (('left', LIDAR), ('front',), ()):
            features = batch_of_one(stored[kind], spec, without)
            assert_equal_features(features, transfuser_features(
                decoded(tmp_path, frame, without), spec))
    direct = transfuser_features(frame)
    assert torch.equal(features['lidar_feature'], direct['lidar_feature'])
    assert torch.equal(features['status_feature'], direct['status_feature'])
    assert np.count_nonzero(stored[FEATURES]['lidar_feature'] == 5) == 1_706
    # The best JPEG still rounds: on average by less than one of the 255 levels.
    assert 0.0 < (features['camera_feature'] - direct['camera_feature']).abs().mean() < 1 / 255
