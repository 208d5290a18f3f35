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

"""A trained imitation policy as an engine."""

from pathlib import Path

from pair_drive_ros.core.frames import PlannerInput
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.core.trajectory import Trajectory
from pair_drive_ros.models.checkpoint import load_checkpoint
from pair_drive_ros.models.features import transfuser_features
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.planning.engine import Engine
import torch


class TorchEngineError(ValueError):
    """The engine cannot run as configured on this machine."""


class TorchEngine(Engine):
    """
    Plans with the weights of a checkpoint; there is no way to run it without one.

    :param checkpoint: the ``.safetensors`` file, its card beside it
    :param device: a torch device: ``cpu``, ``cuda`` or ``cuda:N``
    :param num_threads: CPU threads of torch, for the whole process; None leaves torch's own choice
    :param policy_class: the class of the checkpoint's architecture
    :raises TorchEngineError: when the device does not exist here, or ``num_threads`` < 1
    :raises CheckpointError: when the checkpoint cannot be loaded, see ``models.checkpoint``
    """

    degraded_reason = None

    def __init__(self, checkpoint: Path, device: str = 'cpu', num_threads: int | None = None,
                 policy_class: type[ImitationPolicy] = Transfuser):
        self._device = _checked_device(device)
        self.device = str(self._device)
        if num_threads is not None:
            if num_threads < 1:
                raise TorchEngineError(f'num_threads: expected at least 1, got {num_threads}')
            torch.set_num_threads(num_threads)
        policy, card = load_checkpoint(checkpoint, policy_class)
        self._policy = policy.to(self._device)
        self.name = card.architecture
        self.model_hash = card.model_hash

    def warm_up(self) -> None:
        """Plan once from zeros of the right shapes, which are then forgotten."""
        self._run({name: torch.zeros(1, *spec.shape, dtype=spec.dtype)
                   for name, spec in self._policy.feature_spec.items()})

    def plan(self, frame: PlannerInput, timer: StageTimer) -> Trajectory:
        """
        Build the policy's features and run it; stages ``features`` and ``network``.

        :raises FeatureError: when the frame lacks a sensor that the policy needs
        :raises TrajectoryError: when the network's output is not finite
        """
        with timer.stage('features'):
            features = transfuser_features(frame, self._policy.feature_spec)
        with timer.stage('network'):
            poses = self._run(features)
        return Trajectory(frame.stamp_ns, poses[0].numpy())

    def close(self) -> None:
        """Let go of the weights."""
        del self._policy

    @torch.inference_mode()
    def _run(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the plan [1, 8, 3] on the CPU: the copy back waits for the device to finish."""
        on_device = {name: tensor.to(self._device) for name, tensor in features.items()}
        return self._policy.plan(on_device).cpu()


def _checked_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TorchEngineError(f"device: {name!r} is not a torch device; use 'cpu', 'cuda' or "
                               "'cuda:N'") from error
    if device.type not in ('cpu', 'cuda'):
        raise TorchEngineError(f"device: {name!r} is not supported; use 'cpu', 'cuda' or 'cuda:N'")
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise TorchEngineError(
            f'device: {name!r} is not there: torch {torch.__version__} sees '
            f"{torch.cuda.device_count()} CUDA devices; set the device to 'cpu', or install the "
            'driver and a CUDA build of torch')
    return device
