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

"""Run by test_gpu.py with NUMBA_ENABLE_CUDASIM=1: the CUDA kernels on a micro-scene."""

import sys

import numpy as np

OBJECTS = [(0, 22.0, 0.0, 0.0, 2.0, 4.5, 1.9), (3, 12.0, 1.8, 0.0, 0.0, 0.4, 0.4)]
PREVIOUS = np.array([[[[4.0 * k, 0.1 * s, 0.0] for k in range(1, 9)] for s in (0, 1)]] * 2)


def plans() -> np.ndarray:
    """Two plans for each of two scenes: straight on, and a swerve."""
    straight = [[4.0 * k, 0.0, 0.0] for k in range(1, 9)]
    swerve = [[3.5 * k, 0.4 * k, 0.1] for k in range(1, 9)]
    return np.array([[straight, swerve]] * 2)


def main(protocol_name: str, out: str) -> None:
    """Fill a work memory by the kernels and save what the test compares."""
    from numba import cuda
    from pair_drive_ros.scoring import Protocol, ScoringScenes
    from pair_drive_ros.scoring.arrays import Work
    from pair_drive_ros.scoring.example import example_scene
    from pair_drive_ros.scoring.gpu import GpuScenes, launch, work_shapes
    from pair_drive_ros.scoring.kernels import COMFORT, DAC, DDC, EC, EP, LK, NC, TLC, TTC
    protocol = Protocol(protocol_name)
    scenes = ScoringScenes.prepare([example_scene(protocol, OBJECTS, red=True)] * 2, protocol)
    given = plans()
    pairs = given.shape[0] * given.shape[1]

    def work(history: int) -> Work:
        shapes = work_shapes(pairs, history)
        return Work(**{name: cuda.to_device(np.zeros(shape, kind.replace('float64', 'float')))
                       for name, (shape, kind) in shapes.items()})

    now, previous = work(scenes.longest_history), work(0)
    launch(GpuScenes.upload(scenes), cuda.to_device(given.reshape(-1, 8, 3)), given.shape[1], now,
           0, cuda.to_device(PREVIOUS.reshape(-1, 8, 3)), previous)
    values = now.values.copy_to_host()
    names = {'nc': NC, 'dac': DAC, 'ddc': DDC, 'ep': EP, 'ttc': TTC, 'comfort': COMFORT,
             'tlc': TLC, 'lk': LK, 'ec': EC}
    np.savez(out, states=now.states.copy_to_host(), areas=now.areas.copy_to_host(),
             **{name: values[:, column] for name, column in names.items()})


if __name__ == '__main__':
    main(*sys.argv[1:])
