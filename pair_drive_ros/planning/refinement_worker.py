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

"""The thread beside the planner's own, in which the RL branch runs."""

from collections.abc import Callable
from concurrent.futures import Future
import queue
import threading
from typing import TypeVar

ResultT = TypeVar('ResultT')


class RefinementWorker:
    """
    Runs one job at a time in a daemon thread of its own.

    Nothing ever queues: while a job is under way no other is taken, so one that is late costs the
    frames that it overlaps, not those after it. What a job raises is in its future; the thread
    lives on. :meth:`submit` and :meth:`close` belong to one thread.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], object], Future] | None] = (
            queue.SimpleQueue())
        self._under_way: Future | None = None
        self._thread = threading.Thread(target=self._run, name='refinement', daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], ResultT]) -> 'Future[ResultT] | None':
        """Begin a job; None, and the job is dropped, while an earlier one is under way."""
        if self._under_way is not None and not self._under_way.done():
            return None
        self._under_way = Future()
        self._jobs.put((job, self._under_way))
        return self._under_way

    def close(self, timeout_s: float = 1.0) -> bool:
        """End the thread after the job under way; False when it did not end in time."""
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (taken := self._jobs.get()) is not None:
            job, future = taken
            try:
                future.set_result(job())
            except Exception as error:  # noqa: B902 - it is the caller's to report
                future.set_exception(error)
            # The last result may be large, and the next job may be long in coming.
            del taken, job, future
