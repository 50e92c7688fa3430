"""Contrastive knowledge assessing (CKA, eq. 2): which entity is at a fact's other end?"""

import torch
from torch import Tensor, nn


class LabelDecoder(nn.Module):
    """Decodes a mention's state to the tokens of a label: h_i = LN(GELU(W_d [h_(i-1); W_r v_r])).

    h_0 is the mean final state of the mention. v_r is negated where the head is asked for (t - r is near h):
    the print does not tell the two directions apart.

    Args:
        width: numbers of a relation's vector.
        hidden: size of the states.
    """

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.relation = nn.Linear(width, hidden, bias=False)
        self.step = nn.Linear(2 * hidden, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, query: Tensor, relation: Tensor, *, steps: int) -> Tensor:
        """The states [queries, steps, hidden].

        Args:
            query: [queries, hidden].
            relation: [queries, width], signed.
            steps: tokens of the longest label.
        """
        projected = self.relation(relation)
        state, states = query, []
        for _ in range(steps):
            state = self.norm(nn.functional.gelu(self.step(torch.cat([state, projected], dim=1))))
            states.append(state)
        return torch.stack(states, dim=1) if states else query[:, None][:, :0]


def sampled_log_probability(
    states: Tensor,
    labels: Tensor,
    pool: Tensor,
    allowed: Tensor,
    *,
    table: Tensor,
    bias: Tensor,
    log_expected: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """log softmax of the true token's score among itself and its negatives (eq. 2), [tokens].

    The score of token y is h E[y] + b[y], as in the tied head. As printed, it is not corrected for how often
    the token is drawn: with two kinds of negatives that would cancel the hard ones.

    Args:
        states: [tokens, hidden].
        labels: [tokens].
        pool: [P] the batch's negatives.
        allowed: [tokens, P] which of them are a token's own.
        table: [vocabulary, hidden].
        bias: [vocabulary].
        log_expected: with the correction, of `NegativeSampler.log_expected`: [tokens, P] and [tokens].
    """
    true = (states * table[labels]).sum(dim=1).float() + bias[labels]
    others = (states @ table[pool].T).float() + bias[pool]
    if log_expected is not None:
        others, true = others - log_expected[0], true - log_expected[1]
    others = others.masked_fill(~allowed, -torch.inf)
    return true - torch.cat([true[:, None], others], dim=1).logsumexp(dim=1)
