"""The Science Transformer: attention in time, attention across places, then an LSTM.

A batch is one joint sample: at each step its sequences attend to each other. So a forecast
depends on which other sequences stand in the batch, in training and when it is scored.
"""

import math

import torch
from torch import Tensor, nn

from scidata.benchmarks.recurrent import SeluLstm

WIDTH, ENCODED, HEADS, KEYS, LAYERS = 128, 256, 4, 128, 4
FORWARD, LSTM_WIDTH, DROPOUT, EPSILON = 512, 64, 0.2, 1e-6


class Attention(nn.Module):
    """Scores of several heads for one and the same value, joined by a dense layer.

    Parameters
    ----------
    width : int
        Features of what is compared.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, HEADS * KEYS)
        self.key = nn.Linear(width, HEADS * KEYS)
        self.join = nn.Linear(HEADS * WIDTH, ENCODED)

    def forward(self, hidden: Tensor, value: Tensor, hidden_from: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        hidden : (A, N, width)
            A independent groups of N that attend to each other.
        value : (A, N, 128)
            The embedded input: the same for every head.
        hidden_from : (N, N) bool
            True where the first must not see the second.

        Returns
        -------
        (A, N, 256)
        """
        groups, size, _ = hidden.shape
        shape = groups, size, HEADS, KEYS
        query = self.query(hidden).view(shape).transpose(1, 2)
        key = self.key(hidden).view(shape).transpose(1, 2)
        scores = query @ key.transpose(2, 3) / math.sqrt(KEYS)
        weights = scores.masked_fill(hidden_from, -torch.inf).softmax(dim=-1)
        mixed = weights @ value[:, None]
        joined: Tensor = self.join(mixed.transpose(1, 2).reshape(groups, size, HEADS * WIDTH))
        return joined


class Layer(nn.Module):
    """Both attentions and a dense block, each added to what it was made from.

    The sum of both attentions is added to the layer's input; the first layer's input, half as
    wide, is laid side by side with itself for that.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.doubled = width == WIDTH
        self.in_time = Attention(width)
        self.in_space = Attention(width)
        self.first_norm = nn.LayerNorm(ENCODED, eps=EPSILON)
        self.second_norm = nn.LayerNorm(ENCODED, eps=EPSILON)
        self.wide = nn.Linear(ENCODED, FORWARD)
        self.narrow = nn.Linear(FORWARD, ENCODED)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, hidden: Tensor, value: Tensor, unseen: tuple[Tensor, Tensor]) -> Tensor:
        """Go through the layer: (T, B, width) to (T, B, 256)."""
        later, elsewhere = unseen
        turned = hidden.transpose(0, 1), value.transpose(0, 1)
        attended = self.in_time(*turned, later).transpose(0, 1)
        attended = attended + self.in_space(hidden, value, elsewhere)
        skip = torch.cat([hidden, hidden], dim=-1) if self.doubled else hidden
        middle = self.first_norm(skip + self.dropout(attended))
        dense = self.narrow(torch.selu(self.wide(middle)))
        found: Tensor = self.second_norm(middle + self.dropout(dense))
        return found


class ScienceTransformer(nn.Module):
    """Four layers of attention in time and in space, merged with their input, then two LSTMs.

    Parameters
    ----------
    inputs, outputs : int
        Features of a step, and of the forecast.
    past_only : bool
        Whether a sequence sees those only that end no later than itself. Without it one that
        ends later may hold what is to be forecast.

    Notes
    -----
    Source: Fox et al. 2022, doi:10.3390/geohazards3020011, as described; no number of
    parameters is published. Left out: attention over space and time at once, an option there.
    """

    def __init__(self, inputs: int, outputs: int, *, past_only: bool) -> None:
        super().__init__()
        self.past_only = past_only
        self.embed = nn.Linear(inputs, WIDTH)
        self.layers = nn.ModuleList(Layer(WIDTH if n == 0 else ENCODED) for n in range(LAYERS))
        self.merge = nn.Linear(WIDTH + ENCODED, WIDTH)
        rates = {"dropout": DROPOUT, "recurrent_dropout": DROPOUT}
        self.first = SeluLstm(WIDTH, LSTM_WIDTH, **rates)
        self.second = SeluLstm(LSTM_WIDTH, LSTM_WIDTH, **rates)
        self.dense = nn.Linear(LSTM_WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, outputs)
        self.dropout = nn.Dropout(DROPOUT)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)  # as Keras does
                nn.init.zeros_(module.bias)

    def forward(self, inputs: Tensor, time: Tensor) -> Tensor:
        """Forecast.

        Parameters
        ----------
        inputs : (T, B, inputs) float32
        time : (B,) int64
            The last step of each sequence.

        Returns
        -------
        (B, outputs) float32
        """
        steps = len(inputs)
        later = torch.ones(steps, steps, dtype=torch.bool, device=inputs.device).triu(1)
        elsewhere = time[None, :] > time[:, None]
        if not self.past_only:
            elsewhere = torch.zeros_like(elsewhere)
        embedded = self.dropout(torch.selu(self.embed(inputs)))
        hidden = embedded
        for layer in self.layers:
            hidden = layer(hidden, embedded, (later, elsewhere))
        merged = torch.selu(self.merge(torch.cat([embedded, hidden], dim=-1)))
        last = self.second(self.first(merged))[-1]
        forecast: Tensor = self.head(torch.selu(self.dense(last)))
        return forecast
