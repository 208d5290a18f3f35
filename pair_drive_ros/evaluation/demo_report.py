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

"""The demonstration's report: a summary table, a picture of the plans, a page with both."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
import html
import json
from pathlib import Path

import numpy as np
from pair_drive_ros.conversions.camera_info import camera_calibration
from pair_drive_ros.conversions.image import decode_compressed
from pair_drive_ros.conversions.odometry import ego_state
from pair_drive_ros.conversions.outputs import BASE_FRAME
from pair_drive_ros.conversions.point_cloud import lidar_sweep
from pair_drive_ros.conversions.stamp import stamp_to_ns
from pair_drive_ros.conversions.transforms import StaticTransforms
from pair_drive_ros.core.ego_motion import interpolate
from pair_drive_ros.core.files import written_whole
from pair_drive_ros.core.frames import CameraImage, EgoState
from pair_drive_ros.core.geometry import relative_to
from pair_drive_ros.core.trajectory import Trajectory
from pair_drive_ros.evaluation.bag import BagReader
from pair_drive_ros.evaluation.plan_picture import plans_figure
from pair_drive_ros.evaluation.recording import RecordedPlan, Recording

IMAGE_TOPIC = '/camera/front/image/compressed'
CAMERA_INFO_TOPIC = '/camera/front/camera_info'
POINTS_TOPIC = '/lidar/points'
ODOMETRY_TOPIC = '/odom'
TRANSFORMS_TOPIC = '/tf_static'


@dataclass(frozen=True)
class DemoSummary:
    """
    Counts, latency (ms from the anchor image's publication to its plan), states, and what planned.

    ``engine``, ``trained_on`` and ``refinement`` are the planner's own words, empty where it said
    none.
    """

    frames_in: int
    plans_out: int
    latency_p50_ms: float
    latency_p95_ms: float
    latency_max_ms: float
    planner_cpu_percent: float
    states: tuple[tuple[str, str], ...]
    engine: str
    trained_on: str
    refinement: str

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of every line of the table."""
        return [('engine', f'{self.engine}, trained on: {self.trained_on}'),
                ('refinement', self.refinement),
                ('frames in', str(self.frames_in)), ('plans out', str(self.plans_out)),
                ('latency p50', f'{self.latency_p50_ms:.1f} ms'),
                ('latency p95', f'{self.latency_p95_ms:.1f} ms'),
                ('latency max', f'{self.latency_max_ms:.1f} ms'),
                ('planner CPU', f'{self.planner_cpu_percent:.0f} % of one core'),
                ('state changes', ' -> '.join(state for state, _ in self.states)),
                ('state', ': '.join(part for part in self.states[-1] if part)
                 if self.states else 'none seen')]

    def table(self) -> str:
        """Lay the rows out for a terminal."""
        return '\n'.join(f'  {name:<14}{value}' for name, value in self.rows())


def first_plans(recording: Recording) -> list[RecordedPlan]:
    """Return one plan an anchor, without those that were only held."""
    return [plan for plan in recording.plans if plan.latency_ms is not None]


def summarise(recording: Recording) -> DemoSummary:
    """Condense a recording into the numbers of the table."""
    latencies = np.array([plan.latency_ms for plan in first_plans(recording)] or [np.nan])
    return DemoSummary(
        len(recording.anchors), len(first_plans(recording)), float(np.median(latencies)),
        float(np.percentile(latencies, 95.0)), float(latencies.max()),
        100.0 * recording.planner_cpu_s / recording.wall_s, tuple(recording.states),
        recording.diagnostics.get('engine', ''), recording.diagnostics.get('trained_on', ''),
        _refinement(recording.diagnostics))


def _refinement(diagnostics: Mapping[str, str]) -> str:
    """Put the RL branch's health in one line."""
    state, share = diagnostics.get('refinement', ''), diagnostics.get('rl_used_ratio', 'n/a')
    if share == 'n/a':
        return state
    return (f'{state}; used for {float(share):.0%} of the last inputs, late for '
            f'{diagnostics["deadline_misses"]}')


def write_report(folder: Path, bag: Path, recording: Recording,
                 summary: DemoSummary) -> list[Path]:
    """
    Write summary.json and, when plans came, plans.png and report.html; return their paths.

    :param bag: the sample drive that was played
    :raises BagError, PlanPictureError: when the bag lacks a topic or a file cannot be written
    """
    numbers = folder / 'summary.json'
    with written_whole(numbers) as file:
        file.write(json.dumps(asdict(summary), indent=2).encode() + b'\n')
    plans = first_plans(recording)
    if not plans:
        return [numbers]
    picture = folder / 'plans.png'
    _draw(picture, bag, plans)
    page = folder / 'report.html'
    with written_whole(page) as file:
        file.write(_page(bag, summary, picture).encode())
    return [numbers, picture, page]


def _draw(path: Path, bag: Path, plans: list[RecordedPlan]) -> None:
    """Draw all plans, the one in the middle of the drive strong."""
    chosen = len(plans) // 2
    stamp_ns = plans[chosen].stamp_ns
    transforms, odometry, nearest = StaticTransforms(), [], {}
    with BagReader(bag) as reader:
        for topic, _, message in reader.messages(
                [IMAGE_TOPIC, CAMERA_INFO_TOPIC, POINTS_TOPIC, ODOMETRY_TOPIC, TRANSFORMS_TOPIC]):
            if topic == TRANSFORMS_TOPIC:
                transforms.add(message)
            elif topic == ODOMETRY_TOPIC:
                odometry.append(ego_state(message))
            elif topic not in nearest or (stamp_to_ns(message.header.stamp) <= stamp_ns):
                nearest[topic] = message
    image, info, points = (nearest[topic] for topic in (IMAGE_TOPIC, CAMERA_INFO_TOPIC,
                                                        POINTS_TOPIC))
    camera = CameraImage('front', stamp_to_ns(image.header.stamp), decode_compressed(image),
                         camera_calibration(info))
    sweep = lidar_sweep(points, transforms.lookup(BASE_FRAME, points.header.frame_id))
    plans_figure(path, camera, transforms.lookup(BASE_FRAME, image.header.frame_id), sweep,
                 [(_ego_at(plan.stamp_ns, odometry), _relative(plan)) for plan in plans], chosen,
                 np.stack([ego.pose for ego in odometry]))


def _relative(plan: RecordedPlan) -> Trajectory:
    """Return the published poses as seen from the one at the stamp."""
    return Trajectory(plan.stamp_ns, relative_to(plan.poses[0], plan.poses[1:]), plan.step_s)


def _ego_at(stamp_ns: int, odometry: list[EgoState]) -> EgoState:
    after = next((index for index, ego in enumerate(odometry) if ego.stamp_ns >= stamp_ns),
                 len(odometry) - 1)
    before, after = odometry[max(0, after - 1)], odometry[after]
    return interpolate(before, after, min(max(stamp_ns, before.stamp_ns), after.stamp_ns))


def _page(bag: Path, summary: DemoSummary, picture: Path) -> str:
    rows = '\n'.join(f'<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
                     for name, value in summary.rows())
    data = base64.b64encode(picture.read_bytes()).decode()
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>pair_drive_ros: {html.escape(bag.name)}</title>
<style>
body {{ background: #14171c; color: #e6e9ee; font: 16px/1.5 sans-serif; margin: 2rem auto;
        max-width: 75rem; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; font-weight: 600; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ border-bottom: 1px solid #333a45; padding: .25rem 1.5rem .25rem 0; text-align: left; }}
th {{ color: #9aa4b2; font-weight: 400; }}
img {{ max-width: 100%; }}
p {{ color: #9aa4b2; }}
</style></head><body>
<h1>The planner on {html.escape(str(bag))}</h1>
<table>
{rows}
</table>
<img src="data:image/png;base64,{data}" alt="plans over the front camera and from above">
<p>Strong: the plan of the frame that is shown. Faint: every other plan of the drive.
Latency runs from the publication of the anchor image to the arrival of its plan.</p>
</body></html>
"""
