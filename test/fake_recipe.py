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

"""A recipe for tests of the cache: made-up records of made-up logs, quick and repeatable."""

from dataclasses import dataclass
import hashlib
import os
from pathlib import Path
import signal
import sys
import time

import cv2
import numpy as np
from pair_drive_training.data.cache import CacheHeader
from pair_drive_training.data.cache_builder import CacheBuilder
from pair_drive_training.data.recipe import Scan, Source
from pair_drive_training.data.shards import stack_records
from pair_drive_training.data.workers import THREAD_VARIABLES


class FakeSceneError(ValueError):
    """What a producer says of a scene that it cannot use."""


@dataclass(frozen=True)
class FakeScene:
    """A scene is its token."""

    token: str


class FixedStage:
    """Records of a fixed shape; ``troubles`` token -> what goes wrong."""

    of_synthetic = True

    def __init__(self, kinds, troubles, seconds):
        self.kinds = kinds
        self._troubles = troubles
        self._seconds = seconds

    def make(self, scene, wanted):
        """Derive a record from the token."""
        time.sleep(self._seconds)
        trouble = self._troubles.get(scene.token)
        if trouble == 'refuse':
            raise FakeSceneError(f'{scene.token} cannot be used')
        if trouble == 'bug':
            raise ZeroDivisionError('a bug')
        if trouble == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        return {kind: record(kind, scene.token) for kind in wanted}

    def pack(self, kind, records):
        """Stack the records."""
        return stack_records(records)


class RaggedStage(FixedStage):
    """Records of different lengths, one after the other; not of synthetic scenes."""

    of_synthetic = False

    def make(self, scene, wanted):
        """Derive as many numbers as the token's first digit says."""
        numbers = record('', scene.token)['numbers'].ravel()
        return {kind: numbers[:numbers[0] % 5] for kind in wanted}

    def pack(self, kind, records):
        """Concatenate the records."""
        return {'numbers': np.concatenate(records),
                'offset': np.cumsum([0, *(len(item) for item in records)])}


class FakeRecipe:
    """``logs`` name -> tokens; a log named 'unreadable' cannot be read."""

    max_scenes = None
    # Not needed here, but the fork server of a test session is started once, for all tests.
    preload = ('pair_drive_training.data.navsim_recipe',)

    def __init__(self, logs, kinds=('fixed', 'ragged'), asked=None, troubles=None, seconds=0.0,
                 version=1, synthetic=()):
        self.asked = asked
        self._logs = logs
        self._synthetic = synthetic
        self.stages = [
            FixedStage({kind: version for kind in kinds if kind != 'ragged'}, troubles or {},
                       seconds),
            RaggedStage({kind: version for kind in kinds if kind == 'ragged'}, {}, 0.0)]
        self.header = CacheHeader(dict.fromkeys(kinds, version), {'town': '1'}, ('fake',))

    def sources(self):
        """One source for each log."""
        return [Source(name, (Path(name),), name in self._synthetic) for name in self._logs]

    def scan(self, source):
        """All scenes of a log."""
        if source.name == 'unreadable':
            return Scan((), unreadable=('unreadable: cannot be read',))
        return Scan(tuple(self._logs[source.name]), ('town',))

    def prepare_map(self, name):
        """Nothing to prepare."""

    def scenes(self, source, tokens):
        """Scenes of a log."""
        return [FakeScene(token) for token in tokens]


def record(kind, token):
    """Numbers [16, 4] that depend on kind and token."""
    digest = hashlib.sha256(f'{kind} {token}'.encode()).digest()
    return {'numbers': np.frombuffer(8 * digest, np.uint32).reshape(16, 4)}


def tokens(log, count):
    """Tokens of a log."""
    return [f'{log}_{index:04d}' for index in range(count)]


def threads_of_worker(_state, _job, _stop):
    """How many threads numerical libraries may use in a worker."""
    return cv2.getNumThreads(), [os.environ.get(name) for name in THREAD_VARIABLES]


def slow_logs():
    """Eight logs that take a while."""
    return {f'log{index}': tokens(f'log{index}', 70) for index in range(8)}


if __name__ == '__main__':
    # A run to be killed from outside: PATH SECONDS.
    to_be_killed = FakeRecipe(slow_logs(), seconds=float(sys.argv[2]))
    to_be_killed.preload = ()
    CacheBuilder(Path(sys.argv[1]), to_be_killed, processes=2).run()
