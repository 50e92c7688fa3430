from collections import Counter
from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgcorpus.kg.sums import Sizes


@given(st.lists(st.lists(st.integers(0, 20))))
def test_sizes_are_those_of_a_counter(parts):
    sizes = Sizes()
    for part in parts:
        sizes.add(np.array(part, np.uint64))
    found = sizes.to_arrays()
    expected = sorted(Counter(chain.from_iterable(parts)).items())
    assert list(zip(found["values"].tolist(), found["sizes"].tolist(), strict=True)) == expected
