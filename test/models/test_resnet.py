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

"""The ResNet's shapes, size and names."""

from pair_drive_ros.models.resnet import ResNet
import torch


def test_resnet34_has_the_published_size_and_names():
    network = ResNet(3)
    # torchvision's resnet34 has 21,797,672 parameters, 513,000 of them in its classifier.
    assert sum(p.numel() for p in network.parameters()) == 21_797_672 - 513_000
    entries = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert len(entries) == 216
    expected = {'conv1.weight': (64, 3, 7, 7), 'bn1.running_var': (64,),
                'bn1.num_batches_tracked': (), 'layer1.2.conv2.weight': (64, 64, 3, 3),
                'layer2.0.downsample.0.weight': (128, 64, 1, 1),
                'layer2.0.downsample.1.weight': (128,), 'layer3.5.bn2.bias': (256,),
                'layer4.0.conv1.weight': (512, 256, 3, 3),
                'layer4.2.bn1.running_mean': (512,)}
    assert expected.items() <= entries.items()
    assert not any(name.startswith('layer1.0.downsample') for name in entries)


def test_maps_have_the_strides_4_8_16_32():
    maps = ResNet(2, base_width=4, stage_blocks=(1, 1, 1, 1)).eval()(torch.rand(3, 2, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (3, 4, 16, 24), (3, 8, 8, 12), (3, 16, 4, 6), (3, 32, 2, 3)]


def test_forward_is_the_stem_followed_by_the_stages():
    network = ResNet(1, base_width=4, stage_blocks=(2, 1, 1, 1)).eval()
    image = torch.rand(1, 1, 64, 64)
    x = network.stem(image)
    for stage, expected in zip(network.stages, network(image), strict=True):
        x = stage(x)
        torch.testing.assert_close(x, expected)


def test_a_block_is_two_normalised_convolutions_and_a_shortcut():
    network = ResNet(1, base_width=4, stage_blocks=(1, 1, 1, 1)).eval()
    block = network.layer1[0]
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(block(x), x.clamp(min=0.0))
