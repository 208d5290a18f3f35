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

"""The engine that runs a checkpoint."""

from dataclasses import dataclass, replace

import numpy as np
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.core.trajectory import TrajectoryError
from pair_drive_ros.models.architectures import ArchitectureError
from pair_drive_ros.models.checkpoint import CheckpointError, save_checkpoint, TrainingRecord
from pair_drive_ros.models.features import transfuser_features
from pair_drive_ros.models.policy import FeatureError, ImitationPolicy, TensorSpec
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.planning.torch_engine import TorchEngine, TorchEngineError
import pytest
from tiny_network import noise_frame, TINY, tiny_transfuser
import torch

RECORD = TrainingRecord('noise', 0, 'abc1234')
COASTING = f'{__name__}:Coasting'


@dataclass(frozen=True)
class CoastingConfig:
    """Share of its speed that the car keeps."""

    keep: float = 1.0


class Coasting(ImitationPolicy):
    """A user's policy: a plain function of the ego status."""

    config_class = CoastingConfig
    feature_spec = {'status_feature': TensorSpec((8,))}

    def plan(self, features):
        """Go straight on with the share of the speed that is kept."""
        times = 0.5 * torch.arange(1, 9)
        x = self.config.keep * features['status_feature'][:, 4:5] * times
        return torch.stack([x, 0 * x, 0 * x], dim=-1)


class FourPoses(Coasting):
    """A user's policy that plans too short."""

    def plan(self, features):
        """Leave out the second half."""
        return super().plan(features)[:, :4]


class Unfinished(Coasting):
    """A user's policy whose specification and plan do not fit."""

    feature_spec = {'status_feature': TensorSpec((4,))}


class Demanding(Coasting):
    """A user's policy that has no default configuration."""

    def __init__(self, config):
        super().__init__(config)
        self.keep = config.keep


def only(candidates):
    """Return the trajectory of the only candidate."""
    (name, candidate), = candidates.items()
    assert candidate.score is None
    return candidate.trajectory


@pytest.fixture
def network():
    return tiny_transfuser()


@pytest.fixture
def checkpoint(tmp_path, network):
    path = tmp_path / 'policy.safetensors'
    save_checkpoint(path, network, RECORD)
    return path


def test_the_plan_is_the_networks_and_carries_the_frames_stamp(checkpoint, network):
    engine = TorchEngine(checkpoint)
    engine.warm_up()
    timer = StageTimer()
    candidates = engine.plan(noise_frame(), timer)
    trajectory = only(candidates)
    assert list(candidates) == ['transfuser']
    with torch.inference_mode():
        expected = network.plan(transfuser_features(noise_frame(), network.feature_spec))[0]
    np.testing.assert_allclose(trajectory.poses, expected.numpy(), atol=1e-5)
    assert trajectory.stamp_ns == 7
    assert trajectory.step_s == 0.5
    assert list(timer.milliseconds) == ['features', 'il', 'network']
    engine.close()


def test_the_engine_says_what_it_runs(tmp_path, network):
    path = tmp_path / 'policy.safetensors'
    card = save_checkpoint(path, network, RECORD)
    engine = TorchEngine(path, 'cpu')
    assert engine.name == 'transfuser'
    assert engine.model_hash == card.model_hash
    assert engine.device == 'cpu'
    assert engine.trained_on == 'noise'
    assert engine.sensors == ('left', 'front', 'right', 'lidar')
    assert engine.needs_every_sensor
    assert engine.degraded_reason(noise_frame()) is None


def test_a_users_policy_runs_on_the_sensors_it_asks_for(tmp_path):
    path = tmp_path / 'coasting.safetensors'
    save_checkpoint(path, Coasting(CoastingConfig(keep=0.5)), RECORD)
    engine = TorchEngine(path, policy=COASTING)
    engine.warm_up()
    blind = noise_frame(cameras=(), lidar=False)
    trajectory = only(engine.plan(blind, StageTimer()))
    np.testing.assert_allclose(trajectory.poses[:, 0], 2.5 * trajectory.times_s)
    assert engine.sensors == ()
    assert engine.degraded_reason(blind) is None


def test_a_policy_without_weights_needs_no_checkpoint():
    engine = TorchEngine(None, policy=COASTING)
    engine.warm_up()
    trajectory = only(engine.plan(noise_frame(), StageTimer()))
    np.testing.assert_allclose(trajectory.poses[:, 0], 5.0 * trajectory.times_s)
    assert (engine.name, engine.model_hash, engine.trained_on) == (COASTING, 'none', 'none')


def test_a_network_that_knows_its_sensors_plans_without_some_and_says_so(tmp_path):
    path = tmp_path / 'policy.safetensors'
    save_checkpoint(path, Transfuser(replace(TINY, sensor_validity=True)), RECORD)
    engine = TorchEngine(path)
    assert not engine.needs_every_sensor
    front_only = noise_frame(cameras=('front',), lidar=False)
    assert only(engine.plan(front_only, StageTimer())).poses.shape == (8, 3)
    assert engine.degraded_reason(front_only) == 'plans without left, right, lidar'
    assert engine.degraded_reason(noise_frame()) is None


def test_a_camera_only_network_does_not_miss_the_lidar(tmp_path):
    path = tmp_path / 'policy.safetensors'
    save_checkpoint(path, Transfuser(replace(TINY, lidar=False)), RECORD)
    engine = TorchEngine(path)
    assert engine.sensors == ('left', 'front', 'right')
    assert engine.degraded_reason(noise_frame(lidar=False)) is None


@pytest.mark.parametrize(('policy', 'error', 'text'), [
    ('transfuser', TorchEngineError, 'transfuser has weights'),
    (f'{__name__}:Demanding', TorchEngineError, 'Demanding cannot be built'),
    ('', ArchitectureError, 'there is no policy'),
    ('tree_sampler', ArchitectureError, "there is no policy 'tree_sampler'"),
    (f'{__name__}:Nowhere', ArchitectureError, 'has no Nowhere')])
def test_a_policy_that_cannot_do_without_a_checkpoint_is_named(policy, error, text):
    with pytest.raises(error, match=text):
        TorchEngine(None, policy=policy)


@pytest.mark.parametrize(('policy', 'text'), [
    ('FourPoses', r'expected a plan \[1, 8, 3\], got \[1, 4, 3\]'),
    ('Unfinished', 'cannot plan on features as its feature_spec describes them')])
def test_a_users_policy_that_plans_nonsense_is_found_before_it_drives(policy, text):
    with pytest.raises(TorchEngineError, match=text):
        TorchEngine(None, policy=f'{__name__}:{policy}').warm_up()


def test_a_checkpoint_that_is_not_there_or_anothers_is_refused(tmp_path, checkpoint):
    with pytest.raises(CheckpointError, match='cannot be read'):
        TorchEngine(tmp_path / 'absent.safetensors', policy='transfuser')
    with pytest.raises(CheckpointError, match=f"'transfuser', not '{COASTING}'"):
        TorchEngine(checkpoint, policy=COASTING)


def test_a_missing_sensor_is_an_error_not_a_guess(checkpoint):
    engine = TorchEngine(checkpoint)
    with pytest.raises(FeatureError, match='LiDAR'):
        engine.plan(noise_frame(lidar=False), StageTimer())
    with pytest.raises(FeatureError, match='left, right'):
        engine.plan(noise_frame(cameras=('front',)), StageTimer())


def test_weights_that_are_not_finite_give_no_plan(tmp_path, network):
    torch.nn.init.constant_(network.trajectory_head.mlp[-1].bias, float('nan'))
    save_checkpoint(tmp_path / 'nan.safetensors', network, RECORD)
    with pytest.raises(TrajectoryError, match='not finite'):
        TorchEngine(tmp_path / 'nan.safetensors').plan(noise_frame(), StageTimer())


@pytest.mark.parametrize('device', ['cuda', 'cuda:0'])
def test_a_gpu_that_is_not_there_is_an_error_with_a_remedy(checkpoint, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    with pytest.raises(TorchEngineError, match="set the device to 'cpu'"):
        TorchEngine(checkpoint, device)


@pytest.mark.parametrize('device', ['toaster', 'meta', ''])
def test_other_devices_are_refused(checkpoint, device):
    with pytest.raises(TorchEngineError, match='device'):
        TorchEngine(checkpoint, device)


def test_the_number_of_threads_is_set(checkpoint):
    before = torch.get_num_threads()
    try:
        TorchEngine(checkpoint, num_threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    with pytest.raises(TorchEngineError, match='num_threads'):
        TorchEngine(checkpoint, num_threads=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device here')
def test_the_gpu_plans_as_the_cpu_does(checkpoint):
    on_cpu = only(TorchEngine(checkpoint).plan(noise_frame(), StageTimer()))
    on_gpu = only(TorchEngine(checkpoint, 'cuda').plan(noise_frame(), StageTimer()))
    np.testing.assert_allclose(on_gpu.poses, on_cpu.poses, atol=1e-2)
