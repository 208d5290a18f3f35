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

"""Cities are found by name, and their local copies are used, renewed and never trusted blindly."""

import json
import os
from pathlib import Path
import shutil

import numpy as np
from pair_drive_training.data.city_map import CityMap, Layer, MapError
from pair_drive_training.data.map_store import INDEX, MapStore
import pytest
import shapely
from tiny_navsim import CITY, VERSION, write_city


@pytest.fixture(scope='module')
def written(tmp_path_factory) -> Path:
    return write_city(tmp_path_factory.mktemp('maps')).parents[2]


@pytest.fixture
def maps(written, tmp_path) -> Path:
    """Return a copy of the folder of maps that a test may change."""
    return Path(shutil.copytree(written, tmp_path / 'maps'))


@pytest.fixture
def store_dir(tmp_path) -> Path:
    return tmp_path / 'store'


def map_file(maps: Path) -> Path:
    return maps / CITY / VERSION / 'map.gpkg'


def assert_same(one: CityMap, other: CityMap) -> None:
    for layer in Layer:
        assert one.ids(layer) == other.ids(layer)
        for polygon, same in zip(one.polygons(layer), other.polygons(layer), strict=True):
            assert shapely.to_wkb(polygon) == shapely.to_wkb(same)
    assert list(one.lanes) == list(other.lanes)
    for name, lane in one.lanes.items():
        same = other.lanes[name]
        np.testing.assert_array_equal(lane.baseline, same.baseline)
        assert ((lane.roadblock, lane.speed_limit, lane.incoming, lane.outgoing)
                == (same.roadblock, same.speed_limit, same.incoming, same.outgoing))
    for name, block in one.roadblocks.items():
        same = other.roadblocks[name]
        assert ((block.lanes, block.incoming, block.outgoing)
                == (same.lanes, same.incoming, same.outgoing))


def spoil(path: Path) -> None:
    """Make a map file unreadable without a change of its size and its time."""
    state = path.stat()
    path.write_bytes(bytes(state.st_size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def the_copy(store_dir: Path) -> Path:
    copy, = store_dir.iterdir()
    return copy


def test_a_city_is_read_once(maps):
    store = MapStore(maps)
    city = store.city(CITY)
    assert city.name == CITY and len(city.lanes) == 11
    map_file(maps).unlink()
    assert store.city(CITY) is city


def test_a_copy_holds_the_same_city_and_stands_in_for_the_map(maps, store_dir):
    first = MapStore(maps, store_dir).city(CITY)
    assert the_copy(store_dir).name.startswith(f'{CITY}-{VERSION}-')
    spoil(map_file(maps))
    assert_same(first, MapStore(maps, store_dir).city(CITY))
    with pytest.raises(MapError, match='not a whole nuPlan map'):
        MapStore(maps).city(CITY)


def test_a_changed_map_is_read_anew(maps, store_dir):
    MapStore(maps, store_dir).city(CITY)
    state = map_file(maps).stat()
    os.utime(map_file(maps), ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    MapStore(maps, store_dir).city(CITY)
    assert len(list(store_dir.iterdir())) == 2


def test_a_damaged_copy_is_made_anew(maps, store_dir):
    expected = MapStore(maps, store_dir).city(CITY)
    copy = the_copy(store_dir)
    whole = copy.read_bytes()
    random = np.random.default_rng(0)
    flipped = (whole[:place] + bytes([whole[place] ^ 0xff]) + whole[place + 1:]
               for place in random.integers(0, len(whole), 40))
    for damage in (*flipped, b'', b'PK\x03\x04' + bytes(500), whole[:len(whole) // 2]):
        copy.write_bytes(damage)
        assert_same(expected, MapStore(maps, store_dir).city(CITY))
    # The last of them was repaired for good.
    spoil(map_file(maps))
    assert_same(expected, MapStore(maps, store_dir).city(CITY))


@pytest.mark.parametrize('content', [
    {'copy_version': np.array(0)}, {'other': np.zeros(3)},
    {'copy_version': np.array([print], dtype=object)}])
def test_a_copy_of_another_kind_is_made_anew(maps, store_dir, content):
    expected = MapStore(maps, store_dir).city(CITY)
    np.savez(the_copy(store_dir), **content)
    assert_same(expected, MapStore(maps, store_dir).city(CITY))
    spoil(map_file(maps))
    assert_same(expected, MapStore(maps, store_dir).city(CITY))


def test_a_folder_without_index_is_refused(maps):
    with pytest.raises(MapError, match=f'there is no {INDEX} here; give the folder that holds it '
                                       'and a folder per city$'):
        MapStore(maps / CITY)
    with pytest.raises(MapError, match=f'perhaps {maps}$'):
        MapStore(maps.parent)


@pytest.mark.parametrize('content', [b'', b'\xff\xfe', b'[]', b'{"a": 1}', b'{"a": {}}'])
def test_a_broken_index_is_refused(maps, content):
    (maps / INDEX).write_bytes(content)
    with pytest.raises(MapError, match='this is not an index of nuPlan maps'):
        MapStore(maps)


def test_a_city_that_the_index_lacks_is_refused(maps):
    with pytest.raises(MapError, match=f'there is no city sg-one-north, only {CITY}'):
        MapStore(maps).city('sg-one-north')


def test_another_version_than_the_index_names_is_refused(maps):
    (maps / INDEX).write_text(json.dumps({CITY: {'version': '1.2.3'}}))
    with pytest.raises(MapError, match=rf'map version mismatch: .* asks for {CITY} 1\.2\.3, the '
                                       f'folder has {VERSION}'):
        MapStore(maps).city(CITY)
    shutil.rmtree(maps / CITY)
    with pytest.raises(MapError, match=r'the folder has no map\.gpkg of that city'):
        MapStore(maps).city(CITY)


def test_a_store_that_cannot_be_written_is_refused(maps, store_dir):
    store_dir.write_text('a file')
    with pytest.raises(MapError, match='the local copy of the map cannot be written'):
        MapStore(maps, store_dir).city(CITY)


def test_an_interrupted_copy_leaves_nothing(maps, store_dir, monkeypatch):
    def no_space(*arguments, **arrays):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'savez', no_space)
    with pytest.raises(MapError, match='No space left on device'):
        MapStore(maps, store_dir).city(CITY)
    assert list(store_dir.iterdir()) == []


@pytest.mark.shared_data
def test_copies_of_maps_in_the_official_format(shared_golden, store_dir):
    root = shared_golden / 'fixture' / 'maps'
    for name in json.loads((root / INDEX).read_text()):
        assert_same(MapStore(root, store_dir).city(name), MapStore(root, store_dir).city(name))
        assert_same(MapStore(root, store_dir).city(name), MapStore(root).city(name))
