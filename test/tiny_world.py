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

"""A world for tests: brief drives through the tiny city, with made-up sensor files."""

from collections.abc import Iterator, Sequence
import os
from pathlib import Path
import signal
import time

import numpy as np
from pair_drive_ros.scoring import ObjectType
from pair_drive_training.world.drive_key import DriveKey
from pair_drive_training.world.sensors.camera_rig import MINI
from pair_drive_training.world.traffic.drive import Actor, Drive, STEP_S
import tiny_navsim

SECONDS = 11.0
STEPS = round(SECONDS / STEP_S) + 1
START_X, SPEED, BRAKING_S, DECELERATION = 20.0, 10.0, 3.0, 2.0
QUEUE_X = 86.0
FILES = ('CAM_F0/{token}.jpg', 'MergedPointCloud/{token}.pcd')


def braking_drive(key: DriveKey) -> Drive:
    """
    Ego brakes from 10 m/s to a stop behind a standing lorry; a cyclist overtakes.

    The drives of a world start at different speeds and have one car each of their own.
    """
    rng = np.random.default_rng(key.randomness('drive'))
    speed = SPEED + rng.uniform(-0.5, 0.0)
    times = STEP_S * np.arange(STEPS)
    slowing = np.clip(times - BRAKING_S, 0.0, speed / DECELERATION)
    ego = np.zeros((STEPS, 7))
    ego[:, :3] = tiny_navsim.to_map(np.column_stack([
        START_X + speed * np.minimum(times, BRAKING_S) + speed * slowing
        - 0.5 * DECELERATION * slowing ** 2, np.full(STEPS, -1.75), np.zeros(STEPS)]))
    ego[:, 3] = speed - DECELERATION * slowing
    ego[:, 5] = np.where((slowing > 0.0) & (ego[:, 3] > 0.0), -DECELERATION, 0.0)
    actors = (Actor('queue', int(ObjectType.VEHICLE), np.array([9.0, 2.5, 3.2]), 2, 0),
              Actor('cyclist', int(ObjectType.BICYCLE), np.array([1.8, 0.6, 1.7]), 0, 1),
              Actor('cone', int(ObjectType.TRAFFIC_CONE), np.array([0.4, 0.4, 0.8]), 0, 0),
              Actor('far', int(ObjectType.VEHICLE), np.array([4.5, 1.9, 1.6]), 0, 0))
    heading = tiny_navsim.ORIGIN[2]
    along = np.array([np.cos(heading), np.sin(heading)])
    poses = np.zeros((STEPS, len(actors), 3))
    velocity = np.zeros((STEPS, len(actors), 2))
    for column, (x, y, moved) in enumerate((
            (QUEUE_X, -1.75, 0.0), (5.0, 1.75, 8.0), (60.0, -6.0, 0.0), (250.0, 5.25, 0.0))):
        poses[:, column] = tiny_navsim.to_map(np.column_stack(
            [x + moved * times, np.full(STEPS, y), np.zeros(STEPS)]))
        velocity[:, column] = moved * along
    present = np.ones((STEPS, len(actors)), bool)
    present[:20, 1] = False
    return Drive(town_seed=0, driver=int(rng.integers(1000)), start_us=1_700_000_000_000_000,
                 ego=ego, route=tuple(map(int, tiny_navsim.ROUTE)), actors=actors, poses=poses,
                 velocity=velocity, present=present,
                 braking=np.zeros(present.shape, bool),
                 blinking=np.zeros(present.shape, np.int64),
                 red={71: np.ones(STEPS, bool), 62: np.arange(STEPS) >= 50})


class TinyWorld:
    """
    A source of drives for :class:`WorldBuilder`.

    ``troubles`` log name -> 'kill', 'bug' or 'empty' (no scene); ``seconds`` each scene takes.
    """

    preload = ('pair_drive_training.data.navsim_recipe',)
    cameras = MINI.cameras

    def __init__(self, troubles: dict[str, str] | None = None, seconds: float = 0.0):
        self._troubles = troubles or {}
        self._seconds = seconds

    def write_maps(self, folder: Path) -> None:
        """Write the tiny city."""
        tiny_navsim.write_city(folder)

    def location(self, key: DriveKey) -> str:
        """All drives are in the tiny city."""
        return tiny_navsim.CITY

    def drive(self, key: DriveKey) -> Drive:
        """Drive, or have trouble."""
        trouble = self._troubles.get(key.log_name)
        if trouble == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble == 'bug':
            raise ZeroDivisionError('a bug')
        drive = braking_drive(key)
        if trouble == 'empty':
            drive.present[:] = False
        return drive

    def sensor_files(self, key: DriveKey, drive: Drive,
                     steps: Sequence[int]) -> Iterator[dict[str, bytes]]:
        """Yield files with bytes that tell the drive and the step."""
        for step in steps:
            time.sleep(self._seconds)
            yield {name: f'{key.log_name} {step} {name}'.encode() for name in FILES}
