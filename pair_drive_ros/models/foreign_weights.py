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
Weights that other programs wrote: read without running anything they hold, and never half used.

torch's files are pickles. They are read by ``torch.load`` with ``weights_only``, which builds
tensors and plain containers and refuses every other name in the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
import pickle
import re
import struct

from pair_drive_ros.models.checkpoint import WEIGHTS_SUFFIX
from safetensors import SafetensorError
from safetensors.torch import load_file
import torch
from torch import nn

# What torch raises, besides refusals, on files that are truncated, damaged or something else.
_DAMAGE = (pickle.UnpicklingError, ArithmeticError, AssertionError, AttributeError, EOFError,
           LookupError, MemoryError, RuntimeError, SafetensorError, TypeError, ValueError,
           struct.error)
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
_WRAPPER = 'state_dict'
# Batch norms count their training batches and use the count nowhere in this package; older
# public ResNet files do not have it.
_OPTIONAL = '.num_batches_tracked'
_SHOWN = 3


class ForeignWeightsError(ValueError):
    """A file holds no weights that can be read safely, or not those of the network."""


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """
    Read named tensors, on the CPU, from a file of ``torch.save`` or a ``.safetensors`` file.

    Of a training checkpoint, as Lightning writes it, the entry ``state_dict`` is taken.

    :raises ForeignWeightsError: when the file cannot be read, names anything that is not plain
        data (nothing of it is run), or holds no named tensors
    """
    try:
        content = (load_file(path) if path.suffix == WEIGHTS_SUFFIX
                   else torch.load(path, map_location='cpu', weights_only=True))
    except OSError as error:
        raise ForeignWeightsError(f'{path}: cannot be read ({error.strerror or error})') from error
    except _DAMAGE as error:
        raise ForeignWeightsError(_reason(path, error)) from error
    if isinstance(content, Mapping) and isinstance(content.get(_WRAPPER), Mapping):
        content = content[_WRAPPER]
    if not isinstance(content, Mapping) or not content:
        raise ForeignWeightsError(f'{path}: holds no named tensors but a {type(content).__name__}')
    for name, tensor in content.items():
        if not (isinstance(name, str) and _is_plain(tensor)):
            raise ForeignWeightsError(f'{path}: its entry {name!r} is no plain tensor but a '
                                      f'{type(tensor).__name__}; expected tensors by name, or '
                                      f'those under {_WRAPPER!r}')
    return {name: tensor.detach() for name, tensor in content.items()}


def copy_weights(tensors: Mapping[str, torch.Tensor], network: nn.Module) -> None:
    """
    Copy all of the tensors into the parameters and buffers that have their names.

    Neither side may have one that the other lacks, but for the batch counters of batch norms,
    which the tensors may leave out. Floating-point types are converted to the network's.

    :raises ForeignWeightsError: when names, shapes or types differ or a value is not finite; the
        network is then as it was
    """
    own = network.state_dict()
    wrong = [text for text in (
        _listed('missing', [name for name in own
                            if name not in tensors and not name.endswith(_OPTIONAL)]),
        _listed('unknown', [name for name in tensors if name not in own]),
        _listed('of another shape or type', [
            f'{name}: {_form(tensor)} instead of {_form(own[name])}'
            for name, tensor in tensors.items() if name in own and not _fits(tensor, own[name])])
    ) if text]
    if wrong:
        raise ForeignWeightsError(f'{len(tensors)} tensors for {len(own)} places: '
                                  f'{"; ".join(wrong)}')
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise ForeignWeightsError(f'{_listed("not finite", broken)}: the training that wrote them '
                                  'has diverged, or the file is damaged')
    network.load_state_dict(tensors, strict=False)


def _reason(path: Path, error: BaseException) -> str:
    named = re.search(r'GLOBAL ([\w.]+)', str(error))
    if named is None:
        return (f'{path}: is truncated, damaged or no file of weights ({type(error).__name__}); '
                'copy it again and compare its size and checksum with the source')
    return (f'{path}: names {named[1]}, which is not plain data; the file was refused and nothing '
            'of it was run. If you trust it, save its tensors alone in the environment that it '
            'comes from and use that file: python -c "import torch; torch.save(torch.load('
            f"'{path.name}', map_location='cpu', weights_only=False)['state_dict'], "
            "'weights.pth')\"")


def _is_plain(value: object) -> bool:
    return (isinstance(value, torch.Tensor) and value.layout is torch.strided
            and value.device.type == 'cpu' and not value.is_quantized)


def _fits(tensor: torch.Tensor, own: torch.Tensor) -> bool:
    return tensor.shape == own.shape and (
        tensor.dtype == own.dtype or {tensor.dtype, own.dtype} <= _FLOATS)


def _form(tensor: torch.Tensor) -> str:
    return f'{str(tensor.dtype).removeprefix("torch.")} {list(tensor.shape)}'


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return ''
    more = ', ...' if len(names) > _SHOWN else ''
    return f'{len(names)} {what} ({", ".join(names[:_SHOWN])}{more})'
