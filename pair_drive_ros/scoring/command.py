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

"""Command ``score``: sub-scores of all plans in a file of scenes."""

import argparse
from pathlib import Path
import sys
import time

import numpy as np
from pair_drive_ros.scoring.aggregation import human_penalty_filter
from pair_drive_ros.scoring.example import example_plans, example_scene
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_ros.scoring.scene import SceneError
from pair_drive_ros.scoring.scene_file import (
    SceneFile,
    SceneFileError,
    V1_COLUMNS,
    v1_table,
    V2_COLUMNS,
    v2_table,
    write_arrays,
)
from pair_drive_ros.scoring.scenes import ScoringScenes
from pair_drive_ros.scoring.score import pdm_score, PlanError
from tqdm import tqdm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('scenes', type=Path, help='npz file of scenes and plans')
    parser.add_argument('--protocol', required=True, choices=[p.value for p in Protocol],
                        help='whose score: PDMS of devkit v1.1, or EPDMS of devkit v2.2')
    parser.add_argument('--out', type=Path, required=True, help='npz file to write scores to')
    parser.add_argument('--threads', type=int, default=None,
                        help='CPU threads (default: all that may be used)')


def run(args: argparse.Namespace, _: list[str]) -> int:
    """Score the file and print how long it took; 0 on success, 1 with a sentence on failure."""
    protocol = Protocol(args.protocol)
    try:
        with SceneFile(args.scenes) as file:
            tables, plans, seconds = _score_file(file, protocol, args.threads)
        columns = V1_COLUMNS if protocol is Protocol.NAVSIM_V1 else V2_COLUMNS
        write_arrays(args.out, {'protocol': np.array(protocol.value),
                                'columns': np.array(columns), **tables})
    except (SceneFileError, SceneError, PlanError, OSError) as error:
        print(f'score: {error}', file=sys.stderr)
        return 1
    rate = plans / seconds if seconds else 0.0
    print(f'{plans} plans scored by {protocol.title} in {seconds:.3f} s, {rate:.0f} plans/s, '
          f'scene preparation included; written to {args.out}')
    return 0


def _score_file(file: SceneFile, protocol: Protocol,
                threads: int | None) -> tuple[dict[str, np.ndarray], int, float]:
    """Tables by name, number of plans, and seconds without reading and compiling."""
    tables, plans_scored, seconds = {}, 0, 0.0
    # A first score loads or compiles the kernels, so that the figures are those of scoring.
    plans = example_plans(1)[None]
    pdm_score(plans, ScoringScenes.prepare([example_scene(protocol)], protocol), protocol,
              previous_plans=plans)
    for key in tqdm(file.keys, desc=protocol.value, unit='scene'):
        scene, plans = file.scene(key, protocol), file.plans(key)[None]
        previous = file.previous_plans(key)
        start = time.perf_counter()
        scenes = ScoringScenes.prepare([scene], protocol)
        scores = pdm_score(plans, scenes, protocol, threads=threads, human_filter=False,
                           previous_plans=None if previous is None else previous[None])
        if protocol is Protocol.NAVSIM_V1:
            tables[f'{key}/scores'] = v1_table(scores)[0]
        else:
            filtered = human_penalty_filter(scores, scenes.arrays.human)
            tables[f'{key}/scores_unfiltered'] = v2_table(scores, scores)[0]
            tables[f'{key}/scores_filtered'] = v2_table(filtered, scores)[0]
        seconds += time.perf_counter() - start
        plans_scored += plans.shape[1]
    return tables, plans_scored, seconds
