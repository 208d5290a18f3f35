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

"""An imitation policy as an engine: one that ships, or a class of the user's own."""

from pathlib import Path

from pair_drive_ros.core.frames import PlannerInput
from pair_drive_ros.core.timing import StageTimer
from pair_drive_ros.core.trajectory import PLAN_POSES, Trajectory
from pair_drive_ros.models.architectures import load_policy, policy_class
from pair_drive_ros.models.features import (
    missing_sensors,
    sensors_of,
    transfuser_features,
    VALIDITY_FEATURE,
)
from pair_drive_ros.models.policy import FeatureSpec, ImitationPolicy
from pair_drive_ros.planning.engine import Candidate, Engine
import torch


class TorchEngineError(ValueError):
    """The engine cannot run as configured on this machine."""


class TorchEngine(Engine):
    """
    Plans with the weights of a checkpoint; only a policy without any can run without one.

    :param checkpoint: the ``.safetensors`` file, its card beside it; None for a policy that has
        no weights, which is built with its default configuration
    :param device: a torch device: ``cpu``, ``cuda`` or ``cuda:N``
    :param num_threads: CPU threads of torch, for the whole process; None leaves torch's own choice
    :param policy: name or import path of the policy's class; empty: that of the checkpoint's card
    :raises TorchEngineError: when the device does not exist here, ``num_threads`` < 1, or the
        policy cannot be built without a checkpoint
    :raises ArchitectureError: when there is no such policy
    :raises CheckpointError: when the checkpoint cannot be loaded, see ``models.checkpoint``
    """

    def __init__(self, checkpoint: Path | None, device: str = 'cpu',
                 num_threads: int | None = None, policy: str = ''):
        self._device = _checked_device(device)
        self.device = str(self._device)
        if num_threads is not None:
            if num_threads < 1:
                raise TorchEngineError(f'num_threads: expected at least 1, got {num_threads}')
            torch.set_num_threads(num_threads)
        if checkpoint is None:
            network = _without_weights(policy)
            self.model_hash = self.trained_on = 'none'
        else:
            network, card = load_policy(checkpoint, policy)
            self.model_hash, self.trained_on = card.model_hash, card.training.data
        self._policy = network.to(self._device)
        self.name = network.architecture
        self.feature_spec: FeatureSpec = network.feature_spec
        self.sensors = sensors_of(network.feature_spec)
        self.needs_every_sensor = VALIDITY_FEATURE not in network.feature_spec

    def warm_up(self) -> None:
        """
        Plan once from zeros of the right shapes, which are then forgotten.

        :raises TorchEngineError: when the policy cannot plan on what its specification says
        """
        try:
            self._run(zero_features(self.feature_spec))
        except Exception as error:  # noqa: B902 - a policy of the user's may raise anything
            raise TorchEngineError(
                f'{self.name}: cannot plan on features as its feature_spec describes them '
                f'({type(error).__name__}: {error})') from error

    def plan(self, frame: PlannerInput, timer: StageTimer) -> dict[str, Candidate]:
        """
        Offer the policy's plan; stages ``il`` and, within it, ``features`` and ``network``.

        :raises FeatureError: when the frame lacks a sensor that the policy needs
        :raises TorchEngineError: when the network's output is no plan
        :raises TrajectoryError: when the network's output is not finite
        """
        return {self.name: Candidate(self.imitate(frame, self.features(frame, timer), timer))}

    def features(self, frame: PlannerInput, timer: StageTimer) -> dict[str, torch.Tensor]:
        """Build what the policy reads, the first half of :meth:`plan`."""
        with timer.stage('il'), timer.stage('features'):
            return transfuser_features(frame, self.feature_spec)

    def imitate(self, frame: PlannerInput, features: dict[str, torch.Tensor],
                timer: StageTimer) -> Trajectory:
        """Run the policy on the features of the frame, the second half of :meth:`plan`."""
        with timer.stage('il'), timer.stage('network'):
            return Trajectory(frame.stamp_ns, self._run(features)[0].numpy())

    def degraded_reason(self, frame: PlannerInput) -> str | None:
        """Name the sensors that the policy looks at and that the frame lacks."""
        missing = missing_sensors(frame, self.feature_spec)
        return f'plans without {", ".join(missing)}' if missing else None

    def close(self) -> None:
        """Let go of the weights."""
        del self._policy

    @torch.inference_mode()
    def _run(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the plan [1, 8, 3] on the CPU: the copy back waits for the device to finish."""
        on_device = {name: tensor.to(self._device) for name, tensor in features.items()}
        poses = self._policy.plan(on_device).cpu()
        if poses.shape != (1, PLAN_POSES, 3):
            raise TorchEngineError(f'{self.name}: expected a plan [1, {PLAN_POSES}, 3], got '
                                   f'{list(poses.shape)}')
        return poses


def zero_features(spec: FeatureSpec) -> dict[str, torch.Tensor]:
    """Make features of the right shapes, with a batch axis of 1, to warm a network up."""
    return {name: torch.zeros(1, *feature.shape, dtype=feature.dtype)
            for name, feature in spec.items()}


def _without_weights(policy: str) -> ImitationPolicy:
    """Build a policy that has nothing to load."""
    network_class = policy_class(policy)
    try:
        network = network_class()
    except Exception as error:  # noqa: B902 - a policy of the user's may raise anything
        raise TorchEngineError(f'policy: {policy} cannot be built with its default configuration '
                               f'({type(error).__name__}: {error})') from error
    if network.state_dict():
        raise TorchEngineError(f'policy: {policy} has weights, which only training gives; name '
                               'its checkpoint as well')
    return network.eval()


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
