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

"""Scene filters of the devkit, and the windows that they cut from a log."""

from pair_drive_training.data.log import read_log
from pair_drive_training.data.scene_filter import (
    FilterError,
    FilterWarning,
    load_filter,
    repeated_tokens,
    SceneFilter,
    scenes_of_log,
    unmatched_tokens,
)
import pytest
import tiny_navsim

NAVTEST = """
_target_: navsim.common.dataclasses.SceneFilter
_convert_: 'all'

num_history_frames: 4
num_future_frames: 10
frame_interval: 1 # a comment
has_route: true

max_scenes: null
log_names:
  - '2021.06.03.12.02.06_veh-35_01100_01227'
tokens:
  - '0123456789abcdef'
  - 'fedcba9876543210'
"""
NAVHARD = """
_target_: navsim.common.dataclasses.SceneFilter
_convert_: all
num_history_frames: 4
num_future_frames: 8
frame_interval: 1
has_route: true
max_scenes: null
include_synthetic_scenes: true
log_names: null
tokens: ['4a919f7ea2f65200', 'd715fbc6ea0551f8']
reactive_synthetic_initial_tokens: ['5421fa2f2e2b4cb13', '5634addd2134d1453']
"""
SPLIT = """
defaults:
- scene_filter: navhard
data_split: test
reactive_all_mapping:
- - '4a919f7ea2f65200'
  - 'd715fbc6ea0551f8'
  - - - '5421fa2f2e2b4cb13'
      - '5634addd2134d1453'
"""


@pytest.fixture
def write(tmp_path):
    """Write a text and return its path."""
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
    return write


@pytest.fixture(scope='module')
def log(tmp_path_factory):
    """Return a log of 20 frames."""
    return read_log(tiny_navsim.write_log(tmp_path_factory.mktemp('logs')))


def firsts(log, scene_filter):
    """Index in the log of the first frame of each scene."""
    return [log.frames.index(scene.frames[0]) for scene in scenes_of_log(log, scene_filter)]


def test_a_filter_of_the_devkit_is_read(write):
    found = load_filter(write('navtest.yaml', NAVTEST))
    assert found == SceneFilter(
        log_names=('2021.06.03.12.02.06_veh-35_01100_01227',),
        tokens=('0123456789abcdef', 'fedcba9876543210'))
    assert found.num_frames == 14
    assert found.wants_token('fedcba9876543210')
    assert not found.wants_token('0000000000000000')
    assert not found.wants_log('another')


def test_a_split_names_the_filter_beside_it(write):
    write('scene_filter/navhard.yaml', NAVHARD)
    found = load_filter(write('navhard.yaml', SPLIT))
    assert found.num_future_frames == 8
    assert found.tokens == ('4a919f7ea2f65200', 'd715fbc6ea0551f8')
    assert found.reactive_all_mapping == (
        ('4a919f7ea2f65200', 'd715fbc6ea0551f8', (('5421fa2f2e2b4cb13', '5634addd2134d1453'),)),)


def test_without_a_file_every_frame_with_a_route_begins_a_scene(log):
    assert load_filter() == SceneFilter()
    assert firsts(log, load_filter()) == list(range(7))


def test_where_the_yaml_names_no_interval_scenes_do_not_overlap(write, log):
    for text in (NAVTEST.replace('frame_interval: 1', 'frame_interval: null'),
                 NAVTEST.replace('frame_interval: 1', '')):
        assert load_filter(write('navmini.yaml', text)).frame_interval == 14
    assert firsts(log, SceneFilter(num_future_frames=2, frame_interval=None)) == [0, 6, 12]


@pytest.mark.parametrize('interval, future, expected', [
    (1, 10, range(7)), (1, 16, [0]), (1, 17, []), (3, 10, [0, 3, 6]), (4, 10, [0, 4]),
    (7, 0, [0, 7, 14]), (100, 10, [0])])
def test_windows_that_are_too_short_are_dropped(log, interval, future, expected):
    found = SceneFilter(frame_interval=interval, num_future_frames=future)
    size = found.num_frames
    # The devkit's own words: cut everywhere, drop what is shorter.
    windows = [log.frames[i:i + size] for i in range(0, len(log.frames), interval)]
    assert [scene.frames for scene in scenes_of_log(log, found)] == [
        window for window in windows if len(window) == size]
    assert firsts(log, found) == list(expected)


def test_a_scene_is_named_by_its_fourth_frame(log):
    scene = scenes_of_log(log, SceneFilter())[2]
    assert scene.token == tiny_navsim.frame_token('tiny', 5)
    assert (scene.log_name, scene.map_name) == ('tiny', tiny_navsim.CITY)
    assert [len(scene.history), len(scene.future)] == [4, 10]
    assert not scene.synthetic


def test_only_the_tokens_asked_for_are_cut(log):
    tokens = [tiny_navsim.frame_token('tiny', index) for index in (3, 7, 1, 19)]
    scene_filter = SceneFilter(tokens=(*tokens, 'ffffffffffffffff'))
    scenes = scenes_of_log(log, scene_filter)
    assert [scene.token for scene in scenes] == tokens[:2]
    # Frames 1 and 19 are there but have no history or future.
    assert unmatched_tokens(scene_filter, (scene.token for scene in scenes)) == (
        *tokens[2:], 'ffffffffffffffff')


def test_other_logs_are_left_out(log):
    assert scenes_of_log(log, SceneFilter(log_names=('another',))) == []
    assert len(scenes_of_log(log, SceneFilter(log_names=('another', 'tiny')))) == 7


def test_the_route_counts_at_the_current_frame(tmp_path):
    log = read_log(tiny_navsim.write_log(tmp_path, frames=14, route=()))
    assert scenes_of_log(log, SceneFilter()) == []
    assert len(scenes_of_log(log, SceneFilter(has_route=False))) == 1


@pytest.mark.parametrize('name, text', [
    ('tokens.txt', '0123456789abcdef\n\n  fedcba9876543210  \n'),
    ('tokens.json', '["0123456789abcdef", "fedcba9876543210"]')])
def test_a_list_of_tokens_is_a_filter(write, name, text):
    assert load_filter(write(name, text)) == SceneFilter(
        tokens=('0123456789abcdef', 'fedcba9876543210'))


@pytest.mark.parametrize('filter_values, token, wanted', [
    ({}, 'a', False),
    ({'include_synthetic_scenes': True}, 'a', True),
    ({'include_synthetic_scenes': True, 'synthetic_scene_tokens': ('a',)}, 'a', True),
    ({'include_synthetic_scenes': True, 'synthetic_scene_tokens': ('b',)}, 'a', False),
    ({'include_synthetic_scenes': True, 'reactive_synthetic_initial_tokens': ('a',)}, 'a', True),
    ({'include_synthetic_scenes': True, 'reactive_synthetic_initial_tokens': ('b',)}, 'a', False),
    ({'reactive_synthetic_initial_tokens': ('a',)}, 'a', False)])
def test_synthetic_scenes_are_those_listed(filter_values, token, wanted):
    assert SceneFilter(**filter_values).wants_synthetic(token) is wanted


def test_tokens_listed_twice_are_used_once_and_told(write):
    with pytest.warns(FilterWarning, match='tokens: 1 listed more than once, for example aa'):
        found = load_filter(write('tokens.txt', 'aa\nbb\naa\n'))
    assert found.tokens == ('aa', 'bb')


def test_synthetic_tokens_that_nothing_includes_are_told():
    with pytest.warns(FilterWarning, match='include_synthetic_scenes is false'):
        SceneFilter(synthetic_scene_tokens=('a',))


def test_tokens_of_several_logs_are_named():
    assert repeated_tokens({'one': ('a', 'b'), 'two': ('c', 'b'), 'three': ('b',)}) == {
        'b': ('one', 'two', 'three')}


@pytest.mark.parametrize('name, text, reason', [
    ('filter.yaml', NAVTEST + 'num_frames: 3\n', 'unknown keys num_frames; a scene filter has '),
    ('filter.yaml', NAVTEST.replace('history_frames: 4', 'history_frames: 2'),
     'num_history_frames: 2; only 4'),
    ('filter.yaml', NAVTEST.replace('frames: 10', 'frames: -1'), 'num_future_frames: expected'),
    ('filter.yaml', NAVTEST.replace('interval: 1', 'interval: 0'), 'frame_interval: expected'),
    ('filter.yaml', NAVTEST.replace('true', '"yes"'), 'has_route: expected true or false'),
    ('filter.yaml', NAVTEST.replace("'0123456789abcdef'", '1234567890123456'), 'put quotes'),
    ('filter.yaml', NAVTEST + 'all_mapping: {a: b}\n', 'unknown keys all_mapping'),
    ('filter.yaml', 'tokens: 12\n', 'tokens: expected a list, got int'),
    ('filter.yaml', '- a\n- b\n', 'expected the keys of a scene filter, got list'),
    ('filter.yaml', 'a: [1', 'no YAML'),
    ('filter.yaml', 'a: !!python/object/apply:os.system ["true"]', 'no YAML'),
    ('split.yaml', SPLIT, 'names the scene filter navhard, but there is no'),
    ('split.yaml', 'defaults: [a]\n', 'expected one "- scene_filter: NAME" under defaults'),
    ('tokens.json', '{"a": 1}', 'tokens: expected a list, got dict'),
    ('tokens.json', '["a", 1]', 'tokens: 1 is no text'),
    ('tokens.json', '["a"', 'no JSON'),
    ('tokens.txt', ' \n', 'there is no token in it'),
    ('tokens.csv', 'a', 'expected a scene filter of the devkit'),
])
def test_what_cannot_be_used_is_named(write, name, text, reason):
    path = write(name, text)
    with pytest.raises(FilterError) as error:
        load_filter(path)
    assert str(error.value).startswith(str(path))
    assert reason in str(error.value)


@pytest.mark.parametrize('old, new, reason', [
    ("- - '4a919f7ea2f65200'", '- - 7', 'entry 0: expected [now, before'),
    ("      - '5634addd2134d1453'\n", '', 'entry 0: expected [now, before'),
    ('data_split', 'two_stage_mapping', 'unknown keys two_stage_mapping')])
def test_a_split_that_cannot_be_used_is_named(write, old, new, reason):
    write('scene_filter/navhard.yaml', NAVHARD)
    with pytest.raises(FilterError) as error:
        load_filter(write('navhard.yaml', SPLIT.replace(old, new)))
    assert reason in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FilterError, match=r'nowhere\.yaml: cannot be read'):
        load_filter(tmp_path / 'nowhere.yaml')
