"""The reference model of CANDLE-UNO: a tower for the cell, one for drugs, and a trunk."""

import torch
from torch import Tensor, nn

WIDTH = 1000
_TOWER, _TRUNK = 3, 5


class Towers(nn.Module):
    """A number from the vectors of a cell and of one drug or several, which share a tower.

    With 942 genes, 5,270 descriptors and the published width it has 16,224,001 parameters, for
    pairs of drugs a million more.

    Parameters
    ----------
    cell, drug : int
        Lengths of the vectors.
    drugs : int
        How many there are in a sample.
    width : int
        Of every hidden layer.
    dropout : float
        Share of each hidden layer that is dropped in training.
    """

    def __init__(
        self, cell: int, drug: int, *, drugs: int = 1, width: int = WIDTH, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.cell = _dense(cell, width, _TOWER, dropout)
        self.drug = _dense(drug, width, _TOWER, dropout)
        self.trunk = _dense((1 + drugs) * width, width, _TRUNK, dropout)
        self.head = nn.Linear(width, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, cell: Tensor, *drugs: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        cell : (B, cell), float32
        drugs : (B, drug) each, float32

        Returns
        -------
        Tensor, (B,)
        """
        all_of_them = torch.cat([self.cell(cell), *map(self.drug, drugs)], dim=1)
        found: Tensor = self.head(self.trunk(all_of_them)).squeeze(1)
        return found


def drop_always(model: nn.Module) -> None:
    """Let dropout act although the model is evaluated, as the published code does."""
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.train()


def _dense(size: int, width: int, depth: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n in range(depth):
        layers += [nn.Linear(width if n else size, width), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)
