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

"""Which scenes of the logs are asked for: NAVSIM's scene filters, and the cutting of scenes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
import json
from pathlib import Path
import warnings

from pair_drive_training.data.frames import HISTORY_FRAMES, SceneFrames
from pair_drive_training.data.log import LogFrames
import yaml

MappingEntry = tuple[str, str, tuple[tuple[str, str], ...]]
"""A real token, the one before it, and the pairs of synthetic tokens that follow on them."""

_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_IGNORED = ('_target_', '_convert_')
_TOKEN_LISTS = ('log_names', 'tokens', 'synthetic_scene_tokens',
                'reactive_synthetic_initial_tokens')


class FilterError(ValueError):
    """A scene filter cannot be used; the sentence names the file and the remedy."""


class FilterWarning(UserWarning):
    """A scene filter can be used but says something it hardly means."""


@dataclass(frozen=True)
class SceneFilter:
    """
    Which scenes to cut from the logs, by the names of NAVSIM's YAML.

    A scene is ``num_history_frames`` up to now and ``num_future_frames`` after; one begins every
    ``frame_interval`` frames (None: no overlap). ``has_route`` drops scenes without a route now.
    ``log_names`` and ``tokens`` restrict to those, None to nothing; ``max_scenes`` bounds the
    number over all logs. ``include_synthetic_scenes`` adds second-stage scenes, those named by
    ``synthetic_scene_tokens`` or else ``reactive_synthetic_initial_tokens``.
    ``reactive_all_mapping`` comes from the split's own YAML and says which follow on which.

    :raises FilterError: when a value has the wrong type or cannot be used
    """

    num_history_frames: int = HISTORY_FRAMES
    num_future_frames: int = 10
    frame_interval: int | None = 1
    has_route: bool = True
    max_scenes: int | None = None
    log_names: tuple[str, ...] | None = None
    tokens: tuple[str, ...] | None = None
    include_synthetic_scenes: bool = False
    synthetic_scene_tokens: tuple[str, ...] | None = None
    reactive_synthetic_initial_tokens: tuple[str, ...] | None = None
    reactive_all_mapping: tuple[MappingEntry, ...] | None = None

    def __post_init__(self) -> None:
        for name, least, optional in (('num_history_frames', 1, False),
                                      ('num_future_frames', 0, False),
                                      ('frame_interval', 1, True), ('max_scenes', 1, True)):
            _check_count(name, getattr(self, name), least, optional)
        for name in ('has_route', 'include_synthetic_scenes'):
            if not isinstance(getattr(self, name), bool):
                raise FilterError(f'{name}: expected true or false, got {getattr(self, name)!r}')
        if self.num_history_frames != HISTORY_FRAMES:
            raise FilterError(
                f'num_history_frames: {self.num_history_frames}; only {HISTORY_FRAMES} (1.5 s of '
                "history and now, as in all of NAVSIM's splits) can be read")
        if self.frame_interval is None:
            object.__setattr__(self, 'frame_interval', self.num_frames)
        for name in _TOKEN_LISTS:
            object.__setattr__(self, name, _unique_texts(name, getattr(self, name)))
        if self.reactive_all_mapping is not None:
            object.__setattr__(self, 'reactive_all_mapping',
                               _mapping_entries(self.reactive_all_mapping))
        if self.synthetic_scene_tokens and not self.include_synthetic_scenes:
            warnings.warn('synthetic_scene_tokens are listed but include_synthetic_scenes is '
                          'false: none of them is used', FilterWarning, stacklevel=2)

    @classmethod
    def from_yaml(cls, path: Path) -> 'SceneFilter':
        """
        Read a scene filter of the devkit, or a train_test_split that names one.

        Of a split, ``scene_filter/<name>.yaml`` beside it is read.

        :raises FilterError: when a file is missing, no YAML, or holds keys that are not known
        """
        values = _read_yaml(path)
        if 'defaults' not in values:
            return _build(path, values)
        beside = path.parent / 'scene_filter' / f'{_filter_name(path, values)}.yaml'
        if not beside.is_file():
            raise FilterError(f'{path}: it names the scene filter {beside.stem}, but there is no '
                              f"{beside}; copy the devkit's folder train_test_split with its "
                              'sub-folder scene_filter')
        mapping = values.get('reactive_all_mapping')
        unknown = values.keys() - {'defaults', 'data_split', 'reactive_all_mapping'}
        if unknown:
            raise FilterError(f'{path}: unknown keys {", ".join(sorted(map(str, unknown)))}; a '
                              'split holds defaults, data_split and reactive_all_mapping (splits '
                              'of devkit 2.0 with two_stage_mapping cannot be used)')
        try:
            return replace(cls.from_yaml(beside), reactive_all_mapping=mapping)
        except FilterError as error:
            raise FilterError(f'{path}: {error}') from error

    @classmethod
    def from_tokens_file(cls, path: Path) -> 'SceneFilter':
        """
        Ask for listed tokens, with NAVSIM's usual 4 + 10 frames at every frame.

        :param path: a JSON list of texts (``.json``), or text with one token a line
        :raises FilterError: when the file is missing, empty or no such list
        """
        text = _read_text(path)
        if path.suffix == '.json':
            try:
                tokens = json.loads(text)
            except json.JSONDecodeError as error:
                raise FilterError(f'{path}: no JSON ({error}); expected a list of tokens, '
                                  '["0123456789abcdef", ...]') from error
        else:
            tokens = [line.strip() for line in text.splitlines() if line.strip()]
        if not tokens:
            raise FilterError(f'{path}: there is no token in it; write one a line')
        return _build(path, {'tokens': tokens, 'frame_interval': 1})

    @property
    def num_frames(self) -> int:
        """Frames of a scene, history and future."""
        return self.num_history_frames + self.num_future_frames

    @cached_property
    def _token_set(self) -> frozenset[str] | None:
        return None if self.tokens is None else frozenset(self.tokens)

    @cached_property
    def _synthetic_set(self) -> frozenset[str] | None:
        listed = (self.synthetic_scene_tokens if self.synthetic_scene_tokens is not None
                  else self.reactive_synthetic_initial_tokens)
        return None if listed is None else frozenset(listed)

    def wants_log(self, log_name: str) -> bool:
        """Tell whether a log may hold scenes that are asked for."""
        return self.log_names is None or log_name in self.log_names

    def wants_token(self, token: str) -> bool:
        """Tell whether the real scene of a token is asked for."""
        return self._token_set is None or token in self._token_set

    def wants_synthetic(self, token: str) -> bool:
        """
        Tell whether the synthetic scene of a token is asked for.

        The devkit opens every synthetic scene and looks for its original among the real ones; the
        lists of the filters name the same scenes.
        """
        return self.include_synthetic_scenes and (
            self._synthetic_set is None or token in self._synthetic_set)


def load_filter(path: Path | None = None) -> SceneFilter:
    """
    Read a filter by its suffix: ``.yaml`` or ``.yml``, ``.json``, ``.txt``; None asks for all.

    :raises FilterError: when the file cannot be used
    """
    if path is None:
        return SceneFilter()
    if path.suffix in ('.yaml', '.yml'):
        return SceneFilter.from_yaml(path)
    if path.suffix in ('.txt', '.json'):
        return SceneFilter.from_tokens_file(path)
    raise FilterError(f'{path}: expected a scene filter of the devkit (.yaml), a JSON list of '
                      'tokens (.json) or text with one token a line (.txt)')


def scenes_of_log(log: LogFrames, scene_filter: SceneFilter) -> list[SceneFrames]:
    """
    Cut the scenes of one log that are asked for, in the order of time.

    ``max_scenes`` counts over logs and is left to the caller.
    """
    if not scene_filter.wants_log(log.log_name):
        return []
    size, scenes = scene_filter.num_frames, []
    for start in range(0, len(log.frames) - size + 1, scene_filter.frame_interval):
        now = log.frames[start + HISTORY_FRAMES - 1]
        if (now.roadblock_ids or not scene_filter.has_route) and (
                scene_filter.wants_token(now.token)):
            scenes.append(SceneFrames(log.log_name, log.map_name, log.frames[start:start + size]))
    return scenes


def unmatched_tokens(scene_filter: SceneFilter, found: Iterable[str]) -> tuple[str, ...]:
    """Return the tokens that the filter lists and no log had, in the filter's order."""
    there = set(found)
    return tuple(token for token in scene_filter.tokens or () if token not in there)


def repeated_tokens(tokens_of_logs: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return the tokens that several logs have, each with the names of those logs."""
    logs_of: dict[str, list[str]] = {}
    for log_name, tokens in tokens_of_logs.items():
        for token in tokens:
            logs_of.setdefault(token, []).append(log_name)
    return {token: tuple(logs) for token, logs in logs_of.items() if len(logs) > 1}


def _build(path: Path, values: dict) -> SceneFilter:
    known = {field.name for field in fields(SceneFilter)} - {'reactive_all_mapping'}
    given = {key: value for key, value in values.items() if key not in _IGNORED}
    # Keys of the devkit that no split sets: only a value in them would change the scenes.
    for key in ('all_mapping', 'non_reactive_synthetic_initial_tokens'):
        if given.get(key) is None:
            given.pop(key, None)
    unknown = given.keys() - known
    if unknown:
        raise FilterError(f'{path}: unknown keys {", ".join(sorted(map(str, unknown)))}; a scene '
                          f'filter has {", ".join(sorted(known))}')
    try:
        # Where the YAML says nothing the devkit cuts scenes that do not overlap.
        return SceneFilter(**{'frame_interval': None, **given})
    except FilterError as error:
        raise FilterError(f'{path}: {error}') from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise FilterError(f'{path}: cannot be read as text ({error})') from error


def _read_yaml(path: Path) -> dict:
    try:
        values = yaml.load(_read_text(path), _LOADER)
    except yaml.YAMLError as error:
        raise FilterError(f'{path}: no YAML ({error})') from error
    if not isinstance(values, dict):
        raise FilterError(f'{path}: expected the keys of a scene filter, got '
                          f"{type(values).__name__}; take the YAML from the devkit's folder "
                          'train_test_split')
    return values


def _filter_name(path: Path, values: dict) -> str:
    defaults = values['defaults']
    names = [entry['scene_filter'] for entry in defaults if isinstance(entry, dict)
             and entry.keys() == {'scene_filter'}] if isinstance(defaults, list) else []
    if len(names) != 1 or not isinstance(names[0], str):
        raise FilterError(f'{path}: expected one "- scene_filter: NAME" under defaults, got '
                          f'{defaults!r}')
    return names[0]


def _check_count(name: str, value: object, least: int, optional: bool) -> None:
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise FilterError(f'{name}: expected a whole number from {least} on, got {value!r}')


def _unique_texts(name: str, values: object) -> tuple[str, ...] | None:
    if values is None:
        return None
    if not isinstance(values, list | tuple):
        raise FilterError(f'{name}: expected a list, got {type(values).__name__}')
    for value in values:
        if not isinstance(value, str):
            raise FilterError(f'{name}: {value!r} is no text; put quotes round tokens that look '
                              'like numbers')
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        warnings.warn(f'{name}: {len(twice)} listed more than once, for example {twice[0]}; each '
                      'is used once', FilterWarning, stacklevel=4)
    return tuple(dict.fromkeys(values))


def _mapping_entries(values: object) -> tuple[MappingEntry, ...]:
    entries = []
    for index, entry in enumerate(values if isinstance(values, list | tuple) else [values]):
        try:
            now, before, pairs = entry
            texts = (now, before, *(token for pair in pairs for token in pair))
            right = (all(isinstance(text, str) for text in texts)
                     and all(len(pair) == 2 for pair in pairs))
        except (TypeError, ValueError):
            right = False
        if not right:
            raise FilterError(f'reactive_all_mapping, entry {index}: expected [now, before, '
                              '[[synthetic now, synthetic before], ...]]')
        entries.append((now, before, tuple(tuple(pair) for pair in pairs)))
    return tuple(entries)
