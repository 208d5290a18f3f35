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
How the scoring rules become machine code.

Every rule is one scalar Python function marked with :data:`device`. The same function is compiled
into the CPU kernels, into the CUDA kernels, and stays callable from plain Python; so there is one
text per rule. The rules allocate nothing and are compiled without reference counting: handing
the packed scenes from rule to rule would otherwise count some forty arrays at every call. Kernels
are compiled at their first call and kept in numba's cache folder.
"""

from collections.abc import Callable
import hashlib
from pathlib import Path
from typing import Any
import warnings

from numba import njit
from numba.extending import register_jitable

device = register_jitable(_nrt=False, forceinline=True)


def source_fingerprint() -> str:
    """
    Hash of all scoring sources.

    numba's cache looks only at the file of the kernel itself. A kernel that closes over this hash
    is compiled anew when any rule it calls has changed.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob('*.py')):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cpu_kernel(function: Callable, allocates: bool = False) -> Callable:
    """
    Compile for the CPU, releasing the GIL; kept on disk where a folder can be written.

    :param allocates: the function makes arrays, which needs reference counting
    """
    options: dict[str, Any] = {'nogil': True, '_nrt': allocates}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError as error:
        warnings.warn(f'compiled scoring kernels are not kept between runs: {error}; '
                      'set NUMBA_CACHE_DIR to a folder that can be written', stacklevel=2)
        return njit(**options)(function)
