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

"""Whether this machine's arithmetic gives the numbers that scores are compared by."""

from collections.abc import Generator
import os
from typing import Any

import numpy as np
from pair_drive_ros.scoring import pdm_trace, Protocol, ScoringScenes
from pair_drive_ros.scoring.example import example_plans, example_scene
from pair_drive_ros.scoring.kernels import score_paths
from pair_drive_ros.scoring.protocol import STEP_S, STEPS
from pair_drive_ros.scoring.state import HEADING, X, Y
from pair_drive_ros.scoring.tracker import JERK_PENALTY, velocity_profile_matrix
from pair_drive_training.doctor.report import fail, ok, progress, Row, warn
import pyproj
import torch

TOLERANCE = 1e-9
# Where the tracker and the bicycle model take the plans of `example_plans(4)` within 4 s in
# `example_scene(NAVSIM_V1)`: x m, y m, heading rad; float64 on x86-64, numpy 2.4.6.
DRIVE_ENDS = (
    (14.564646915174563, 0.0, 0.0),
    (24.07108001742428, 4.381316923055539, 0.40623011901353556),
    (33.4482383933043, 11.146731087901847, 0.6002828314766308),
    (43.633811458809575, 2.8851376986943427, 0.1207992879888556),
)
# On the Las Vegas Strip: degrees, and metres by the series of the Mercator projection itself.
PLACE_DEGREES = (-115.1728, 36.1147)
PLACE_CRS = 'EPSG:32611'
PLACE_METRES = (664_450.975062, 3_998_216.335324)
PLACE_TOLERANCE_M = 1e-3
MATRIX_SIZE = 256
REMEDY = ('Install the versions pinned above (make setup); scores of this machine cannot be '
          'compared with others before.')


def numerics_rows() -> Generator[Row, None, None]:
    """Check the tracker's arithmetic, matrix products, map coordinates and compiled kernels."""
    # Where the kernels were never compiled this takes most of a minute.
    with progress('self-test', 2, 'check') as bar:
        profile = profile_error()
        bar.update()
        drive = drive_error()
    yield _compared('tracker: speed profile', profile, 'a least-squares solution')
    yield _compared('tracker: drive of 4 s', drive, 'the reference')
    for device in ('cpu', *(['cuda'] if torch.cuda.is_available() else [])):
        yield _compared(f'torch float64 on {device}', product_error(device), 'numpy')
    yield _projection_row()
    yield _kernel_row()


def profile_error() -> float:
    """
    Return how far the tracker's matrix lies from the least-squares problem it solves, m/s.

    Unknown are the first speed v and the accelerations a of 39 steps: the displacements dt L x,
    x = (v, a), shall be those of the plan, at a price for a (all but the last two) and for the
    last difference of a. The tracker solves the normal equations; here it is the problem itself.
    """
    integrate = np.tril(np.full((STEPS, STEPS), STEP_S))
    integrate[:, 0] = 1.0
    price = np.zeros((STEPS - 2, STEPS))
    price[:-1, 1:-2] = np.eye(STEPS - 3)
    price[-1, -2:] = -1.0, 1.0
    problem = np.vstack([STEP_S * integrate, np.sqrt(JERK_PENALTY) * price])
    displacements = np.vstack([np.eye(STEPS), np.zeros_like(price)])
    solution = np.linalg.lstsq(problem, displacements, rcond=None)[0]
    return float(np.abs(integrate @ solution - velocity_profile_matrix()).max())


def drive_error() -> float:
    """Return how far four simulated drives end from ``DRIVE_ENDS``, m or rad."""
    protocol = Protocol.NAVSIM_V1
    scenes = ScoringScenes.prepare([example_scene(protocol)], protocol)
    trace = pdm_trace(example_plans(len(DRIVE_ENDS))[None], scenes, protocol)
    return float(np.abs(trace.states[0, :, -1, [X, Y, HEADING]].T - DRIVE_ENDS).max())


def product_error(device: str) -> float:
    """Return how far torch's product of two matrices lies from numpy's, entries of about 16."""
    left, right = np.random.default_rng(0).standard_normal((2, MATRIX_SIZE, MATRIX_SIZE))
    product = torch.from_numpy(left).to(device) @ torch.from_numpy(right).to(device)
    return float(np.abs(product.cpu().numpy() - left @ right).max())


def _compared(check: str, error: float, with_what: str) -> Row:
    found = f'differs from {with_what} by {error:.1e} at most (allowed {TOLERANCE:.0e})'
    # Not "error > TOLERANCE": that would let NaN pass.
    return ok(check, found) if error <= TOLERANCE else fail(check, found, REMEDY)


def _projection_row() -> Row:
    check = 'map projection'
    try:
        metres = pyproj.Transformer.from_crs(4326, PLACE_CRS, always_xy=True).transform(
            *PLACE_DEGREES)
    except pyproj.exceptions.ProjError as error:
        return fail(check, f'PROJ cannot be used ({error})',
                    'Unset PROJ_DATA and PROJ_LIB, which may lead to the data of another PROJ.')
    error_m = float(np.hypot(*np.subtract(metres, PLACE_METRES)))
    found = f'differs from the reference by {error_m:.1e} m (allowed {PLACE_TOLERANCE_M:.0e})'
    if error_m <= PLACE_TOLERANCE_M:
        return ok(check, found)
    return fail(check, found, 'Install the pyproj pinned above: maps would be off by that much.')


def _kernel_row() -> Row:
    check = 'compiled kernels'
    kernel: Any = score_paths
    folder = kernel.stats.cache_path
    if folder is not None and os.access(folder, os.W_OK):
        return ok(check, f'kept in {folder}')
    return warn(check, f'cannot be kept in {folder or "any folder"}: every process compiles anew',
                'Set NUMBA_CACHE_DIR to a folder that can be written.')
