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

"""
Names and shapes of public state dicts, written down from the public networks' own modules.

Nothing here looks at this package's networks: it is what they are held against. Names are those
of ``NAVSIM/navsim/agents/transfuser``, ``hustvl/DiffusionDrive`` and torchvision.
"""

from collections.abc import Iterator, Mapping

import torch

Shapes = dict[str, tuple[int, ...]]
WIDTHS = (64, 128, 256, 512)
RESNET34_BLOCKS = (3, 4, 6, 3)
# Tensors and parameters that the public networks have; buffers are no parameters.
TENSORS = {'transfuser': 668, 'ltf': 669, 'diffusion_drive': 763}
PARAMETERS = {'transfuser': 55_970_149, 'ltf': 56_035_685, 'diffusion_drive': 60_715_727}

_DECODER_LAYER = """
self_attn.in_proj_weight 768 256
self_attn.in_proj_bias 768
self_attn.out_proj.weight 256 256
self_attn.out_proj.bias 256
multihead_attn.in_proj_weight 768 256
multihead_attn.in_proj_bias 768
multihead_attn.out_proj.weight 256 256
multihead_attn.out_proj.bias 256
linear1.weight 1024 256
linear1.bias 1024
linear2.weight 256 1024
linear2.bias 256
norm1.weight 256
norm1.bias 256
norm2.weight 256
norm2.bias 256
norm3.weight 256
norm3.bias 256
"""
_SHARED = """
_backbone.up_conv5.weight 64 64 3 3
_backbone.up_conv5.bias 64
_backbone.up_conv4.weight 64 64 3 3
_backbone.up_conv4.bias 64
_backbone.c5_conv.weight 64 512 1 1
_backbone.c5_conv.bias 64
_keyval_embedding.weight 65 256
_query_embedding.weight 31 256
_bev_downscale.weight 256 512 1 1
_bev_downscale.bias 256
_status_encoding.weight 256 8
_status_encoding.bias 256
_bev_semantic_head.0.weight 64 64 3 3
_bev_semantic_head.0.bias 64
_bev_semantic_head.2.weight 7 64 1 1
_bev_semantic_head.2.bias 7
_agent_head._mlp_states.0.weight 1024 256
_agent_head._mlp_states.0.bias 1024
_agent_head._mlp_states.2.weight 5 1024
_agent_head._mlp_states.2.bias 5
_agent_head._mlp_label.0.weight 1 256
_agent_head._mlp_label.0.bias 1
"""
_TRANSFUSER_HEAD = """
_trajectory_head._mlp.0.weight 1024 256
_trajectory_head._mlp.0.bias 1024
_trajectory_head._mlp.2.weight 24 1024
_trajectory_head._mlp.2.bias 24
"""
_DIFFUSION_DRIVE_HEAD = """
_trajectory_head.plan_anchor 20 8 2
_trajectory_head.plan_anchor_encoder.0.weight 256 512
_trajectory_head.plan_anchor_encoder.0.bias 256
_trajectory_head.plan_anchor_encoder.2.weight 256
_trajectory_head.plan_anchor_encoder.2.bias 256
_trajectory_head.plan_anchor_encoder.3.weight 256 256
_trajectory_head.plan_anchor_encoder.3.bias 256
_trajectory_head.time_mlp.1.weight 1024 256
_trajectory_head.time_mlp.1.bias 1024
_trajectory_head.time_mlp.3.weight 256 1024
_trajectory_head.time_mlp.3.bias 256
bev_proj.0.weight 256 320
bev_proj.0.bias 256
bev_proj.2.weight 256
bev_proj.2.bias 256
"""
_DIFFUSION_DRIVE_LAYER = """
cross_bev_attention.attention_weights.weight 8 256
cross_bev_attention.attention_weights.bias 8
cross_bev_attention.output_proj.weight 256 256
cross_bev_attention.output_proj.bias 256
cross_bev_attention.value_proj.0.weight 256 256 3 3
cross_bev_attention.value_proj.0.bias 256
cross_agent_attention.in_proj_weight 768 256
cross_agent_attention.in_proj_bias 768
cross_agent_attention.out_proj.weight 256 256
cross_agent_attention.out_proj.bias 256
cross_ego_attention.in_proj_weight 768 256
cross_ego_attention.in_proj_bias 768
cross_ego_attention.out_proj.weight 256 256
cross_ego_attention.out_proj.bias 256
ffn.0.weight 1024 256
ffn.0.bias 1024
ffn.2.weight 256 1024
ffn.2.bias 256
norm1.weight 256
norm1.bias 256
norm2.weight 256
norm2.bias 256
norm3.weight 256
norm3.bias 256
time_modulation.scale_shift_mlp.1.weight 512 256
time_modulation.scale_shift_mlp.1.bias 512
task_decoder.plan_cls_branch.0.weight 256 256
task_decoder.plan_cls_branch.0.bias 256
task_decoder.plan_cls_branch.2.weight 256
task_decoder.plan_cls_branch.2.bias 256
task_decoder.plan_cls_branch.3.weight 256 256
task_decoder.plan_cls_branch.3.bias 256
task_decoder.plan_cls_branch.5.weight 256
task_decoder.plan_cls_branch.5.bias 256
task_decoder.plan_cls_branch.6.weight 1 256
task_decoder.plan_cls_branch.6.bias 1
task_decoder.plan_reg_branch.0.weight 256 256
task_decoder.plan_reg_branch.0.bias 256
task_decoder.plan_reg_branch.2.weight 256 256
task_decoder.plan_reg_branch.2.bias 256
task_decoder.plan_reg_branch.4.weight 24 256
task_decoder.plan_reg_branch.4.bias 24
"""


def resnet34(channels: int = 3, counters: bool = True) -> Shapes:
    """Return the tensors of torchvision's and timm's ResNet-34 before its classifier."""
    def norm(name: str, width: int) -> Shapes:
        entries = {f'{name}.{part}': (width,)
                   for part in ('weight', 'bias', 'running_mean', 'running_var')}
        return {**entries, f'{name}.num_batches_tracked': ()} if counters else entries

    shapes: Shapes = {'conv1.weight': (64, channels, 7, 7), **norm('bn1', 64)}
    before = 64
    for stage, (blocks, width) in enumerate(zip(RESNET34_BLOCKS, WIDTHS, strict=True), start=1):
        for block in range(blocks):
            name = f'layer{stage}.{block}'
            shapes |= {f'{name}.conv1.weight': (width, before, 3, 3), **norm(f'{name}.bn1', width),
                       f'{name}.conv2.weight': (width, width, 3, 3), **norm(f'{name}.bn2', width)}
            if stage > 1 and block == 0:
                shapes |= {f'{name}.downsample.0.weight': (width, before, 1, 1),
                           **norm(f'{name}.downsample.1', width)}
            before = width
    return shapes


def torchvision_resnet34() -> Shapes:
    """Return the tensors of torchvision's older files: with classifier, without batch counters."""
    return {**resnet34(counters=False), 'fc.weight': (1000, 512), 'fc.bias': (1000,)}


def public_policy(name: str) -> Shapes:
    """Return the tensors of a policy as Lightning saves it: ``agent._transfuser_model...``."""
    shapes = dict(_policy(name))
    return {f'agent._transfuser_model.{entry}': shape for entry, shape in shapes.items()}


def numbered(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Make tensors that are cheap to keep: the n-th is full of n / 1024."""
    return {name: (torch.tensor(n) if name.endswith('num_batches_tracked')
                   else torch.tensor(n / 1024)).expand(shape)
            for n, (name, shape) in enumerate(shapes.items())}


def lightning(tensors: Mapping[str, torch.Tensor]) -> dict:
    """Wrap a state dict as Lightning does, with what else lies in such a checkpoint."""
    return {'epoch': 99, 'global_step': 132_900, 'pytorch-lightning_version': '2.2.1',
            'state_dict': dict(tensors), 'loops': {'fit_loop': {'state_dict': {}}},
            'callbacks': {"ModelCheckpoint{'monitor': None}": {'best_model_score': None}},
            'optimizer_states': [{'state': {0: {'step': torch.tensor(3.0),
                                                'exp_avg': torch.zeros(2)}},
                                  'param_groups': [{'lr': 1e-4, 'betas': (0.9, 0.999)}]}],
            'lr_schedulers': []}


def _policy(name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    if name == 'ltf':
        yield '_backbone.lidar_latent', (1, 1, 256, 256)
    for sensor, channels in (('image', 3), ('lidar', 1)):
        for entry, shape in resnet34(channels).items():
            yield f'_backbone.{sensor}_encoder.{entry}', shape
    for stage, width in enumerate(WIDTHS):
        yield from _fusion(f'_backbone.transformers.{stage}', width)
        for path in ('lidar_channel_to_img', 'img_channel_to_lidar'):
            yield f'_backbone.{path}.{stage}.weight', (width, width, 1, 1)
            yield f'_backbone.{path}.{stage}.bias', (width,)
    yield from _table(_SHARED)
    for layer in range(3):
        yield from _table(_DECODER_LAYER, f'_tf_decoder.layers.{layer}.')
    if name == 'diffusion_drive':
        yield from _table(_DIFFUSION_DRIVE_HEAD)
        for layer in range(2):
            yield from _table(_DIFFUSION_DRIVE_LAYER,
                              f'_trajectory_head.diff_decoder.layers.{layer}.')
    else:
        yield from _table(_TRANSFUSER_HEAD)


def _fusion(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f'{name}.pos_emb', (1, 8 * 32 + 8 * 8, width)
    for block in range(2):
        linear = {f'attn.{part}': (width, width) for part in ('key', 'query', 'value', 'proj')}
        linear |= {'mlp.0': (4 * width, width), 'mlp.2': (width, 4 * width)}
        for part, shape in linear.items():
            yield f'{name}.blocks.{block}.{part}.weight', shape
            yield f'{name}.blocks.{block}.{part}.bias', shape[:1]
        for part in ('ln1', 'ln2'):
            yield f'{name}.blocks.{block}.{part}.weight', (width,)
            yield f'{name}.blocks.{block}.{part}.bias', (width,)
    yield f'{name}.ln_f.weight', (width,)
    yield f'{name}.ln_f.bias', (width,)


def _table(text: str, prefix: str = '') -> Iterator[tuple[str, tuple[int, ...]]]:
    for line in text.split('\n')[1:-1]:
        entry, *sizes = line.split()
        yield prefix + entry, tuple(map(int, sizes))
