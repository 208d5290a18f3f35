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
Time a world's sensors on one core: three images and the sweep of a frame, encoded.

``taskset -c 1 python benchmarks/world_frames.py [--preset full]``. The reference is what the
project wants of its small preset, 25 frames a second.
"""

import argparse
import statistics
import time

from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.procedural_world import ProceduralWorld, town_of
from pair_drive_training.world.sensors.encoding import encode_jpeg, encode_pcd
from pair_drive_training.world.sensors.scene_builder import moment_of
from pair_drive_training.world.traffic.simulation import simulate
from pair_drive_training.world.world_folder import Identity

WANTED_FRAMES_A_SECOND = 25.0
CAMERAS = ('CAM_L0', 'CAM_F0', 'CAM_R0')
MOMENTS = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--preset', default='mini')
    preset = parser.parse_args().preset
    world = ProceduralWorld(Identity(7, preset, CAMERAS))
    key = DriveKey(7, 'test', 0)
    drive = simulate(town_of(key), key.randomness('drive'))
    renderer, look = world.renderer(key), world.look(key)
    moments = [moment_of(drive, step)
               for step in range(0, len(drive.ego), len(drive.ego) // MOMENTS)][:MOMENTS]
    times, sizes = [], []
    for moment in [moments[0], *moments]:
        start = time.process_time()
        images = renderer.cameras(*moment, look)
        blobs = [encode_jpeg(image, world.rig.jpeg_quality) for image in images.values()]
        blobs.append(encode_pcd(renderer.lidar(*moment, look)))
        times.append(time.process_time() - start)
        sizes.append(sum(map(len, blobs)))
    # The first frame loads the compiled kernels.
    median = statistics.median(times[1:])
    print(f'{preset}: {1e3 * median:.1f} ms CPU a frame ({1e3 * min(times[1:]):.1f} to '
          f'{1e3 * max(times[1:]):.1f}), {statistics.mean(sizes) / 1e3:.0f} kB: '
          f'{1.0 / median:.1f} frames a second, '
          f'{1.0 / median / WANTED_FRAMES_A_SECOND:.2f} x the wanted '
          f'{WANTED_FRAMES_A_SECOND:g}')


if __name__ == '__main__':
    main()
