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
PaIR-Drive's training: both branches at the same time, neither waiting for the other.

PaIR-Drive (arXiv 2603.13842). The imitation branch and the RL branch have objectives, weights and
processes of their own; what they share is a folder and a dashboard. Each lies in a run's folder as
the commands "train" and "reinforce" make it, so either can be gone on with, or replaced, alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import subprocess
import sys
import time

from pair_drive_ros.core.files import written_whole
from pair_drive_training.dashboard import dashboard

BRANCHES = {'imitation': 'train', 'reinforcement': 'reinforce'}
DASHBOARD = 'dashboard.html'
_LOOK_S = 2.0
_DRAW_S = 30.0


class ParallelError(ValueError):
    """The branches cannot be trained as asked, or one of them failed."""


@dataclass(frozen=True)
class Branch:
    """One branch: its name, its run's folder, the command that trains it and what that may use."""

    name: str
    out: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    cores: frozenset[int]

    @property
    def log(self) -> Path:
        """Return what its process says."""
        return self.out.with_name(f'{self.name}.log')

    def start(self, *more: str) -> subprocess.Popen:
        """Start its process on its share of the machine."""
        with self.log.open('a') as log:
            process = subprocess.Popen([*self.command, *more], stdout=log, stderr=log,
                                       env={**os.environ, **self.environment})
        os.sched_setaffinity(process.pid, self.cores)
        return process


def branches(out: Path, arguments: Mapping[str, Sequence[str]],
             devices: Sequence[str] | None = None) -> list[Branch]:
    """
    Share the machine between the branches: its GPUs, or else its cores.

    :param out: folder of both runs
    :param arguments: of the commands "train" and "reinforce", by branch; those that are there
    :param devices: the GPUs as CUDA names them; None without any
    """
    cores = sorted(os.sched_getaffinity(0))
    shares = _shares(cores, len(arguments))
    found = []
    for index, (name, own) in enumerate(arguments.items()):
        environment = {}
        if devices:
            environment['CUDA_VISIBLE_DEVICES'] = devices[index % len(devices)]
        command = [sys.executable, '-m', 'pair_drive_training', BRANCHES[name], *own,
                   '--out', str(out / name)]
        if not devices:
            environment['OMP_NUM_THREADS'] = str(len(shares[index]))
            command += ['--threads', str(len(shares[index]))]
        found.append(Branch(name, out / name, command, environment, frozenset(shares[index])))
    return found


def train(found: Sequence[Branch]) -> None:
    """
    Train all branches to their end: at once, or by turns of an epoch where there is one core.

    Interrupted, all stop; the same command goes on.

    :raises ParallelError: when a branch fails; the others are stopped, what they saved stays
    """
    page = found[0].out.parent / DASHBOARD
    page.parent.mkdir(parents=True, exist_ok=True)
    alone = len(set().union(*(branch.cores for branch in found))) == 1
    try:
        if alone:
            _by_turns(found, page)
        else:
            _at_once([(branch, branch.start()) for branch in found], page)
    finally:
        _draw(found, page)


def _at_once(running: list[tuple[Branch, subprocess.Popen]], page: Path) -> None:
    found = [branch for branch, _ in running]
    drawn_s = 0.0
    try:
        while any(process.poll() is None for _, process in running):
            for branch, process in running:
                _check(branch, process)
            if time.monotonic() - drawn_s > _DRAW_S:
                _draw(found, page)
                drawn_s = time.monotonic()
            time.sleep(_LOOK_S)
        for branch, process in running:
            _check(branch, process)
    finally:
        for _, process in running:
            if process.poll() is None:
                process.terminate()
        for _, process in running:
            process.wait()


def _by_turns(found: Sequence[Branch], page: Path) -> None:
    """Let each branch train an epoch in turn until none goes further."""
    waiting = list(found)
    while waiting:
        for branch in list(waiting):
            before = _epochs(branch)
            process = branch.start('--stop-after', '1')
            try:
                process.wait()
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
            _check(branch, process)
            if _epochs(branch) == before:
                waiting.remove(branch)
            _draw(found, page)


def _epochs(branch: Branch) -> int:
    path = branch.out / 'metrics.jsonl'
    return len(path.read_text().splitlines()) if path.exists() else 0


def _check(branch: Branch, process: subprocess.Popen) -> None:
    code = process.poll()
    if code:
        said = branch.log.read_text(errors='replace').splitlines()[-5:]
        raise ParallelError(f'{branch.name}: its process ended with {code}; the end of '
                            f'{branch.log}:\n' + '\n'.join(said))


def _draw(found: Sequence[Branch], page: Path) -> None:
    with written_whole(page) as file:
        file.write(dashboard([(branch.name, branch.out) for branch in found]).encode())


def _shares(cores: Sequence[int], count: int) -> list[list[int]]:
    """Deal the cores out; of fewer cores than branches each has all."""
    if len(cores) < count:
        return [list(cores)] * count
    return [list(cores[index::count]) for index in range(count)]
