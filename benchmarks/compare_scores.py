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
Hold scores against official ones: ``python benchmarks/compare_scores.py OURS.npz OFFICIAL.npz``.

OURS is written by ``python -m pair_drive_ros score``; OFFICIAL holds ``NNNN/v1/scores``,
``NNNN/v2/scores_unfiltered`` and ``NNNN/v2/scores_filtered``. Discrete sub-scores must be equal;
EP and totals may differ by 1e-6. The exit code is 0 only if everything agrees.
"""

import argparse
from pathlib import Path
import sys

import numpy as np

TOLERANCE = 1e-6
CONTINUOUS = ('EP', 'PDMS', 'EPDMS', 'pdm_score')


def compare(ours: Path, official: Path) -> bool:
    """Print one line a table; return whether all tables agree."""
    agree = True
    with np.load(ours) as mine, np.load(official) as theirs:
        version = 'v1' if str(mine['protocol']) == 'navsim_v1' else 'v2'
        columns = [str(name) for name in mine['columns']]
        discrete = np.array([not any(part in name for part in CONTINUOUS) for name in columns])
        for table in sorted({key.split('/')[1] for key in mine.files if '/' in key}):
            keys = [key for key in mine.files if key.endswith(f'/{table}')]
            found = np.concatenate([mine[key] for key in keys])
            scene_names = [key.split('/')[0] for key in keys]
            expected = np.concatenate([theirs[f'{name}/{version}/{table}']
                                       for name in scene_names])
            same = (found == expected) | (np.isnan(found) & np.isnan(expected))
            differing = int((~same[:, discrete]).sum())
            error = float(np.nanmax(np.abs(found - expected)[:, ~discrete], initial=0.0))
            agree &= differing == 0 and error <= TOLERANCE
            print(f'{version} {table}: {len(found)} plans in {len(keys)} scenes, {differing} of '
                  f'{found[:, discrete].size} discrete sub-scores differ, EP and totals within '
                  f'{error:.1e}')
    return agree


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ours', type=Path)
    parser.add_argument('official', type=Path)
    arguments = parser.parse_args()
    sys.exit(0 if compare(arguments.ours, arguments.official) else 1)
