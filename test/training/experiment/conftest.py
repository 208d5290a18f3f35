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

"""Folders of an experiment that was never run: scores and what says that they are done."""

import json
from pathlib import Path

import numpy as np
from pair_drive_ros.scoring import Protocol
from pair_drive_training.experiment.rows import main_rows, VARIANT_SEED, variants
from pair_drive_training.experiment.scores import COLUMNS
from pair_drive_training.experiment.workbench import score_name
import pytest

LOGS, SCENES = 12, 24
ROWS = {row.name: row for row in main_rows()}


class Folder:
    """Writes scores that a row would have: every column of each scene is its total."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, name: str, totals, protocol: Protocol = Protocol.NAVSIM_V1) -> None:
        """Write totals [N] of one plan a scene, or [N, K] of several, 0 to 100."""
        values = np.asarray(totals, dtype=float) / 100.0
        folder = self.path / 'scores' / name
        folder.mkdir(parents=True)
        lines = [{'token': f'{scene:03d}', 'log': f'log{scene % LOGS}',
                  **{column: value.tolist() for column in COLUMNS[protocol]}}
                 for scene, value in enumerate(values)]
        (folder / 'per_token.jsonl').write_text('\n'.join(map(json.dumps, reversed(lines))))
        (folder / 'done.json').write_text('{"command": [], "inputs": {}}')

    def write_row(self, row: str, totals, seed: int = 0) -> None:
        """Write a row's scores by both protocols."""
        for protocol in Protocol:
            self.write(score_name(ROWS[row], seed, protocol), totals, protocol)

    def write_variant(self, name: str, totals) -> None:
        """Write what is measured of a variant."""
        assert name in {variant.name for variant in variants()}
        self.write(f'variant_{name}_{VARIANT_SEED}_navsim_v1', totals)
        folder = self.path / 'trees' / name
        folder.mkdir(parents=True)
        (folder / 'tree.json').write_text(json.dumps(
            {'root': 80.0, 'coverage': 95.5, 'leaf': 50.25, 'likeliest': 81.0,
             'leaf_comfort': 99.0}))
        (folder / 'done.json').write_text('{"command": [], "inputs": {}}')


@pytest.fixture
def folder(tmp_path):
    """Return an experiment's folder that is empty."""
    (tmp_path / 'out').mkdir()
    return Folder(tmp_path / 'out')


@pytest.fixture
def level():
    """Make totals that are alike in all scenes."""
    return lambda value: np.full(SCENES, float(value))
