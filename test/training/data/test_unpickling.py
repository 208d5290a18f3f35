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

"""Pickles: plain data comes through whole, nothing that a file names is ever run."""

from collections import OrderedDict
from pathlib import Path, PurePosixPath
import pickle
import struct

import numpy as np
from pair_drive_training.data.frames import LogError
from pair_drive_training.data.unpickling import load_pickle, UnpicklingRefusal
import pytest

PLAIN = {
    'numbers': [1, 2.5, True, None, -2**70, 3 + 1j], 'text': 'ÿ',
    'bytes': b'\xff\x00', 'none': b'',
    'sets': ({1, 2}, frozenset({'a'})), 'ordered': OrderedDict(b=1, a=2),
    'nested': {'a': [{'b': (1, (2, 3))}]},
}
ARRAYS = {
    'float64': np.arange(6.0).reshape(2, 3), 'float32': np.ones((4, 7), np.float32),
    'fortran': np.asfortranarray(np.arange(6).reshape(2, 3)),
    'axes': np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2), 'strided': np.arange(10)[::2],
    'scalar array': np.array(2.0), 'empty': np.zeros((0, 7), np.float32),
    'big endian': np.arange(3, dtype='>i4'), 'flags': np.array([True, False]),
    'text': np.array(['vehicle', 'ÿ']), 'bytes': np.array([b'a', b'bc']),
    'objects': np.array(['a', None, 3, ['b']], dtype=object),
    'read only': np.frombuffer(b'\1\2\3', np.uint8),
}
SCALARS = {'float': np.float64(1.5), 'int': np.int64(-3), 'bool': np.bool_(True),
           'text': np.str_('ab'), 'half': np.float16(0.5)}
PROTOCOLS = pytest.mark.parametrize('protocol', [2, 3, 4, 5])


@pytest.fixture
def load(tmp_path):
    """Load bytes by way of a file."""
    def load(data):
        path = tmp_path / 'data.pkl'
        path.write_bytes(data)
        return load_pickle(path)
    return load


def spelled(data, core):
    """Give numpy's modules the names they have in numpy 1 (core) or numpy 2 (_core)."""
    if data[2:3] == pickle.FRAME:  # what follows changes its length
        data = data[:2] + data[11:]
    for module in ('multiarray', 'numeric'):
        new = f'numpy.{core}.{module}'.encode()
        for old in (f'numpy.core.{module}'.encode(), f'numpy._core.{module}'.encode()):
            data = data.replace(b'c' + old + b'\n', b'c' + new + b'\n')
            data = data.replace(b'\x8c' + struct.pack('B', len(old)) + old,
                                b'\x8c' + struct.pack('B', len(new)) + new)
    return data


@PROTOCOLS
def test_plain_data_comes_through(load, protocol):
    assert load(pickle.dumps(PLAIN, protocol)) == PLAIN


@PROTOCOLS
@pytest.mark.parametrize('core', ['core', '_core'])
@pytest.mark.parametrize('name', ARRAYS)
def test_arrays_of_numpy_1_and_2_come_through(load, name, core, protocol):
    array = ARRAYS[name]
    found = load(spelled(pickle.dumps([array, array], protocol), core))[1]
    assert isinstance(found, np.ndarray)
    assert found.dtype.newbyteorder('=') == array.dtype.newbyteorder('=')
    assert found.shape == array.shape
    assert found.tolist() == array.tolist()


@PROTOCOLS
@pytest.mark.parametrize('core', ['core', '_core'])
@pytest.mark.parametrize('name', SCALARS)
def test_numpy_scalars_come_through(load, name, core, protocol):
    found = load(spelled(pickle.dumps(SCALARS[name], protocol), core))
    assert (type(found), found) == (type(SCALARS[name]), SCALARS[name])


@PROTOCOLS
def test_paths_come_as_pure_paths(load, protocol):
    assert load(pickle.dumps(Path('log/CAM_F0/1.jpg'), protocol)) == PurePosixPath(
        'log/CAM_F0/1.jpg')


def call(module, name, argument):
    """Pickle a call, as protocol 0 writes it."""
    return b'c' + module.encode() + b'\n' + name.encode() + b'\n' + argument + b'R.'


def one_text(text):
    return b'(V' + text.encode() + b'\nt'


class RunsShell:
    """What every tutorial on the dangers of pickle shows."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        import os
        return os.system, (self.command,)


def test_a_foreign_pickle_runs_nothing(load, tmp_path):
    mark = tmp_path / 'it_ran'
    attack = pickle.dumps({'token': 'a', 'anns': RunsShell(f'touch {mark}')})
    with pytest.raises(UnpicklingRefusal, match=r'data\.pkl.*posix\.system.*not executed'):
        load(attack)
    assert not mark.exists()
    pickle.loads(attack)
    assert mark.exists(), 'the attack is none'


@pytest.mark.parametrize('module, name', [
    ('os', 'system'), ('posix', 'system'), ('builtins', 'eval'), ('builtins', 'exec'),
    ('builtins', 'getattr'), ('builtins', '__import__'), ('builtins', 'bytearray'),
    ('__builtin__', 'eval'), ('subprocess', 'Popen'), ('numpy', 'load'), ('numpy', 'memmap'),
    ('numpy', 'fromfile'), ('numpy._core.multiarray', 'fromfile'),
    ('numpy.core.multiarray', '_reconstruct.__globals__'), ('numpy', 'ndarray.tofile'),
    ('numpy.testing._private.utils', 'runstring'), ('copyreg', '_reconstructor'),
    ('copyreg', 'add_extension'), ('functools', 'partial'), ('collections', 'defaultdict'),
    ('nuplan.common.actor_state.agent', 'Agent'), ('pathlib', 'Path.write_text'),
    ('pair_drive_training.data.unpickling', 'load_pickle')])
def test_every_other_name_is_refused(load, tmp_path, module, name):
    mark = tmp_path / 'it_ran'
    for payload in (f'touch {mark}', f'open({str(mark)!r}, "w")'):
        with pytest.raises(UnpicklingRefusal) as refusal:
            load(call(module, name, one_text(payload)))
        assert f'{module}.{name}' in str(refusal.value)
    assert not mark.exists()


def test_nothing_hides_in_an_object_array(load, tmp_path):
    mark = tmp_path / 'it_ran'
    array = np.array([RunsShell(f'touch {mark}')], dtype=object)
    with pytest.raises(UnpicklingRefusal, match=r'posix\.system'):
        load(pickle.dumps(array))
    assert not mark.exists()


class Reduced:
    """Pickle as a call of a real function with chosen arguments and state."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


RECONSTRUCT = np.array(0).__reduce__()[0]
OBJECTS = Reduced(np.dtype, ('O8', False, True), (3, '|', None, None, None, -1, -1, 0))
BYTES = np.dtype('u1')


@pytest.mark.parametrize('attack', [
    # Objects made of raw bytes would be pointers of the attacker's choice.
    Reduced(RECONSTRUCT, (np.ndarray, (0,), b'b'), (1, (1,), OBJECTS, False, b'\1' * 8)),
    # numpy itself reads beyond the end of this list.
    Reduced(RECONSTRUCT, (np.ndarray, (0,), b'b'), (1, (3,), np.dtype('O'), False, ['a', None])),
    Reduced(RECONSTRUCT, (np.ndarray, (0,), b'b'), (1, (-1,), np.dtype('O'), False, [])),
    Reduced(RECONSTRUCT, (np.ndarray, (0,), b'b'), (1, (9,), BYTES, False, b'\1' * 8)),
    Reduced(RECONSTRUCT, (np.ndarray, (0,), b'b'), (1, (2,), BYTES, False, [1, 2])),
    Reduced(RECONSTRUCT, (dict, (0,), b'b')),
    Reduced(np.ndarray, ((10**9,), 'O')),
    Reduced(np.dtype, ([('a', 'f8')],)),
    Reduced(np.dtype, ('V16', False, True),
            (3, '|', None, ('a',), {'a': ('f8', 900)}, 16, 8, 16)),
    np.zeros(2, [('x', 'f4'), ('y', 'f4')]),
    np.datetime64('2021-05-25'),
], ids=['pointers', 'short list', 'negative', 'short bytes', 'a list', 'of a class', 'huge',
        'records', 'fields', 'structured', 'time'])
def test_numpy_is_not_led_astray(load, attack):
    with pytest.raises(LogError, match=r'data\.pkl'):
        load(pickle.dumps(attack, 4))


def test_a_stand_in_takes_the_place_of_a_foreign_class(tmp_path):
    class Inert:

        def __init__(self, *args):
            self.args = args

    path = tmp_path / 'data.pkl'
    path.write_bytes(call('far.away', 'Thing', one_text('a')))
    assert load_pickle(path, {('far.away', 'Thing'): Inert}).args == ('a',)
    with pytest.raises(UnpicklingRefusal, match=r'far\.away\.Thing'):
        load_pickle(path, {('far.away', 'Other'): Inert})


WHOLE = pickle.dumps([{'boxes': np.ones((40, 7)), 'token': 'abc'}] * 3, 4)


@pytest.mark.parametrize('size', [1, 2, 20, len(WHOLE) // 2, len(WHOLE) - 1])
def test_a_truncated_file_names_itself_and_the_remedy(load, size):
    with pytest.raises(LogError, match=r'data\.pkl.*copy it again.*checksum'):
        load(WHOLE[:size])


def test_an_empty_file_says_so(load):
    with pytest.raises(LogError, match='is empty'):
        load(b'')


@pytest.mark.parametrize('data', [b'PK\x03\x04 a zip file', b'\x80\x04.', b'\x80\x09N.',
                                  b'I12x\n.', b'r\xff\xff\xff\x7f.', b'Vtext\n(l\xff', b']K\1s.',
                                  b'cnumpy\nndarray\n)R.'[:-1], b'Pname\n.'])
def test_what_is_no_pickle_is_an_error(load, data):
    with pytest.raises(LogError, match='truncated, damaged or no pickle'):
        load(data)


def test_a_flipped_bit_never_ends_in_another_error(load):
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(WHOLE)
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        try:
            load(bytes(data))
        except LogError:
            refused += 1
    assert refused > 10
