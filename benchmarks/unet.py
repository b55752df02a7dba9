"""The U-Net of the CloudMask benchmark: three levels, no normalisation, no dropout."""

import torch
from torch import Tensor, nn

LEVELS = 3
STEP = 2**LEVELS
"""Height and width of an image are multiples of it."""


class UNet(nn.Module):
    """Two 3 by 3 convolutions a level, max pooling down, nearest neighbours up.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Channels of the first level; they double at each. With 9 channels and width 32 the
        model has 1,948,609 parameters.

    Notes
    -----
    Source: reference code of the MLCommons Science benchmark CloudMask. It gives logits, where
    that one ends with a sigmoid.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        widths = [width << level for level in range(LEVELS + 1)]
        self.down = nn.ModuleList(
            _block(before, after)
            for before, after in zip([channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _block(below + beside, beside)
            for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Conv2d(width, 1, 1)
        nn.init.xavier_uniform_(self.head.weight)  # as Keras does
        _clear_biases(self)

    def forward(self, images: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        images : (B, C, H, W) float32
            H and W are multiples of 8.

        Returns
        -------
        (B, H, W) float32
            Logits of cloud.
        """
        found, beside = images, list[Tensor]()
        for level, block in enumerate(self.down):
            found = block(self.pool(found) if level else found)
            beside.append(found)
        for block, skipped in zip(self.up, beside[-2::-1], strict=True):
            found = block(torch.cat([self.grow(found), skipped], dim=1))
        logits: Tensor = self.head(found)
        return logits[:, 0]


def _clear_biases(model: nn.Module) -> None:
    for name, values in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(values)


def _block(before: int, after: int) -> nn.Sequential:
    convolutions = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
    for convolution in convolutions:
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    first, second = convolutions
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))
