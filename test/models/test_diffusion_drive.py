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

"""The DiffusionDrive policy: size, outputs, loss, checkpoints and missing sensors."""

import dataclasses

from pair_drive_ros.models.architectures import load_policy, policy_class
from pair_drive_ros.models.checkpoint import save_checkpoint, TrainingRecord
from pair_drive_ros.models.diffusion_drive import DiffusionDrive, DiffusionDriveConfig
from pair_drive_ros.models.diffusion_head import DiffusionHeadError, DiffusionLosses
from pair_drive_ros.models.policy import FeatureError
from pair_drive_ros.models.transfuser_config import TransfuserError
import pytest
from tiny_diffusion import fan_anchors, TINY_DIFFUSION, tiny_diffusion_drive
from tiny_network import random_features
import torch


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def targets(batch: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {'trajectory': torch.cat([fan_anchors()[7], torch.zeros(8, 1)], dim=-1)
            .expand(batch, -1, -1),
            'agent_states': torch.rand(batch, 30, 5, generator=generator),
            'agent_labels': torch.rand(batch, 30, generator=generator) < 0.3,
            'bev_semantic_map': torch.randint(7, (batch, 128, 256), generator=generator,
                                              dtype=torch.uint8)}


def test_full_size_has_the_published_number_of_parameters():
    with torch.device('meta'):
        policy = DiffusionDrive()
    assert parameters(policy) == 60_715_727
    assert parameters(policy.trajectory_head) == 4_950_658
    assert parameters(policy.bev_proj) == 82_688


def test_names_are_the_public_ones_without_leading_underscores():
    with torch.device('meta'):
        entries = DiffusionDrive().state_dict()
    public = {'bev_proj.0.weight': (256, 320), 'bev_proj.0.bias': (256,),
              'bev_proj.2.weight': (256,), 'bev_proj.2.bias': (256,)}
    assert public == {name: tuple(tensor.shape) for name, tensor in entries.items()
                      if name.startswith('bev_proj')}
    assert {'backbone', 'keyval_embedding', 'query_embedding', 'bev_downscale', 'status_encoding',
            'bev_semantic_head', 'tf_decoder', 'agent_head', 'trajectory_head',
            'bev_proj'} == {name.split('.')[0] for name in entries}


def test_outputs_have_the_documented_shapes():
    policy = tiny_diffusion_drive()
    with torch.inference_mode():
        outputs = policy(random_features(policy, batch=2))
    assert {name: tuple(tensor.shape) for name, tensor in outputs.items()} == {
        'trajectory': (2, 8, 3), 'modes': (2, 20, 8, 3), 'mode_logits': (2, 20),
        'agent_states': (2, 30, 5), 'agent_labels': (2, 30), 'bev_semantic_map': (2, 7, 32, 64)}
    assert all(torch.isfinite(tensor).all() for tensor in outputs.values())


def test_the_plan_is_the_trajectory_of_the_forward_pass_and_its_best_mode():
    policy = tiny_diffusion_drive()
    features = random_features(policy, batch=3)
    with torch.inference_mode():
        outputs = policy(features)
        torch.testing.assert_close(policy.plan(features), outputs['trajectory'])
    for scene in range(3):
        best = outputs['mode_logits'][scene].argmax()
        assert torch.equal(outputs['modes'][scene, best], outputs['trajectory'][scene])


def test_plans_are_deterministic_and_do_not_depend_on_the_batch():
    policy = tiny_diffusion_drive()
    features = random_features(policy, batch=3)
    with torch.inference_mode():
        together = policy(features)['modes']
        torch.randn(3)
        assert torch.equal(policy(features)['modes'], together)
        for scene in range(3):
            alone = policy({name: tensor[scene:scene + 1] for name, tensor in features.items()})
            torch.testing.assert_close(alone['modes'][0], together[scene], atol=1e-4, rtol=1e-4)


def test_the_seed_of_the_configuration_changes_the_plans():
    policy = tiny_diffusion_drive()
    other = DiffusionDrive(dataclasses.replace(TINY_DIFFUSION, seed=1)).eval()
    other.load_state_dict(policy.state_dict())
    features = random_features(policy)
    with torch.inference_mode():
        assert not torch.allclose(other(features)['modes'], policy(features)['modes'], atol=1e-3)


def test_the_head_sees_the_decoders_cells_first_and_then_the_bev_map():
    policy = tiny_diffusion_drive()
    features = random_features(policy)
    seen = []
    policy.bev_proj.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        policy.plan(features)
        percept = policy.perceive(features)
        bev_map = policy.bev_map(percept)
    width = TINY_DIFFUSION.decoder_width
    [joined] = seen
    assert joined.shape == (1, 16, 16, width + TINY_DIFFUSION.bev_width)
    torch.testing.assert_close(joined[..., width:], bev_map.permute(0, 2, 3, 1))
    # Bilinear upsampling of 2 x 2 cells repeats them in the corners.
    corners = joined[0, ::15, ::15, :width].flatten(0, 1)
    torch.testing.assert_close(corners, percept.cells[0])


@pytest.mark.parametrize('name', ['camera_feature', 'lidar_feature', 'status_feature'])
def test_every_feature_reaches_the_plans(name):
    policy = tiny_diffusion_drive()
    features = random_features(policy)
    features[name].requires_grad_()
    outputs = policy(features)
    for output in ('modes', 'mode_logits'):
        [gradient] = torch.autograd.grad(outputs[output].square().sum(), features[name],
                                         retain_graph=True)
        assert gradient.abs().sum() > 0.0, output


def test_the_loss_has_the_public_weights(monkeypatch):
    policy = tiny_diffusion_drive()
    features = random_features(policy, batch=2)
    torch.manual_seed(0)
    terms = policy.loss(features, targets())
    assert set(terms) == {'modes', 'trajectory', 'agent_labels', 'agent_states',
                          'bev_semantic_map'}
    assert all(term.shape == () and torch.isfinite(term) for term in terms.values())
    ones = torch.ones(())
    losses = DiffusionLosses(ones, ones, torch.zeros(2, 8, 3))
    monkeypatch.setattr(policy.trajectory_head, 'losses', lambda *_: losses)
    weighted = policy.loss(features, targets())
    assert (weighted['modes'].item(), weighted['trajectory'].item()) == (12 * 10, 12 * 8)
    monkeypatch.setattr(policy, 'config', dataclasses.replace(policy.config, mode_weight=960.0))
    assert policy.loss(features, targets())['modes'].item() == 960.0
    with torch.inference_mode():
        bev = policy(features)['bev_semantic_map']
    truth = targets()['bev_semantic_map'][:, ::4, ::4].long()
    torch.testing.assert_close(weighted['bev_semantic_map'],
                               14.0 * torch.nn.functional.cross_entropy(bev, truth))


def test_a_refined_plan_has_the_trajectorys_weight(monkeypatch):
    policy = tiny_diffusion_drive(
        config=dataclasses.replace(TINY_DIFFUSION, plan_refinement=True))
    human = targets()['trajectory']
    losses = DiffusionLosses(torch.ones(()), torch.ones(()), human + 0.25)
    monkeypatch.setattr(policy.trajectory_head, 'losses', lambda *_: losses)
    terms = policy.loss(random_features(policy, batch=2), targets())
    assert terms['refined'].item() == pytest.approx(12 * 8 * 0.25)
    monkeypatch.setattr(policy.plan_refinement, 'forward', lambda plan, *_: plan - 0.25)
    terms = policy.loss(random_features(policy, batch=2), targets())
    assert terms['refined'].item() == pytest.approx(0.0, abs=1e-4)


def test_no_parameter_but_the_anchors_is_idle():
    policy = tiny_diffusion_drive().train()
    sum(policy.loss(random_features(policy, 2), targets()).values()).backward()
    idle = [name for name, p in policy.named_parameters() if p.grad is None]
    assert idle == ['trajectory_head.plan_anchor']


def test_sizes_that_cannot_be_are_named():
    with pytest.raises(TransfuserError, match='bev_feature_width: expected 1 or more, got 0'):
        DiffusionDriveConfig.mini(bev_feature_width=0)
    with pytest.raises(TransfuserError, match='mode_weight: expected more than 0, got 0'):
        DiffusionDriveConfig.mini(mode_weight=0.0)
    with pytest.raises(TransfuserError, match='mode_agreement'):
        DiffusionDriveConfig.mini(mode_agreement=-1.0)


def test_a_policy_without_anchors_says_so():
    policy = DiffusionDrive(TINY_DIFFUSION).eval()
    with pytest.raises(DiffusionHeadError, match='make-anchors'):
        policy.plan(random_features(policy))
    with pytest.raises(DiffusionHeadError, match='make-anchors'):
        policy.loss(random_features(policy, 2), targets())


def test_wrong_features_are_named():
    policy = tiny_diffusion_drive()
    with pytest.raises(FeatureError, match='lidar_feature'):
        policy.plan({name: tensor for name, tensor in random_features(policy).items()
                     if name != 'lidar_feature'})


def test_a_checkpoint_brings_anchors_and_seed_along(tmp_path):
    policy = tiny_diffusion_drive(config=dataclasses.replace(TINY_DIFFUSION, seed=3))
    path = tmp_path / 'policy.safetensors'
    save_checkpoint(path, policy, TrainingRecord('test', 0, 'none'))
    loaded, card = load_policy(path)
    assert card.architecture == 'diffusion_drive'
    assert card.config['seed'] == 3
    features = random_features(policy)
    with torch.inference_mode():
        assert torch.equal(loaded.plan(features), policy.plan(features))


def test_it_ships_by_name():
    assert policy_class('diffusion_drive') is DiffusionDrive


def test_the_mini_network_plans_without_sensors():
    config = DiffusionDriveConfig.mini()
    assert isinstance(config, DiffusionDriveConfig)
    policy = tiny_diffusion_drive(config=config)
    features = random_features(policy)
    features['validity_feature'] = torch.tensor([[0.0, 1.0, 0.0, 0.0]])
    with torch.inference_mode():
        plan = policy.plan(features)
        features['lidar_feature'] = torch.zeros_like(features['lidar_feature'])
        blind = policy.plan(features)
    assert plan.shape == (1, 8, 3)
    assert torch.equal(plan, blind)


def test_without_lidar_it_is_a_camera_policy():
    policy = tiny_diffusion_drive(config=dataclasses.replace(TINY_DIFFUSION, lidar=False))
    features = random_features(policy)
    assert set(features) == {'camera_feature', 'status_feature'}
    with torch.inference_mode():
        assert policy.plan(features).shape == (1, 8, 3)
