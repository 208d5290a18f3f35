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

"""The state of a run comes back whole, or not at all."""

import errno

from pair_drive_training.run_state import (
    load_state,
    Progress,
    read_progress,
    RunStateError,
    save_state,
)
import pytest
from safetensors.torch import save_file
import torch
from torch import nn

PROGRESS = Progress({'epochs': 3, 'model': {'blocks': [1, 2]}, 'tokens': None}, 17,
                    {'best': None, 'sums': {'trajectory': 0.1}})


class Net(nn.Module):
    """A network with parameters, a buffer and a count."""

    def __init__(self, width=4):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width))


def trained(steps, width=4):
    # As a run trains: the fused step reads parameter and moments in the order of their memory.
    net = Net(width).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), 0.1, fused=True)
    train(net, optimizer, steps)
    return net, optimizer


def train(net, optimizer, steps):
    for step in range(steps):
        torch.manual_seed(100 + step)
        optimizer.zero_grad()
        net.layers(torch.randn(2, 3, 5, 5)).pow(2).mean().backward()
        optimizer.step()


@pytest.fixture
def path(tmp_path):
    net, optimizer = trained(3)
    save_state(tmp_path / 'run' / 'state.safetensors', {'policy': net}, optimizer, PROGRESS)
    return tmp_path / 'run' / 'state.safetensors'


def test_going_on_from_a_state_is_going_on(path):
    kept, kept_optimizer = trained(3)
    net, optimizer = trained(0)
    load_state(path, {'policy': net}, optimizer)
    for one, other in ((kept, kept_optimizer), (net, optimizer)):
        train(one, other, 2)
    for name, value in kept.state_dict().items():
        assert torch.equal(value, net.state_dict()[name]), name
    assert net.state_dict()['layers.1.num_batches_tracked'] == 5


def test_the_optimizers_own_settings_stay_those_of_the_new_run(path):
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 0.7, weight_decay=0.3)
    load_state(path, {'policy': net}, optimizer)
    assert (optimizer.param_groups[0]['lr'], optimizer.param_groups[0]['weight_decay']) == (0.7,
                                                                                            0.3)


def test_progress_comes_back_as_it_was(path):
    assert read_progress(path) == PROGRESS


def test_several_modules_are_kept_apart(tmp_path):
    first, optimizer = trained(1)
    second, _ = trained(2)
    path = tmp_path / 'state.safetensors'
    save_state(path, {'a': first, 'b': second}, optimizer, PROGRESS)
    others = {'a': Net(), 'b': Net()}
    load_state(path, others, torch.optim.AdamW(others['a'].parameters()))
    for name, module in (('a', first), ('b', second)):
        assert all(torch.equal(value, others[name].state_dict()[key])
                   for key, value in module.state_dict().items())


def test_where_no_run_is_there_is_no_progress(tmp_path):
    assert read_progress(tmp_path / 'state.safetensors') is None


@pytest.mark.parametrize('length', [0, 4, 100, -1])
def test_a_truncated_state_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RunStateError, match='state.safetensors: .*remove it to begin anew'):
        read_progress(path)


@pytest.mark.parametrize('metadata', [None, {'run': '{'}, {'run': '[]'}, {'other': '{}'},
                                      {'run': '{"step": 3}'}])
def test_another_safetensors_file_is_no_state(tmp_path, metadata):
    path = tmp_path / 'state.safetensors'
    save_file({'policy/a': torch.zeros(1)}, path, metadata)
    with pytest.raises(RunStateError, match='cannot be read'):
        read_progress(path)


@pytest.mark.parametrize('other', [Net(8), nn.Linear(2, 2)])
def test_the_state_of_another_network_is_refused(path, other):
    with pytest.raises(RunStateError, match='does not fit this network'):
        load_state(path, {'policy': other}, torch.optim.AdamW(other.parameters()))


def test_a_failed_save_leaves_the_old_state(path, monkeypatch):
    before = path.read_bytes()
    net, optimizer = trained(4)
    with pytest.raises(ValueError, match='JSON'):
        save_state(path, {'policy': net}, optimizer,
                   Progress({}, 18, {'best': float('nan')}))

    def full_disk(source, target):
        raise OSError(errno.ENOSPC, 'No space left')

    monkeypatch.setattr('os.replace', full_disk)
    with pytest.raises(OSError, match='No space left'):
        save_state(path, {'policy': net}, optimizer, PROGRESS)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1
