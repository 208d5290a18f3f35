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

"""Plans made elsewhere: an npz file with one array of plans for each token."""

from pathlib import Path
from types import TracebackType
import zipfile
import zlib

import numpy as np
from pair_drive_ros.core.trajectory import PLAN_POSES


class PlansFileError(ValueError):
    """A file of plans cannot be read, or the plans of a token cannot be scored."""


class PlansFile:
    """
    Read-only view of ``<token>`` -> float [K, 8, 3]; nothing in the file is ever unpickled.

    A plan is 8 poses (x m, y m, heading rad) at 0.5 s steps in the ego frame of the token's scene.

    :raises PlansFileError: when the file is missing, cut off or no npz archive
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            if not zipfile.is_zipfile(path):
                path.open('rb').close()
                raise PlansFileError(f'{path}: not an npz archive, or one that was cut off; copy '
                                     'it again, or write it with numpy.savez')
            self._archive = np.load(path, allow_pickle=False)
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise PlansFileError(f'{path}: cannot be read ({error}); copy it again, or write it '
                                 'with numpy.savez') from error
        self.tokens = frozenset(self._archive.files)

    def __enter__(self) -> 'PlansFile':
        """Return the open file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        """Close the archive."""
        self._archive.close()

    def plans(self, token: str) -> np.ndarray:
        """
        Plans [K, 8, 3] of a token.

        :raises PlansFileError: when they are missing, damaged, of a wrong shape or not finite
        """
        if token not in self.tokens:
            raise PlansFileError(f'{self.path.name} has no plan for this token')
        try:
            values = self._archive[token]
        except (ValueError, OSError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile,
                zlib.error) as error:
            raise PlansFileError(f'{self.path.name}: the plan cannot be read ({error})'
                                 ) from error
        return checked_plans(values, self.path.name)

    def single(self, token: str) -> np.ndarray:
        """
        Return the plan [8, 3] of a token.

        :raises PlansFileError: when it has several, and as :meth:`plans` does
        """
        plans = self.plans(token)
        if len(plans) > 1:
            raise PlansFileError(f'{self.path.name}: has {len(plans)} plans for this token, where '
                                 'one is refined; leave one')
        return plans[0]


def checked_plans(values: object, source: str) -> np.ndarray:
    """
    Return plans [K, 8, 3] as they are when they can be scored.

    :param source: who made them, for the message
    :raises PlansFileError: when shape or dtype are wrong or a plan is not finite
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind != 'f':
        kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise PlansFileError(f'{source}: expected floating-point numbers, got {kind}')
    if values.ndim != 3 or values.shape[1:] != (PLAN_POSES, 3) or not len(values):
        raise PlansFileError(f'{source}: expected plans [K, {PLAN_POSES}, 3], got '
                             f'{list(values.shape)}')
    finite = np.isfinite(values).all(axis=(1, 2))
    if not finite.all():
        raise PlansFileError(f'{source}: plan {int(np.argmin(finite))} is not finite')
    return values
