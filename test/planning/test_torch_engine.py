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

from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.core.trajectory import TrajectoryError
from pair_drive_ros.models.checkpoint import CheckpointError, save_checkpoint, TrainingRecord
from pair_drive_ros.models.features import transfuser_features
from pair_drive_ros.models.policy import FeatureError, ImitationPolicy, TensorSpec
from pair_drive_ros.planning.torch_engine import TorchEngine, TorchEngineError
import pytest
from tiny_network import noise_frame, tiny_transfuser
import torch

RECORD = TrainingRecord('noise', 0, 'abc1234')


@dataclass(frozen=True)
class CoastingConfig:
    """Share of its speed that the car keeps."""

    keep: float = 1.0


class Coasting(ImitationPolicy):
    """A user's policy: a plain function of the ego status."""

    architecture = 'coasting'
    config_class = CoastingConfig
    feature_spec = {'status_feature': TensorSpec((8,))}

    def plan(self, features):
        """Go straight on with the share of the speed that is kept."""
        times = 0.5 * torch.arange(1, 9)
        x = self.config.keep * features['status_feature'][:, 4:5] * times
        return torch.stack([x, 0 * x, 0 * x], dim=-1)


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
    trajectory = engine.plan(noise_frame(), timer)
    with torch.inference_mode():
        expected = network.plan(transfuser_features(noise_frame(), network.feature_spec))[0]
    np.testing.assert_allclose(trajectory.poses, expected.numpy(), atol=1e-5)
    assert trajectory.stamp_ns == 7
    assert trajectory.step_s == 0.5
    assert list(timer.milliseconds) == ['features', 'network']
    engine.close()


def test_the_engine_says_what_it_runs(tmp_path, network):
    path = tmp_path / 'policy.safetensors'
    card = save_checkpoint(path, network, RECORD)
    engine = TorchEngine(path, 'cpu')
    assert engine.name == 'transfuser'
    assert engine.model_hash == card.model_hash
    assert engine.device == 'cpu'
    assert engine.degraded_reason is None


def test_a_users_policy_runs_on_the_sensors_it_asks_for(tmp_path):
    path = tmp_path / 'coasting.safetensors'
    save_checkpoint(path, Coasting(CoastingConfig(keep=0.5)), RECORD)
    engine = TorchEngine(path, policy_class=Coasting)
    engine.warm_up()
    trajectory = engine.plan(noise_frame(cameras=(), lidar=False), StageTimer())
    np.testing.assert_allclose(trajectory.poses[:, 0], 2.5 * trajectory.times_s)


def test_without_a_checkpoint_there_is_no_engine(tmp_path, checkpoint):
    with pytest.raises(TypeError):
        TorchEngine()
    with pytest.raises(CheckpointError, match='cannot be read'):
        TorchEngine(tmp_path / 'absent.safetensors')
    with pytest.raises(CheckpointError, match="'transfuser', not 'coasting'"):
        TorchEngine(checkpoint, policy_class=Coasting)


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
    on_cpu = TorchEngine(checkpoint).plan(noise_frame(), StageTimer())
    on_gpu = TorchEngine(checkpoint, 'cuda').plan(noise_frame(), StageTimer())
    np.testing.assert_allclose(on_gpu.poses, on_cpu.poses, atol=1e-2)
