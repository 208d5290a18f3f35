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
Train the selector of PaIR-Drive on candidates that are scored exactly.

The same command goes on with a run. Several processes: torchrun --nproc_per_node N -m
pair_drive_training select ...

OUT gets best and last (.safetensors with a JSON card), state.safetensors, metrics.jsonl,
steps.jsonl, curves.png and tensorboard/.
"""

import argparse

from pair_drive_training.run_command import add_run_arguments, run_training
from pair_drive_training.selection import Selection, SelectionConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser, SelectionConfig)


def run(options: argparse.Namespace) -> int:
    """Train; return 0."""
    return run_training(options, Selection, SelectionConfig)
