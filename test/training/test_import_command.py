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

"""Public checkpoints become checkpoints of this package, or are refused with the reason."""

import hashlib
import re

from pair_drive_ros.models.architectures import load_policy
from pair_drive_ros.models.checkpoint import load_card
from pair_drive_ros.models.foreign_weights import ForeignWeightsError
from pair_drive_training.__main__ import main
from pair_drive_training.import_command import import_policy, POLICIES
from pair_drive_training.public_names import own_name, seems_to_be, with_own_names
from public_checkpoints import (
    lightning,
    numbered,
    PARAMETERS,
    public_policy,
    resnet34,
    TENSORS,
    torchvision_resnet34,
)
import pytest
import torch

# Where some public tensors must arrive, spelled as attributes.
PLACES = {
    '_backbone.image_encoder.conv1.weight': lambda p: p.backbone.image_encoder.conv1.weight,
    '_backbone.lidar_encoder.layer4.0.downsample.1.running_var':
        lambda p: p.backbone.lidar_encoder.layer4[0].downsample[1].running_var,
    '_backbone.transformers.2.pos_emb': lambda p: p.backbone.transformers[2].pos_emb,
    '_backbone.transformers.3.blocks.1.attn.key.weight':
        lambda p: p.backbone.transformers[3].blocks[1].attn.key.weight,
    '_backbone.img_channel_to_lidar.1.bias': lambda p: p.backbone.img_channel_to_lidar[1].bias,
    '_query_embedding.weight': lambda p: p.query_embedding.weight,
    '_bev_semantic_head.2.bias': lambda p: p.bev_semantic_head[2].bias,
    '_tf_decoder.layers.2.multihead_attn.in_proj_weight':
        lambda p: p.tf_decoder.layers[2].multihead_attn.in_proj_weight,
    '_agent_head._mlp_states.2.weight': lambda p: p.agent_head.mlp_states[2].weight,
    '_agent_head._mlp_label.0.bias': lambda p: p.agent_head.mlp_label[0].bias}
OWN_PLACES = {
    'transfuser': {'_trajectory_head._mlp.2.weight': lambda p: p.trajectory_head.mlp[2].weight},
    'ltf': {'_trajectory_head._mlp.0.bias': lambda p: p.trajectory_head.mlp[0].bias,
            '_backbone.lidar_latent': lambda p: p.backbone.lidar_latent},
    'diffusion_drive': {
        '_trajectory_head.plan_anchor': lambda p: p.trajectory_head.plan_anchor,
        '_trajectory_head.time_mlp.3.weight': lambda p: p.trajectory_head.time_mlp[3].weight,
        '_trajectory_head.diff_decoder.layers.1.task_decoder.plan_cls_branch.5.weight':
            lambda p: (p.trajectory_head.diff_decoder.layers[1]
                       .task_decoder.plan_cls_branch[5].weight),
        'bev_proj.2.bias': lambda p: p.bev_proj[2].bias}}
PREFIX = 'agent._transfuser_model.'


def write(path, tensors):
    torch.save(lightning(tensors), path)
    return path


@pytest.mark.parametrize('name', list(POLICIES))
def test_public_tensors_arrive_in_their_places(tmp_path, name):
    shapes = public_policy(name)
    assert len(shapes) == TENSORS[name]
    tensors = numbered(shapes)
    policy = import_policy(write(tmp_path / 'public.ckpt', tensors), name)
    assert not policy.training
    assert sum(parameter.numel() for parameter in policy.parameters()) == PARAMETERS[name]
    for public, place in {**PLACES, **OWN_PLACES[name]}.items():
        assert torch.equal(place(policy), tensors[PREFIX + public]), public
    # Each tensor is full of its own number: together they fill every place once.
    values = {float(tensor.flatten()[0]) for tensor in policy.state_dict().values()}
    assert values == {float(tensor.flatten()[0]) for tensor in tensors.values()}


def test_the_command_writes_a_checkpoint_with_its_card(tmp_path, capsys):
    file, out = tmp_path / 'ltf_seed_0.ckpt', tmp_path / 'ltf.safetensors'
    write(file, numbered(public_policy('ltf')))
    assert main(['import-checkpoint', str(file), '--policy', 'ltf', '--out', str(out)]) == 0
    policy, card = load_policy(out)
    out.unlink()
    assert card.architecture == 'transfuser'
    assert policy.config.lidar is False
    assert 'lidar_feature' not in policy.feature_spec
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert card.training.data == f'imported from ltf_seed_0.ckpt (sha256 {digest[:12]})'
    assert card.training.seed is None
    assert card.training.git_revision == 'imported'
    printed = capsys.readouterr().out
    assert '56.04 M parameters' in printed
    assert card.model_hash in printed


def test_the_card_says_what_the_user_knows(tmp_path, monkeypatch):
    file, out = tmp_path / 'seed_0.ckpt', tmp_path / 'tiny.safetensors'
    torch.save({'agent._mlp.0.weight': torch.ones(4, 8), 'agent._mlp.0.bias': torch.ones(4),
                'agent._mlp.2.weight': torch.ones(4, 4), 'agent._mlp.2.bias': torch.ones(4),
                'agent._mlp.4.weight': torch.ones(4, 4), 'agent._mlp.4.bias': torch.ones(4),
                'agent._mlp.6.weight': torch.ones(24, 4), 'agent._mlp.6.bias': torch.ones(24)},
               file)
    monkeypatch.setitem(POLICIES, 'transfuser', ('ego_status', {'width': 4}))
    assert main(['import-checkpoint', str(file), '--policy', 'transfuser', '--out', str(out),
                 '--data', 'navtrain']) == 0
    assert load_card(out).training.data == 'navtrain'


@pytest.mark.parametrize('prefix', ['agent._transfuser_model.', '_transfuser_model.', ''])
def test_names_with_and_without_wrapping(prefix):
    assert own_name(f'{prefix}_agent_head._mlp_states.0.weight') == (
        'agent_head.mlp_states.0.weight')
    assert own_name(f'{prefix}bev_proj.0.weight') == 'bev_proj.0.weight'
    assert own_name(f'{prefix}_tf_decoder.layers.0.self_attn.in_proj_weight') == (
        'tf_decoder.layers.0.self_attn.in_proj_weight')


@pytest.mark.parametrize('name', list(POLICIES))
def test_no_two_public_names_become_one(name):
    public = public_policy(name)
    assert len({own_name(entry) for entry in public}) == len(public)


def test_two_networks_in_one_file_are_refused():
    with pytest.raises(ForeignWeightsError, match=r'two tensors would both be backbone\.x'):
        with_own_names({'agent._backbone.x': torch.ones(1), '_backbone.x': torch.ones(1)})


@pytest.mark.parametrize(('names', 'expected'), [
    (public_policy('transfuser'), 'TransFuser'),
    (public_policy('ltf'), 'LTF, the latent TransFuser'),
    (public_policy('diffusion_drive'), 'DiffusionDrive'),
    (['agent._mlp.0.weight', 'agent._mlp.0.bias'], "the devkit's EgoStatusMLP"),
    (torchvision_resnet34(), 'an image encoder'),
    (resnet34(), 'an image encoder'),
    (['vit.cls_token'], 'no network that this package knows')])
def test_what_a_file_seems_to_be(names, expected):
    assert seems_to_be(map(own_name, names)).startswith(expected)


@pytest.mark.parametrize(('holds', 'asked', 'reason'), [
    ('ltf', 'transfuser', r'1 unknown \(backbone\.lidar_latent\)\. .* to be of LTF'),
    ('transfuser', 'ltf', r'1 missing \(backbone\.lidar_latent\)\. .* to be of TransFuser'),
    ('diffusion_drive', 'transfuser', r'4 missing \(trajectory_head\.mlp\.0\.weight, .*'
                                      r'99 unknown \(.*, \.\.\.\)\. .* to be of DiffusionDr'),
    ('transfuser', 'diffusion_drive', r'99 missing \(.* to be of TransFuser')])
def test_another_architecture_is_refused(tmp_path, capsys, holds, asked, reason):
    file, out = tmp_path / 'public.ckpt', tmp_path / 'own.safetensors'
    write(file, numbered(public_policy(holds)))
    assert main(['import-checkpoint', str(file), '--policy', asked, '--out', str(out)]) == 2
    assert re.search(f'does not fit {asked}: .*{reason}', capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ['public.ckpt']


def test_another_size_is_refused(tmp_path):
    tensors = numbered(public_policy('transfuser'))
    name = f'{PREFIX}_backbone.transformers.0.pos_emb'
    tensors[name] = torch.zeros(1).expand(1, 576, 64)
    with pytest.raises(ForeignWeightsError, match=(
            r'1 of another shape or type \(backbone\.transformers\.0\.pos_emb: '
            r'float32 \[1, 576, 64\] instead of float32 \[1, 320, 64\]\)')):
        import_policy(write(tmp_path / 'wide.ckpt', tensors), 'transfuser')


@pytest.mark.parametrize('content', [b'', b'no checkpoint'])
def test_other_files_are_refused(tmp_path, capsys, content):
    file, out = tmp_path / 'public.ckpt', tmp_path / 'own.safetensors'
    file.write_bytes(content)
    assert main(['import-checkpoint', str(file), '--policy', 'ltf', '--out', str(out)]) == 2
    assert 'no file of weights' in capsys.readouterr().err
    assert not out.exists()
