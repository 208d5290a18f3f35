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
Worker processes that may die without taking the run along.

Unlike ``concurrent.futures``, whose whole pool breaks when one process is killed, a death here is
the outcome of the one job that process had; another process takes its place.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
import multiprocessing
from multiprocessing.connection import Connection, wait
import os
import signal
import threading
import traceback
from typing import Any

import cv2

# Read when the numerical libraries load: as many processes as cores leave one thread to each.
THREAD_VARIABLES = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS',
                    'NUMBA_NUM_THREADS')
IDLE_EXIT_S = 5.0


class WorkerError(ValueError):
    """Worker processes die one after another, whatever they are given."""


@dataclass(frozen=True)
class Outcome:
    """
    What became of a job: the function's ``value``, or else why there is none.

    ``failure`` is a sentence; ``details`` the traceback where an exception was the reason.
    """

    job: Any
    value: Any = None
    failure: str | None = None
    details: str = ''


class Workers:
    """
    A context with ``processes`` workers that share nothing.

    A fork server starts them: measured with 4 workers, 3 s instead of the 15 s that it takes when
    each loads all modules for itself. Ctrl-C reaches the parent alone: leaving the context tells
    the jobs under way to stop, waits for them and ends the processes. Where the parent is killed
    they end by themselves.

    :param preload: modules the fork server loads; it lives as long as the program, so those of the
        first use count
    :param state: sent once to every worker; first argument of every function that runs there
    """

    def __init__(self, processes: int, state: Any, preload: Sequence[str]):
        self._context = multiprocessing.get_context('forkserver')
        self._context.set_forkserver_preload(list(preload))
        self._processes = processes
        self._state = state
        # Without a lock, which a killed worker might hold for ever.
        self._stop = self._context.RawValue('b', 0)
        self._workers: list[_Worker] = []

    def run(self, function: Callable[[Any, Any, Any], Any],
            jobs: Iterable[Any]) -> Iterator[Outcome]:
        """
        Yield the outcome of ``function(state, job, stop)`` for every job, as they come.

        :param function: of a module's top level; ``stop.value`` asks it to return early
        :raises WorkerError: when processes die so often that they cannot even start
        """
        waiting = iter(jobs)
        deaths = 0
        for worker in self._workers:
            worker.give(function, waiting)
        while len(self._workers) < self._processes:
            worker = self._started()
            if not worker.give(function, waiting):
                break
        while busy := {worker.connection: worker for worker in self._workers if worker.busy}:
            for connection in wait(list(busy)):
                worker = busy[connection]
                outcome, alive = worker.outcome()
                deaths = 0 if alive else deaths + 1
                if not alive:
                    self._workers.remove(worker)
                    if deaths > 2 * self._processes:
                        raise WorkerError(f'{deaths} worker processes died one after another, '
                                          f'the last so: {outcome.failure}')
                    worker = self._started()
                worker.give(function, waiting)
                yield outcome

    def __enter__(self) -> 'Workers':
        """Workers start when there are jobs for them."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End all workers; those at work may finish the step they are at."""
        self._stop.value = 1
        try:
            for worker in self._workers:
                worker.connection.close()
            for worker in self._workers:
                if worker.busy:
                    worker.process.join()
                worker.process.join(IDLE_EXIT_S)
        finally:
            for worker in self._workers:
                worker.process.kill()

    def _started(self) -> '_Worker':
        worker = _Worker(self._context, self._state, self._stop)
        self._workers.append(worker)
        return worker


class _Worker:
    """One process and the parent's end of its pipe."""

    def __init__(self, context: Any, state: Any, stop: Any):
        self.connection, other_end = context.Pipe()
        self.process = context.Process(target=_work, args=(other_end, state, stop), daemon=True)
        with _one_thread_each():
            self.process.start()
        other_end.close()
        self.busy = False
        self._job: Any = None

    def give(self, function: Callable[..., Any], jobs: Iterator[Any]) -> bool:
        """Send the next job, if there is one."""
        for self._job in jobs:
            # A process that is dead already is noticed where its outcome is read.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.connection.send((function, self._job))
            self.busy = True
            return True
        return False

    def outcome(self) -> tuple[Outcome, bool]:
        """Return what became of the job, and whether the process is alive."""
        self.busy = False
        try:
            return Outcome(self._job, *self.connection.recv()), True
        except (EOFError, OSError):
            self.process.join()
            self.connection.close()
            return Outcome(self._job, failure=_death(self.process)), False


def _death(process: Any) -> str:
    code = process.exitcode
    if code == -signal.SIGKILL:
        return (f'worker process {process.pid} was killed (signal 9), most often because memory '
                f'ran out: try fewer --processes')
    if code is not None and code < 0:
        return f'worker process {process.pid} was ended by signal {-code}'
    return f'worker process {process.pid} ended by itself with code {code}'


def _work(connection: Connection, state: Any, stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            function, job = connection.recv()
        except EOFError:
            return
        message: tuple[Any, str | None, str]
        try:
            message = (function(state, job, stop), None, '')
        except Exception as error:
            message = (None, f'{type(error).__name__}: {error}', traceback.format_exc())
        try:
            connection.send(message)
        except OSError:
            return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, 'runs in a child process'
    parent.join()
    os._exit(1)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, '1'))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
