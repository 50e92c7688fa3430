import numpy as np
import torch
from torch import nn

from trainer.trelm.model import LabelDecoder, sampled_log_probability


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_with_all_negatives_the_sampled_softmax_is_the_full_one():
    states, table, bias = drawn(5, 8), drawn(30, 8, seed=1), drawn(30, seed=2)
    labels = torch.tensor([3, 0, 29, 7, 3])
    pool = torch.arange(30)
    found = sampled_log_probability(
        states, labels, pool, pool != labels[:, None], words=table.__getitem__, bias=bias
    )
    full = (states @ table.T + bias).log_softmax(dim=1)[torch.arange(5), labels]
    # The scores are summed in float32.
    torch.testing.assert_close(found.double(), full, rtol=1e-5, atol=1e-5)


def test_each_token_is_told_from_its_own_negatives_alone():
    states, table, bias = drawn(4, 8), drawn(30, 8, seed=1), drawn(30, seed=2)
    labels, pool = torch.tensor([3, 0, 29, 7]), torch.tensor([5, 6, 11, 12, 20])
    allowed = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 1]]).bool()
    found = sampled_log_probability(states, labels, pool, allowed, words=table.__getitem__, bias=bias)
    for i in range(4):
        scores = states[i] @ table.T + bias
        own = [int(labels[i]), *pool[allowed[i]].tolist()]
        expected = scores[own].log_softmax(dim=0)[0]
        torch.testing.assert_close(found[i].double(), expected, rtol=1e-5, atol=1e-5)
    assert found[2] == 0


def test_the_correction_takes_each_token_s_expected_count_off():
    states, table, bias = drawn(4, 8), drawn(30, 8, seed=1), drawn(30, seed=2)
    labels, pool = torch.tensor([3, 0, 29, 7]), torch.arange(8, 20)
    counts = drawn(4, 13, seed=3).exp()
    found = sampled_log_probability(
        states, labels, pool, torch.ones(4, 12, dtype=torch.bool), words=table.__getitem__, bias=bias,
        log_expected=(counts[:, :12].log(), counts[:, 12].log()),
    )  # fmt: skip
    for i in range(4):
        weights = (states[i] @ table.T + bias).exp()[[*pool.tolist(), int(labels[i])]] / counts[i]
        torch.testing.assert_close(found[i].exp().double(), weights[-1] / weights.sum(), rtol=1e-5, atol=1e-6)


def test_the_decoder_is_the_formula():
    torch.manual_seed(0)
    decoder = LabelDecoder(width=3, hidden=4).double()
    query, relation = drawn(2, 4), drawn(2, 3, seed=1)
    found = decoder(query, relation, steps=3)
    w_r, w_d = (layer.weight.detach().numpy() for layer in (decoder.relation, decoder.step))
    for q in range(2):
        state = query[q].numpy()
        for step in range(3):
            z = w_d @ np.concatenate([state, w_r @ relation[q].numpy()])
            z = np.array([0.5 * x * (1 + float(torch.erf(torch.tensor(x / np.sqrt(2))))) for x in z])
            state = (z - z.mean()) / np.sqrt(z.var() + 1e-5)
            np.testing.assert_allclose(found[q, step].detach().numpy(), state, rtol=1e-6, atol=1e-7)


def test_without_questions_there_is_no_loss_but_a_gradient_of_0():
    decoder = LabelDecoder(width=3, hidden=4)
    states = decoder(torch.zeros(0, 4), torch.zeros(0, 3), steps=1).flatten(0, 1)
    table = nn.Parameter(torch.ones(9, 4))
    none = torch.zeros(0, dtype=torch.long)
    found = sampled_log_probability(
        states, none, none, torch.zeros(0, 0, dtype=torch.bool), words=table.__getitem__, bias=torch.zeros(9)
    )
    assert found.shape == (0,)
    found.sum().backward()
    assert all((p.grad == 0).all() for p in (table, *decoder.parameters()))
