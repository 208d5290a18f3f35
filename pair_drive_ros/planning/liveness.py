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

"""Which sensors of a rig are alive."""

from collections.abc import Mapping, Sequence

# Drivers of one vehicle start seconds apart; what has not spoken by then is taken for dead.
START_UP_NS = 3_000_000_000
# A loose plug or a sensor near the limit would otherwise come and go with every message.
PROBATION_NS = 1_000_000_000


class SensorWatch:
    """
    Tells sensors that are missing from those whose message is merely late.

    A sensor is heard when a look finds a new message of it, with a stamp no further than
    ``silence_ns`` from the clock. It goes missing when it has not been heard for ``silence_ns``
    while another one was, or never within three seconds of the first message of any sensor. It is
    back when for one second no look has found it missing. While every sensor is silent nothing is
    known of any one of them: the last verdict stands, and when the first speaks again, the others
    have ``silence_ns`` to follow.

    A steady delay is no silence, and looks may be rare: what counts is whether something new came.

    :param sensors: names, in the order of the answers
    :param silence_ns: more than two periods of the sensors, so that one lost message is no death
    """

    def __init__(self, sensors: Sequence[str], silence_ns: int):
        self._sensors = tuple(sensors)
        self._silence_ns = silence_ns
        self.reset()

    def reset(self) -> None:
        """Forget everything: every sensor is awaited as at the start."""
        self._seen_ns: dict[str, int] = {}
        self._heard_ns: dict[str, int] = {}
        self._missed_ns: dict[str, int] = {}
        self._started_ns = 0
        self._resumed_ns = 0
        self._speaking: tuple[str, ...] = ()
        self._live = self._sensors

    def live(self, newest_ns: Mapping[str, int | None], now_ns: int) -> tuple[str, ...]:
        """
        Look at the sensors; return those that a plan should wait for, never none of them.

        :param newest_ns: stamp of each sensor's newest message; None where nothing has come
        """
        first = not self._heard_ns
        if self._listen(newest_ns, now_ns) and not self._speaking:
            self._resumed_ns = now_ns
            if first:
                self._started_ns = now_ns
        self._speaking = tuple(name for name in self._sensors if self._is_heard(name, now_ns))
        if self._speaking:
            starting = now_ns - self._started_ns <= START_UP_NS
            for name in self._sensors:
                awaited = starting and name not in self._heard_ns
                if name not in self._speaking and not awaited:
                    self._missed_ns[name] = now_ns
            self._live = tuple(
                name for name in self._sensors if name not in self._missed_ns
                or now_ns - self._missed_ns[name] >= PROBATION_NS) or self._speaking
        return self._live

    def _listen(self, newest_ns: Mapping[str, int | None], now_ns: int) -> bool:
        """Take note of new messages; return whether there was one to be taken seriously."""
        heard = False
        for name in self._sensors:
            stamp_ns = newest_ns[name]
            if stamp_ns is None or stamp_ns == self._seen_ns.get(name):
                continue
            self._seen_ns[name] = stamp_ns
            if abs(now_ns - stamp_ns) <= self._silence_ns:
                self._heard_ns[name] = now_ns
                heard = True
        return heard

    def _is_heard(self, name: str, now_ns: int) -> bool:
        return (name in self._heard_ns and
                now_ns - max(self._heard_ns[name], self._resumed_ns) <= self._silence_ns)
