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
Times the imitation policies at batch 1 on the CPU, at full size and as mini.

The weights are random: this measures time, and the numbers the networks put out are thrown away.
"""

from collections.abc import Callable, Sequence
import time
from typing import Any

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
from pair_drive_ros.models.diffusion_drive import DiffusionDrive, DiffusionDriveConfig
from pair_drive_ros.models.features import STITCHED_CAMERAS, transfuser_features
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_ros.models.transfuser import Transfuser
from pair_drive_ros.models.transfuser_config import TransfuserConfig
import torch

OFFICIAL_MS = {'transfuser full': 359.0, 'diffusion_drive full': 436.0}
"""The public implementations' forward passes, features already built: 2 cores of an AMD EPYC,
torch 2.0.1, float32, batch 1, median of 10."""

_IMAGE_SHAPE = (1080, 1920, 3)
_LIDAR_POINTS = 100_000


def _diffusion_drive(config: DiffusionDriveConfig) -> DiffusionDrive:
    policy = DiffusionDrive(config)
    policy.set_anchors(torch.linspace(0.5, 20.0, 20)[:, None, None].expand(-1, 8, 2))
    return policy


NETWORKS: dict[str, Callable[[], ImitationPolicy]] = {
    'transfuser full': Transfuser,
    'diffusion_drive full': lambda: _diffusion_drive(DiffusionDriveConfig()),
    'transfuser mini': lambda: Transfuser(TransfuserConfig.mini()),
    'ltf mini': lambda: Transfuser(TransfuserConfig.mini(lidar=False)),
    'diffusion_drive mini': lambda: _diffusion_drive(DiffusionDriveConfig.mini())}


def run(threads: int, iterations: int, names: Sequence[str] = tuple(NETWORKS)) -> dict[str, Any]:
    """
    Time feature building, the forward pass with all heads, and the plan alone.

    The inputs are three 1920x1080 images of noise and 100,000 points.

    :param threads: CPU threads of torch while the benchmark runs
    :param iterations: timed repetitions of each stage, after one that is not timed
    :param names: of ``NETWORKS``
    :return: ``networks``: by name and stage (``features``, ``forward``, ``plan``) median and 95th
        percentile in ms; ``vs_official``: forward over that of the public implementation (below 1
        is faster); ``threads``, ``iterations`` and ``torch``
    :raises ValueError: when ``threads`` or ``iterations`` is below 1
    """
    if threads < 1 or iterations < 1:
        raise ValueError(f'threads and iterations must be at least 1, got {threads} and '
                         f'{iterations}')
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        networks = {name: _time_stages(NETWORKS[name]().eval(), iterations) for name in names}
    finally:
        torch.set_num_threads(threads_before)
    return {'networks': networks,
            'vs_official': {name: networks[name]['forward'][0] / milliseconds
                            for name, milliseconds in OFFICIAL_MS.items() if name in networks},
            'threads': threads, 'iterations': iterations, 'torch': torch.__version__}


def report(result: dict[str, Any]) -> str:
    """Return the lines that a person reads."""
    lines = [f'float32, batch 1, CPU with {result["threads"]} threads, torch {result["torch"]}, '
             f'random weights, {result["iterations"]} iterations; p50 / p95 in ms']
    for name, stages in result['networks'].items():
        line = '   '.join(f'{stage} {p50:.1f} / {p95:.1f}' for stage, (p50, p95) in stages.items())
        lines.append(f'  {name:<21} {line}')
    lines += [f'  {name}: forward / public implementation ({OFFICIAL_MS[name]:.0f} ms on 2 cores '
              f'of an AMD EPYC, torch 2.0.1): {ratio:.2f}'
              for name, ratio in result['vs_official'].items()]
    return '\n'.join(lines)


@torch.inference_mode()
def _time_stages(network: ImitationPolicy, iterations: int) -> dict[str, tuple[float, float]]:
    frame = _noise_frame(np.random.default_rng(0))
    features = transfuser_features(frame, network.feature_spec)
    return {'features': _time(lambda: transfuser_features(frame, network.feature_spec),
                              iterations),
            'forward': _time(lambda: network(features), iterations),
            'plan': _time(lambda: network.plan(features), iterations)}


def _time(work: Callable[[], object], iterations: int) -> tuple[float, float]:
    """Return the median and the 95th percentile in milliseconds."""
    work()
    milliseconds = []
    for _ in range(iterations):
        start_ns = time.perf_counter_ns()
        work()
        milliseconds.append((time.perf_counter_ns() - start_ns) * 1e-6)
    p50, p95 = np.percentile(milliseconds, [50.0, 95.0])
    return float(p50), float(p95)


def _noise_frame(random: np.random.Generator) -> PlannerInput:
    height, width, _ = _IMAGE_SHAPE
    matrix = np.array([[0.8 * width, 0.0, 0.5 * width], [0.0, 0.8 * width, 0.5 * height],
                       [0.0, 0.0, 1.0]])
    # All look straight ahead from 1.5 m above the ground.
    ahead = rigid_transform(np.array([1.5, 0.0, 1.5]),
                            np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))
    calibration = CameraCalibration(width, height, matrix, np.zeros(5), 'plumb_bob', ahead)
    cameras = {name: CameraImage(name, 0, random.integers(0, 256, _IMAGE_SHAPE, np.uint8),
                                 calibration) for name in STITCHED_CAMERAS}
    points = random.uniform(-40.0, 40.0, (_LIDAR_POINTS, 4)).astype(np.float32)
    points[:, 2] = random.uniform(-1.0, 4.0, _LIDAR_POINTS)
    ego = EgoState(0, np.zeros(3), np.array([8.0, 0.0]))
    return PlannerInput(0, ego, DrivingCommand.STRAIGHT, cameras, LidarSweep(0, points))
