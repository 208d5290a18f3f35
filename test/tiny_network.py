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

"""The smallest network of the full one's build, and an input for it."""

import numpy as np
from pair_drive_ros.core.frames import (
    CameraCalibration,
    CameraImage,
    DrivingCommand,
    EgoState,
    LidarSweep,
    PlannerInput,
)
from pair_drive_ros.core.geometry import rigid_transform
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig
import torch

TINY = TransfuserConfig(image_height=32, image_width=64, lidar_bins=64, base_width=4,
                        stage_blocks=(1, 1, 1, 1), fusion_blocks=1, bev_width=8,
                        decoder_width=16, decoder_layers=1, decoder_ffn=16)


OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation to the vehicle's frame of a camera that looks straight ahead."""

AHEAD = CameraCalibration(192, 108, np.array([[150.0, 0.0, 96.0], [0.0, 150.0, 54.0],
                                              [0.0, 0.0, 1.0]]), np.zeros(5), 'plumb_bob',
                          rigid_transform(np.array([1.5, 0.0, 1.5]), OPTICAL))


def tiny_transfuser(seed: int = 0) -> Transfuser:
    """Build the tiny network with seeded weights, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Transfuser(TINY).eval()


def straight_transfuser(config: TransfuserConfig) -> Transfuser:
    """Build a network that goes straight on at 5 m/s whatever it sees."""
    network = Transfuser(config).eval()
    last = network.trajectory_head.mlp[-1]
    torch.nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([[2.5 * step, 0.0, 0.0] for step in range(1, 9)]).ravel())
    return network


def random_features(network: Transfuser, batch: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    """Draw features in 0..1 of the network's specification."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(batch, *spec.shape, generator=generator)
            for name, spec in network.feature_spec.items()}


def noise_frame(stamp_ns: int = 7, cameras: tuple[str, ...] = ('left', 'front', 'right'),
                lidar: bool = True) -> PlannerInput:
    """Build an input of noise from a rig with the named cameras, all of which look ahead."""
    random = np.random.default_rng(0)
    images = {name: CameraImage(name, stamp_ns, random.integers(0, 256, (108, 192, 3), np.uint8),
                                AHEAD) for name in cameras}
    points = random.uniform(-40.0, 40.0, (500, 4)).astype(np.float32)
    ego = EgoState(stamp_ns, np.zeros(3), np.array([5.0, 0.1]), np.array([0.5, -0.2]))
    return PlannerInput(stamp_ns, ego, DrivingCommand.LEFT, images,
                        LidarSweep(stamp_ns, points) if lidar else None)
