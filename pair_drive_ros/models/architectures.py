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
Imitation policies by name.

A policy is one that ships, or a class of the user's own, named by its import path
``package.module:Class``. Importing runs code, so only a name that the user has written down is
ever imported: the architecture in a foreign checkpoint's card is not.
"""

import importlib
from pathlib import Path

from pair_drive_ros.models.checkpoint import Card, load_card, load_checkpoint, WEIGHTS_SUFFIX
from pair_drive_ros.models.policy import ImitationPolicy

SHIPPED = {'transfuser': 'pair_drive_ros.models.transfuser:Transfuser',
           'diffusion_drive': 'pair_drive_ros.models.diffusion_drive:DiffusionDrive',
           'ego_status': 'pair_drive_ros.models.ego_status:EgoStatus'}
CHECKPOINTS = Path(__file__).parents[1] / 'checkpoints'
BRANCH_CHECKPOINTS = CHECKPOINTS / 'refinement'


class ArchitectureError(ValueError):
    """A name does not lead to an imitation policy."""


def policy_class(name: str) -> type[ImitationPolicy]:
    """
    Return the class of a policy that ships, or import the one at ``package.module:Class``.

    :raises ArchitectureError: when there is no such policy, its module cannot be imported, or
        what is there is none
    """
    path = SHIPPED.get(name, name)
    module_name, colon, class_name = path.partition(':')
    if not colon or not module_name or not class_name:
        raise ArchitectureError(f'there is no policy {name!r}; name one of {", ".join(SHIPPED)}, '
                                'or your own class by its import path package.module:Class')
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ArchitectureError(f'{name}: cannot be imported ({error}); is its folder on '
                                'PYTHONPATH?') from error
    # The module is the user's own: anything may happen in it.
    except Exception as error:
        raise ArchitectureError(f'{name}: importing {module_name} ended with '
                                f'{type(error).__name__}: {error}; correct the module') from error
    found = getattr(module, class_name, None)
    if found is None:
        raise ArchitectureError(f'{name}: the module {module_name} has no {class_name}')
    if not (isinstance(found, type) and issubclass(found, ImitationPolicy)):
        raise ArchitectureError(f'{name}: is not a subclass of '
                                'pair_drive_ros.models.policy.ImitationPolicy')
    return found


def shipped_checkpoints() -> dict[str, Path]:
    """Return the weights files that ship with the package, by the names of the checkpoints."""
    return {path.stem: path for path in sorted(CHECKPOINTS.glob(f'*{WEIGHTS_SUFFIX}'))}


def checkpoint_file(name: str) -> Path:
    """
    Return the weights file of a checkpoint that ships with the package, or the file of that path.

    :raises ArchitectureError: when the name is neither
    """
    if name.endswith(WEIGHTS_SUFFIX):
        return Path(name)
    shipped = shipped_checkpoints()
    if name not in shipped:
        ships = f'one that ships ({", ".join(shipped)}), or ' if shipped else ''
        raise ArchitectureError(f'there is no checkpoint {name!r}; name {ships}a file ending in '
                                f'{WEIGHTS_SUFFIX}')
    return shipped[name]


def load_policy(path: Path, policy: str = '') -> tuple[ImitationPolicy, Card]:
    """
    Load a checkpoint of any architecture, on the CPU and in evaluation mode.

    :param policy: the architecture's name or import path; without it that of the card, which
        must then be one that ships
    :raises ArchitectureError: when there is no such policy, or it is the user's own and not named
    :raises CheckpointError: when the checkpoint cannot be loaded, see ``checkpoint``
    """
    architecture = policy or load_card(path).architecture
    if not policy and architecture not in SHIPPED:
        raise ArchitectureError(f'{path}: holds the architecture {architecture!r}, which does not '
                                'ship with this package; name the class yourself (policy), since '
                                'importing it runs its code')
    return load_checkpoint(path, policy_class(architecture))


def branch_file(name: str) -> Path:
    """
    Return the weights file of the RL branch that ships, ``refiner`` or ``selector``, or that path.

    :raises ArchitectureError: when the name is neither
    """
    if name.endswith(WEIGHTS_SUFFIX):
        return Path(name)
    path = BRANCH_CHECKPOINTS / f'{name}{WEIGHTS_SUFFIX}'
    if not path.exists():
        shipped = ', '.join(sorted(each.stem for each in BRANCH_CHECKPOINTS.glob(
            f'*{WEIGHTS_SUFFIX}')))
        raise ArchitectureError(f'there is no part {name!r} of the RL branch; name one that ships '
                                f'({shipped or "none"}), or a file ending in {WEIGHTS_SUFFIX}')
    return path
