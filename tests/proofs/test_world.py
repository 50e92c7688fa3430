from collections import Counter, defaultdict

from proofs.world import LANGUAGES, RELATIONS, Size, World

SMALL = Size(entities=2000, triangles=40, diamonds=20)


def test_every_planted_path_is_closed_by_its_rule():
    world = World(SMALL, seed=1)
    facts = set(world.triples())
    followed = defaultdict(set)
    for h, r, t in facts:
        followed[h].add((r, t))
    heads = {tuple(f"P{i + 1}" for i in rule.body): f"P{rule.head + 1}" for rule in world.rules}
    closed = Counter(
        (heads[r1, r2], z) in followed[x] for x, r1, y in facts for r2, z in followed[y] if (r1, r2) in heads
    )
    # The few open ones are paths that two instances form by chance.
    assert closed[True] >= SMALL.triangles + 2 * SMALL.diamonds
    assert closed[False] < closed[True] / 4


def test_no_relation_tells_another_by_itself():
    world = World(Size(), seed=2)
    bodies = [rule.body for rule in world.rules]
    assert len({frozenset(body) for body in bodies}) == len(bodies)
    assert Counter(rule.head for rule in world.rules) == dict.fromkeys(range(len(RELATIONS["en"])), 2)
    partners = defaultdict(set)
    for rule in world.rules:
        for relation in (*rule.body, rule.head):
            partners[relation].update({*rule.body, rule.head} - {relation})
    assert all(len(met) >= 4 for met in partners.values())


def test_entities_and_relations_are_named_apart_in_every_language():
    world = World(Size(), seed=3)
    for names, key, n in ((world.entities(), "Q", 1000), (world.relations(), "P", 12)):
        for lang in LANGUAGES:
            assert len({names.label(f"{key}{i + 1}", lang) for i in range(n)} - {None}) == n


def test_a_world_depends_on_its_seed_alone():
    assert World(SMALL, seed=4).triples() == World(SMALL, seed=4).triples()
    assert World(SMALL, seed=4).triples() != World(SMALL, seed=5).triples()
