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

"""Policies and checkpoints by name; what a stranger wrote into a card is never imported."""

from dataclasses import replace
import json
import sys

from pair_drive_ros.models import architectures
from pair_drive_ros.models.architectures import (
    ArchitectureError,
    checkpoint_file,
    load_policy,
    policy_class,
    SHIPPED,
    shipped_checkpoints,
)
from pair_drive_ros.models.checkpoint import CheckpointError, save_checkpoint, TrainingRecord
from pair_drive_ros.models.ego_status import EgoStatus, EgoStatusConfig
from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
import pytest
import torch

RECORD = TrainingRecord('noise', 0, 'none')
POLICY = """
from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
import torch

class Still(ImitationPolicy):
    feature_spec = {'status_feature': TensorSpec((8,))}

    def plan(self, features):
        return torch.zeros(len(features['status_feature']), 8, 3)

NUMBER = 3
"""


class Own(ImitationPolicy):
    """A user's policy with weights."""

    feature_spec = {'status_feature': TensorSpec((8,))}

    def __init__(self, config=None):
        super().__init__(config)
        self.line = torch.nn.Linear(8, 24)

    def plan(self, features):
        return self.line(features['status_feature']).view(-1, 8, 3)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that puts a module on the path, to be imported once."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(name, text):
        (tmp_path / f'{name}.py').write_text(text)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(architectures, 'CHECKPOINTS', tmp_path / 'checkpoints')
    return tmp_path / 'checkpoints'


@pytest.mark.parametrize('name', SHIPPED)
def test_what_ships_has_the_architecture_of_its_name(name):
    assert policy_class(name).architecture == name
    assert policy_class(SHIPPED[name]) is policy_class(name)


def test_a_class_of_the_users_own_is_found_by_its_import_path(module):
    found = policy_class(f'{module("good_policy", POLICY)}:Still')
    assert found().plan({'status_feature': torch.zeros(2, 8)}).shape == (2, 8, 3)
    assert found.architecture == 'good_policy:Still'


@pytest.mark.parametrize('name', ['', 'autopilot', ':', 'module:', ':Class', 'a.module.Class'])
def test_a_name_that_is_neither_lists_those_that_ship(name):
    with pytest.raises(ArchitectureError,
                       match='there is no policy .*transfuser, diffusion_drive, ego_status'):
        policy_class(name)


@pytest.mark.parametrize('name, sentence', [
    ('no_such_folder.policy:Mine', 'No module named .no_such_folder.*PYTHONPATH'),
    ('..policy:Mine', 'importing ..policy ended with TypeError'),
    ('json:Policy', 'the module json has no Policy'),
    ('json:JSONDecoder', 'is not a subclass of pair_drive_ros.models.policy.ImitationPolicy'),
    ('json:dumps', 'is not a subclass')])
def test_paths_that_lead_nowhere_are_sentences(name, sentence):
    with pytest.raises(ArchitectureError, match=sentence):
        policy_class(name)


@pytest.mark.parametrize('text, sentence', [
    ('None.colour', "importing bad_policy ended with AttributeError: 'NoneType' object has no "
                    "attribute 'colour'"),
    ('1 / 0', 'ended with ZeroDivisionError: division by zero; correct the module'),
    ('def broken(:', 'ended with SyntaxError'),
    ('raise ValueError("no anchors")', 'ended with ValueError: no anchors'),
    ('import no_such_library', "No module named 'no_such_library'"),
    ('', 'the module bad_policy has no Mine'),
    ('Mine = 3', 'is not a subclass')])
def test_a_module_that_goes_wrong_says_how(module, text, sentence):
    with pytest.raises(ArchitectureError, match=sentence):
        policy_class(f'{module("bad_policy", text)}:Mine')


def test_checkpoints_that_ship_are_found_by_name(shipped):
    shipped.mkdir()
    for name in ('b', 'a'):
        save_checkpoint(shipped / f'{name}.safetensors', EgoStatus(EgoStatusConfig(4)), RECORD)
    assert list(shipped_checkpoints().items()) == [('a', shipped / 'a.safetensors'),
                                                   ('b', shipped / 'b.safetensors')]
    assert checkpoint_file('b') == shipped / 'b.safetensors'
    with pytest.raises(ArchitectureError, match=r"no checkpoint 'c'; name one that ships "
                                                r'\(a, b\), or a file ending in .safetensors'):
        checkpoint_file('c')


def test_where_none_ships_only_a_file_is_asked_for(shipped):
    assert shipped_checkpoints() == {}
    with pytest.raises(ArchitectureError,
                       match="no checkpoint 'a'; name a file ending in .safetensors$"):
        checkpoint_file('a')


def test_a_path_is_taken_as_it_is(shipped, tmp_path):
    path = tmp_path / 'mine.safetensors'
    assert checkpoint_file(str(path)) == path
    with pytest.raises(CheckpointError, match='missing'):
        load_policy(path)


def test_a_checkpoint_of_a_shipped_architecture_is_loaded_by_its_card(tmp_path):
    path = tmp_path / 'ego.safetensors'
    policy = EgoStatus(EgoStatusConfig(4))
    save_checkpoint(path, policy, RECORD)
    for named in ('', 'ego_status', SHIPPED['ego_status']):
        loaded, card = load_policy(path, named)
        assert isinstance(loaded, EgoStatus) and not loaded.training
        assert card.training == replace(RECORD)
    with pytest.raises(CheckpointError, match="'ego_status', not 'transfuser'"):
        load_policy(path, 'transfuser')


def test_the_architecture_of_a_foreign_card_is_never_imported(tmp_path, module):
    path = tmp_path / 'own.safetensors'
    trap = tmp_path / 'sprung'
    save_checkpoint(path, Own(), RECORD)
    card = path.with_suffix('.json')
    module('trap_policy', f'open({str(trap)!r}, "w")')
    card.write_text(json.dumps({**json.loads(card.read_text()),
                                'architecture': 'trap_policy:Own'}))
    with pytest.raises(ArchitectureError, match="'trap_policy:Own', which does not ship"):
        load_policy(path)
    with pytest.raises(CheckpointError, match='trap_policy:Own'):
        load_policy(path, 'ego_status')
    assert not trap.exists() and 'trap_policy' not in sys.modules


def test_a_checkpoint_of_the_users_own_class_is_loaded_where_it_is_named(tmp_path):
    path = tmp_path / 'own.safetensors'
    policy = Own()
    save_checkpoint(path, policy, RECORD)
    loaded, _ = load_policy(path, f'{__name__}:Own')
    features = {'status_feature': torch.rand(2, 8)}
    assert torch.equal(loaded.plan(features), policy.plan(features))
