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
Collects sensor messages and pairs those that belong to one instant.

One sensor is the anchor: every plan belongs to the stamp of one of its messages. The others join
when their stamps lie within a tolerance; the ego state is interpolated to the anchor's stamp.
What is missing is named; nothing is ever made up for it. An engine that can do without some of
its sensors gets inputs of those that are alive.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
import threading
from typing import Any

import numpy as np
from pair_drive_ros.core.ego_motion import acceleration_from_velocity, extrapolate, interpolate
from pair_drive_ros.core.frames import (
    CameraImage,
    DrivingCommand,
    EgoState,
    LidarSweep,
    PlannerInput,
)
from pair_drive_ros.planning.liveness import SensorWatch

ODOMETRY = 'odometry'
_SENSOR_DEPTH = 8
_ODOMETRY_SPAN_NS = 3_000_000_000
_ACCELERATION_SPAN_NS = 200_000_000
# A stamp that falls this far behind its predecessor is a clock that was set back, not jitter.
_JUMP_BACK_NS = 1_000_000_000


@dataclass(frozen=True)
class NotReady:
    """Why there is no input to plan on; ``waiting`` while nothing is wrong yet."""

    reason: str
    waiting: bool = False


@dataclass(frozen=True)
class SyncLimits:
    """Times in nanoseconds; see the parameters ``sync.*`` for what they mean."""

    tolerance_ns: int = 50_000_000
    max_input_age_ns: int = 200_000_000
    max_extrapolation_ns: int = 100_000_000


@dataclass(frozen=True)
class _Entry:
    stamp_ns: int
    decode: Callable[[], Any]


class FrameAssembler:
    """
    Ring buffers of undecoded messages and the rule that pairs them.

    Thread-safe: callbacks add, the planner thread assembles. ``decode`` callables run in
    :meth:`assemble`, so that an executor's callback costs no more than storing a reference.

    Only sensors that are ``read`` are waited for, decoded and put into an input. When not all of
    them are needed, one that is missing (see :class:`SensorWatch`) is left out until it is back.
    While the configured anchor is missing and may be, the first live sensor anchors.

    :param sensors: names of the rig's cameras and LiDAR, as reasons call them
    :param anchor: one of them, read or not
    :param read: those that the engine looks at; None means all
    :param needs_all: whether each of these must be there for a plan
    """

    def __init__(self, sensors: Sequence[str], anchor: str, limits: SyncLimits,
                 read: Collection[str] | None = None, needs_all: bool = True):
        if anchor not in sensors:
            raise ValueError(f'the anchor {anchor!r} is none of the sensors {list(sensors)}')
        self.anchor = self._configured_anchor = anchor
        """The sensor that anchored the last input."""
        self._read = tuple(name for name in sensors if read is None or name in read)
        self._required = frozenset(self._read if needs_all else ())
        # The sensors that a plan may depend on. Where none is read, any may give the stamps.
        self._used = tuple(name for name in sensors
                           if not self._read or name in self._read or name == anchor)
        # A sensor silent for longer has no message that matches an anchor still fresh.
        self._watch = SensorWatch(self._used, limits.max_input_age_ns + limits.tolerance_ns)
        self._limits = limits
        self._lock = threading.Lock()
        self._buffers: dict[str, deque[_Entry]] = {
            name: deque(maxlen=_SENSOR_DEPTH) for name in sensors}
        self._odometry: deque[_Entry] = deque()
        self._acceleration: deque[_Entry] = deque(maxlen=_SENSOR_DEPTH)
        self._command = DrivingCommand.UNKNOWN
        self._last_anchor_ns = -1
        self.resets = 0
        self.skipped_anchors = 0

    def add_sensor(self, name: str, stamp_ns: int,
                   decode: Callable[[], CameraImage | LidarSweep]) -> None:
        """Store one camera or LiDAR message."""
        with self._lock:
            self._append(self._buffers[name], _Entry(stamp_ns, decode))

    def add_odometry(self, stamp_ns: int, decode: Callable[[], EgoState]) -> None:
        """Store one odometry message; three seconds of them are kept."""
        with self._lock:
            self._append(self._odometry, _Entry(stamp_ns, decode))
            while self._odometry[0].stamp_ns < stamp_ns - _ODOMETRY_SPAN_NS:
                self._odometry.popleft()

    def add_acceleration(self, stamp_ns: int, decode: Callable[[], np.ndarray]) -> None:
        """Store one measured acceleration; without any it is derived from odometry."""
        with self._lock:
            self._append(self._acceleration, _Entry(stamp_ns, decode))

    def set_command(self, command: DrivingCommand) -> None:
        """Set the route's intention from now on."""
        with self._lock:
            self._command = command

    def reset(self) -> None:
        """Forget every buffered message, as after a jump of the clock; the command stays."""
        with self._lock:
            self._clear()

    def input_ages_ns(self, now_ns: int) -> dict[str, int | None]:
        """Age of each source's newest message; None where nothing has come yet."""
        with self._lock:
            sources = {**self._buffers, ODOMETRY: self._odometry}
            return {name: now_ns - buffer[-1].stamp_ns if buffer else None
                    for name, buffer in sources.items()}

    def assemble(self, now_ns: int) -> PlannerInput | NotReady:
        """
        Return the newest complete input that was not returned before, else why there is none.

        An anchor is used once. When its companions come late, an older anchor that is complete
        wins over a newer one that is not.

        :raises ValueError: whatever a message's ``decode`` raises; that anchor is spent
        """
        with self._lock:
            chosen = self._choose(now_ns)
            if isinstance(chosen, NotReady):
                return chosen
            self.anchor, anchor, matches = chosen
            skipped = sum(1 for entry in self._buffers[self.anchor]
                          if self._last_anchor_ns < entry.stamp_ns < anchor.stamp_ns)
            self.skipped_anchors += skipped
            self._last_anchor_ns = anchor.stamp_ns
            odometry = list(self._odometry)
            acceleration = list(self._acceleration)
            command = self._command
        sensors = [entry.decode() for entry in matches]
        ego = self._ego_at(anchor.stamp_ns, odometry, acceleration)
        cameras = {item.name: item for item in sensors if isinstance(item, CameraImage)}
        lidar = next((item for item in sensors if isinstance(item, LidarSweep)), None)
        return PlannerInput(anchor.stamp_ns, ego, command, cameras, lidar)

    def _append(self, buffer: deque[_Entry], entry: _Entry) -> None:
        if buffer and entry.stamp_ns < buffer[-1].stamp_ns:
            if buffer[-1].stamp_ns - entry.stamp_ns < _JUMP_BACK_NS:
                return
            self._clear()
        buffer.append(entry)

    def _clear(self) -> None:
        for buffer in (*self._buffers.values(), self._odometry, self._acceleration):
            buffer.clear()
        self._watch.reset()
        self._last_anchor_ns = -1
        self.resets += 1

    def _choose(self, now_ns: int) -> tuple[str, _Entry, list[_Entry]] | NotReady:
        """Return the anchor's name, its message and those of the sensors that are read."""
        newest = {name: buffer[-1].stamp_ns if buffer else None
                  for name, buffer in self._buffers.items()}
        live = self._required.union(self._watch.live(newest, now_ns))
        anchor_name = self._configured_anchor
        if anchor_name not in live:
            anchor_name = next((name for name in self._used
                                if name in live and self._buffers[name]), anchor_name)
        # An engine that reads sensors waits for all of them rather than plan on none.
        wanted = [name for name in self._read if name in live] or list(self._read)
        silent = [name for name in self._used
                  if name in {anchor_name, *wanted} and not self._buffers[name]]
        if silent or not self._odometry:
            names = ', '.join([*silent, *([] if self._odometry else [ODOMETRY])])
            return NotReady(f'nothing received yet from: {names}')
        stale = self._stale(anchor_name, now_ns)
        if stale:
            return NotReady(stale)
        fresh = [entry for entry in reversed(self._buffers[anchor_name])
                 if entry.stamp_ns > self._last_anchor_ns
                 and now_ns - entry.stamp_ns <= self._limits.max_input_age_ns]
        if not fresh:
            return NotReady(f'waiting for the next {anchor_name}', waiting=True)
        for anchor in fresh:
            matches = self._match(anchor, wanted)
            if len(matches) == len(wanted) and self._odometry_covers(anchor.stamp_ns):
                return anchor_name, anchor, list(matches.values())
        return NotReady(self._what_is_missing(anchor_name, fresh[0], wanted, now_ns),
                        waiting=now_ns - fresh[0].stamp_ns <= self._limits.tolerance_ns)

    def _stale(self, name: str, now_ns: int) -> str | None:
        age_s = (now_ns - self._buffers[name][-1].stamp_ns) * 1e-9
        limit_s = self._limits.max_input_age_ns * 1e-9
        if age_s > limit_s:
            return (f'{name}: the newest stamp is {age_s:.2f} s old (limit {limit_s:.2f} '
                    's); is the sensor alive and its clock synchronised? A bag needs '
                    'use_sim_time and /clock')
        if age_s < -limit_s:
            return (f'{name}: the newest stamp lies {-age_s:.2f} s in the future; '
                    'synchronise the clocks')
        return None

    def _match(self, anchor: _Entry, wanted: Sequence[str]) -> dict[str, _Entry]:
        matches = {}
        for name in wanted:
            nearest = min(self._buffers[name],
                          key=lambda entry: abs(entry.stamp_ns - anchor.stamp_ns))
            if abs(nearest.stamp_ns - anchor.stamp_ns) <= self._limits.tolerance_ns:
                matches[name] = nearest
        return matches

    def _odometry_covers(self, stamp_ns: int) -> bool:
        newest = self._odometry[-1].stamp_ns
        return (self._odometry[0].stamp_ns <= stamp_ns
                and stamp_ns - newest <= self._limits.max_extrapolation_ns)

    def _what_is_missing(self, anchor_name: str, anchor: _Entry, wanted: Sequence[str],
                         now_ns: int) -> str:
        matched = self._match(anchor, wanted)
        found = []
        for name in wanted:
            if name not in matched:
                age_s = (now_ns - self._buffers[name][-1].stamp_ns) * 1e-9
                found.append(f'{name}: no message within '
                             f'{self._limits.tolerance_ns * 1e-6:.0f} ms of the anchor '
                             f'{anchor_name}; its newest is {age_s:.2f} s old')
        if not self._odometry_covers(anchor.stamp_ns):
            age_s = (now_ns - self._odometry[-1].stamp_ns) * 1e-9
            found.append(f'odometry: none around the anchor {anchor_name}; its newest is '
                         f'{age_s:.2f} s old')
        return '; '.join(found)

    def _ego_at(self, stamp_ns: int, odometry: list[_Entry],
                acceleration: list[_Entry]) -> EgoState:
        stamps = np.array([entry.stamp_ns for entry in odometry])
        after = int(np.searchsorted(stamps, stamp_ns))
        if after == len(odometry):
            ego = extrapolate(odometry[-1].decode(), stamp_ns)
        elif after == 0:
            ego = odometry[0].decode()
        else:
            ego = interpolate(odometry[after - 1].decode(), odometry[after].decode(), stamp_ns)
        return replace(ego, acceleration=self._acceleration_at(stamp_ns, odometry, acceleration))

    def _acceleration_at(self, stamp_ns: int, odometry: list[_Entry],
                         measured: list[_Entry]) -> np.ndarray:
        if measured:
            nearest = min(measured, key=lambda entry: abs(entry.stamp_ns - stamp_ns))
            if abs(nearest.stamp_ns - stamp_ns) <= self._limits.tolerance_ns:
                return nearest.decode()
        recent = [entry.decode() for entry in odometry
                  if 0 <= stamp_ns - entry.stamp_ns <= _ACCELERATION_SPAN_NS]
        return acceleration_from_velocity(recent) if recent else np.zeros(2)
