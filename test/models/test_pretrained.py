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

"""Image encoders start from public ImageNet weights, or say why not."""

from pair_drive_ros.models.ego_status import EgoStatus
from pair_drive_ros.models.foreign_weights import ForeignWeightsError
from pair_drive_ros.models.pretrained import load_image_weights, load_resnet34
from pair_drive_ros.models.resnet import ResNet
from public_checkpoints import numbered, resnet34, torchvision_resnet34
import pytest
from safetensors.torch import save_file
from tiny_network import tiny_transfuser
import torch

CLASSIFIER = {'fc.weight': (1000, 512), 'fc.bias': (1000,)}


@pytest.fixture(scope='module')
def encoder():
    """Return an encoder that tests overwrite; making one takes long."""
    return ResNet(3)


def write(path, shapes):
    tensors = numbered(shapes)
    if path.suffix == '.safetensors':
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        torch.save(tensors, path)
    return tensors


@pytest.mark.parametrize(('name', 'shapes'), [
    ('resnet34-b627a593.pth', torchvision_resnet34()),
    ('pytorch_model.bin', {**resnet34(), **CLASSIFIER}),
    ('model.safetensors', {**resnet34(), **CLASSIFIER}),
    ('features_only.pth', resnet34())])
def test_public_files_load(tmp_path, encoder, name, shapes):
    written = write(tmp_path / name, shapes)
    load_resnet34(encoder, tmp_path / name)
    own = encoder.state_dict()
    for entry, tensor in written.items():
        assert entry in CLASSIFIER or torch.equal(own[entry], tensor), entry
    assert torch.equal(encoder.layer3[5].bn2.running_var,
                       written['layer3.5.bn2.running_var'])


@pytest.mark.parametrize(('changes', 'reason'), [
    ({'layer1.2.conv2.weight': None}, r'1 missing \(layer1\.2\.conv2\.weight\)'),
    ({'layer1.0.conv3.weight': (64, 64, 1, 1)}, r'1 unknown \(layer1\.0\.conv3\.weight\)'),
    ({'conv1.weight': (64, 1, 7, 7)}, r'float32 \[64, 1, 7, 7\] instead of float32 \[64, 3')])
def test_another_network_is_refused_and_nothing_changes(tmp_path, encoder, changes, reason):
    path = tmp_path / 'resnet.pth'
    shapes = {**torchvision_resnet34(), **changes}
    write(path, {name: shape for name, shape in shapes.items() if shape is not None})
    before = encoder.conv1.weight.clone()
    with pytest.raises(ForeignWeightsError, match='does not hold the weights of a ResNet-34 with '
                                                  f'3 input channels: .*{reason}') as caught:
        load_resnet34(encoder, path)
    assert str(path) in str(caught.value)
    assert torch.equal(encoder.conv1.weight, before)


def test_a_file_that_is_none_is_refused(tmp_path, encoder):
    (tmp_path / 'resnet34.pth').write_bytes(b'not found')
    with pytest.raises(ForeignWeightsError, match='no file of weights'):
        load_resnet34(encoder, tmp_path / 'resnet34.pth')


@pytest.mark.parametrize('network', [
    ResNet(3, base_width=16), ResNet(3, base_width=64, stage_blocks=(1, 1, 1, 1))])
def test_other_encoders_are_refused(tmp_path, network):
    write(tmp_path / 'resnet34.pth', resnet34())
    with pytest.raises(ForeignWeightsError, match='train that one without'):
        load_resnet34(network, tmp_path / 'resnet34.pth')


def test_an_encoder_of_one_channel_is_refused(tmp_path):
    write(tmp_path / 'resnet34.pth', resnet34())
    with pytest.raises(ForeignWeightsError, match='with 1 input channels'):
        load_resnet34(ResNet(1), tmp_path / 'resnet34.pth')


def test_a_policys_cameras_get_the_weights_and_its_lidar_does_not(tmp_path, encoder):
    policy = tiny_transfuser()
    policy.backbone.image_encoder = encoder
    written = write(tmp_path / 'resnet34.pth', torchvision_resnet34())
    lidar = {name: tensor.clone()
             for name, tensor in policy.backbone.lidar_encoder.state_dict().items()}
    load_image_weights(policy, tmp_path / 'resnet34.pth')
    assert torch.equal(encoder.layer4[2].conv2.weight, written['layer4.2.conv2.weight'])
    for name, tensor in policy.backbone.lidar_encoder.state_dict().items():
        assert torch.equal(tensor, lidar[name])


def test_policies_without_such_an_encoder_are_refused(tmp_path):
    path = tmp_path / 'resnet34.pth'
    write(path, resnet34())
    with pytest.raises(ForeignWeightsError, match="'ego_status' has no image encoder"):
        load_image_weights(EgoStatus(), path)
    with pytest.raises(ForeignWeightsError, match='has width 4'):
        load_image_weights(tiny_transfuser(), path)
