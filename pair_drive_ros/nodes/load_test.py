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

"""The planner node under the load of a real rig, played by another process."""

import os
from pathlib import Path
import tempfile
from typing import Any

from pair_drive_ros.evaluation.load_bag import write_load_bag
from pair_drive_ros.nodes.demo import SAMPLE_INPUTS
from pair_drive_ros.nodes.replay import bringup_command, replay
from pair_drive_ros.nodes.resources import config_file

_CALLBACK_LIMIT_MS = 10.0


def run(seconds: float) -> dict[str, Any]:
    """Play the load to a planner in a process of its own; return what both counted."""
    inputs = {name: topic for name, topic in SAMPLE_INPUTS.items()
              if name in ('points', 'odometry') or name.startswith('camera_')}
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / 'bag'
        write_load_bag(bag, seconds)
        rig = [config_file('planner.yaml'), config_file('sample_rig.yaml')]
        recording = replay(bag, bringup_command(rig, inputs),
                           SAMPLE_INPUTS['camera_front/image/compressed'])
    said = recording.diagnostics
    if not said:
        raise RuntimeError('the planner published no diagnostics while the load was played; its '
                           'own words above say why')
    received = {topic: int(said[f'received.{source}']) for source, topic in (
        ('camera_left', inputs['camera_left/image/compressed']),
        ('camera_front', inputs['camera_front/image/compressed']),
        ('camera_right', inputs['camera_right/image/compressed']),
        ('lidar', inputs['points']), ('odometry', inputs['odometry']))}
    callback = [float(part) for part in said['callback_ms p50/p99/max'].split('/')]
    return {'seconds': seconds, 'cores': os.cpu_count(),
            'sent': {topic: recording.sent[topic] for topic in received}, 'received': received,
            'plans': len({plan.stamp_ns for plan in recording.plans}),
            'callback_to_slot_ms': dict(zip(('p50', 'p99', 'max'), callback, strict=True)),
            'arrival_to_plan_ms p50/p95/max': said['e2e_latency_ms p50/p95/max'],
            'planner_cpu_percent': 100.0 * recording.planner_cpu_s / recording.wall_s}


def report(figures: dict[str, Any]) -> str:
    """Return the lines that a person reads."""
    callback = figures['callback_to_slot_ms']
    lines = [f'planner node, {figures["cores"]} cores, {figures["seconds"]:g} s of load, player '
             'in another process']
    lines += [f'  {topic:<34}{figures["received"][topic]:>5} of {sent} received'
              for topic, sent in figures['sent'].items()]
    return '\n'.join([
        *lines, f'  plans                             {figures["plans"]:>5}',
        f'  callback to slot                  p50 {callback["p50"]:.3f}  p99 '
        f'{callback["p99"]:.3f}  max {callback["max"]:.3f} ms; p99 is '
        f'{callback["p99"] / _CALLBACK_LIMIT_MS:.3f} of the limit of {_CALLBACK_LIMIT_MS:g} ms',
        f'  arrival of the anchor to plan     p50/p95/max '
        f'{figures["arrival_to_plan_ms p50/p95/max"]} ms',
        f'  planner CPU                       {figures["planner_cpu_percent"]:.0f} % of one core'])
