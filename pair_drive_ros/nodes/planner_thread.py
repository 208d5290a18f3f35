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

"""The thread that plans: it waits for a complete input, plans on it, and hands on the plan."""

from collections.abc import Callable
import threading
import time

from pair_drive_ros.core.frames import PlannerInput
from pair_drive_ros.core.timing import LatencyWindow, StageTimer
from pair_drive_ros.planning.assembler import FrameAssembler, NotReady
from pair_drive_ros.planning.planner import Plan, Planner

# Without a message for this long the inputs are looked at anyway, to learn what is missing.
_IDLE_S = 0.05
_BUSY_REPORT_S = 0.2


class PlannerThread:
    """
    Plans on the newest complete input, one at a time; what comes meanwhile is overtaken.

    :param now_ns: the ROS clock, or None while it has not started
    :param publish: takes each plan that has a trajectory
    """

    def __init__(self, assembler: FrameAssembler, planner: Planner,
                 now_ns: Callable[[], int | None], publish: Callable[[Plan], None]):
        self._assembler = assembler
        self._planner = planner
        self._now_ns = now_ns
        self._publish = publish
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name='planner', daemon=True)
        self._fault = ''
        self._waiting_for = 'no input yet'
        self._busy_since_s: float | None = None
        self.plans = 0
        self.input_errors = 0
        self.stage_ms: dict[str, LatencyWindow] = {}
        self.sync_ms: dict[str, float] = {}

    def start(self) -> None:
        """Begin to plan."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something new has come."""
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End the thread after the plan under way; False when it did not end in time."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def reason(self) -> str:
        """Why no plan is coming, as far as is known."""
        since_s = self._busy_since_s
        if since_s is not None and time.monotonic() - since_s > _BUSY_REPORT_S:
            return (f'{self._planner.engine.name} has been planning for '
                    f'{time.monotonic() - since_s:.1f} s')
        return self._fault or self._waiting_for

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_IDLE_S)
            self._wake.clear()
            if not self._stopping.is_set():
                self._cycle()

    def _cycle(self) -> None:
        now_ns = self._now_ns()
        if now_ns is None:
            self._fault = ('use_sim_time is set but no /clock has come; start the player with '
                           '--clock')
            return
        timer = StageTimer()
        self._busy_since_s = time.monotonic()
        try:
            with timer.stage('assemble'):
                frame = self._assembler.assemble(now_ns)
            if isinstance(frame, NotReady):
                if frame.waiting:
                    self._waiting_for = frame.reason
                else:
                    self._fault = frame.reason
                return
            self.sync_ms = _sync_offsets_ms(frame)
            plan = self._planner.plan(frame, (self._now_ns() - frame.stamp_ns) * 1e-9)
            if plan.trajectory is None:
                self._fault = plan.reason
                return
            with timer.stage('publish'):
                self._publish(plan)
            self._fault = ''
            self.plans += 1
            for name, milliseconds in {**timer.milliseconds, **plan.milliseconds}.items():
                self.stage_ms.setdefault(name, LatencyWindow()).add(milliseconds)
        except ValueError as error:
            # A message that cannot be read spoils its own frame, not the planner.
            self.input_errors += 1
            self._planner.note_failure()
            self._fault = str(error)
        finally:
            self._busy_since_s = None


def _sync_offsets_ms(frame: PlannerInput) -> dict[str, float]:
    """Return how far each sensor's stamp lies after the anchor's."""
    stamps = {f'camera_{name}': image.stamp_ns for name, image in frame.cameras.items()}
    if frame.lidar is not None:
        stamps['lidar'] = frame.lidar.stamp_ns
    return {name: (stamp_ns - frame.stamp_ns) * 1e-6 for name, stamp_ns in stamps.items()}
