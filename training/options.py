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

"""A dataclass as command line and as YAML: its fields are the options, with their help."""

import argparse
from collections.abc import Mapping
import contextlib
from dataclasses import asdict, field, fields, MISSING
from pathlib import Path
import types
import typing
from typing import Any, TypeVar

import yaml

ConfigT = TypeVar('ConfigT')


class OptionsError(ValueError):
    """An option is unknown, missing or of the wrong type; the sentence names it."""


def option(text: str, default: Any = MISSING, *, may_change: bool = False) -> Any:
    """
    Declare a field of a configuration.

    :param text: its help
    :param default: without one it must be given
    :param may_change: whether a run may go on with another value
    """
    metadata = {'help': text, 'may_change': may_change}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def add_options(parser: argparse.ArgumentParser, config_class: type) -> None:
    """Declare ``--config FILE.yaml`` and an option for every field of a dataclass."""
    parser.add_argument('--config', type=Path, metavar='YAML', default=argparse.SUPPRESS,
                        help='file with any of the entries below; the command line wins')
    hints = typing.get_type_hints(config_class)
    for entry in fields(config_class):
        kind = _kind(hints[entry.name])
        text = entry.metadata['help']
        default = _default(entry)
        if default is not MISSING and default not in (None, {}):
            text += f' (default: {default})'
        flag = '--' + entry.name.replace('_', '-')
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=text,
                                default=argparse.SUPPRESS)
        elif kind is dict:
            parser.add_argument(flag, nargs='+', metavar='NAME=VALUE', help=text, type=_pair,
                                default=argparse.SUPPRESS)
        else:
            parser.add_argument(flag, type=kind, metavar=kind.__name__.upper(), help=text,
                                default=argparse.SUPPRESS)


def config_from(config_class: type[ConfigT], options: argparse.Namespace) -> ConfigT:
    """
    Put together the file of ``--config`` and what was given on the command line.

    :raises OptionsError: on an entry that is unknown, missing or of the wrong type
    """
    given = vars(options)
    values = _read_yaml(given['config']) if 'config' in given else {}
    for name, value in given.items():
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            given[name] = dict(value)
    known = {entry.name: entry for entry in fields(config_class)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise OptionsError(f'{given["config"]}: there is no entry {unknown[0]!r}; the entries are '
                           f'{", ".join(known)}')
    hints = typing.get_type_hints(config_class)
    values = {name: _checked(name, value, hints[name]) for name, value in values.items()}
    values.update({name: given[name] for name in known if name in given})
    missing = [name for name, entry in known.items()
               if name not in values and _default(entry) is MISSING]
    if missing:
        raise OptionsError('give ' + ', '.join(f'--{name.replace("_", "-")}' for name in missing))
    return config_class(**values)


def as_entries(config: Any) -> dict[str, Any]:
    """Return a configuration in terms of YAML and JSON."""
    return {name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(config).items()}


def differences(before: Mapping[str, Any], config: Any) -> list[str]:
    """Say what differs, of what a run cannot go on with, from the entries it was begun with."""
    now = as_entries(config)
    fixed = [entry.name for entry in fields(config) if not entry.metadata['may_change']]
    return [f'{name} was {before.get(name)!r}, now {now[name]!r}'
            for name in fixed if before.get(name) != now[name]]


def _kind(hint: Any) -> Any:
    """Return the type of a field: ``Path | None`` is a Path, a mapping a dict."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return dict if typing.get_origin(hint) is not None else hint


def _default(entry: Any) -> Any:
    return entry.default_factory() if entry.default_factory is not MISSING else entry.default


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition('=')
    if not name or not equals:
        raise argparse.ArgumentTypeError(f'expected NAME=VALUE, got {text!r}')
    return name, yaml.safe_load(value)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise OptionsError(f'{path}: cannot be read ({error})') from error
    if not isinstance(values, dict):
        raise OptionsError(f'{path}: expected entries NAME: VALUE')
    return values


def _number(value: Any) -> Any:
    # YAML takes 1e-3, which has no point, for a text.
    if isinstance(value, int | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _checked(name: str, value: Any, hint: Any) -> Any:
    kind = _kind(hint)
    if value is None and type(None) in typing.get_args(hint):
        return None
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float:
        value = _number(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise OptionsError(f'{name}: expected {kind.__name__}, got {value!r}')
    return value
