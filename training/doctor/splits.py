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

"""The scenes that are asked for, and what is known of NAVSIM's own splits."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
import warnings

from pair_drive_ros.scoring import Protocol
from pair_drive_training.data.scene_filter import FilterWarning, load_filter, SceneFilter
from pair_drive_training.doctor.report import not_checked, ok, Row, warn

ONE_STAGE = (f'scored by {Protocol.NAVSIM_V1.title} or, in one stage, by '
             f'{Protocol.NAVSIM_V2.title}, which must not be compared')


class OfficialSplit(NamedTuple):
    """Scenes of a split by the devkit's filter; who scores it how; the devkit's download."""

    real: int
    synthetic: int
    scored: str
    script: str


NAVHARD = OfficialSplit(450, 5_462, f'scored in two stages by {Protocol.NAVSIM_V2.title}',
                        'download_navhard_two_stage.sh')
OFFICIAL = {
    'navtrain': OfficialSplit(103_288, 0, 'for training', 'download_navtrain_hf.sh'),
    'navtest': OfficialSplit(12_146, 0, ONE_STAGE, 'download_test.sh'),
    'navmini': OfficialSplit(396, 0, ONE_STAGE, 'download_mini.sh'),
    'navhard': NAVHARD,
    'navhard_two_stage': NAVHARD,
}
"""By the names of the devkit's YAML files; sizes by devkit 2.2."""


@dataclass(frozen=True)
class Split:
    """
    A scene filter under the name of its file.

    ``notes`` are what reading it gave rise to; ``official`` is what it ought to be by its name.
    """

    name: str
    scene_filter: SceneFilter
    notes: tuple[str, ...] = ()
    official: OfficialSplit | None = None

    @classmethod
    def load(cls, path: Path | None) -> 'Split':
        """
        Read a filter; None asks for all scenes.

        :raises FilterError: when the file cannot be used
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always', FilterWarning)
            scene_filter = load_filter(path)
        if path is None:
            return cls('all scenes', scene_filter)
        return cls(path.name, scene_filter, tuple(str(warning.message) for warning in caught),
                   OFFICIAL.get(path.stem))

    @property
    def real(self) -> tuple[str, ...] | None:
        """Tokens of logged scenes that it lists, None where it takes what the logs hold."""
        limited = self.scene_filter.max_scenes is not None
        return None if limited else self.scene_filter.tokens

    @property
    def synthetic(self) -> tuple[str, ...]:
        """Tokens of second-stage scenes that it lists and asks for."""
        listed = self.scene_filter
        if not listed.include_synthetic_scenes:
            return ()
        return (listed.synthetic_scene_tokens if listed.synthetic_scene_tokens is not None
                else listed.reactive_synthetic_initial_tokens) or ()

    @property
    def download(self) -> str:
        """How to get its logs and sensors again."""
        script = self.official.script if self.official else '*.sh for these logs'
        return f"the devkit's download/{script}"


def split_rows(split: Split, given: bool) -> Iterator[Row]:
    """Check the filter against NAVSIM's own split of that name."""
    check = 'split'
    if not given:
        yield not_checked(check, f'all scenes of {split.scene_filter.num_frames} frames are taken',
                          "Give --tokens FILE, the devkit's scene filter (navtest.yaml), to count "
                          'against it.')
        return
    official = split.official
    found = f'{split.name}: {_counts(split)}'
    remedy = "Copy the YAML from the devkit's folder train_test_split/scene_filter again."
    if official is not None and split.real is not None and (
            (len(split.real), len(split.synthetic)) != (official.real, official.synthetic)):
        yield warn(check, f'{found}; the official one of that name has {official.real:,} '
                          f'(and {official.synthetic:,} of the second stage)', remedy)
    elif split.notes:
        yield warn(check, f'{found}; {" ".join(split.notes)}', remedy)
    else:
        yield ok(check, found + (f', as the official one; {official.scored}' if official else ''))
    if split.scene_filter.include_synthetic_scenes:
        yield not_checked('second-stage scenes', f'{len(split.synthetic):,} are listed',
                          'Run the command "cache" with --synthetic DIR, which reads each of them '
                          'and names what is missing; then give --cache CACHE.')


def _counts(split: Split) -> str:
    if split.real is None:
        return 'takes what the logs hold'
    stage = f' and {len(split.synthetic):,} of the second stage' if split.synthetic else ''
    return f'lists {len(split.real):,} scenes{stage}'
