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
Which frames of a log are worth learning from and judging by.

Source: NAVSIM, which keeps the scenes that cannot be driven at constant velocity and in which the
human drove well, by the score of version 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pair_drive_ros.core.trajectory import PLAN_POSES, PLAN_STEP_S
from pair_drive_ros.scoring import pdm_score, Protocol, SceneError, ScoringScenes
from pair_drive_training.data.city_map import CityMap
from pair_drive_training.data.frames import Frame, human_future
from pair_drive_training.data.log import LogFrames
from pair_drive_training.data.metric_scene import MetricScene
from pair_drive_training.data.scene_filter import SceneFilter, scenes_of_log

PASS_MARK = 0.8
# More of one drive would show the same street again.
MAX_SCENES_A_DRIVE = 12


@dataclass(frozen=True)
class Selection:
    """
    Scenes of a log.

    ``tokens`` of those kept, in the order of time; ``human`` [N] their PDMS (0 to 1) of the
    human; ``candidates`` counts all frames with history and future, ``easy`` those of them that
    constant velocity masters, ``poor`` those in which the human failed, ``unscored`` those that
    log and map allow no score of.
    """

    tokens: tuple[str, ...]
    human: tuple[float, ...]
    candidates: int
    easy: int
    poor: int
    unscored: int


def select_scenes(log: LogFrames, city: CityMap) -> Selection:
    """
    Keep frames that constant velocity fails in and the human does not: up to 12, spread evenly.

    Both are judged with PDMS 0.8 as the mark, over frames with 3 before and 10 after.
    """
    scenes = scenes_of_log(log, SceneFilter())
    scored = []
    for frames in scenes:
        try:
            scene = MetricScene(frames, city).scene(Protocol.NAVSIM_V1)
        except SceneError:
            continue
        scored.append((frames, scene))
    prepared = ScoringScenes.prepare([scene for _, scene in scored], Protocol.NAVSIM_V1)
    plans = np.zeros((len(scored), 2, PLAN_POSES, 3))
    for pair, (frames, _) in zip(plans, scored, strict=True):
        pair[:] = constant_velocity_plan(frames.now), human_future(frames)
    score = np.asarray(pdm_score(plans, prepared, Protocol.NAVSIM_V1, threads=1).total)
    return _selection([frames.token for frames, _ in scored], score, len(scenes))


def constant_velocity_plan(now: Frame) -> np.ndarray:
    """Poses [8, 3] straight ahead at the present speed."""
    plan = np.zeros((PLAN_POSES, 3))
    speed = float(np.hypot(*now.velocity.astype(np.float64)))
    plan[:, 0] = speed * PLAN_STEP_S * np.arange(1, PLAN_POSES + 1)
    return plan


def _selection(tokens: Sequence[str], score: np.ndarray, candidates: int) -> Selection:
    easy, poor = score[:, 0] >= PASS_MARK, score[:, 1] < PASS_MARK
    kept = np.flatnonzero(~easy & ~poor)
    # Neighbours in time are nearly the same scene.
    if len(kept) > MAX_SCENES_A_DRIVE:
        kept = kept[np.linspace(0, len(kept) - 1, MAX_SCENES_A_DRIVE).round().astype(int)]
    rows = kept.tolist()
    return Selection(tuple(tokens[row] for row in rows),
                     tuple(float(score[row, 1]) for row in rows), candidates,
                     int(easy.sum()), int(poor.sum()), candidates - len(tokens))
