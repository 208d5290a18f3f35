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
Checkpoints: the weights as safetensors and, beside them, a JSON card that says what they are.

``policy.safetensors`` has its card in ``policy.json``. The card carries the SHA-256 of the
weights, so a file that is truncated, damaged or paired with another's card is refused. Nothing is
ever unpickled.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from pair_drive_ros.core.files import written_whole
from pair_drive_ros.models.features import FEATURE_VERSION
from pair_drive_ros.models.policy import Network
from safetensors import SafetensorError
from safetensors.torch import load, save
import torch

WEIGHTS_SUFFIX = '.safetensors'
CARD_SUFFIX = '.json'
HASH_DIGITS = 12
# Zip archives (torch.save) and pickles of protocol 2 to 5.
_PICKLE_MAGIC = (b'PK\x03\x04', b'\x80\x02', b'\x80\x03', b'\x80\x04', b'\x80\x05')

NetworkT = TypeVar('NetworkT', bound=Network)


class CheckpointError(ValueError):
    """A checkpoint cannot be read or written, or is not what the caller asked for."""


@dataclass(frozen=True)
class TrainingRecord:
    """Where weights come from: everything a reader needs to train them again."""

    data: str
    """Name of the data set and split."""
    seed: int | None
    """Seed of the run; None where it is not known, as of an imported checkpoint."""
    git_revision: str
    """Revision of the source tree."""
    protocol: str | None = None
    """Protocol of the metrics (``navsim_v1``, ``navsim_v2``); None where none is a score."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measured values by name."""


@dataclass(frozen=True)
class Card:
    """What a checkpoint's JSON file says."""

    architecture: str
    """``architecture`` of the network's class."""
    config: Mapping[str, Any]
    """The network's configuration, entry by entry."""
    feature_version: int
    """``FEATURE_VERSION`` of the features it was trained on."""
    weights_sha256: str
    """SHA-256 of the weights file, hexadecimal."""
    training: TrainingRecord

    @property
    def model_hash(self) -> str:
        """Shorten the SHA-256 to 12 digits: the name of exactly these weights."""
        return self.weights_sha256[:HASH_DIGITS]


def save_checkpoint(path: Path, network: Network, training: TrainingRecord,
                    half: bool = False) -> Card:
    """
    Write the weights to ``path`` and the card beside it; each file appears complete or not at all.

    :param path: ends in ``.safetensors``; its folder exists
    :param half: store float16, which halves the file; a network computes in float32 all the same
    :return: the card as written
    :raises CheckpointError: when the path ends otherwise, a metric is not a finite number, or a
        weight is too large for float16
    """
    _check_suffix(path)
    tensors = {name: tensor.detach().cpu().contiguous()
               for name, tensor in network.state_dict().items()}
    if half:
        tensors = {name: _halved(path, name, tensor) for name, tensor in tensors.items()}
    weights = save(tensors)
    card = Card(network.architecture, asdict(network.config), FEATURE_VERSION,
                hashlib.sha256(weights).hexdigest(), training)
    try:
        text = json.dumps(asdict(card), indent=2, allow_nan=False)
    except ValueError as error:
        raise CheckpointError(f'{path.name}: the card cannot be written as JSON ({error}); '
                              'metrics must be finite numbers') from error
    _write(path, weights)
    _write(path.with_suffix(CARD_SUFFIX), text.encode() + b'\n')
    return card


def load_checkpoint(path: Path, network_class: type[NetworkT]) -> tuple[NetworkT, Card]:
    """
    Read a checkpoint into a new network on the CPU, in evaluation mode.

    :param path: the ``.safetensors`` file; its card lies beside it
    :param network_class: the class of the architecture that is expected
    :raises CheckpointError: when a file is missing, truncated or pickled, or when architecture,
        configuration or feature version are not those of ``network_class`` and this package
    """
    weights = _read_weights(path)
    card = load_card(path)
    if card.architecture != network_class.architecture:
        raise CheckpointError(f'{path}: holds the architecture {card.architecture!r}, not '
                              f'{network_class.architecture!r}; name the network that it was '
                              'trained as, or another checkpoint')
    if card.feature_version != FEATURE_VERSION:
        raise CheckpointError(f'{path}: was trained on features of version '
                              f'{card.feature_version}, but this package builds version '
                              f'{FEATURE_VERSION}; train it again, or use the package version it '
                              'was trained with')
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise CheckpointError(f'{path}: the weights are not those its card describes; the file '
                              'is truncated, damaged or paired with another card: copy both again')
    network = _build(path, network_class, card.config)
    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise CheckpointError(f'{path}: not a readable safetensors file ({error})') from error
    _check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return network.eval(), card


def load_card(path: Path) -> Card:
    """
    Read the card of the checkpoint ``path`` without touching its weights.

    :raises CheckpointError: when the card is missing or is not a card
    """
    card_path = path.with_suffix(CARD_SUFFIX)
    try:
        entries = json.loads(card_path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise CheckpointError(f'{card_path}: the card of {path.name} is missing; a checkpoint is '
                              'two files, copy both') from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{card_path}: the card cannot be read ({error})') from error
    try:
        card = Card(**{**entries, 'training': TrainingRecord(**entries['training'])})
    except (TypeError, KeyError) as error:
        raise CheckpointError(f'{card_path}: not a checkpoint card ({error})') from error
    if not isinstance(card.config, dict) or not isinstance(card.weights_sha256, str):
        raise CheckpointError(f'{card_path}: not a checkpoint card (config must be an object and '
                              'weights_sha256 a string)')
    return card


def _halved(path: Path, name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if not torch.equal(half.isfinite(), tensor.isfinite()):
        raise CheckpointError(f'{path.name}: {name} has values beyond float16 '
                              f'({tensor.abs().max():g}); store it in full')
    return half


def _check_suffix(path: Path) -> None:
    if path.suffix != WEIGHTS_SUFFIX:
        raise CheckpointError(f'{path}: a checkpoint ends in {WEIGHTS_SUFFIX}')


def _read_weights(path: Path) -> bytes:
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f'{path}: the weights cannot be read ({error.strerror})') from error
    # Byte 8 of a safetensors file opens its JSON header; the length before it may look like a
    # pickle's first bytes.
    if weights.startswith(_PICKLE_MAGIC) and weights[8:9] != b'{':
        raise CheckpointError(f'{path}: is a pickle (as torch.save writes), which can run any '
                              'code when it is opened, so it is refused; convert it to '
                              'safetensors where you trust it')
    _check_suffix(path)
    return weights


def _build(path: Path, network_class: type[NetworkT], config: Mapping[str, Any]) -> NetworkT:
    known = {entry.name for entry in fields(network_class.config_class)}
    if known != set(config):
        raise CheckpointError(
            f'{path}: the configuration of its card is not one of {network_class.architecture!r}: '
            f'unknown {sorted(set(config) - known)}, missing {sorted(known - set(config))}')
    try:
        return network_class(network_class.config_class(**config))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f'{path}: the configuration of its card builds no '
                              f'{network_class.architecture!r} ({error})') from error


def _check_tensors(path: Path, expected: Mapping[str, torch.Tensor],
                   tensors: Mapping[str, torch.Tensor]) -> None:
    """Compare names and shapes with those of the configuration's network."""
    wrong = [name for name in expected
             if name not in tensors or tensors[name].shape != expected[name].shape]
    wrong += [name for name in tensors if name not in expected]
    if wrong:
        raise CheckpointError(f'{path}: the weights do not fit the configuration of the card: '
                              f'{len(wrong)} tensors differ in name or shape, first {wrong[0]}')


def _write(path: Path, content: bytes) -> None:
    try:
        with written_whole(path) as file:
            file.write(content)
    except OSError as error:
        raise CheckpointError(f'{path}: cannot be written ({error.strerror})') from error
