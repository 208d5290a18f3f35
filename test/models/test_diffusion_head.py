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

"""DiffusionDrive's head: size, names, the public code's numbers, what it listens to."""

import math

import numpy as np
from pair_drive_ros.models.diffusion import normalise
from pair_drive_ros.models.diffusion_head import (
    DiffusionHead,
    DiffusionHeadError,
    GridSampleAttention,
)
from pair_drive_ros.models.features import lidar_histogram
import pytest
from tiny_diffusion import conditions, fan_anchors, human, tiny_head, WIDTH
import torch

# Names without 'diff_decoder.layers.N.', and shapes, as in the public state dict.
LAYER = {
    'cross_bev_attention.attention_weights.weight': (8, 256),
    'cross_bev_attention.attention_weights.bias': (8,),
    'cross_bev_attention.output_proj.weight': (256, 256),
    'cross_bev_attention.output_proj.bias': (256,),
    'cross_bev_attention.value_proj.0.weight': (256, 256, 3, 3),
    'cross_bev_attention.value_proj.0.bias': (256,),
    'cross_agent_attention.in_proj_weight': (768, 256),
    'cross_agent_attention.in_proj_bias': (768,),
    'cross_agent_attention.out_proj.weight': (256, 256),
    'cross_agent_attention.out_proj.bias': (256,),
    'cross_ego_attention.in_proj_weight': (768, 256),
    'cross_ego_attention.in_proj_bias': (768,),
    'cross_ego_attention.out_proj.weight': (256, 256),
    'cross_ego_attention.out_proj.bias': (256,),
    'ffn.0.weight': (1024, 256), 'ffn.0.bias': (1024,),
    'ffn.2.weight': (256, 1024), 'ffn.2.bias': (256,),
    'norm1.weight': (256,), 'norm1.bias': (256,),
    'norm2.weight': (256,), 'norm2.bias': (256,),
    'norm3.weight': (256,), 'norm3.bias': (256,),
    'time_modulation.scale_shift_mlp.1.weight': (512, 256),
    'time_modulation.scale_shift_mlp.1.bias': (512,),
    'task_decoder.plan_cls_branch.0.weight': (256, 256),
    'task_decoder.plan_cls_branch.0.bias': (256,),
    'task_decoder.plan_cls_branch.2.weight': (256,),
    'task_decoder.plan_cls_branch.2.bias': (256,),
    'task_decoder.plan_cls_branch.3.weight': (256, 256),
    'task_decoder.plan_cls_branch.3.bias': (256,),
    'task_decoder.plan_cls_branch.5.weight': (256,),
    'task_decoder.plan_cls_branch.5.bias': (256,),
    'task_decoder.plan_cls_branch.6.weight': (1, 256),
    'task_decoder.plan_cls_branch.6.bias': (1,),
    'task_decoder.plan_reg_branch.0.weight': (256, 256),
    'task_decoder.plan_reg_branch.0.bias': (256,),
    'task_decoder.plan_reg_branch.2.weight': (256, 256),
    'task_decoder.plan_reg_branch.2.bias': (256,),
    'task_decoder.plan_reg_branch.4.weight': (24, 256),
    'task_decoder.plan_reg_branch.4.bias': (24,),
}
REST = {
    'plan_anchor': (20, 8, 2),
    'plan_anchor_encoder.0.weight': (256, 512), 'plan_anchor_encoder.0.bias': (256,),
    'plan_anchor_encoder.2.weight': (256,), 'plan_anchor_encoder.2.bias': (256,),
    'plan_anchor_encoder.3.weight': (256, 256), 'plan_anchor_encoder.3.bias': (256,),
    'time_mlp.1.weight': (1024, 256), 'time_mlp.1.bias': (1024,),
    'time_mlp.3.weight': (256, 1024), 'time_mlp.3.bias': (256,),
}


def test_size_names_and_shapes_are_the_public_ones():
    head = DiffusionHead()
    assert sum(p.numel() for p in head.parameters()) == 4_950_658
    assert sum(p.numel() for p in head.diff_decoder.parameters()) == 4_227_138
    layers = {f'diff_decoder.layers.{layer}.{name}': shape
              for layer in range(2) for name, shape in LAYER.items()}
    assert {name: tuple(tensor.shape) for name, tensor in head.state_dict().items()} == {
        **REST, **layers}


@pytest.fixture(scope='module')
def filled():
    """Fill a full-size head and its inputs with numbers that anyone can draw again."""
    random = np.random.RandomState(0)

    def draw(*shape):
        return torch.from_numpy(random.standard_normal(shape)).float()

    head = DiffusionHead().eval()
    with torch.no_grad():
        for name, parameter in sorted(head.named_parameters()):
            if name == 'plan_anchor':
                continue
            parameter.copy_(0.08 * draw(*parameter.shape))
            if parameter.dim() == 1 and name.endswith('weight'):
                parameter.add_(1.0)
    head.set_anchors(fan_anchors())
    inputs = draw(2, 1, 256), draw(2, 30, 256), draw(2, 256, 16, 16)
    head.start_noise.copy_(draw(1, 20, 8, 2))
    with torch.inference_mode():
        return head.sample(*inputs)


# Computed with the public TrajectoryHead (hustvl/DiffusionDrive, revision a3ce7af) on the weights,
# inputs, anchors and start noise of the fixture.
def test_plans_are_those_of_the_public_head(filled):
    expected = torch.tensor([
        [[5.701228, 0.002102, -2.353957], [9.180147, 1.411623, 2.963199],
         [11.293955, 2.807743, 1.685380], [16.762604, 1.669667, 2.743082],
         [24.064405, -0.153172, 3.138646], [26.576500, 5.773139, -2.765918],
         [27.698185, 8.046811, -2.621948], [30.600830, 9.542188, -2.986971]],
        [[6.435543, 1.966214, -2.766750], [8.480227, 1.532625, 3.122515],
         [14.569057, 1.628360, 2.985360], [32.048328, 0.808460, -0.233376],
         [30.484442, 1.491250, 3.013278], [36.508183, 6.785283, -2.451816],
         [36.873325, 10.435667, 0.922088], [41.940598, 9.378778, -1.207632]]])
    torch.testing.assert_close(filled.best(), expected, atol=2e-3, rtol=0.0)


def test_logits_are_those_of_the_public_head(filled):
    expected = torch.tensor([
        [-1.385336, -1.272490, -1.200822, -1.073343, -1.495724, -1.648372, -2.637326, -1.185264,
         -1.991355, -2.171542, -1.904264, -2.241436, -1.177397, -2.271752, -0.795672, -1.195585,
         -1.072360, -1.375732, -1.292214, -1.699406],
        [-2.810955, -2.692827, -2.060888, -2.388144, -2.517067, -2.736295, -2.409751, -2.665932,
         -1.937014, -2.893695, -1.768775, -2.139811, -1.827104, -2.338956, -2.397497, -1.242417,
         -1.460615, -2.402795, -1.165572, -1.849787]])
    torch.testing.assert_close(filled.logits, expected, atol=1e-3, rtol=0.0)


def test_the_same_input_gives_the_same_plan_whatever_the_global_noise():
    head, inputs = tiny_head(), conditions(2)
    state = torch.get_rng_state()
    first = head.sample(*inputs)
    assert torch.equal(torch.get_rng_state(), state)
    torch.randn(7)
    again = tiny_head().sample(*inputs)
    assert torch.equal(first.poses, again.poses)
    assert torch.equal(first.logits, again.logits)


def test_the_seed_changes_the_plans():
    inputs = conditions()
    assert not torch.allclose(tiny_head(0).sample(*inputs).poses,
                              tiny_head(1).sample(*inputs).poses, atol=1e-3)


def test_a_scene_has_the_same_plans_in_any_batch():
    head, inputs = tiny_head(), conditions(3)
    together = head.sample(*inputs)
    for scene in range(3):
        alone = head.sample(*(tensor[scene:scene + 1] for tensor in inputs))
        torch.testing.assert_close(alone.poses[0], together.poses[scene], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(alone.logits[0], together.logits[scene])


def test_identical_scenes_of_a_batch_have_identical_plans():
    inputs = tuple(tensor.expand(4, *tensor.shape[1:]) for tensor in conditions())
    poses = tiny_head().sample(*inputs).poses
    torch.testing.assert_close(poses, poses[:1].expand_as(poses), atol=1e-5, rtol=1e-5)


def test_the_best_plan_is_the_mode_of_the_highest_logit():
    modes = tiny_head().sample(*conditions(5))
    for scene in range(5):
        best = modes.logits[scene].argmax()
        assert torch.equal(modes.best()[scene], modes.poses[scene, best])


def test_every_condition_reaches_poses_and_logits():
    head = tiny_head()
    inputs = [tensor.requires_grad_() for tensor in conditions()]
    modes = head.sample(*inputs)
    for output in (modes.poses[..., :2], modes.poses[..., 2], modes.logits):
        gradients = torch.autograd.grad(output.square().sum(), inputs, retain_graph=True)
        assert all(gradient.abs().sum() > 0.0 for gradient in gradients)


def test_modes_do_not_see_each_other():
    head, inputs = tiny_head(), conditions()
    before = head.sample(*inputs)
    moved = fan_anchors()
    moved[4] *= 1.5
    head.set_anchors(moved)
    after = head.sample(*inputs)
    others = [mode for mode in range(20) if mode != 4]
    torch.testing.assert_close(after.poses[:, others], before.poses[:, others])
    assert not torch.allclose(after.poses[:, 4], before.poses[:, 4], atol=0.1)


def test_points_never_leave_the_range():
    head = tiny_head()
    head.set_anchors((1.25 * fan_anchors()).clamp(-19.9, 55.6))
    seen = []
    head.point_embedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    head.sample(*conditions())
    assert len(seen) == 2
    for points in seen:
        assert normalise(points).abs().max().item() == pytest.approx(1.0, abs=1e-5)


def test_the_step_matters():
    head, inputs, points = tiny_head(), conditions(2), fan_anchors().expand(2, -1, -1, -1)
    early, late = (head(*inputs, points, torch.tensor([step]))[-1].logits for step in (0, 40))
    mixed = head(*inputs, points, torch.tensor([0, 40]))[-1].logits
    assert not torch.allclose(early, late, atol=1e-4)
    torch.testing.assert_close(mixed, torch.stack([early[0], late[1]]))


def still(head):
    """Let no layer add anything to where its offsets begin."""
    for layer in head.diff_decoder.layers:
        torch.nn.init.zeros_(layer.task_decoder.plan_reg_branch[-1].weight)
        torch.nn.init.zeros_(layer.task_decoder.plan_reg_branch[-1].bias)
    return head


def test_offsets_begin_at_the_noisy_points_or_at_the_anchors():
    noisy = fan_anchors()[None] + torch.randn(2, 20, 8, 2, generator=torch.manual_seed(0))
    for head, origins in ((still(tiny_head()), noisy),
                          (still(tiny_head(offsets_from_anchors=True)), fan_anchors()[None])):
        for modes in head(*conditions(2), noisy, torch.tensor([3])):
            torch.testing.assert_close(modes.poses[..., :2], origins.expand(2, -1, -1, -1))


def test_the_noisy_points_are_looked_at_wherever_the_offsets_begin():
    head, points = tiny_head(offsets_from_anchors=True), fan_anchors()[None]
    here, there = (head(*conditions(), points + moved, torch.tensor([3]))[0].poses
                   for moved in (0.0, 2.0))
    assert not torch.allclose(here, there, atol=1e-3)


def test_layers_move_the_points_of_the_layer_before_without_passing_gradients():
    head, inputs = tiny_head(), conditions()
    points = fan_anchors()[None]
    first, second = (layer.task_decoder for layer in head.diff_decoder.layers)
    torch.nn.init.zeros_(second.plan_reg_branch[-1].weight)
    torch.nn.init.zeros_(second.plan_reg_branch[-1].bias)
    with torch.no_grad():
        first.plan_reg_branch[-1].bias.zero_()
        first.plan_reg_branch[-1].weight.zero_()
        first.plan_reg_branch[-1].bias[0] = 3.0
    layers = head(*inputs, points, torch.tensor([0]))
    moved = points.clone()
    moved[..., 0, 0] += 3.0
    for modes in layers:
        torch.testing.assert_close(modes.poses[..., :2], moved)
        assert not modes.poses[..., 2].any()
    [gradient] = torch.autograd.grad(layers[1].poses.sum(), [first.plan_reg_branch[-1].bias],
                                     allow_unused=True)
    assert gradient is None


def test_headings_stay_within_a_turn():
    head = tiny_head()
    with torch.no_grad():
        for layer in head.diff_decoder.layers:
            layer.task_decoder.plan_reg_branch[-1].weight.mul_(1e4)
    headings = head.sample(*conditions()).poses[..., 2]
    assert 3.0 < headings.abs().max() <= math.pi


def test_fresh_logits_stand_for_a_hundredth():
    for layer in DiffusionHead(WIDTH, 16, WIDTH).diff_decoder.layers:
        bias = layer.task_decoder.plan_cls_branch[-1].bias
        assert bias.sigmoid().item() == pytest.approx(0.01)


def seen_at(points: list[tuple[float, float]], values: torch.Tensor) -> list[float]:
    """Return what the attention sees of a one-channel map where all eight points are equal."""
    attention = GridSampleAttention(1, 1).eval()
    torch.nn.init.ones_(attention.output_proj.weight)
    places = torch.tensor(points)[None, :, None].expand(-1, -1, 8, -1)
    with torch.inference_mode():
        return attention(torch.zeros(1, len(points), 1), places, values).flatten().tolist()


def test_the_map_is_read_where_the_points_lie():
    values = torch.zeros(1, 1, 64, 64)
    values[0, 0, 42, 27] = 1.0  # One metre a cell: x 10..11 m, y -5..-4 m, ahead on the right.
    assert seen_at([(10.5, -4.5), (-4.5, 10.5), (10.5, 4.5), (-10.5, -4.5), (11.5, -4.5)],
                   values) == pytest.approx([1.0, 0.0, 0.0, 0.0, 0.0])
    assert seen_at([(11.0, -4.5), (10.5, -4.0)], values) == pytest.approx([0.5, 0.5])


def test_the_map_lies_as_the_lidar_histogram_does():
    points = np.tile(np.array([[10.2, -5.3, 1.0, 0.0]], np.float32), (5, 1))
    values = torch.from_numpy(lidar_histogram(points, bins=128))[None]
    assert seen_at([(10.25, -5.25), (-5.25, 10.25), (10.25, 5.25)], values) == pytest.approx(
        [1.0, 0.0, 0.0])


def test_there_is_nothing_beyond_the_map():
    values = torch.ones(1, 1, 64, 64)
    assert seen_at([(31.0, 0.0), (32.0, 0.0), (40.0, 0.0), (0.0, -33.0)],
                   values) == pytest.approx([1.0, 0.5, 0.0, 0.0])


def test_the_eight_places_are_weighted_by_the_mode():
    attention = GridSampleAttention(1, 1).eval()
    torch.nn.init.ones_(attention.output_proj.weight)
    values = torch.arange(64.0)[None, None, :, None].expand(1, 1, 64, 64)
    places = torch.stack([torch.arange(8) + 0.5, torch.zeros(8)], dim=-1)[None, None]
    mode = torch.zeros(1, 1, 1)
    assert attention(mode, places, values).item() == pytest.approx(32.0 + 3.5)
    with torch.no_grad():
        attention.attention_weights.bias[6] = 100.0
    assert attention(mode, places, values).item() == pytest.approx(32.0 + 6.0)


def test_a_head_without_anchors_says_so():
    head = DiffusionHead(WIDTH, 16, WIDTH)
    with pytest.raises(DiffusionHeadError, match='make-anchors'):
        head.sample(*conditions())
    with pytest.raises(DiffusionHeadError, match='make-anchors'):
        head.losses(*conditions(), human())


def test_anchors_live_in_the_state_dict_and_are_not_trained():
    head = tiny_head()
    loaded = DiffusionHead(WIDTH, 16, WIDTH).eval()
    loaded.load_state_dict(head.state_dict())
    inputs = conditions()
    assert torch.equal(loaded.sample(*inputs).poses, head.sample(*inputs).poses)
    assert not head.plan_anchor.requires_grad


@pytest.mark.parametrize(('anchors', 'message'), [
    (torch.ones(19, 8, 2), r'expected the shape \[20, 8, 2\].*got \[19, 8, 2\]'),
    (torch.ones(20, 8, 3), 'expected the shape'),
    (torch.zeros(20, 8, 2), 'zero'),
    (torch.full((20, 8, 2), torch.nan), 'finite'),
    (1.4 * fan_anchors(), r'mode 15 has the point \(61.6 m, -20.3 m\) at pose 7')])
def test_unusable_anchors_are_refused(anchors, message):
    head = tiny_head()
    with pytest.raises(DiffusionHeadError, match=message):
        head.set_anchors(anchors)
    assert torch.equal(head.plan_anchor, fan_anchors())


@pytest.mark.parametrize('width', [0, 8, 24])
def test_widths_that_do_not_fit_are_refused(width):
    with pytest.raises(DiffusionHeadError, match='multiple of 16'):
        DiffusionHead(width, 16, 16)


@pytest.mark.shared_data
def test_the_public_anchors_are_usable(shared_data):
    anchors = np.load(shared_data / '03_trajectory_anchors' / 'kmeans_navsim_traj_20.npy')
    head = tiny_head()
    head.set_anchors(torch.from_numpy(anchors))
    np.testing.assert_allclose(head.plan_anchor.numpy(), anchors, rtol=1e-6)
