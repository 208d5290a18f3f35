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
Truncated diffusion of trajectory points: the normalisation and the DDIM scheduler.

Song et al., Denoising Diffusion Implicit Models, ICLR 2021, as DiffusionDrive (Liao et al., CVPR
2025) uses it: only the last few of 1000 steps are ever taken, because the diffusion starts from
anchors instead of pure noise, and the network predicts the points themselves, not the noise.
"""

import torch
from torch import nn

DIFFUSION_STEPS = 1000
_FIRST_BETA = 1e-4
_LAST_BETA = 0.02
# Lower bound and extent of what the range -1..1 stands for, in metres.
_X_MIN_M, _X_EXTENT_M = -1.2, 56.9
_Y_MIN_M, _Y_EXTENT_M = -20.0, 46.0


def normalise(points: torch.Tensor) -> torch.Tensor:
    """Map points [..., 2] (x, y in m) to the range of the diffusion: -1..1 in both."""
    x, y = points.unbind(-1)
    return torch.stack([2.0 * (x - _X_MIN_M) / _X_EXTENT_M - 1.0,
                        2.0 * (y - _Y_MIN_M) / _Y_EXTENT_M - 1.0], dim=-1)


def denormalise(points: torch.Tensor) -> torch.Tensor:
    """Map points [..., 2] of the diffusion back to x, y in m: undo :func:`normalise`."""
    x, y = points.unbind(-1)
    return torch.stack([(x + 1.0) / 2.0 * _X_EXTENT_M + _X_MIN_M,
                        (y + 1.0) / 2.0 * _Y_EXTENT_M + _Y_MIN_M], dim=-1)


class DdimScheduler(nn.Module):
    """
    The deterministic DDIM scheduler over 1000 steps whose betas are linear in their roots.

    It has no parameters and nothing in a state dict; it is a module only so that its table moves
    to the network's device with it.
    """

    def __init__(self) -> None:
        super().__init__()
        betas = torch.linspace(_FIRST_BETA ** 0.5, _LAST_BETA ** 0.5, DIFFUSION_STEPS,
                               dtype=torch.float64).square()
        self.alphas_cumprod: torch.Tensor
        self.register_buffer('alphas_cumprod', (1.0 - betas).cumprod(0).float(), persistent=False)

    def add_noise(self, samples: torch.Tensor, noise: torch.Tensor,
                  steps: torch.Tensor) -> torch.Tensor:
        """
        Diffuse clean samples forward by the given number of steps in one go.

        :param samples: [B, ...], the variance of what is there shrinks as that of noise grows
        :param noise: standard normal, of a shape that broadcasts with ``samples``
        :param steps: int64 [B] or [1], each 0..999
        """
        alpha = self.alphas_cumprod[steps].reshape(-1, *(1,) * (samples.dim() - 1))
        return alpha.sqrt() * samples + (1.0 - alpha).sqrt() * noise

    def step(self, prediction: torch.Tensor, step: int, sample: torch.Tensor) -> torch.Tensor:
        """
        Go back from ``step`` to ``step - 1``, or to the clean samples from step 0 (eta = 0).

        :param prediction: the clean samples as the network predicts them, clipped here to -1..1
            after the noise has been read from them, as in the public scheduler
        :param sample: the noisy samples at ``step``, in the same shape
        """
        alpha = self.alphas_cumprod[step]
        noise = (sample - alpha.sqrt() * prediction) / (1.0 - alpha).sqrt()
        clipped = prediction.clamp(-1.0, 1.0)
        if step == 0:
            return clipped
        before = self.alphas_cumprod[step - 1]
        return before.sqrt() * clipped + (1.0 - before).sqrt() * noise
