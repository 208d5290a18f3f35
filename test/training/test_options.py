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

"""A dataclass as command line and YAML."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pair_drive_training.options import (
    add_options,
    as_entries,
    config_from,
    differences,
    option,
    OptionsError,
)
import pytest


@dataclass(frozen=True)
class Brew:
    """A configuration."""

    pot: Path = option('what it is made in')
    cups: int = option('how many', 2)
    strength: float = option('of the tea', 0.5)
    milk: bool = option('whether it has milk', False)
    sugar: Path | None = option('where it is', None)
    spices: dict[str, Any] = option('by name', {})
    table: str = option('where it stands', 'here', may_change=True)


def parse(*arguments: str) -> Brew:
    parser = argparse.ArgumentParser()
    add_options(parser, Brew)
    return config_from(Brew, parser.parse_args(list(arguments)))


def test_the_command_line_fills_the_fields():
    brew = parse('--pot', 'a', '--cups', '3', '--milk', '--spices', 'mint=1', 'clove=[1, 2]')
    assert brew == Brew(Path('a'), 3, milk=True, spices={'mint': 1, 'clove': [1, 2]})


def test_a_file_fills_them_and_the_command_line_wins(tmp_path):
    file = tmp_path / 'brew.yaml'
    file.write_text('pot: a\ncups: 5\nstrength: 1\nsugar: null\nspices: {mint: 2}\n')
    assert parse('--config', str(file), '--cups', '4') == Brew(Path('a'), 4, 1.0,
                                                               spices={'mint': 2})


@pytest.mark.parametrize('text', ['1e-3', '0.001', '"0.001"'])
def test_a_number_is_one_however_it_is_written(tmp_path, text):
    file = tmp_path / 'brew.yaml'
    file.write_text(f'pot: a\nstrength: {text}\n')
    assert parse('--config', str(file)).strength == 0.001


def test_entries_read_back_are_the_same_configuration(tmp_path):
    import yaml
    brew = parse('--pot', 'a', '--sugar', 'b', '--spices', 'x=true')
    file = tmp_path / 'brew.yaml'
    file.write_text(yaml.safe_dump(as_entries(brew)))
    assert parse('--config', str(file)) == brew


@pytest.mark.parametrize('text, sentence', [
    ('pot: a\nlid: b\n', "no entry 'lid'; the entries are pot, cups"),
    ('pot: a\ncups: many\n', "cups: expected int, got 'many'"),
    ('pot: a\nstrength: strong\n', "strength: expected float, got 'strong'"),
    ('pot: a\nstrength: true\n', 'strength: expected float, got True'),
    ('pot: a\ncups: true\n', 'cups: expected int, got True'),
    ('pot: [\n', 'cannot be read'),
    ('- pot\n', 'expected entries'),
    ('cups: 3\n', 'give --pot')])
def test_bad_files_are_sentences(tmp_path, text, sentence):
    file = tmp_path / 'brew.yaml'
    file.write_text(text)
    with pytest.raises(OptionsError, match=sentence):
        parse('--config', str(file))


def test_help_names_every_option_and_its_default(capsys):
    with pytest.raises(SystemExit):
        parse('--help')
    text = capsys.readouterr().out
    assert all(f'--{name}' in text for name in ('pot', 'cups', 'no-milk', 'spices', 'config'))
    assert 'how many (default: 2)' in text


def test_only_what_a_run_is_made_of_makes_a_difference():
    before = as_entries(Brew(Path('a')))
    assert differences(before, Brew(Path('a'), table='there')) == []
    assert differences(before, Brew(Path('b'), cups=3)) == [
        "pot was 'a', now 'b'", 'cups was 2, now 3']
