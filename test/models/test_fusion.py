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

"""The fusion transformer against its definition."""

import math

from pair_drive_ros.models.fusion import FUSION_HEADS, FusionTransformer, SelfAttention
import torch
from torch.nn import functional


def test_attention_equals_its_definition():
    torch.manual_seed(0)
    attention = SelfAttention(8, 0.1).eval()
    tokens = torch.randn(2, 5, 8)
    heads = []
    for head in torch.arange(8).chunk(FUSION_HEADS):
        query, key, value = (layer(tokens)[..., head]
                             for layer in (attention.query, attention.key, attention.value))
        scores = query @ key.transpose(1, 2) / math.sqrt(len(head))
        heads.append(scores.softmax(-1) @ value)
    torch.testing.assert_close(attention(tokens), attention.proj(torch.cat(heads, dim=-1)))


def test_without_blocks_every_cell_stays_in_its_place():
    fusion = FusionTransformer(8, (2, 3), (2, 2), blocks=0, dropout=0.1).eval()
    image, lidar = torch.randn(2, 8, 2, 3), torch.randn(2, 8, 2, 2)
    for given, returned in zip((image, lidar), fusion(image, lidar), strict=True):
        expected = functional.layer_norm(given.movedim(1, -1), (8,)).movedim(-1, 1)
        torch.testing.assert_close(returned, expected)


def test_each_sensor_sees_the_other():
    torch.manual_seed(0)
    fusion = FusionTransformer(8, (2, 3), (2, 2), blocks=1, dropout=0.1).eval()
    image, lidar = torch.randn(1, 8, 2, 3), torch.randn(1, 8, 2, 2)
    image_out, lidar_out = fusion(image, lidar)
    assert not torch.equal(fusion(image + torch.randn(1, 8, 1, 1), lidar)[1], lidar_out)
    assert not torch.equal(fusion(image, lidar + torch.randn(1, 8, 1, 1))[0], image_out)


def test_positions_are_told_apart_by_the_embedding():
    torch.manual_seed(0)
    fusion = FusionTransformer(8, (1, 2), (1, 1), blocks=1, dropout=0.1).eval()
    torch.nn.init.normal_(fusion.pos_emb)
    image, lidar = torch.randn(1, 8, 1, 1).expand(1, 8, 1, 2), torch.randn(1, 8, 1, 1)
    out = fusion(image, lidar)[0]
    assert not torch.allclose(out[..., 0], out[..., 1])
