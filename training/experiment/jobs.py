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
Jobs: commands that each fill a folder, run side by side, once.

A job is done when its ``done.json`` says that it was made by this command, from these inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import shlex
import shutil
import subprocess
import sys
import time
from typing import Any

from pair_drive_training.data.work_folder import write_json
from pair_drive_training.experiment.rows import ExperimentError
from tqdm import tqdm
import yaml

DONE_FILE = 'done.json'
_LAST_LINES = 15
_LOOK_S = 0.2


@dataclass(frozen=True)
class Job:
    """
    A command and the folder that it fills.

    ``inputs`` are files it reads that may change, by other jobs or by hand. What is ``precious``
    took long: it is never made again unasked.
    """

    name: str
    folder: Path
    module: str
    arguments: tuple[str, ...]
    inputs: tuple[Path, ...] = ()
    precious: bool = False

    @property
    def command(self) -> list[str]:
        """Return the whole command line."""
        return [sys.executable, '-m', self.module, *self.arguments]


class Jobs:
    """
    Keeps jobs in the order in which they were named, and runs them.

    :param logs: folder for what they print
    """

    def __init__(self, logs: Path):
        self._logs = logs
        self._jobs: dict[Path, Job] = {}
        self._digests: dict[Path, str] = {}

    def add(self, job: Job) -> Path:
        """Remember a job, once; return its folder."""
        self._jobs.setdefault(job.folder, job)
        return job.folder

    def run(self, processes: int) -> None:
        """
        Run what is not done, so many at a time, one thread each.

        A job that fails is told with its last lines and its command; what needs it is not run,
        all else is.

        :raises ExperimentError: when a job failed, or what is precious was made otherwise
        """
        waiting = list(self._jobs.values())
        running: list[_Running] = []
        done: set[Path] = set()
        failed: list[str] = []
        try:
            with tqdm(total=len(waiting), unit='job', file=sys.stderr) as progress:
                while True:
                    for each in [each for each in running if each.process.poll() is not None]:
                        running.remove(each)
                        if each.process.returncode:
                            failed.append(each.job.name)
                            progress.write(self._failure(each), file=sys.stderr)
                        else:
                            write_json(each.job.folder / DONE_FILE, self._record(each.job))
                            done.add(each.job.folder)
                            progress.write(f'{each.job.name}: done in '
                                           f'{time.monotonic() - each.begun_s:.0f} s',
                                           file=sys.stderr)
                        progress.update()
                    for job in [job for job in waiting if self._is_ready(job, done)]:
                        try:
                            if self._is_done(job):
                                done.add(job.folder)
                                progress.update()
                            elif len(running) < processes:
                                running.append(_Running(job, self._start(job), time.monotonic()))
                            else:
                                continue
                        except ExperimentError as error:
                            failed.append(job.name)
                            progress.write(str(error), file=sys.stderr)
                            progress.update()
                        waiting.remove(job)
                    if not running and not any(self._is_ready(job, done) for job in waiting):
                        break
                    time.sleep(_LOOK_S if running else 0.0)
        finally:
            for each in running:
                each.process.terminate()
            for each in running:
                each.process.wait()
        if failed:
            left = f', and {len(waiting)} that need them were not run' if waiting else ''
            raise ExperimentError(f'{", ".join(failed)}: failed, the reasons stand above{left}; '
                                  'mend them and give the same command again: it goes on')

    def _is_ready(self, job: Job, done: set[Path]) -> bool:
        """Tell whether the inputs are there that other jobs make."""
        return all(path.parent in done for path in job.inputs if path.parent in self._jobs)

    def _is_done(self, job: Job) -> bool:
        record, now = recorded(job.folder), self._record(job)
        if record is None or record == now:
            return record is not None
        if job.precious:
            changed = [name for name in now if record.get(name) != now[name]]
            raise ExperimentError(f'{job.folder}: was made otherwise ({" and ".join(changed)} '
                                  f'differ from {DONE_FILE}); remove the folder to make it again')
        return False

    def _record(self, job: Job) -> dict[str, Any]:
        return {'command': [job.module, *job.arguments],
                'inputs': {str(path): self._digest(path) for path in job.inputs}}

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            content = path.read_bytes()
            if path.suffix == '.yaml':
                # A recipe may be commented anew.
                content = json.dumps(yaml.safe_load(content), sort_keys=True).encode()
            self._digests[path] = hashlib.sha256(content).hexdigest()
        return self._digests[path]

    def _log(self, job: Job) -> Path:
        return self._logs / f'{job.name.replace("/", "_")}.log'

    def _start(self, job: Job) -> subprocess.Popen:
        if not job.precious and job.folder.exists():
            shutil.rmtree(job.folder)
        for folder in (self._logs, job.folder):
            folder.mkdir(parents=True, exist_ok=True)
        with self._log(job).open('wb') as log:
            return subprocess.Popen(job.command, stdout=log, stderr=subprocess.STDOUT,
                                    stdin=subprocess.DEVNULL,
                                    env={**os.environ, 'OMP_NUM_THREADS': '1'})

    def _failure(self, ended: '_Running') -> str:
        text = self._log(ended.job).read_text(errors='replace').replace('\r', '\n')
        lines = [line for line in text.split('\n') if line.strip()][-_LAST_LINES:]
        return '\n'.join([
            f'{ended.job.name}: failed with exit code {ended.process.returncode}; its last lines:',
            *(f'  | {line}' for line in lines),
            '  to repeat it: OMP_NUM_THREADS=1 ' + shlex.join(ended.job.command)])


@dataclass(frozen=True, eq=False)
class _Running:
    job: Job
    process: subprocess.Popen
    begun_s: float


def recorded(folder: Path) -> Mapping[str, Any] | None:
    """Return how a job was done, None where it was not."""
    try:
        return json.loads((folder / DONE_FILE).read_text())
    except (OSError, ValueError):
        return None
