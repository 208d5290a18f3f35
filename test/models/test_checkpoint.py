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

"""Checkpoints survive the way to disk and back, and refuse what they are not."""

from dataclasses import dataclass, replace
import errno
import hashlib
import json
from pathlib import Path
import pickle

from pair_drive_ros.models.checkpoint import (
    CheckpointError,
    load_card,
    load_checkpoint,
    save_checkpoint,
    TrainingRecord,
)
from pair_drive_ros.models.policy import ImitationPolicy, TensorSpec
from pair_drive_ros.models.transfuser import Transfuser
import pytest
from safetensors.torch import load_file
from tiny_network import random_features, TINY, tiny_transfuser
import torch

RECORD = TrainingRecord('noise', 3, 'abc1234', 'navsim_v1', {'pdms': 12.5})


@dataclass(frozen=True)
class OneLayerConfig:
    """Name of the only parameter."""

    parameter: str = 'bias'


class OneLayer(ImitationPolicy):
    """Plans the same poses whatever it sees."""

    architecture = 'one_layer'
    config_class = OneLayerConfig
    feature_spec = {'status_feature': TensorSpec((8,))}

    def __init__(self, config):
        super().__init__(config)
        self.register_parameter(config.parameter, torch.nn.Parameter(torch.arange(24.0)))

    def plan(self, features):
        """Return the parameter as poses."""
        return getattr(self, self.config.parameter).view(1, 8, 3)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / 'policy.safetensors'
    save_checkpoint(path, tiny_transfuser(), RECORD)
    return path


def edit_card(path, **changes):
    card = path.with_suffix('.json')
    card.write_text(json.dumps({**json.loads(card.read_text()), **changes}))


def test_what_is_loaded_plans_as_what_was_saved(saved):
    loaded, card = load_checkpoint(saved, Transfuser)
    assert not loaded.training
    assert loaded.config == TINY
    original = tiny_transfuser()
    features = random_features(original)
    with torch.inference_mode():
        assert torch.equal(loaded.plan(features), original.plan(features))
    assert card.training == RECORD
    assert card.architecture == 'transfuser'
    assert load_card(saved) == card


def test_the_hash_names_the_weights(saved, tmp_path):
    card = load_card(saved)
    digest = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert card.model_hash == digest[:12]
    again = save_checkpoint(tmp_path / 'again.safetensors', tiny_transfuser(), RECORD)
    other = save_checkpoint(tmp_path / 'other.safetensors', tiny_transfuser(seed=1), RECORD)
    assert again.model_hash == card.model_hash != other.model_hash


def test_saving_replaces_whole_files_and_leaves_nothing_else(saved):
    save_checkpoint(saved, tiny_transfuser(seed=1), RECORD)
    load_checkpoint(saved, Transfuser)
    assert sorted(p.name for p in saved.parent.iterdir()) == [
        'policy.json', 'policy.safetensors']


def full_disk(source, target):
    raise OSError(errno.ENOSPC, 'No space left')


def test_a_save_that_fails_leaves_the_old_checkpoint(saved, monkeypatch):
    before = saved.read_bytes(), saved.with_suffix('.json').read_bytes()
    with pytest.raises(CheckpointError, match='finite'):
        save_checkpoint(saved, tiny_transfuser(seed=1),
                        replace(RECORD, metrics={'pdms': float('nan')}))
    assert before == (saved.read_bytes(), saved.with_suffix('.json').read_bytes())
    with pytest.raises(CheckpointError, match='cannot be written'):
        save_checkpoint(saved / 'policy.safetensors', tiny_transfuser(), RECORD)
    with pytest.raises(CheckpointError, match=r'ends in \.safetensors'):
        save_checkpoint(saved.with_suffix('.pt'), tiny_transfuser(), RECORD)
    monkeypatch.setattr('os.replace', full_disk)
    with pytest.raises(CheckpointError, match=r'cannot be written \(No space left\)'):
        save_checkpoint(saved, tiny_transfuser(seed=1), RECORD)
    assert before == (saved.read_bytes(), saved.with_suffix('.json').read_bytes())
    assert len(list(saved.parent.iterdir())) == 2


@pytest.mark.parametrize('length', [0, 4, 8, 9, 1000, -1])
def test_a_truncated_file_is_refused(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(CheckpointError, match='truncated, damaged'):
        load_checkpoint(saved, Transfuser)


def test_a_single_flipped_bit_is_refused(saved):
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match='truncated, damaged'):
        load_checkpoint(saved, Transfuser)


def test_bytes_that_are_not_safetensors_are_refused(saved):
    saved.write_bytes(b'a' * 100)
    edit_card(saved, weights_sha256=hashlib.sha256(b'a' * 100).hexdigest())
    with pytest.raises(CheckpointError, match='not a readable safetensors file'):
        load_checkpoint(saved, Transfuser)


def test_both_files_are_needed(saved):
    saved.with_suffix('.json').rename(saved.with_name('away.json'))
    with pytest.raises(CheckpointError, match=r'the card of policy\.safetensors is missing'):
        load_checkpoint(saved, Transfuser)
    saved.unlink()
    with pytest.raises(CheckpointError, match='No such file'):
        load_checkpoint(saved, Transfuser)


@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '{}', '{"training": {}}', '\x00\xff'])
def test_a_card_that_is_none_is_refused(saved, text):
    saved.with_suffix('.json').write_bytes(text.encode('latin-1'))
    with pytest.raises(CheckpointError, match='card'):
        load_checkpoint(saved, Transfuser)


@pytest.mark.parametrize('changes', [{'config': 3}, {'weights_sha256': None}, {'surplus': 1}])
def test_a_card_of_another_form_is_refused(saved, changes):
    edit_card(saved, **changes)
    with pytest.raises(CheckpointError, match='not a checkpoint card'):
        load_checkpoint(saved, Transfuser)


def test_another_architecture_is_refused(saved, tmp_path):
    with pytest.raises(CheckpointError, match="'transfuser', not 'one_layer'"):
        load_checkpoint(saved, OneLayer)
    path = tmp_path / 'one.safetensors'
    save_checkpoint(path, OneLayer(OneLayerConfig()), RECORD)
    with pytest.raises(CheckpointError, match="'one_layer', not 'transfuser'"):
        load_checkpoint(path, Transfuser)


def test_another_feature_version_is_refused(saved):
    edit_card(saved, feature_version=0)
    with pytest.raises(CheckpointError, match='features of version 0'):
        load_checkpoint(saved, Transfuser)


def test_another_configuration_is_refused(saved):
    config = json.loads(saved.with_suffix('.json').read_text())['config']
    edit_card(saved, config={**config, 'decoder_width': 24})
    with pytest.raises(CheckpointError, match=r'do not fit the configuration .* first keyval'):
        load_checkpoint(saved, Transfuser)
    edit_card(saved, config={**config, 'decoder_layers': 2})
    with pytest.raises(CheckpointError, match='do not fit the configuration'):
        load_checkpoint(saved, Transfuser)
    edit_card(saved, config={**config, 'lidar_bins': 100})
    with pytest.raises(CheckpointError, match='lidar_bins'):
        load_checkpoint(saved, Transfuser)
    renamed = {'latent' if name == 'bev_width' else name: value for name, value in config.items()}
    edit_card(saved, config=renamed)
    with pytest.raises(CheckpointError, match=r"unknown \['latent'\], missing \['bev_width'\]"):
        load_checkpoint(saved, Transfuser)


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize('suffix', ['.pt', '.pth', '.ckpt', '.safetensors'])
@pytest.mark.parametrize('write', [
    lambda path, trap: torch.save({'weights': trap}, path),
    *[lambda path, trap, protocol=protocol: path.write_bytes(pickle.dumps(trap, protocol))
      for protocol in range(2, 6)]])
def test_a_pickle_is_refused_unopened(tmp_path, suffix, write):
    trap, path = tmp_path / 'sprung', tmp_path / f'weights{suffix}'
    write(path, Trap(trap))
    with pytest.raises(CheckpointError, match='is a pickle'):
        load_checkpoint(path, Transfuser)
    assert not trap.exists()


def test_a_header_length_that_looks_like_a_pickle_is_none(tmp_path):
    path = tmp_path / 'policy.safetensors'
    for length in range(500, 640):
        policy = OneLayer(OneLayerConfig('p' * length))
        save_checkpoint(path, policy, RECORD)
        if path.read_bytes().startswith(b'\x80\x02'):
            break
    else:
        pytest.fail('no name gave a header of 640 bytes')
    loaded, _ = load_checkpoint(path, OneLayer)
    assert torch.equal(loaded.plan({}), policy.plan({}))


def test_what_half_the_bytes_cannot_hold_is_named(tmp_path):
    policy = tiny_transfuser()
    with torch.no_grad():
        policy.trajectory_head.mlp[-1].bias[0] = 1e6
    with pytest.raises(CheckpointError, match=r'trajectory_head.mlp.2.bias .* \(1e\+06\)'):
        save_checkpoint(tmp_path / 'large.safetensors', policy, RECORD, half=True)
    assert not list(tmp_path.iterdir())


def test_half_the_bytes_are_nearly_the_same_network(saved, tmp_path):
    half = tmp_path / 'half.safetensors'
    policy = tiny_transfuser()
    card = save_checkpoint(half, policy, RECORD, half=True)
    tensors = load_file(half)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16, torch.int64}
    assert half.stat().st_size < 0.75 * saved.stat().st_size
    loaded, read = load_checkpoint(half, Transfuser)
    assert read.weights_sha256 == card.weights_sha256
    for name, tensor in loaded.state_dict().items():
        expected = policy.state_dict()[name]
        assert tensor.dtype == expected.dtype
        torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-6)
    # What is stored is what plans: another round through float16 changes nothing.
    again = save_checkpoint(tmp_path / 'again.safetensors', loaded, RECORD, half=True)
    assert again.model_hash == card.model_hash
