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

"""Stage times of a pipeline and their percentiles over a sliding window."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import threading
import time

import numpy as np


@dataclass(frozen=True)
class LatencySummary:
    """Percentiles in milliseconds over ``count`` samples."""

    count: int
    p50: float
    p95: float
    p99: float
    worst: float

    def __str__(self) -> str:
        return f'p50 {self.p50:.1f} p95 {self.p95:.1f} p99 {self.p99:.1f} max {self.worst:.1f} ms'


def summary_text(summary: LatencySummary | None) -> str:
    """Return 'p50/p95/max' in ms, or 'n/a' while nothing was measured."""
    return f'{summary.p50:.2f}/{summary.p95:.2f}/{summary.worst:.2f}' if summary else 'n/a'


class LatencyWindow:
    """The last ``size`` durations; safe to fill from one thread and read from another."""

    def __init__(self, size: int = 1000):
        self._samples_ms: deque[float] = deque(maxlen=size)
        self._lock = threading.Lock()

    def add(self, milliseconds: float) -> None:
        """Append one duration."""
        with self._lock:
            self._samples_ms.append(milliseconds)

    def summary(self) -> LatencySummary | None:
        """Percentiles of the window, or None while it is empty."""
        with self._lock:
            samples = np.array(self._samples_ms)
        if samples.size == 0:
            return None
        p50, p95, p99 = np.percentile(samples, [50.0, 95.0, 99.0])
        return LatencySummary(samples.size, float(p50), float(p95), float(p99),
                              float(samples.max()))


class StageTimer:
    """Measures named stages of one pass: ``with timer.stage('decode'): ...``."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent in the block to the stage's total."""
        start_ns = time.monotonic_ns()
        try:
            yield
        finally:
            elapsed_ms = (time.monotonic_ns() - start_ns) * 1e-6
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + elapsed_ms
