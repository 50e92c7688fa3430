import numpy as np
import pytest

from kgcorpus.contracts.errors import InputError
from kgcorpus.tokens import ensure_tokens
from tests.trainer.jaket.toy import edges_of, jaket_rows
from tests.trainer.toy import damage_pages, write_corpus
from trainer.jaket.entities import GraphStore
from trainer.jaket.graph import group_edges


def neighbourhood(graph, entities, qid):
    node = int(entities.find([qid])[0])
    edges = slice(graph.offsets[node], graph.offsets[node + 1])
    names = [entities.qids[i].decode() for i in graph.neighbours[edges]]
    return sorted(zip(graph.relations[edges].tolist(), names, strict=True))


@pytest.mark.parametrize("directions", ["both", "out"])
def test_each_node_has_its_edges(store, entities, directions):
    graph = store.graph(entities, directions=directions, seen=None)
    relation = {name: i for i, name in enumerate(entities.relation_names)}
    assert list(relation) == ["P1", "P2", "P3"]
    for qid in [qid.decode() for qid in entities.qids]:
        expected = [(relation[e["r"]], e["t"]) for e in edges_of() if e["h"] == qid and e["t"] != qid]
        if directions == "both":
            expected += [
                (relation[e["r"]] + 3, e["h"]) for e in edges_of() if e["t"] == qid and e["h"] != qid
            ]
        assert neighbourhood(graph, entities, qid) == sorted(expected)


def test_the_graph_of_the_seen_holds_the_edges_between_them_alone(store, entities, graph):
    seen = np.arange(len(entities)) % 3 > 0
    part = store.graph(entities, directions="both", seen=seen)
    for node in range(len(entities)):
        whole = graph.neighbours[graph.offsets[node] : graph.offsets[node + 1]]
        found = part.neighbours[part.offsets[node] : part.offsets[node + 1]]
        assert found.tolist() == ([i for i in whole.tolist() if seen[i]] if seen[node] else [])


def test_hidden_pairs_have_no_edge_in_either_direction_and_all_others_stay(entities, graph):
    rng = np.random.default_rng(0)
    edges = [(e["h"], e["t"]) for e in edges_of()][::3]
    pairs = np.array([entities.find(list(pair)) for pair in edges])
    found = graph.without_pairs(pairs)
    barred = {frozenset(pair) for pair in pairs.tolist()}
    assert len(found.neighbours) < len(graph.neighbours)
    for node in range(graph.nodes):
        whole, part = (
            [
                (int(one.neighbours[i]), int(one.relations[i]))
                for i in range(one.offsets[node], one.offsets[node + 1])
            ]
            for one in (graph, found)
        )
        assert part == [(other, r) for other, r in whole if frozenset((node, other)) not in barred]
    nowhere = rng.integers(0, graph.nodes, (0, 2))
    assert graph.without_pairs(nowhere).neighbours.tolist() == graph.neighbours.tolist()


def test_the_order_of_the_triples_does_not_matter():
    rng = np.random.default_rng(0)
    h, t = rng.integers(0, 50, (2, 400)).astype(np.int32)
    r = rng.integers(0, 5, 400).astype(np.int16)
    order = rng.permutation(400)
    options = {"nodes": 50, "relation_count": 5, "directions": "both"}
    one, other = group_edges(h, r, t, **options), group_edges(h[order], r[order], t[order], **options)
    for name, array in vars(one).items():
        assert (array == getattr(other, name)).all()


def test_twenty_million_triples_fit_into_400_megabytes():
    """By the sizes of the parts: 40 million edges and JAKET's 3,657,658 entities."""
    edge = np.dtype(np.int32).itemsize + np.dtype(np.int16).itemsize
    graph = group_edges(
        np.zeros(1, np.int32),
        np.zeros(1, np.int16),
        np.ones(1, np.int32),
        nodes=2,
        relation_count=1,
        directions="both",
    )
    assert graph.neighbours.itemsize + graph.relations.itemsize == edge
    assert 40_000_000 * edge + 3_657_659 * graph.offsets.itemsize < 400_000_000


def test_more_relations_than_an_int16_holds_are_refused():
    none = np.empty(0, np.int32)
    with pytest.raises(InputError, match="relations are more"):
        group_edges(none, none.astype(np.int16), none, nodes=1, relation_count=20_000, directions="both")


def test_descriptions_are_cut_and_keep_their_closing_token_and_mention(entities, jaket_tokenizer):
    rows = {row["qid"]: row for row in jaket_rows()["jaket_entities"]}
    assert [qid.decode() for qid in entities.qids] == sorted(rows)
    for i, qid in enumerate(qid.decode() for qid in entities.qids):
        ids = entities.tokens[entities.starts[i] : entities.starts[i + 1]]
        assert len(ids) <= 18
        assert ids[0] == jaket_tokenizer.cls_token_id
        assert ids[-1] == jaket_tokenizer.sep_token_id
        first, last = entities.spans[i]
        decoded = jaket_tokenizer.decode(ids[first : last + 1]).replace(" ", "")
        assert decoded == ("[CLS]" if qid == "Q5" else f"Name{qid[1:]}")
        category = entities.categories[i]
        expected = rows[qid]["category"]
        assert (entities.category_names[category] if category >= 0 else None) == expected


def test_a_mention_behind_the_cut_counts_as_none(jaket_corpus, jaket_tokenizer):
    entities = GraphStore(jaket_corpus, jaket_tokenizer, 2).entities()
    assert (np.diff(entities.starts) == 4).all()
    assert (entities.spans == 0).all()


def test_entities_are_found_by_their_names(entities):
    assert entities.find(["Q10", "Q999", "Q2", "Q"]).tolist() == [
        entities.qids.tolist().index(b"Q10"),
        -1,
        entities.qids.tolist().index(b"Q2"),
        -1,
    ]
    assert entities.find([]).tolist() == []


def test_the_unseen_are_a_share_drawn_from_seed_and_name(store, entities):
    unseen = entities.unseen(0.5, 0)
    assert 15 < unseen.sum() < 45
    assert (unseen != entities.unseen(0.5, 1)).any()
    assert (entities.unseen(0.2, 0) <= unseen).all()


def test_a_build_without_the_tables_is_told(tmp_path, jaket_tokenizer):
    rows = jaket_rows()
    corpus = write_corpus(tmp_path, {"jaket_text": rows["jaket_text"]})
    with pytest.raises(InputError, match="no described entity"):
        GraphStore(corpus, jaket_tokenizer, 16).entities()


def test_damaged_caches_are_made_again(tmp_path, jaket_tokenizer):
    corpus = write_corpus(tmp_path, jaket_rows())
    backend = jaket_tokenizer.backend_tokenizer
    expected = repr(GraphStore(corpus, jaket_tokenizer, 16).entities())
    file, *_ = ensure_tokens(corpus, "jaket_entities", backend, mask_token="[MASK]")["train"]
    damage_pages(file)
    (array, *_) = sorted(corpus.rglob("entities-*/*.npy"))
    array.write_bytes(array.read_bytes()[:-1] + b"\x7f")
    found = repr(GraphStore(corpus, jaket_tokenizer, 16).entities())
    assert found == expected
