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

"""Files from elsewhere: tensors come through, anything else is refused and never run."""

from collections import OrderedDict
from fractions import Fraction
import io
import os
import pickle
import re
import shlex
import subprocess
import sys

from pair_drive_ros.models.foreign_weights import copy_weights, ForeignWeightsError, read_weights
from public_checkpoints import lightning
import pytest
from safetensors.torch import save_file
import torch

TENSORS = OrderedDict(weight=torch.arange(6.0).view(2, 3), bias=torch.tensor([1.0, -2.0]))


def equal(found, expected):
    return (found.keys() == expected.keys()
            and all(torch.equal(found[name], expected[name]) for name in expected))


def saved_bytes(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


@pytest.mark.parametrize('content', [
    TENSORS, {'state_dict': TENSORS}, lightning(TENSORS),
    {name: torch.nn.Parameter(tensor) for name, tensor in TENSORS.items()}])
@pytest.mark.parametrize('zipped', [True, False])
def test_what_torch_saves_comes_through(tmp_path, content, zipped):
    path = tmp_path / 'weights.ckpt'
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = read_weights(path)
    assert equal(found, TENSORS)
    assert not any(tensor.requires_grad for tensor in found.values())


def test_safetensors_come_through(tmp_path):
    path = tmp_path / 'model.safetensors'
    save_file(TENSORS, path)
    assert equal(read_weights(path), TENSORS)


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.mark.parametrize('zipped', [True, False])
def test_a_file_that_names_a_function_is_refused_and_not_run(tmp_path, zipped):
    trap, path = tmp_path / 'sprung', tmp_path / 'weights.pth'
    torch.save({'state_dict': TENSORS, 'hyper_parameters': Trap(trap)}, path,
               _use_new_zipfile_serialization=zipped)
    with pytest.raises(ForeignWeightsError,
                       match=r'names posix\.system, .* nothing of it was run'):
        read_weights(path)
    assert not trap.exists()


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_is_refused_and_not_run(tmp_path, protocol):
    trap, path = tmp_path / 'sprung', tmp_path / 'weights.pth'
    path.write_bytes(pickle.dumps({'weights': Trap(trap)}, protocol))
    with pytest.raises(ForeignWeightsError, match=r'names posix\.system|no file of weights'):
        read_weights(path)
    assert not trap.exists()


def test_the_remedy_for_a_checkpoint_with_objects_works(tmp_path):
    path = tmp_path / 'epoch=9.ckpt'
    torch.save({**lightning(TENSORS), 'hyper_parameters': {'ratio': Fraction(1, 3)}}, path)
    with pytest.raises(ForeignWeightsError, match=r'names fractions\.Fraction') as caught:
        read_weights(path)
    remedy = shlex.split(re.search(r'python -c .*', str(caught.value))[0])
    subprocess.run([sys.executable, *remedy[1:]], cwd=tmp_path, check=True)
    assert equal(read_weights(tmp_path / 'weights.pth'), TENSORS)


@pytest.mark.parametrize('content', [
    saved_bytes(TENSORS), saved_bytes(TENSORS, _use_new_zipfile_serialization=False)])
@pytest.mark.parametrize('share', [0.0, 0.01, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path, content, share):
    path = tmp_path / 'weights.pth'
    path.write_bytes(content[:int(share * len(content))])
    # The cut may go through a name, which then is one that nobody allowed.
    with pytest.raises(ForeignWeightsError, match=r'is truncated|is not plain data'):
        read_weights(path)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('name', ['weights.pth', 'weights.safetensors'])
@pytest.mark.parametrize('content', [b'', b'version https://git-lfs', b'\x00' * 99,
                                     b'<html>404</html>', pickle.dumps(3)[:-1]])
def test_other_bytes_are_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ForeignWeightsError, match='no file of weights'):
        read_weights(path)


def test_a_missing_file_is_named(tmp_path):
    for name in ('away.ckpt', 'away.safetensors', '.'):
        with pytest.raises(ForeignWeightsError, match='cannot be read'):
            read_weights(tmp_path / name)


@pytest.mark.parametrize(('content', 'reason'), [
    ([TENSORS['bias']], 'holds no named tensors but a list'),
    (TENSORS['bias'], 'holds no named tensors but a Tensor'),
    ({}, 'holds no named tensors'),
    ({'state_dict': {}}, 'holds no named tensors'),
    ({'model': dict(TENSORS)}, "entry 'model' is no plain tensor but a dict"),
    ({**TENSORS, 'epoch': 3}, "entry 'epoch' is no plain tensor but a int"),
    ({**TENSORS, 3: TENSORS['bias']}, 'entry 3 is no plain tensor'),
    ({'w': TENSORS['weight'].to_sparse()}, "entry 'w' is no plain tensor"),
    ({'w': TENSORS['weight'].to('meta')}, "entry 'w' is no plain tensor")])
def test_files_without_named_tensors_are_refused(tmp_path, content, reason):
    path = tmp_path / 'weights.pth'
    torch.save(content, path)
    with pytest.raises(ForeignWeightsError, match=reason):
        read_weights(path)


def small_network():
    return torch.nn.Sequential(OrderedDict(
        conv=torch.nn.Conv1d(2, 3, 1), norm=torch.nn.BatchNorm1d(3), head=torch.nn.Linear(3, 2)))


def small_weights(value=0.5):
    return {name: torch.full_like(tensor, value) if tensor.is_floating_point() else tensor + 7
            for name, tensor in small_network().state_dict().items()}


def test_all_weights_are_copied():
    network, weights = small_network(), small_weights()
    copy_weights(weights, network)
    assert equal(network.state_dict(), weights)
    weights['head.bias'].zero_()
    assert network.head.bias.eq(0.5).all()


def test_batch_counters_may_be_missing():
    network, weights = small_network(), small_weights()
    del weights['norm.num_batches_tracked']
    copy_weights(weights, network)
    assert network.norm.running_var.eq(0.5).all()
    assert network.norm.num_batches_tracked == 0


def test_weights_of_half_precision_are_widened():
    network, weights = small_network(), small_weights()
    weights['conv.weight'] = weights['conv.weight'].half()
    copy_weights(weights, network)
    assert network.conv.weight.dtype == torch.float32
    assert network.conv.weight.eq(0.5).all()


@pytest.mark.parametrize(('change', 'reason'), [
    (lambda w: w.pop('norm.running_mean'), r'1 missing \(norm\.running_mean\)'),
    (lambda w: w.update({'tail.bias': torch.ones(1)}), r'1 unknown \(tail\.bias\)'),
    (lambda w: w.update({'conv.bias': torch.ones(4)}),
     r'1 of another shape or type \(conv\.bias: float32 \[4\] instead of float32 \[3\]\)'),
    (lambda w: w.update({'conv.bias': torch.ones(3, dtype=torch.int8)}), 'conv.bias: int8'),
    (lambda w: w.update({'norm.num_batches_tracked': torch.tensor(3.0)}), 'float32 .. instead'),
    (lambda w: w['conv.bias'].fill_(float('nan')), r'1 not finite \(conv\.bias\)'),
    (lambda w: w['conv.bias'].fill_(float('inf')), r'1 not finite \(conv\.bias\)'),
    (lambda w: [w.pop(name) for name in list(w)],
     r'8 missing \(conv\.weight, conv\.bias, norm\.weight, \.\.\.\)')])
def test_weights_that_do_not_fit_change_nothing(change, reason):
    network, weights = small_network(), small_weights()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    change(weights)
    with pytest.raises(ForeignWeightsError, match=reason):
        copy_weights(weights, network)
    assert equal(network.state_dict(), before)
