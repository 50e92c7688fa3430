"""What a title stands for, against a plain search through dicts."""

import tempfile
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.contracts.tally import Tally
from pipelines.redirects import MAX_HOPS, Redirects
from pipelines.titles import PART, choose_titles, followed

TITLES = st.sampled_from([*"ABCDEF", ""])
LANGS = st.sampled_from(["en", "de"])
ITEMS = st.sampled_from(["Q1", "Q2", "Q10"])


def row(lang, title, *, qid=None, via="item", target=None, disambiguation=False):
    return dict(zip(PART.names, (lang, title, qid, via, target, disambiguation), strict=True))


ROWS = st.one_of(
    st.builds(row, LANGS, TITLES, qid=st.none() | ITEMS, via=st.sampled_from(["item", "link"])),
    st.builds(row, LANGS, TITLES, via=st.just("redirect"), target=TITLES),
    st.builds(row, LANGS, TITLES, via=st.just("page"), disambiguation=st.just(True)),
)


def expected(rows):
    """(lang, title) -> (item, via), and the drops and counts, by search."""
    onward, items, groups = defaultdict(set), {}, defaultdict(list)
    ambiguous = {(one["lang"], one["title"]) for one in rows if one["disambiguation"]}
    for one in rows:
        key = one["lang"], one["title"]
        if one["target"] is not None:
            onward[key].add((one["lang"], one["target"]))
        if one["qid"] is not None and key not in ambiguous:
            items[key] = min(one["qid"], items.get(key, one["qid"]))

    def ends(key, hops):
        if hops == 0 or key not in onward:
            return {key}
        return set().union(*(ends(end, hops - 1) for end in onward[key]))

    for one in rows:
        qid = one["qid"]
        if one["target"] is not None:
            found = ends((one["lang"], one["target"]), MAX_HOPS - 1)
            qid = min((items.get(end) for end in found), key=lambda item: item or "")
        groups[one["lang"], one["title"]].append((one["via"] == "redirect", qid or "", one["via"]))
    tally, titles = Tally(), {}
    for key, group in groups.items():
        _, qid, via = min(group)
        if key in ambiguous:
            tally.drop("disambiguation")
        elif not qid:
            tally.drop("redirect_without_item")
        else:
            titles[key] = qid, via
            if len({qid for _, qid, via in group if via == "item"}) > 1:
                tally.count("title_with_several_items")
    return titles, tally


@given(st.lists(ROWS, max_size=14))
def test_titles_are_those_of_a_search(rows):
    parts = pa.RecordBatch.from_pylist(rows, schema=PART)
    with tempfile.TemporaryDirectory() as folder:
        Redirects.write(Path(folder), [parts.slice(0, 5), parts.slice(5)])
        redirects = Redirects.open(Path(folder))
        keys = pa.concat_batches(
            [followed(parts.slice(5), redirects), followed(parts.slice(0, 5), redirects)]
        )
    tally = Tally()
    found = [title for batch in choose_titles(keys, tally) for title in batch.to_pylist()]
    titles, counted = expected(rows)
    assert {(title["lang"], title["title"]): (title["qid"], title["via"]) for title in found} == titles
    assert [(title["lang"], title["title"]) for title in found] == sorted(titles)
    assert list(tally.rows()) == list(counted.rows())
