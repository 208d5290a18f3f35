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
Import a public checkpoint of NAVSIM's devkit (TransFuser, LTF) or of DiffusionDrive.

FILE is what Lightning writes there (.ckpt), or its state_dict alone (.pth, .pt, .safetensors).
It is read with torch's weights_only, so nothing in it is run. Every tensor must fit the full-size
network of --policy in name and shape. NAME.safetensors and its card NAME.json are then a
checkpoint like any other, for evaluate and for the planner node.
"""

import argparse
import hashlib
from pathlib import Path

from pair_drive_ros.models.architectures import policy_class
from pair_drive_ros.models.checkpoint import HASH_DIGITS, save_checkpoint, TrainingRecord
from pair_drive_ros.models.foreign_weights import copy_weights, ForeignWeightsError, read_weights
from pair_drive_ros.models.policy import ImitationPolicy
from pair_drive_training.public_names import own_name, seems_to_be, with_own_names

# Architecture, and what its configuration has that its defaults, the public sizes, have not.
POLICIES: dict[str, tuple[str, dict[str, bool]]] = {
    'transfuser': ('transfuser', {}),
    'ltf': ('transfuser', {'lidar': False}),
    'diffusion_drive': ('diffusion_drive', {})}
_BLOCK_BYTES = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('file', metavar='FILE', type=Path, help='the public checkpoint')
    parser.add_argument('--policy', choices=list(POLICIES), required=True,
                        help='the network that it holds')
    parser.add_argument('--out', metavar='NAME.safetensors', type=Path, required=True,
                        help='the checkpoint to write; its card lies beside it')
    parser.add_argument('--data', metavar='TEXT', default='',
                        help='what it was trained on, for the card; without it the card names '
                             'FILE and its SHA-256')


def run(options: argparse.Namespace) -> int:
    """Write the imported checkpoint and say what it is."""
    policy = import_policy(options.file, options.policy)
    data = options.data or f'imported from {options.file.name} (sha256 {_sha256(options.file)})'
    card = save_checkpoint(options.out, policy, TrainingRecord(data, None, 'imported'))
    size = sum(parameter.numel() for parameter in policy.parameters()) / 1e6
    print(f'{options.out}: {options.policy}, {size:.2f} M parameters, model {card.model_hash}')
    return 0


def import_policy(path: Path, name: str) -> ImitationPolicy:
    """
    Build the full-size policy ``name`` of ``POLICIES`` with the weights of a public checkpoint.

    :raises ForeignWeightsError: when the file cannot be read safely or does not fit the policy
    """
    architecture, changes = POLICIES[name]
    tensors = read_weights(path)
    network = policy_class(architecture)
    policy = network(network.config_class(**changes))
    try:
        copy_weights(with_own_names(tensors), policy)
    except ForeignWeightsError as error:
        seems = seems_to_be(map(own_name, tensors))
        raise ForeignWeightsError(f'{path}: does not fit {name}: {error}. By its names the file '
                                  f'seems to be of {seems}') from error
    return policy.eval()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()[:HASH_DIGITS]
