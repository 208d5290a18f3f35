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

"""Networks that are told which sensors are there: what is missing has no say, the rest has."""

from dataclasses import replace
import itertools

from pair_drive_ros.models.diffusion_drive import DiffusionDrive
from pair_drive_ros.models.features import column_places, transfuser_features
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig, TransfuserError
import pytest
from tiny_diffusion import fan_anchors, TINY_DIFFUSION
from tiny_network import noise_frame, random_features, TINY
import torch

# Two rows and four columns of image tokens: one column left and right, two in front.
SIZES = {'image_height': 64, 'image_width': 128}
SENSORS = ('left', 'front', 'right', 'lidar')
ADDED_BY_VALIDITY = {'backbone.lidar_latent', 'validity_encoding.weight',
                     'validity_encoding.bias'}


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


def transfuser(**changes):
    return seeded(lambda: Transfuser(replace(TINY, **SIZES, **changes)))


def diffusion_drive(**changes):
    policy = seeded(lambda: DiffusionDrive(replace(TINY_DIFFUSION, **SIZES, **changes)))
    policy.set_anchors(fan_anchors())
    return policy


def ltf(**changes):
    return transfuser(lidar=False, **changes)


def over_ground(**changes):
    return transfuser(ground_view=True, **changes)


def ltf_over_ground(**changes):
    return ltf(ground_view=True, **changes)


@pytest.fixture(scope='module',
                params=[transfuser, ltf, diffusion_drive, over_ground, ltf_over_ground],
                ids=lambda make: make.__name__)
def policy(request):
    return request.param(sensor_validity=True)


def noise_in(features, sensor):
    """Return the features with other numbers in the place of one sensor."""
    changed = {name: tensor.clone() for name, tensor in features.items()}
    if sensor == 'lidar':
        changed['lidar_feature'] = 1.0 - changed['lidar_feature']
    else:
        place = column_places(128)[SENSORS.index(sensor)]
        changed['camera_feature'][..., place] = 1.0 - changed['camera_feature'][..., place]
        if 'ground_feature' in changed:
            changed = noise_on_ground(changed, sensor)
    return changed


def noise_on_ground(features, camera):
    """Return the features with other numbers where one camera is laid on the ground."""
    ground = features['ground_feature'].clone()
    first = 3 * SENSORS.index(camera)
    ground[:, first:first + 3] = 1.0 - ground[:, first:first + 3]
    return {**features, 'ground_feature': ground}


@torch.inference_mode()
def test_only_the_sensors_that_are_there_have_a_say(policy):
    features = random_features(policy)
    sensors = SENSORS[:features['validity_feature'].shape[1]]
    for there in itertools.product((0.0, 1.0), repeat=len(sensors)):
        features['validity_feature'] = torch.tensor([there])
        plan = policy.plan(features)
        for sensor, valid in zip(sensors, there, strict=True):
            changed = policy.plan(noise_in(features, sensor))
            assert torch.equal(plan, changed) is (not valid), (there, sensor)


@pytest.mark.parametrize('make', [over_ground, ltf_over_ground])
@torch.inference_mode()
def test_the_ground_of_a_camera_counts_while_the_camera_is_there(make):
    policy = make(sensor_validity=True)
    features = random_features(policy)
    for there in itertools.product((0.0, 1.0), repeat=features['validity_feature'].shape[1]):
        features['validity_feature'] = torch.tensor([there])
        plan = policy.plan(features)
        for camera, valid in zip(SENSORS[:3], there, strict=False):
            changed = policy.plan(noise_on_ground(features, camera))
            assert torch.equal(plan, changed) is (not valid), (there, camera)


def test_the_ground_lies_before_the_car_in_the_cells_of_the_lidar():
    network, maps = over_ground(), []
    network.backbone.lidar_encoder.conv1.register_forward_pre_hook(
        lambda _, inputs: maps.append(inputs[0][0]))
    features = random_features(network)
    features['ground_feature'].zero_()
    # Green of the front camera, red of the right one, in the second row ahead.
    features['ground_feature'][0, 4, 1, 7] = 0.5
    features['ground_feature'][0, 6, 1, 7] = 0.25
    with torch.inference_mode():
        network.plan(features)
    histogram, *colours = maps[0]
    assert torch.equal(histogram, features['lidar_feature'][0, 0])
    colours = torch.stack(colours)
    assert colours.shape == (3, 64, 64)
    assert colours[:, 33, 7].tolist() == [0.25, 0.5, 0.0]
    assert colours.count_nonzero() == 2


@torch.inference_mode()
def test_every_sensor_that_is_lost_changes_the_plan(policy):
    features = random_features(policy)
    features['validity_feature'] = torch.ones_like(features['validity_feature'])
    plan = policy.plan(features)
    for index in range(features['validity_feature'].shape[1]):
        lost = features['validity_feature'].clone()
        lost[:, index] = 0.0
        assert not torch.equal(policy.plan({**features, 'validity_feature': lost}), plan)


@torch.inference_mode()
def test_scenes_of_a_batch_may_lack_different_sensors(policy):
    features = random_features(policy, batch=3)
    features['validity_feature'] = torch.tensor(
        [[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 1.0]]
    )[:, :features['validity_feature'].shape[1]]
    together = policy.plan(features)
    for scene in range(3):
        alone = policy.plan({name: tensor[scene:scene + 1] for name, tensor in features.items()})
        torch.testing.assert_close(alone[0], together[scene], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('make', [transfuser, diffusion_drive])
@torch.inference_mode()
def test_with_all_sensors_it_is_the_network_without_validity(make):
    plain, told = make(), make(sensor_validity=True)
    missing, unexpected = told.load_state_dict(plain.state_dict(), strict=False)
    assert set(missing) == ADDED_BY_VALIDITY and not unexpected
    for parameter in told.validity_encoding.parameters():
        torch.nn.init.zeros_(parameter)
    features = random_features(plain)
    all_valid = {**features, 'validity_feature': torch.ones(1, 4)}
    torch.testing.assert_close(told.plan(all_valid), plain.plan(features))


def test_what_a_configuration_adds_to_the_names_and_the_features():
    names = set(transfuser().state_dict())
    assert not ADDED_BY_VALIDITY & names
    assert set(transfuser(sensor_validity=True).state_dict()) == names | ADDED_BY_VALIDITY
    assert set(ltf().state_dict()) == names | {'backbone.lidar_latent'}
    assert set(ltf(sensor_validity=True).state_dict()) == names | ADDED_BY_VALIDITY
    assert set(transfuser().feature_spec) == {'camera_feature', 'lidar_feature', 'status_feature'}
    assert set(ltf().feature_spec) == {'camera_feature', 'status_feature'}
    assert transfuser(sensor_validity=True).feature_spec['validity_feature'].shape == (4,)
    assert ltf(sensor_validity=True).feature_spec['validity_feature'].shape == (3,)
    assert set(over_ground().state_dict()) == names
    assert over_ground().feature_spec['ground_feature'].shape == (9, 32, 64)
    assert set(ltf_over_ground().feature_spec) == {'camera_feature', 'ground_feature',
                                                   'status_feature'}


@pytest.mark.parametrize('make, lidar, used', [
    (lambda: transfuser(sensor_validity=True), 0.0, True),
    (lambda: transfuser(sensor_validity=True), 1.0, False), (ltf, None, True)])
def test_the_latent_map_stands_in_for_a_lidar_that_is_not_there(make, lidar, used):
    network = make()
    features = random_features(network)
    if lidar is not None:
        features['validity_feature'] = torch.tensor([[1.0, 1.0, 1.0, lidar]])
    network.plan(features).square().sum().backward()
    assert (network.backbone.lidar_latent.grad.abs().sum() > 0.0).item() is used
    with torch.no_grad():
        plan = network.plan(features)
        network.backbone.lidar_latent.neg_()
        assert torch.equal(network.plan(features), plan) is not used


@pytest.mark.parametrize('there, columns', [
    ((1.0, 0.0, 1.0, 1.0), (True, False, False, True)),
    ((0.0, 1.0, 0.0, 0.0), (False, True, True, False)),
    ((0.0, 0.0, 1.0, 1.0), (False, False, False, True))])
def test_tokens_of_a_missing_camera_are_not_looked_at(there, columns):
    network, seen = transfuser(sensor_validity=True), []
    for fusion in network.backbone.transformers:
        fusion.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2]))
    features = {**random_features(network), 'validity_feature': torch.tensor([there])}
    with torch.inference_mode():
        network.plan(features)
    # Two rows of image tokens, then two by two of the LiDAR, which are looked at always.
    assert [visible.tolist() for visible in seen] == 4 * [[[*columns, *columns, *[True] * 4]]]


def test_the_views_lie_where_the_features_put_them():
    assert column_places(1024) == (slice(0, 272), slice(272, 752), slice(752, 1024))
    assert column_places(128) == (slice(0, 34), slice(34, 94), slice(94, 128))
    network = transfuser(sensor_validity=True)
    images = []
    network.backbone.image_encoder.conv1.register_forward_pre_hook(
        lambda _, inputs: images.append(inputs[0][0].abs().sum(dim=(0, 1)) > 0.0))
    features = {**random_features(network), 'validity_feature': torch.tensor([[1., 0., 1., 1.]])}
    with torch.inference_mode():
        network.plan(features)
    assert images[0].nonzero().flatten().tolist() == [*range(34), *range(94, 128)]


@torch.inference_mode()
def test_a_frame_without_some_sensors_is_planned_in():
    network = transfuser(sensor_validity=True)
    features = transfuser_features(noise_frame(cameras=('front',), lidar=False),
                                   network.feature_spec)
    assert features['validity_feature'].tolist() == [[0.0, 1.0, 0.0, 0.0]]
    assert network.plan(features).isfinite().all()
    # A camera of that name is no LiDAR.
    named = transfuser_features(noise_frame(cameras=('front', 'lidar'), lidar=False),
                                network.feature_spec)
    assert named['validity_feature'].tolist() == [[0.0, 1.0, 0.0, 0.0]]


@pytest.mark.parametrize('make', [transfuser, diffusion_drive])
@torch.inference_mode()
def test_the_egos_query_alone_begins_with_the_status(make):
    queries = []
    for told in (False, True):
        network = make(sensor_validity=True, status_query=told)
        network.tf_decoder.register_forward_pre_hook(lambda _, inputs: queries.append(inputs[0]))
        features = random_features(network, batch=2)
        network.plan(features)
    status = (network.status_encoding(features['status_feature'])
              + network.validity_encoding(features['validity_feature']))
    without, told = queries
    torch.testing.assert_close(told[:, 0], without[:, 0] + status)
    assert torch.equal(told[:, 1:], without[:, 1:])


@torch.inference_mode()
def test_semantics_ahead_are_read_from_the_map_ahead():
    network = transfuser(bev_ahead=True)
    bev_map = torch.rand(1, 8, 16, 16)
    behind, ahead = bev_map.clone(), bev_map.clone()
    behind[:, :, :8] = 0.0
    ahead[:, :, -1, 3] = 0.0
    queries = torch.rand(1, 30, 16)
    semantics, without, changed = (network.auxiliary(given, queries)['bev_semantic_map']
                                   for given in (bev_map, behind, ahead))
    assert semantics.shape == (1, 7, 32, 64)
    assert torch.equal(semantics, without)
    rows, columns = (semantics != changed).any(dim=1)[0].nonzero().unbind(1)
    # The cell is the farthest one, 18 m to the right: four cells of the semantics wide, a
    # convolution's rim of four around them and half as much where they are interpolated.
    assert rows.min() == 22 and rows.max() == 31
    assert columns.min() == 6 and columns.max() == 21


def test_sensors_are_lost_in_training_alone():
    network = transfuser(sensor_validity=True, sensor_dropout=1.0)
    features = random_features(network, batch=8)
    features['validity_feature'] = torch.ones(8, 4)
    given = []
    network.validity_encoding.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    with torch.inference_mode():
        network.plan(features)
        torch.manual_seed(0)
        network.train().plan(features)
    assert given[0].min() == 1.0 and given[1].min() == 0.0


def test_the_mini_network_is_small_and_is_told():
    config = TransfuserConfig.mini()
    assert config.sensor_validity and config.sensor_dropout > 0.0
    with torch.device('meta'):
        network = Transfuser(config)
    assert 2.0e6 < sum(parameter.numel() for parameter in network.parameters()) < 3.0e6
    assert TransfuserConfig.mini(sensor_dropout=0.0).sensor_dropout == 0.0


@pytest.mark.parametrize('changes, sentence', [
    ({'sensor_dropout': 0.5}, 'sensor_dropout: needs sensor_validity'),
    ({'sensor_dropout': 1.5, 'sensor_validity': True}, 'expected a share from 0 to 1'),
    ({'dropout': -0.1}, 'dropout: expected a share from 0 to 1')])
def test_dropout_that_cannot_be_is_a_sentence(changes, sentence):
    with pytest.raises(TransfuserError, match=sentence):
        replace(TINY, **changes)
