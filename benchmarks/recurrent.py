"""An LSTM layer as Keras has it, with SELU in place of tanh, quick on a CPU.

PyTorch's own LSTM has tanh only and two biases a gate. Here the four gates are one product, the
inputs of all steps are projected at once, and the backward pass is written out: it needs no
graph of single steps, and the gradient of the weights is one product over all steps.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
GATES = 4


class _Recurrence(torch.autograd.Function):
    """All steps of the layer, and their derivatives.

    Order of the gates: input, forget, output (sigmoid), candidate (SELU).
    """

    @staticmethod
    def forward(
        ctx: Any,  # Any: torch's context is untyped
        inputs: Tensor,
        *rest: Tensor,
    ) -> Tensor:
        kernel, recurrent, bias, mask = rest
        steps, batch, _ = inputs.shape
        width = recurrent.shape[0]
        gates = torch.addmm(bias, inputs.flatten(0, 1), kernel).view(steps, batch, -1)
        hidden = inputs.new_zeros(steps + 1, batch, width)
        cells = inputs.new_zeros(steps + 1, batch, width)
        for t in range(steps):
            now = gates[t].addmm_(hidden[t] * mask, recurrent)
            functional.selu_(now[:, 3 * width :])
            now[:, : 3 * width].sigmoid_()
            entry, forget, output, candidate = torch.split(now, width, dim=1)
            torch.mul(forget, cells[t], out=cells[t + 1]).addcmul_(entry, candidate)
            torch.mul(output, functional.selu(cells[t + 1]), out=hidden[t + 1])
        ctx.save_for_backward(inputs, kernel, recurrent, mask, gates, hidden, cells)
        return hidden[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, kernel, recurrent, mask, gates, hidden, cells = ctx.saved_tensors
        width = recurrent.shape[0]
        wanted = gradients[0]
        change = torch.empty_like(gates)
        d_hidden, d_cell = torch.zeros_like(hidden[0]), torch.zeros_like(hidden[0])
        transposed = recurrent.t().contiguous()
        for t in reversed(range(len(gates))):
            entry, forget, output, candidate = torch.split(gates[t], width, dim=1)
            squashed = functional.selu(cells[t + 1])
            d_hidden = d_hidden + wanted[t]
            d_cell = (d_hidden * output).mul_(_selu_slope(squashed)).add_(d_cell)
            now = change[t]
            torch.mul(d_cell, candidate, out=now[:, :width])
            torch.mul(d_cell, cells[t], out=now[:, width : 2 * width])
            torch.mul(d_hidden, squashed, out=now[:, 2 * width : 3 * width])
            torch.mul(d_cell * entry, _selu_slope(candidate), out=now[:, 3 * width :])
            sigmoids = gates[t][:, : 3 * width]
            now[:, : 3 * width].mul_(sigmoids * (1 - sigmoids))
            d_hidden = (now @ transposed).mul_(mask)
            d_cell = d_cell * forget
        flat = change.flatten(0, 1)
        return (
            (flat @ kernel.t()).view_as(inputs),
            inputs.flatten(0, 1).t() @ flat,
            (hidden[:-1] * mask).flatten(0, 1).t() @ flat,
            flat.sum(0),
            None,
        )


def _selu_slope(value: Tensor) -> Tensor:
    """Slope of SELU where its value is `value`."""
    return torch.where(value > 0, SELU_SCALE, value + SELU_SCALE * SELU_ALPHA)


class SeluLstm(nn.Module):
    """LSTM with SELU activation and sigmoid gates.

    Parameters
    ----------
    inputs, width : int
        Features in and out; 4 (inputs + width + 1) width parameters.
    dropout, recurrent_dropout : float
        Shares of input features and of hidden features that are zero in training, the same ones
        in all steps of a sequence.

    Notes
    -----
    Initial weights as in Keras: Glorot uniform, orthogonal; bias 0, of the forget gate 1.
    """

    def __init__(
        self, inputs: int, width: int, *, dropout: float, recurrent_dropout: float
    ) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(inputs, GATES * width))
        self.recurrent = nn.Parameter(torch.empty(width, GATES * width))
        self.bias = nn.Parameter(torch.zeros(GATES * width))
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        nn.init.xavier_uniform_(self.kernel)
        nn.init.orthogonal_(self.recurrent)
        with torch.no_grad():
            self.bias[width : 2 * width] = 1.0

    def forward(self, inputs: Tensor) -> Tensor:
        """Go through all steps.

        Parameters
        ----------
        inputs : (T, B, inputs)

        Returns
        -------
        (T, B, width)
        """
        batch, width = inputs.shape[1], self.recurrent.shape[0]
        kept = self._keep(inputs.new_ones(batch, inputs.shape[2]), self.dropout)
        mask = self._keep(inputs.new_ones(batch, width), self.recurrent_dropout)
        dropped = inputs * kept if self.training and self.dropout else inputs
        # Sums over many steps need float32; autocast would give some of them bfloat16.
        with torch.autocast(inputs.device.type, enabled=False):
            hidden: Tensor = _Recurrence.apply(  # type: ignore[no-untyped-call]  # torch's
                dropped.to(self.kernel.dtype),
                self.kernel,
                self.recurrent,
                self.bias,
                mask.to(self.kernel.dtype),
            )
        return hidden

    def _keep(self, ones: Tensor, share: float) -> Tensor:
        return functional.dropout(ones, share, self.training)
