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
ImageNet weights for the image encoders of policies that are about to be trained.

Files of torchvision (``resnet34-*.pth``) and timm (``model.safetensors``, ``pytorch_model.bin``)
name the same tensors. Policies read images of 0..1 without ImageNet's mean and deviation, as the
devkit's do that start from the same weights.
"""

from pathlib import Path

from pair_drive_ros.models.foreign_weights import copy_weights, ForeignWeightsError, read_weights
from pair_drive_ros.models.policy import Network
from pair_drive_ros.models.resnet import ResNet, RESNET34_BLOCKS

_CLASSIFIER = 'fc.'
_RESNET34_WIDTH = 64


def load_image_weights(policy: Network, path: Path) -> None:
    """
    Let the policy's camera encoder start from a file of ImageNet weights.

    The LiDAR encoder keeps its random weights: its single channel is no picture.

    :raises ForeignWeightsError: see :func:`load_resnet34`; also for a policy that has no
        ``backbone.image_encoder`` of this package's :class:`ResNet`
    """
    encoder = getattr(getattr(policy, 'backbone', None), 'image_encoder', None)
    if not isinstance(encoder, ResNet):
        raise ForeignWeightsError(f'{path}: the policy {policy.architecture!r} has no image '
                                  'encoder that takes ImageNet weights (backbone.image_encoder)')
    load_resnet34(encoder, path)


def load_resnet34(encoder: ResNet, path: Path) -> None:
    """
    Copy a file's ResNet-34 weights into an encoder of three channels; its classifier is left out.

    :raises ForeignWeightsError: when the encoder is no ResNet-34, or when the file cannot be read
        or holds anything else; the encoder is then as it was
    """
    if (encoder.stage_widths[0] != _RESNET34_WIDTH
            or tuple(map(len, encoder.stages)) != RESNET34_BLOCKS):
        raise ForeignWeightsError(f'{path}: ImageNet weights fit ResNet-34 (width '
                                  f'{_RESNET34_WIDTH}, blocks {RESNET34_BLOCKS}), but the encoder '
                                  f'has width {encoder.stage_widths[0]} and blocks '
                                  f'{tuple(map(len, encoder.stages))}; train that one without')
    tensors = {name: tensor for name, tensor in read_weights(path).items()
               if not name.startswith(_CLASSIFIER)}
    try:
        copy_weights(tensors, encoder)
    except ForeignWeightsError as error:
        raise ForeignWeightsError(f'{path}: does not hold the weights of a ResNet-34 with '
                                  f'{encoder.conv1.in_channels} input channels: {error}'
                                  ) from error
