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

"""Score every candidate of a refiner's trees around a policy's plans; writes tree.json."""

import argparse
from pathlib import Path

from pair_drive_ros.models.candidates import GENERATORS
from pair_drive_ros.models.checkpoint import load_checkpoint
from pair_drive_ros.models.refiner import Refiner
from pair_drive_ros.scoring import Protocol
from pair_drive_training.branch_validation import BranchValidation
from pair_drive_training.data.work_folder import write_json
import torch

TREE_FILE = 'tree.json'
_BATCH = 32


def main() -> None:
    """Score by navsim_v1; the values are 0 to 100, see ``BranchValidation.of_tree``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--refiner', type=Path, required=True)
    parser.add_argument('--policy', required=True)
    parser.add_argument('--generator', choices=GENERATORS, default='tree')
    parser.add_argument('--cache', type=Path, required=True)
    parser.add_argument('--tokens', type=Path, required=True)
    parser.add_argument('--out', type=Path, required=True)
    options = parser.parse_args()
    refiner, _ = load_checkpoint(options.refiner, Refiner)
    measured = BranchValidation(
        options.cache, options.tokens, options.policy, refiner.feature_spec, Protocol.NAVSIM_V1,
        _BATCH, readers=1).of_tree(refiner, torch.device('cpu'), options.generator)
    write_json(options.out / TREE_FILE, {name.removeprefix('val/'): value
                                         for name, value in measured.items()})


if __name__ == '__main__':
    main()
