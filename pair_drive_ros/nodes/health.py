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

"""What the planner says about itself on /diagnostics."""

from collections import deque
from collections.abc import Mapping
import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from pair_drive_ros.planning.fallback import PlannerState

_LEVEL_OF_STATE = {
    PlannerState.INIT: DiagnosticStatus.WARN,
    PlannerState.NORMAL: DiagnosticStatus.OK,
    PlannerState.DEGRADED: DiagnosticStatus.WARN,
    PlannerState.HOLD: DiagnosticStatus.ERROR,
    PlannerState.STOP: DiagnosticStatus.ERROR,
}


class RateMeter:
    """Events a second over the last ``window_s`` seconds; thread-safe."""

    def __init__(self, window_s: float = 2.0):
        self._window_s = window_s
        self._events: deque[float] = deque()
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Count one event now."""
        with self._lock:
            self._events.append(time.monotonic())

    def rate_hz(self) -> float:
        """Return the rate over the window."""
        with self._lock:
            oldest = time.monotonic() - self._window_s
            while self._events and self._events[0] < oldest:
                self._events.popleft()
            return len(self._events) / self._window_s


def level_of(state: PlannerState, rate_hz: float, warn_rate: float, error_rate: float) -> bytes:
    """Return the diagnostic level: that of the state, or of the plan rate where it is worse."""
    level = _LEVEL_OF_STATE[state]
    if state in (PlannerState.NORMAL, PlannerState.DEGRADED):
        if rate_hz < error_rate:
            level = DiagnosticStatus.ERROR
        elif rate_hz < warn_rate:
            level = max(level, DiagnosticStatus.WARN)
    return level


def diagnostic_status(name: str, level: bytes, message: str,
                      values: Mapping[str, object]) -> DiagnosticStatus:
    """Build the status message; values are written as text."""
    return DiagnosticStatus(
        level=level, name=name, message=message, hardware_id='pair_drive_ros',
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])
