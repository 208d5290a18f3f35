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

"""The TransFuser network: size, names, shapes, ranges and what it listens to."""

import dataclasses
import math

from pair_drive_ros.models.policy import FeatureError
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig, TransfuserError
import pytest
from tiny_network import random_features, TINY, tiny_transfuser
import torch


@pytest.fixture(scope='module')
def full_size():
    return Transfuser(TransfuserConfig()).eval()


@pytest.fixture(scope='module')
def full_size_outputs(full_size):
    with torch.inference_mode():
        return full_size(random_features(full_size))


def millions(module):
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def test_full_size_has_the_published_number_of_parameters(full_size):
    assert millions(full_size) == pytest.approx(55.97, abs=0.005)
    assert millions(full_size.backbone) == pytest.approx(52.06, abs=0.005)
    assert millions(full_size.backbone.transformers) == pytest.approx(8.69, abs=0.005)


def test_full_size_outputs_have_the_documented_shapes(full_size_outputs):
    assert {name: tuple(tensor.shape) for name, tensor in full_size_outputs.items()} == {
        'trajectory': (1, 8, 3), 'agent_states': (1, 30, 5), 'agent_labels': (1, 30),
        'bev_semantic_map': (1, 7, 128, 256)}
    assert all(torch.isfinite(tensor).all() for tensor in full_size_outputs.values())


def test_names_are_those_of_the_devkit_without_leading_underscores(full_size):
    entries = {name: tuple(tensor.shape) for name, tensor in full_size.state_dict().items()}
    devkit = {
        '_backbone.image_encoder.layer4.2.bn2.running_mean': (512,),
        '_backbone.lidar_encoder.conv1.weight': (64, 1, 7, 7),
        '_backbone.transformers.3.pos_emb': (1, 320, 512),
        '_backbone.transformers.0.blocks.1.attn.key.weight': (64, 64),
        '_backbone.transformers.2.blocks.0.attn.query.bias': (256,),
        '_backbone.transformers.1.blocks.0.attn.value.weight': (128, 128),
        '_backbone.transformers.1.blocks.1.attn.proj.weight': (128, 128),
        '_backbone.transformers.1.blocks.1.ln1.weight': (128,),
        '_backbone.transformers.1.blocks.1.ln2.bias': (128,),
        '_backbone.transformers.1.blocks.1.mlp.0.weight': (512, 128),
        '_backbone.transformers.1.blocks.1.mlp.2.weight': (128, 512),
        '_backbone.transformers.3.ln_f.weight': (512,),
        '_backbone.lidar_channel_to_img.3.weight': (512, 512, 1, 1),
        '_backbone.img_channel_to_lidar.0.bias': (64,),
        '_backbone.c5_conv.weight': (64, 512, 1, 1),
        '_backbone.up_conv5.weight': (64, 64, 3, 3),
        '_backbone.up_conv4.weight': (64, 64, 3, 3),
        '_keyval_embedding.weight': (65, 256),
        '_query_embedding.weight': (31, 256),
        '_bev_downscale.weight': (256, 512, 1, 1),
        '_status_encoding.weight': (256, 8),
        '_bev_semantic_head.0.weight': (64, 64, 3, 3),
        '_bev_semantic_head.2.weight': (7, 64, 1, 1),
        '_tf_decoder.layers.2.multihead_attn.in_proj_weight': (768, 256),
        '_tf_decoder.layers.0.self_attn.out_proj.weight': (256, 256),
        '_tf_decoder.layers.1.linear1.weight': (1024, 256),
        '_tf_decoder.layers.1.norm3.weight': (256,),
        '_agent_head._mlp_states.2.weight': (5, 1024),
        '_agent_head._mlp_label.0.weight': (1, 256),
        '_trajectory_head._mlp.2.weight': (24, 1024),
    }
    ours = {'.'.join(part.removeprefix('_') for part in name.split('.')): shape
            for name, shape in devkit.items()}
    assert ours.items() <= entries.items()
    patterns = {name.split('.')[0] for name in entries}
    assert patterns == {name.split('.')[0] for name in ours}


def test_the_plan_is_the_trajectory_of_the_forward_pass():
    network = tiny_transfuser()
    features = random_features(network, batch=2)
    with torch.inference_mode():
        torch.testing.assert_close(network.plan(features), network(features)['trajectory'])


def test_fusion_adds_to_the_maps_of_the_two_encoders():
    backbone = tiny_transfuser().backbone
    for stage in range(3):
        for layer in (backbone.transformers[stage].ln_f, backbone.img_channel_to_lidar[stage]):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
    image, lidar = torch.rand(1, 3, 32, 64), torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        image_map = backbone.image_encoder(image)[-1]
        lidar_map = backbone.lidar_encoder(lidar)[-1]
        tokens = backbone.lidar_channel_to_img[3](lidar_map)
        _, update = backbone.transformers[3](image_map, tokens)
        torch.testing.assert_close(backbone(image, lidar)[3],
                                   lidar_map + backbone.img_channel_to_lidar[3](update))


class QueriesUntouched(torch.nn.Module):
    """A decoder that looks at nothing."""

    def forward(self, queries, keyval):
        """Return the queries."""
        return queries


def test_the_first_query_is_the_egos_and_the_rest_are_the_agents():
    network = tiny_transfuser()
    network.tf_decoder = QueriesUntouched()
    queries = network.query_embedding.weight
    with torch.inference_mode():
        outputs = network(random_features(network))
        torch.testing.assert_close(outputs['trajectory'], network.trajectory_head(queries[:1]))
        states, labels = network.agent_head(queries[None, 1:])
        torch.testing.assert_close(outputs['agent_states'], states)
        torch.testing.assert_close(outputs['agent_labels'], labels)


def test_scenes_of_a_batch_do_not_see_each_other():
    network = tiny_transfuser()
    features = random_features(network, batch=3)
    with torch.inference_mode():
        together = network(features)
        for index in range(3):
            alone = network({name: tensor[index:index + 1] for name, tensor in features.items()})
            for name, tensor in alone.items():
                torch.testing.assert_close(tensor[0], together[name][index], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', ['camera_feature', 'lidar_feature', 'status_feature'])
def test_every_feature_reaches_every_output(name):
    network = tiny_transfuser()
    features = random_features(network)
    features[name].requires_grad_()
    for output, tensor in network(features).items():
        if (name, output) == ('status_feature', 'bev_semantic_map'):
            continue  # The BEV map is read before the ego status joins.
        [gradient] = torch.autograd.grad(tensor.square().sum(), features[name], retain_graph=True)
        assert gradient.abs().sum() > 0.0, output


def test_no_parameter_is_idle():
    network = tiny_transfuser().train()
    outputs = network(random_features(network, 2))
    sum(tensor.square().sum() for tensor in outputs.values()).backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None]
    assert idle == []


def test_headings_and_agent_positions_stay_in_their_ranges():
    network = tiny_transfuser()
    with torch.no_grad():
        for head in (network.trajectory_head.mlp[-1], network.agent_head.mlp_states[-1]):
            head.weight.mul_(1e4)
        outputs = network(random_features(network))
    trajectory, agents = outputs['trajectory'], outputs['agent_states']
    assert trajectory[..., 2].abs().max() <= math.pi
    assert trajectory[..., 2].abs().max() > 3.0
    assert trajectory[..., :2].abs().max() > 32.0
    assert agents[..., 2].abs().max() <= math.pi
    assert agents[..., :2].abs().max() <= 32.0
    assert agents[..., 3:].abs().max() > 32.0


def test_wrong_features_are_named():
    network = tiny_transfuser()
    features = random_features(network)
    with pytest.raises(FeatureError, match='lidar_feature are missing'):
        network.plan({name: tensor for name, tensor in features.items()
                      if name != 'lidar_feature'})
    with pytest.raises(FeatureError, match=r'camera_feature: expected \[B, 3, 32, 64\]'):
        network.plan({**features, 'camera_feature': torch.rand(1, 3, 32, 128)})
    with pytest.raises(FeatureError, match=r'status_feature: .*float64'):
        network.plan({**features, 'status_feature': torch.zeros(1, 8, dtype=torch.float64)})
    with pytest.raises(FeatureError, match='batch size'):
        network.plan({**features, 'status_feature': torch.zeros(2, 8)})


@pytest.mark.parametrize(('field', 'value'), [
    ('image_height', 100), ('image_width', 96), ('lidar_bins', 192), ('lidar_bins', 32),
    ('base_width', 6), ('decoder_width', 12), ('image_width', 0), ('stage_blocks', (3, 4, 6))])
def test_sizes_that_do_not_fit_are_refused(field, value):
    with pytest.raises(TransfuserError, match=field):
        dataclasses.replace(TINY, **{field: value})


def test_the_pyramid_lets_the_plan_see_what_only_the_finer_stages_know():
    config = dataclasses.replace(TINY, feature_pyramid=True)
    network = Transfuser(config).eval()
    assert config.cell_grid == (4, 4)
    # The last stage's map is cut off: what is left comes over the laterals.
    torch.nn.init.zeros_(network.backbone.c5_conv.weight)
    features = random_features(network)
    features['lidar_feature'].requires_grad_()
    outputs = network(features)
    for name in ('trajectory', 'bev_semantic_map'):
        [gradient] = torch.autograd.grad(outputs[name].square().sum(), features['lidar_feature'],
                                         retain_graph=True)
        assert gradient.abs().sum() > 0.0, name


def test_without_the_pyramid_there_are_no_laterals():
    assert not [name for name in tiny_transfuser().state_dict() if 'lateral' in name]
