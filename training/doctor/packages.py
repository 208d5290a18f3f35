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

"""Versions of what scores and networks depend on, against the pins of this package."""

from collections.abc import Callable, Iterator
from importlib import import_module, metadata
import os
import platform
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from pair_drive_training.doctor.report import fail, not_checked, ok, Row, State, warn

PACKAGE = 'pair_drive_ros'


class _Library(NamedTuple):
    """A package by the names of its distribution and module; what else to say of the module."""

    name: str
    module: str
    details: Callable[[Any], str] = lambda module: ''


def package_rows() -> Iterator[Row]:
    """Check Python, the pinned packages and what they were built with, and the GPU."""
    try:
        pins = _pins()
        yield _python_row()
    except metadata.PackageNotFoundError:
        pins = {}
        yield not_checked('pinned versions', f'{PACKAGE} runs without having been installed, so '
                          'nobody knows what it pins', 'Run: python -m pip install -e .')
    for library in LIBRARIES:
        row = _library_row(library, pins.pop(library.name, None))
        yield row
        if library.name == 'torch' and row.state is not State.FAIL:
            yield _gpu_row()
    if pins:
        yield _others_row(pins)


def _pins() -> dict[str, Requirement]:
    """
    Return what the installed package requires here, by name.

    :raises PackageNotFoundError: when it is not installed
    """
    requirements = [Requirement(line) for line in metadata.requires(PACKAGE) or ()]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements
            if requirement.marker is None or requirement.marker.evaluate({'extra': ''})}


def _python_row() -> Row:
    wanted = SpecifierSet(metadata.metadata(PACKAGE).get('Requires-Python') or '')
    found = f'{platform.python_version()} on {platform.machine()}'
    if wanted.contains(platform.python_version(), prereleases=True):
        return ok('Python', found)
    return fail('Python', f'{found}, needed: {wanted}',
                'Make an environment with another one: make setup PYTHON=python3.12')


def _library_row(library: _Library, pin: Requirement | None) -> Row:
    name = library.name
    wanted = str(pin.specifier) if pin is not None else ''
    remedy = f"Run: python -m pip install '{name}{wanted}'"
    try:
        module = import_module(library.module)
        version = _installed(name) or str(module.__version__)
        found = version + library.details(module)
    except Exception as error:  # It may fail to load in any way; that is the finding.
        return fail(name, f'cannot be imported ({type(error).__name__}: {error})', remedy)
    if pin is None or pin.specifier.contains(version, prereleases=True):
        return ok(name, found)
    if name in KEPT_FROM_ROS and os.environ.get('ROS_DISTRO'):
        return ok(name, f'{found}: kept as ROS {os.environ["ROS_DISTRO"]} has it, tested with '
                        f'{wanted} too')
    return warn(name, f'{found}, tested with {wanted}', remedy)


def _others_row(pins: dict[str, Requirement]) -> Row:
    different = {name: _installed(name) or 'absent' for name, pin in pins.items()
                 if not pin.specifier.contains(_installed(name) or '0', prereleases=True)}
    if not different:
        return ok('other packages', f'{", ".join(sorted(pins))} as pinned')
    wanted = ' '.join(f"'{name}{pins[name].specifier}'" for name in different)
    found = ', '.join(f'{name} {version} (tested with {pins[name].specifier})'
                      for name, version in different.items())
    return warn('other packages', found, f'Run: python -m pip install {wanted}')


def _gpu_row() -> Row:
    try:
        cuda = import_module('torch').cuda
        if cuda.is_available():
            names = [cuda.get_device_name(index) for index in range(cuda.device_count())]
            return ok('GPU', f'{", ".join(names)}')
        built_for = import_module('torch').version.cuda
    except Exception as error:  # A driver may fail in any way; that is the finding.
        return warn('GPU', f'cannot be asked ({type(error).__name__}: {error})',
                    'Run nvidia-smi to see whether the driver works.')
    if built_for is None:
        return ok('GPU', 'none used: this is not a CUDA build of torch')
    return warn('GPU', f'torch is built for CUDA {built_for}, but finds no usable GPU',
                'Run nvidia-smi to see whether the driver works and is new enough.')


def _installed(name: str) -> str | None:
    """Return the version by the installer's records, which distributions' packages may lack."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _blas(numpy: Any) -> str:
    blas = numpy.show_config(mode='dicts').get('Build Dependencies', {}).get('blas', {})
    return f' with {blas.get("name", "unknown BLAS")} {blas.get("version", "")}'.rstrip()


LIBRARIES = (
    _Library('numpy', 'numpy', _blas),
    _Library('torch', 'torch', lambda torch: f' for {torch.version.cuda or "CPU"}'),
    _Library('numba', 'numba', lambda numba: f' with llvmlite {_installed("llvmlite")}'),
    _Library('shapely', 'shapely', lambda shapely: f' with GEOS {shapely.geos_version_string}'),
    _Library('pyproj', 'pyproj', lambda pyproj: f' with PROJ {pyproj.proj_version_str}'),
    _Library('opencv-python-headless', 'cv2'),
)
KEPT_FROM_ROS = ('numpy', 'opencv-python-headless')
"""A sourced distribution's compiled packages are built against its own of these."""
