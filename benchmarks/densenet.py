"""The FC-DenseNet of STEMDL's reconstruction benchmark, with adjustable growth."""

import torch
from torch import Tensor, nn

DOWN, BOTTLENECK, UP = (1, 2, 4), 3, (4, 2, 1)
"""Dense layers of each block."""
STEP = 2 ** len(DOWN)
"""Height and width of an image are multiples of it."""
_KERNEL = 5
_GAMMA = 0.1


class FCDenseNet(nn.Module):
    """Seven dense blocks of 5 by 5 convolutions: three down, one below, three up.

    Parameters
    ----------
    channels : int
        Of the images: probe positions, as published.
    growth : int
        Channels that a dense layer adds, and those of the stem. With 256 channels and growth
        256 the model has 215,500,288 parameters.
    dropout : float

    Notes
    -----
    Source: nlaanait/stemdl and its configuration for the benchmark. Blocks on the way down
    give what they got and what they added; others what they added alone. The transposed
    convolutions are 1 by 1: so their weights are counted in descriptions of the model.
    Published code drops half while it is scored, too; here dropout ends with training.
    """

    def __init__(self, channels: int, growth: int = 256, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, growth, _KERNEL, padding=_KERNEL // 2)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.grow, self.up = nn.ModuleList(), nn.ModuleList()
        width, beside = growth, list[int]()
        for layers in DOWN:
            self.down.append(_Dense(width, growth, layers, dropout))
            width += layers * growth
            beside.append(width)
            self.shrink.append(_transition(width, dropout))
        self.bottom = _Dense(width, growth, BOTTLENECK, dropout)
        width = BOTTLENECK * growth
        for layers, skipped in zip(UP, reversed(beside), strict=True):
            self.grow.append(nn.ConvTranspose2d(width, width, 1, stride=2, output_padding=1))
            self.up.append(_Dense(width + skipped, growth, layers, dropout))
            width = layers * growth
        self.head = nn.Conv2d(width, 1, 1, bias=False)
        self.apply(_begin)

    def forward(self, images: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        images : (B, C, H, W) float32
            H and W are multiples of 8.

        Returns
        -------
        (B, 1, H, W) float32
        """
        found, beside = self.stem(images), list[Tensor]()
        for block, shrink in zip(self.down, self.shrink, strict=True):
            found = torch.cat([found, block(found)], dim=1)
            beside.append(found)
            found = shrink(found)
        found = self.bottom(found)
        for grow, block, skipped in zip(self.grow, self.up, reversed(beside), strict=True):
            found = block(torch.cat([grow(found), skipped], dim=1))
        predicted: Tensor = self.head(found)
        return predicted


class _Dense(nn.Module):
    """Layers of which each sees all before it; gives what they add."""

    def __init__(self, width: int, growth: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(width + n * growth, growth, _KERNEL, padding=_KERNEL // 2),
                nn.Dropout(dropout),
            )
            for n in range(layers)
        )

    def forward(self, images: Tensor) -> Tensor:
        seen, added = images, list[Tensor]()
        for layer in self.layers:
            added.append(layer(seen))
            seen = torch.cat([seen, added[-1]], dim=1)
        return torch.cat(added, dim=1)


def _transition(width: int, dropout: float) -> nn.Sequential:
    norm = nn.BatchNorm2d(width)
    mixing = nn.Conv2d(width, width, 1)
    return nn.Sequential(norm, nn.ReLU(), mixing, nn.Dropout(dropout), nn.AvgPool2d(2))


def _begin(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        nn.init.constant_(module.weight, _GAMMA)
    elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
