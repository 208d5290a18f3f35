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
The state of a training run: everything that going on exactly where it was needs.

One safetensors file; what is no tensor lies as JSON in its header. Random numbers need no state:
every step seeds its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from pair_drive_ros.core.files import written_whole
from safetensors import safe_open, SafetensorError
from safetensors.torch import save
import torch
from torch import nn
from torch.optim import Optimizer

_HEADER = 'run'


class RunStateError(ValueError):
    """A run's state cannot be read, or is that of another network."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: ``entries`` of its configuration, steps done, and what to remember."""

    entries: Mapping[str, Any]
    step: int
    memory: Mapping[str, Any]


def save_state(path: Path, modules: Mapping[str, nn.Module], optimizer: Optimizer,
               progress: Progress) -> None:
    """
    Write the state; it appears complete or not at all.

    :raises OSError: when the file cannot be written
    """
    tensors = {f'{name}/{key}': value for name, module in modules.items()
               for key, value in module.state_dict().items()}
    tensors.update({f'optimizer/{index}/{key}': torch.as_tensor(value)
                    for index, entry in optimizer.state_dict()['state'].items()
                    for key, value in entry.items()})
    header = json.dumps({'entries': progress.entries, 'step': progress.step,
                         'memory': progress.memory}, allow_nan=False)
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
                   {_HEADER: header})
    with written_whole(path) as file:
        file.write(content)


def read_progress(path: Path) -> Progress | None:
    """
    Read how far a run is; None where there is none.

    :raises RunStateError: when the file is damaged
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, 'pt') as file:
            return Progress(**json.loads(file.metadata()[_HEADER]))
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise RunStateError(f'{path}: cannot be read ({error}); remove it to begin '
                            'anew') from error


def load_state(path: Path, modules: Mapping[str, nn.Module], optimizer: Optimizer) -> None:
    """
    Put modules and optimizer, which are built as they were, into the saved state.

    :raises RunStateError: when the file is damaged or does not fit them
    """
    try:
        with safe_open(path, 'pt') as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for name, module in modules.items():
            prefix = f'{name}/'
            module.load_state_dict({key.removeprefix(prefix): value
                                    for key, value in tensors.items() if key.startswith(prefix)})
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith('optimizer/'):
                _, index, entry = key.split('/')
                state.setdefault(int(index), {})[entry] = value
        optimizer.load_state_dict({**optimizer.state_dict(), 'state': state})
        _lay_out_as_parameters(optimizer)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise RunStateError(f'{path}: does not fit this network ({error}); remove it to begin '
                            'anew') from error


def _lay_out_as_parameters(optimizer: Optimizer) -> None:
    """Give each moment its parameter's strides: a fused step reads all of them as flat memory."""
    for parameter, entries in optimizer.state.items():
        for name, value in entries.items():
            if value.shape == parameter.shape:
                entries[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
