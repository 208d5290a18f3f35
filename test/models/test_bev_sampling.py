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

"""What is sampled of a BEV map, on maps whose values are known."""

from pair_drive_ros.models.bev_sampling import sample_bev
import pytest
import torch

CELL_M = 8.0


def numbered() -> torch.Tensor:
    """Return a map [1, 1, 8, 8] whose cell of row r and column c holds 10 r + c."""
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing='ij')
    return (10.0 * rows + columns)[None, None]


def centre(row: float, column: float) -> list[float]:
    return [-32.0 + CELL_M * (row + 0.5), -32.0 + CELL_M * (column + 0.5)]


@pytest.mark.parametrize('row, column', [(0, 0), (7, 0), (0, 7), (3, 5), (7, 7)])
def test_rows_lie_along_x_and_columns_along_y(row, column):
    sampled = sample_bev(numbered(), torch.tensor([[centre(row, column)]]))
    assert sampled.item() == pytest.approx(10.0 * row + column, abs=1e-4)


def test_between_cells_lies_what_is_between_their_values():
    sampled = sample_bev(numbered(), torch.tensor([[centre(2.5, 4.0), centre(2.0, 4.25)]]))
    torch.testing.assert_close(sampled[0, :, 0], torch.tensor([29.0, 24.25]))


def test_beyond_the_map_there_is_nothing():
    ones = torch.ones(1, 1, 8, 8)
    places = torch.tensor([[[36.0, 0.0], [-36.1, 0.0], [0.0, 40.0], [100.0, -100.0]]])
    assert not sample_bev(ones, places).any()
    # Half a cell within its edge the map begins to end.
    assert sample_bev(ones, torch.tensor([[[32.0, 0.0]]])).item() == pytest.approx(0.5)


def test_each_scene_is_sampled_at_its_own_points_in_all_channels():
    torch.manual_seed(0)
    maps, points = torch.randn(2, 3, 8, 8), 40.0 * torch.randn(2, 4, 5, 2)
    sampled = sample_bev(maps, points)
    assert sampled.shape == (2, 4, 5, 3)
    for scene in range(2):
        for plan in range(4):
            alone = sample_bev(maps[scene:scene + 1], points[scene:scene + 1, plan])
            torch.testing.assert_close(sampled[scene, plan], alone[0])


def test_a_gradient_reaches_the_cells_that_were_seen():
    maps = numbered().requires_grad_()
    sample_bev(maps, torch.tensor([[centre(2.0, 4.25)]])).sum().backward()
    expected = torch.zeros(8, 8)
    expected[2, 4], expected[2, 5] = 0.75, 0.25
    torch.testing.assert_close(maps.grad[0, 0], expected)
