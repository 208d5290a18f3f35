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

"""
The transformer that lets image and LiDAR tokens see each other.

Chitta et al., TransFuser, PAMI 2023, in the form of NAVSIM's devkit: pre-norm blocks of
self-attention over the tokens of both sensors together.
"""

import torch
from torch import nn
from torch.nn import functional

FUSION_HEADS = 4
MLP_RATIO = 4


class SelfAttention(nn.Module):
    """Multi-head self-attention; the projections keep the devkit's names."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.resid_drop = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor, visible: torch.Tensor | None = None) -> torch.Tensor:
        """Map tokens [B, N, width] to [B, N, width]; only ``visible`` ones [B, N] are seen."""
        def heads(projected: torch.Tensor) -> torch.Tensor:
            return projected.unflatten(-1, (FUSION_HEADS, -1)).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            heads(self.query(tokens)), heads(self.key(tokens)), heads(self.value(tokens)),
            attn_mask=None if visible is None else visible[:, None, None],
            dropout_p=self.resid_drop.p if self.training else 0.0)
        return self.resid_drop(self.proj(mixed.transpose(1, 2).flatten(2)))


class FusionBlock(nn.Module):
    """Self-attention and an MLP, each behind a layer norm and added to its input."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attn = SelfAttention(width, dropout)
        self.ln2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, MLP_RATIO * width), nn.ReLU(inplace=True),
                                 nn.Linear(MLP_RATIO * width, width), nn.Dropout(dropout))

    def forward(self, tokens: torch.Tensor, visible: torch.Tensor | None = None) -> torch.Tensor:
        """Map tokens [B, N, width] to [B, N, width]; only ``visible`` ones [B, N] are seen."""
        tokens = tokens + self.attn(self.ln1(tokens), visible)
        return tokens + self.mlp(self.ln2(tokens))


class FusionTransformer(nn.Module):
    """
    Joint self-attention over the cells of an image map and a LiDAR map of equal width.

    :param width: channels of both maps
    :param image_grid: rows and columns of the image map
    :param lidar_grid: rows and columns of the LiDAR map
    :param blocks: number of transformer blocks
    :param dropout: share of activations dropped in training, as of attention weights
    """

    def __init__(self, width: int, image_grid: tuple[int, int], lidar_grid: tuple[int, int],
                 blocks: int, dropout: float):
        super().__init__()
        self.image_grid = image_grid
        self.lidar_grid = lidar_grid
        self.image_tokens = image_grid[0] * image_grid[1]
        tokens = self.image_tokens + lidar_grid[0] * lidar_grid[1]
        self.pos_emb = nn.Parameter(torch.zeros(1, tokens, width))
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(FusionBlock(width, dropout) for _ in range(blocks)))
        self.ln_f = nn.LayerNorm(width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, image: torch.Tensor, lidar: torch.Tensor,
                visible: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Exchange information between the two maps.

        :param image: [B, width, *image_grid]
        :param lidar: [B, width, *lidar_grid]
        :param visible: bool [B, tokens], image tokens first: which may be looked at; None for all
        :return: the two maps in the same shapes, not yet added to anything
        """
        tokens = torch.cat([image.flatten(2), lidar.flatten(2)], dim=2).transpose(1, 2)
        tokens = self.drop(tokens + self.pos_emb)
        for block in self.blocks:
            tokens = block(tokens, visible)
        tokens = self.ln_f(tokens)
        maps = tokens.transpose(1, 2)
        return (maps[..., :self.image_tokens].unflatten(2, self.image_grid),
                maps[..., self.image_tokens:].unflatten(2, self.lidar_grid))
