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
Train both branches of PaIR-Drive at the same time; the same command goes on with both.

Each branch is a run of its own in OUT/imitation and OUT/reinforcement, as "train" and "reinforce"
make it, with its YAML of options; they share the machine: a GPU each, one GPU, or half of the
cores each (one core: an epoch by turns). OUT/dashboard.html shows both and reloads itself.

To go on with one alone, or to replace it, give its configuration alone.
"""

import argparse
from pathlib import Path
import signal

from pair_drive_training.parallel import branches, ParallelError, train

_SHARED = {'cache': 'cache of the training split', 'tokens': 'its scene filter or tokens',
           'val_cache': 'cache to validate in', 'val_tokens': 'scene filter of the validation'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--imitation', type=Path, metavar='YAML',
                        help='options of "train", such as config/train_transfuser_mini.yaml')
    parser.add_argument('--reinforcement', type=Path, metavar='YAML',
                        help='options of "reinforce", such as config/train_refiner_mini.yaml')
    for name, text in _SHARED.items():
        parser.add_argument('--' + name.replace('_', '-'), type=Path, metavar='PATH', help=text,
                            required=name == 'cache')
    parser.add_argument('--root-plans', type=Path, metavar='NPZ',
                        help='of "reinforce", where its roots are those of a policy: '
                             'a file or a folder of files')
    parser.add_argument('--init', type=Path, metavar='CHECKPOINT',
                        help='of "reinforce": what its perception begins with')
    parser.add_argument('--seed', type=int, default=0, help='of both branches')
    parser.add_argument('--out', type=Path, required=True, metavar='OUT',
                        help='folder of both runs, new or to go on with')


def run(options: argparse.Namespace) -> int:
    """Train both; return 0."""
    given = {name: getattr(options, name) for name in ('imitation', 'reinforcement')
             if getattr(options, name) is not None}
    if not given:
        raise ParallelError('there is nothing to train: give --imitation, --reinforcement or both')
    devices = _devices()
    arguments = {}
    for name, recipe in given.items():
        own = ['--config', str(recipe), '--seed', str(options.seed)]
        shared = [*_SHARED, *(('root_plans', 'init') if name == 'reinforcement' else ())]
        for entry in shared:
            if getattr(options, entry) is not None:
                own += ['--' + entry.replace('_', '-'), str(getattr(options, entry))]
        arguments[name] = [*own, '--device', 'cuda' if devices else 'cpu']
    found = branches(options.out, arguments, devices)
    # Ended like this too, it ends what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f'training {" and ".join(arguments)}; {options.out / "dashboard.html"} shows how far')
    train(found)
    for branch in found:
        print(f'{branch.out}: done')
    return 0


def _devices() -> list[str]:
    """Return the GPUs that this process may use, as CUDA names them."""
    import torch
    return [str(index) for index in range(torch.cuda.device_count())]
