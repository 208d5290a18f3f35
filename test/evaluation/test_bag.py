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

"""Reading recordings: order, decoding, and a clear sentence for every kind of broken bag."""

import numpy as np
from pair_drive_ros.evaluation.bag import BagError, BagReader
import pytest
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

TYPESTORE = get_typestore(Stores.ROS2_JAZZY)
INT8, STRING = 'std_msgs/msg/Int8', 'std_msgs/msg/String'
LATCHED = Qos(QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
              QosTime(0, 0), QosTime(0, 0), QosLiveliness.AUTOMATIC, QosTime(0, 0), False)


def write_bag(path, *, messages=20, plugin=StoragePlugin.MCAP):
    """Two topics; the numbers are written in falling time order within each pair."""
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        numbers = writer.add_connection('/number', INT8, typestore=TYPESTORE,
                                        offered_qos_profiles=[LATCHED])
        words = writer.add_connection('/word', STRING, typestore=TYPESTORE)
        writer.add_connection('/silent', INT8, typestore=TYPESTORE)
        for i in range(messages):
            stamp = 1000 + 100 * (i ^ 1)
            number = TYPESTORE.types[INT8](data=i ^ 1)
            writer.write(numbers, stamp, TYPESTORE.serialize_cdr(number, INT8))
            word = TYPESTORE.types[STRING](data='x' * 500)
            writer.write(words, stamp + 1, TYPESTORE.serialize_cdr(word, STRING))
    return path


def storage_file(bag):
    """Return the bag's one storage file."""
    return next(entry for entry in bag.iterdir() if entry.suffix in ('.mcap', '.db3'))


def read_all(path):
    """Read every message of every topic."""
    with BagReader(path) as reader:
        return list(reader.messages(reader.topics()))


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('bare', [False, True])
def test_messages_come_decoded_in_time_order(tmp_path, plugin, bare):
    bag = write_bag(tmp_path / 'bag', plugin=plugin)
    with BagReader(storage_file(bag) if bare else bag) as reader:
        assert reader.topics() == {'/number': INT8, '/word': STRING}
        assert reader.message_counts() == {'/number': 20, '/word': 20}
        assert reader.start_ns == 1000
        assert reader.duration_s == pytest.approx(1901e-9)
        got = list(reader.messages(['/number']))
        both = [stamp for _, stamp, _ in reader.messages(['/word', '/number'])]
    assert [message.data for _, _, message in got] == list(range(20))
    assert [stamp for _, stamp, _ in got] == [1000 + 100 * i for i in range(20)]
    assert both == sorted(both) and len(both) == 40


def test_raw_messages_are_the_recorded_bytes(tmp_path):
    with BagReader(write_bag(tmp_path / 'bag')) as reader:
        topic, msgtype, stamp, data = next(reader.raw_messages(['/number']))
    assert (topic, msgtype, stamp) == ('/number', INT8, 1000)
    assert TYPESTORE.deserialize_cdr(data, msgtype).data == 0


def test_latched_topics_are_the_transient_local_ones(tmp_path):
    with BagReader(write_bag(tmp_path / 'bag')) as reader:
        assert reader.latched_topics() == {'/number'}


def test_definitions_of_an_unfamiliar_type_come_from_the_bag(tmp_path):
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg('float64[2] pair', 'own_msgs/msg/Pair'))
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        pairs = writer.add_connection('/pair', 'own_msgs/msg/Pair', typestore=store)
        pair = store.types['own_msgs/msg/Pair'](pair=np.array([1.5, -2.0]))
        writer.write(pairs, 5, store.serialize_cdr(pair, 'own_msgs/msg/Pair'))
    assert read_all(tmp_path / 'bag')[0][2].pair.tolist() == [1.5, -2.0]


def strip_definitions(bag, msgtype=INT8):
    """Turn a sqlite3 bag into one of an older recorder, which stored no definitions."""
    apsw = pytest.importorskip('apsw')
    database = apsw.Connection(str(storage_file(bag)))
    database.execute('DELETE FROM message_definitions')
    database.execute("UPDATE topics SET type_description_hash = '', type = ? "
                     "WHERE name = '/number'", (msgtype,))
    database.close()
    metadata = bag / 'metadata.yaml'
    lines = metadata.read_text().splitlines()
    lines = [line for line in lines if 'type_description_hash' not in line]
    text = '\n'.join(lines)
    head, tail = text.split('name: /number', 1)
    metadata.write_text(head + 'name: /number' + tail.replace(INT8, msgtype, 1))
    return bag


def test_without_definitions_the_standard_types_are_known(tmp_path):
    bag = strip_definitions(write_bag(tmp_path / 'bag', plugin=StoragePlugin.SQLITE3))
    assert len(read_all(storage_file(bag))) == 40


def test_unknown_type_is_named_but_its_bytes_can_be_read(tmp_path):
    bag = strip_definitions(write_bag(tmp_path / 'bag', plugin=StoragePlugin.SQLITE3),
                            'own_msgs/msg/Odd')
    with BagReader(storage_file(bag)) as reader:
        assert len(list(reader.raw_messages(['/number']))) == 20
        with pytest.raises(BagError, match=r'/number has the unknown message type own_msgs'):
            next(reader.messages(['/number']))


def test_missing_topic_is_named_with_those_present(tmp_path):
    with BagReader(write_bag(tmp_path / 'bag')) as reader:
        for read in (reader.require, lambda topics: next(reader.messages(topics)),
                     lambda topics: next(reader.raw_messages(topics))):
            with pytest.raises(BagError, match=r'no messages on /odom, /silent; .* /number, /wor'):
                read(['/silent', '/number', '/odom'])


def test_missing_path(tmp_path):
    with pytest.raises(BagError, match='no such file or folder'):
        BagReader(tmp_path / 'nothing')


def test_what_is_not_a_bag(tmp_path):
    with pytest.raises(BagError, match='not a rosbag2 recording; expected metadata'):
        BagReader(tmp_path)
    text = tmp_path / 'notes.txt'
    text.write_text('hello')
    with pytest.raises(BagError, match='not a rosbag2 recording'):
        BagReader(text)


def test_interrupted_recorder_left_no_metadata(tmp_path):
    bag = write_bag(tmp_path / 'bag')
    (bag / 'metadata.yaml').unlink()
    with pytest.raises(BagError, match=r'metadata.yaml is missing .*`ros2 bag reindex'):
        BagReader(bag)


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_recording_without_messages(tmp_path, plugin):
    bag = write_bag(tmp_path / 'bag', messages=0, plugin=plugin)
    with pytest.raises(BagError, match=r'empty \(0 messages\)'):
        read_all(bag)


@pytest.mark.parametrize('share', [0.0, 0.0005, 0.01, 0.3, 0.7, 0.95])
@pytest.mark.parametrize('bare', [False, True])
@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_truncated_file(tmp_path, plugin, share, bare):
    bag = write_bag(tmp_path / 'bag', plugin=plugin)
    storage = storage_file(bag)
    data = storage.read_bytes()
    storage.write_bytes(data[:int(share * len(data))])
    with pytest.raises(BagError, match=r'damaged or incomplete.*ros2 bag reindex'):
        read_all(storage if bare else bag)


def test_fewer_messages_than_the_metadata_announces(tmp_path):
    bag = write_bag(tmp_path / 'bag')
    other = write_bag(tmp_path / 'short' / 'bag', messages=12)
    storage_file(other).replace(storage_file(bag))
    with pytest.raises(BagError, match='16 of the announced messages are missing'):
        read_all(bag)


def test_damaged_metadata(tmp_path):
    bag = write_bag(tmp_path / 'bag')
    (bag / 'metadata.yaml').write_text('rosbag2_bagfile_information: [')
    with pytest.raises(BagError, match='damaged or incomplete'):
        read_all(bag)


def test_message_that_does_not_decode_is_located(tmp_path):
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        words = writer.add_connection('/word', STRING, typestore=TYPESTORE)
        writer.write(words, 77, b'\x00\x01\x00\x00\xff\xff\x00\x00short')
    with pytest.raises(BagError, match='damaged or incomplete at 77 ns on /word'):
        read_all(tmp_path / 'bag')
