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

"""Where the drives of a world come from: its towns, the traffic in them, and what sensors see."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.sensors.camera_rig import RIGS
from pair_drive_training.world.sensors.encoding import encode_jpeg, encode_pcd
from pair_drive_training.world.sensors.look import draw_look, Look
from pair_drive_training.world.sensors.renderer import Renderer
from pair_drive_training.world.sensors.scene_builder import moment_of
from pair_drive_training.world.towns.map_writer import write_maps
from pair_drive_training.world.towns.town import Town
from pair_drive_training.world.towns.world_towns import TOWNS, world_town
from pair_drive_training.world.traffic.drive import Drive
from pair_drive_training.world.traffic.simulation import simulate
from pair_drive_training.world.world_folder import Identity

# Nobody drives in the towns of another split. A network that learned in eight towns knew them by
# heart and was lost in others; judged in two, it was judged by how hard these two happen to be.
_VAL_TOWNS, _TEST_TOWNS = (8, 9, 40, 41), (10, 11, *range(42, 48))
TOWNS_OF_SPLIT = {
    'train': tuple(sorted({*range(TOWNS)} - {*_VAL_TOWNS, *_TEST_TOWNS})),
    'val': _VAL_TOWNS, 'test': _TEST_TOWNS}


class ProceduralWorld:
    """
    Drives of a world, one after the other in the towns of their split.

    :raises RigError: when there is no such camera
    """

    preload = (__name__, 'pair_drive_training.data.navsim_recipe')

    def __init__(self, identity: Identity):
        self.cameras = RIGS[identity.preset].cameras
        self.rig = RIGS[identity.preset].with_cameras(identity.cameras)
        self._identity = identity

    def write_maps(self, folder: Path) -> None:
        """Write the maps of all cities of a world."""
        cities: dict[str, list[Town]] = {}
        for number in range(TOWNS):
            town = _town(self._identity.seed, number)
            cities.setdefault(town.city, []).append(town)
        write_maps(folder, cities)

    def location(self, key: DriveKey) -> str:
        """Return the city that a drive is in."""
        return town_of(key).city

    def drive(self, key: DriveKey) -> Drive:
        """Simulate a drive."""
        return simulate(town_of(key), key.randomness('drive'))

    def sensor_files(self, key: DriveKey, drive: Drive,
                     steps: Sequence[int]) -> Iterator[dict[str, bytes]]:
        """Yield the images, as JPEG, and the sweep, as PCD, of each of the steps."""
        renderer = self.renderer(key)
        look = self.look(key)
        for step in steps:
            moment = moment_of(drive, step)
            files = {f'{name}/{{token}}.jpg': encode_jpeg(image, self.rig.jpeg_quality)
                     for name, image in renderer.cameras(*moment, look).items()}
            files['MergedPointCloud/{token}.pcd'] = encode_pcd(renderer.lidar(*moment, look))
            yield files

    def renderer(self, key: DriveKey) -> Renderer:
        """Return what renders the town of a drive."""
        return _renderer(self._identity, _town_number(key))

    def look(self, key: DriveKey) -> Look:
        """Return the light and the weather of a drive."""
        return draw_look(int(key.randomness('look').generate_state(1)[0]))


def town_of(key: DriveKey) -> Town:
    """Return the town that a drive is in."""
    return _town(key.seed, _town_number(key))


def _town_number(key: DriveKey) -> int:
    numbers = TOWNS_OF_SPLIT[key.split]
    return numbers[key.index % len(numbers)]


@lru_cache(maxsize=TOWNS)
def _town(seed: int, number: int) -> Town:
    return world_town(seed, number)


# A renderer holds some hundred megabytes.
@lru_cache(maxsize=2)
def _renderer(identity: Identity, number: int) -> Renderer:
    return Renderer(_town(identity.seed, number),
                    RIGS[identity.preset].with_cameras(identity.cameras))
