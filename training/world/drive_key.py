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

"""The name of a drive, from which its tokens, its random numbers and its place follow."""

from dataclasses import dataclass
import hashlib
import re

import numpy as np
from pair_drive_training.world.world_folder import LOGS, SENSORS, Unit


@dataclass(frozen=True)
class DriveKey:
    """Which drive of which world: all its names and random numbers follow from this."""

    seed: int
    split: str
    index: int

    @property
    def log_name(self) -> str:
        """Name of the drive's log."""
        return f'world{self.seed}_{self.split}_{self.index:05d}'

    @classmethod
    def of_log(cls, name: str) -> 'DriveKey | None':
        """Return the drive of a log's name, None if that is of another form."""
        found = re.fullmatch(r'world(\d+)_([a-z]+)_(\d+)', name)
        return None if found is None else cls(int(found[1]), found[2], int(found[3]))

    @property
    def unit(self) -> Unit:
        """Return what comes and goes together in the world's folder."""
        return Unit(self.log_name, (f'{LOGS}/{self.split}/{self.log_name}.pkl',
                                    f'{SENSORS}/{self.split}/{self.log_name}'))

    def token(self, *what: object) -> str:
        """Return 16 hex digits for something of this drive."""
        text = '/'.join(map(str, (self.log_name, *what)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def randomness(self, purpose: str) -> np.random.SeedSequence:
        """Return the seeds of one of the drive's parts, independent of all others."""
        text = f'{self.split}/{self.index}/{purpose}'
        words = np.frombuffer(hashlib.sha256(text.encode()).digest(), '<u4')
        return np.random.SeedSequence(self.seed, spawn_key=tuple(words.tolist()))
