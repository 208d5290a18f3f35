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

"""What the commands share that train something."""

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
import os
from pathlib import Path

from pair_drive_training.allocator import keep_freed_memory
from pair_drive_training.data.work_folder import locked
from pair_drive_training.options import add_options, config_from
from pair_drive_training.run_config import RunConfig, TrainingRunError
from pair_drive_training.training_run import TrainingRun


def add_run_arguments(parser: argparse.ArgumentParser, config_class: type[RunConfig]) -> None:
    """Declare the options of a run, and how far to go in this call."""
    add_options(parser, config_class)
    parser.add_argument('--stop-after', metavar='EPOCHS', type=int, default=None,
                        help='end after so many epochs of this call; the run can be gone on with')


def run_training(options: argparse.Namespace, make: Callable[..., TrainingRun],
                 config_class: type[RunConfig]) -> int:
    """
    Train until the last epoch, or as far as asked; return 0.

    :raises TrainingRunError: when another process trains in the same folder
    """
    keep_freed_memory()
    config = config_from(config_class, options)
    with _alone_in(config.out):
        training = make(config)
        if training.step:
            print(f'goes on after step {training.step} of '
                  f'{config.epochs * training.steps_per_epoch}')
        training.run(options.stop_after)
    print(f'{config.out}: {training.step // training.steps_per_epoch} of {config.epochs} epochs')
    return 0


def _alone_in(folder: Path) -> AbstractContextManager:
    """Keep other runs out of a folder; the first process of a run does so for all of them."""
    if int(os.environ.get('RANK', 0)):
        return nullcontext()
    folder.mkdir(parents=True, exist_ok=True)
    return locked(folder, TrainingRunError, 'training in it')
