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


"""Anchors of DiffusionDrive: typical drives that its plans start from, in a file of their own."""

from pathlib import Path

import numpy as np
from pair_drive_ros.core.trajectory import PLAN_POSES

ANCHORS_SUFFIX = '.npy'


class AnchorsError(ValueError):
    """A file of anchors cannot be read, or holds none; the sentence names the remedy."""


def read_anchors(path: Path) -> np.ndarray:
    """
    Read anchors, float32 [N, 8, 2]: x, y in m of eight poses at 0.5 s steps in ``base_link``.

    The public file of DiffusionDrive's 20 anchors is one of these as it is. Nothing in it is ever
    unpickled.

    :raises AnchorsError: when the file is missing, truncated or no ``.npy`` file of numbers, or
        when shape or kind of the numbers are wrong or one is not finite
    """
    try:
        with path.open('rb') as file:
            anchors = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise AnchorsError(f'{path}: the anchors cannot be read ({error.strerror or error}); name '
                           'a file that the command "make-anchors" wrote') from error
    # A header may ask for more than there is memory.
    except (ValueError, MemoryError) as error:
        raise AnchorsError(f'{path}: no whole {ANCHORS_SUFFIX} file of numbers ({error}); copy it '
                           'again, or make one with the command "make-anchors"') from error
    if anchors.dtype.kind != 'f' or anchors.ndim != 3 or anchors.shape[1:] != (PLAN_POSES, 2) or (
            not len(anchors)):
        raise AnchorsError(f'{path}: expected floating-point anchors [N, {PLAN_POSES}, 2] (x, y '
                           f'in m every 0.5 s), got {anchors.dtype} {list(anchors.shape)}')
    finite = np.isfinite(anchors).all(axis=(1, 2))
    if not finite.all():
        raise AnchorsError(f'{path}: anchor {int(np.argmin(finite))} is not finite; make the '
                           'anchors again')
    return anchors.astype(np.float32, order='C')
