"""ResNet-50 as torchvision has it, and a small network of the same blocks."""

import torch
from torch import Tensor, nn

CLASSES = 231
"""Outputs: the number of the space group is the class; 0 is never right."""
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Width and number of blocks of each stage of ResNet-50."""
_GROWTH = 4


class ResNet(nn.Module):
    """Bottlenecks in stages, each but the first half as large as the one before.

    Parameters
    ----------
    channels : int
        Of the images: 3 gives 23,981,351 parameters, 1 gives 23,975,079.
    stages : sequence of (int, int), optional
        Width and number of blocks of each.
    stem : int, optional
        Channels of the first convolution.

    Notes
    -----
    Source: He et al. 2015, doi:10.1109/CVPR.2016.90; as torchvision has it, the stride is in
    the 3 by 3 convolution and weights begin by Kaiming, normal, fan-out.
    """

    def __init__(
        self, channels: int, *, stages: tuple[tuple[int, int], ...] = STAGES, stem: int = 64
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, stem, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        blocks: list[nn.Module] = []
        before = stem
        for number, (width, count) in enumerate(stages):
            for n in range(count):
                stride = 2 if number and not n else 1
                blocks.append(Bottleneck(before, width, stride))
                before = _GROWTH * width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        images : (B, C, H, W) float32

        Returns
        -------
        (B, 231) float32
            Logits of the space groups.
        """
        found: Tensor = self.head(self.blocks(self.stem(images)).mean(dim=(2, 3)))
        return found


class Bottleneck(nn.Module):
    """1 by 1, 3 by 3 and 1 by 1 convolutions, added to what came in."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = _GROWTH * width
        self.inner = nn.Sequential(
            nn.Conv2d(before, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.beside: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.beside = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Compute (B, before, H, W) to (B, after, H / stride, W / stride)."""
        return torch.relu(self.inner(images) + self.beside(images))


class SmallNet(nn.Module):
    """Plain convolutions for a few minutes on a CPU: the image shrinks at once to a quarter.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Channels of the first of three levels; they double at each.
    """

    def __init__(self, channels: int, width: int = 24) -> None:
        super().__init__()
        layers = [nn.Conv2d(channels, width, 7, stride=4, padding=3, bias=False)]
        before = width
        for level in range(3):
            after = width << level
            stride = 2 if level else 1
            layers += [
                nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
                nn.Conv2d(after, after, 3, padding=1, bias=False),
            ]
            before = after
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU(inplace=True))
                for layer in layers
            )
        )
        self.head = nn.Linear(2 * before, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Predict logits (B, 231) of images (B, C, H, W)."""
        found = self.blocks(images)
        ends = torch.cat([found.mean(dim=(2, 3)), found.amax(dim=(2, 3))], dim=1)
        logits: Tensor = self.head(ends)
        return logits


class OneByOne(nn.Module):
    """Sees one projection at a time, as the form of Oak Ridge does.

    In training each sample shows one projection, drawn at random, of which a rectangle may be
    erased, and half the logits are dropped; in evaluation logits of all three are averaged.

    Parameters
    ----------
    net : nn.Module
        Takes images of one channel.
    erase : float
        Probability that a rectangle is erased: 2 to 33 percent of the image.
    dropout : float
        Of the logits.
    """

    def __init__(self, net: nn.Module, *, erase: float = 0.8, dropout: float = 0.5) -> None:
        super().__init__()
        self.net = net
        self.erase = erase
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Predict logits (B, 231) of projections (B, P, H, W)."""
        samples, projections = images.shape[:2]
        if not self.training:
            logits: Tensor = self.net(images.flatten(0, 1)[:, None])
            return logits.reshape(samples, projections, -1).mean(dim=1)
        chosen = torch.randint(projections, (samples,), device=images.device)
        seen = images[torch.arange(samples, device=images.device), chosen]
        dropped: Tensor = self.dropout(self.net(self._erased(seen)[:, None]))
        return dropped

    def _erased(self, images: Tensor) -> Tensor:
        samples, height, width = images.shape
        share, ratio, x, y, luck = torch.rand(5, samples, 1, 1, device=images.device)
        area = (0.02 + 0.31 * share) * height * width
        shape = torch.exp((2 * ratio - 1) * 1.2)  # 0.3 to 3.3
        tall, broad = (area * shape).sqrt(), (area / shape).sqrt()
        top, left = y * (height - tall).clamp(min=0), x * (width - broad).clamp(min=0)
        rows = torch.arange(height, device=images.device)[None, :, None]
        columns = torch.arange(width, device=images.device)[None, None]
        inside = (rows >= top) & (rows < top + tall)
        inside = inside & (columns >= left) & (columns < left + broad)
        return images.masked_fill(inside & (luck < self.erase), 0.0)
