import math

import numpy as np
import pytest
import torch

from kgcorpus.contracts.errors import UsageError
from trainer.jaket.gat import GatLayer, HopTensors, KnowledgeModule
from trainer.jaket.graph import sample_hops


def tensors(hops):
    return [HopTensors(*(torch.from_numpy(array) for array in vars(hop).values())) for hop in hops]


def equation(layer, embeddings, relations, hop):
    """Eq. 1 and 2, word for word, one number after the other."""
    heads, size = layer.attend_own.shape
    weight = layer.project.weight.detach().double()
    rows = []
    for v, own in enumerate(hop.own.tolist()):
        parts = []
        for k in range(heads):
            w = weight[k * size : (k + 1) * size]
            a = torch.cat([layer.attend_own[k], layer.attend_neighbour[k]]).detach().double()
            composed, scores = [], []
            for column in range(hop.present.shape[1]):
                if hop.present[v, column]:
                    f = embeddings[hop.neighbours[v, column]]
                    if relations is not None:
                        f = f + relations[hop.relations[v, column]]
                    composed.append(w @ f)
                    score = float(a @ torch.cat([w @ embeddings[own], w @ f]))
                    scores.append(score if score > 0 else 0.2 * score)
            total = sum(math.exp(score) for score in scores)
            summed = torch.zeros(size, dtype=torch.float64)
            for score, message in zip(scores, composed, strict=True):
                summed += math.exp(score) / total * message
            parts.append(0.5 * summed * (1 + torch.erf(summed / math.sqrt(2))))
        row = embeddings[own] + torch.cat(parts)
        rows.append((row - row.mean()) / torch.sqrt(row.var(unbiased=False) + layer.norm.eps))
    return torch.stack(rows)


@pytest.mark.parametrize("with_relations", [False, True])
def test_a_layer_is_the_equation(graph, with_relations):
    torch.manual_seed(0)
    layer = GatLayer(12, 3).double()
    targets = np.arange(graph.nodes)
    nodes, (hop,) = sample_hops(graph, targets, layers=1, count=4, key=(0,))
    (hop,) = tensors([hop])
    # The toy has nodes without neighbours, with some and with more than are sampled.
    assert {0, 4} < set(hop.present.sum(dim=1).tolist())
    embeddings = torch.randn(len(nodes), 12, dtype=torch.float64)
    relations = torch.randn(6, 12, dtype=torch.float64) if with_relations else None
    found = layer(embeddings, relations, hop)
    torch.testing.assert_close(found, equation(layer, embeddings, relations, hop))


def test_a_node_alone_keeps_its_normed_embedding(graph):
    layer = GatLayer(8, 2)
    nodes, (hop,) = sample_hops(graph.without_edges(), np.arange(4), layers=1, count=3, key=(0,))
    embeddings = torch.randn(len(nodes), 8)
    torch.testing.assert_close(
        layer(embeddings, None, *tensors([hop])), torch.nn.functional.layer_norm(embeddings, (8,))
    )


def test_two_layers_read_two_hops_and_no_further(graph, entities):
    torch.manual_seed(0)
    module = KnowledgeModule(8, heads=2, layers=2)
    nodes, hops = sample_hops(graph, np.array([9]), layers=2, count=3, key=(0,))
    context = torch.randn(len(nodes), 8, requires_grad=True)
    module(context, tensors(hops))[0, 0].backward()
    assert (context.grad != 0).any(dim=1).all()
    assert len(nodes) < graph.nodes


def test_trained_relations_are_read(graph):
    torch.manual_seed(0)
    module = KnowledgeModule(8, heads=2, layers=2, relation_rows=6)
    nodes, hops = sample_hops(graph, np.arange(20), layers=2, count=3, key=(0,))
    context = torch.randn(len(nodes), 8)
    module(context, tensors(hops)).sum().backward()
    assert (module.relations.weight.grad != 0).any(dim=1).all()
    without = module(context, tensors(hops), relations=torch.zeros(6, 8))
    assert not torch.equal(without, module(context, tensors(hops)))


def test_heads_that_do_not_divide_the_size_are_refused():
    with pytest.raises(UsageError, match="3 heads do not divide 8"):
        GatLayer(8, 3)
