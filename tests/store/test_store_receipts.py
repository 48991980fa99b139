"""Watermarks and ranges, against a plain set."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.receipts import Receipts, Span, runs

SPANS = st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 40)), max_size=12)


@given(SPANS, SPANS)
def test_receipts_cover_exactly_what_was_added(first: list[Span], second: list[Span]):
    receipts, other = Receipts(), Receipts()
    receipts.add(1, first)
    other.add(1, second)
    receipts.update(other)
    plain = {seq for a, b in first + second if 0 <= a <= b for seq in range(a, b + 1)}

    assert {seq for seq in range(-5, 45) if receipts.covers(1, seq)} == plain
    assert not any(receipts.covers(2, seq) for seq in range(45))
    spans = [span for _, span in receipts]
    assert all(left[1] + 1 < right[0] for left, right in pairwise(spans))


@given(st.sets(st.integers(0, 60)))
def test_runs_name_each_seq_once(seqs: set[int]):
    spans = runs(sorted(seqs))

    assert [seq for first, last in spans for seq in range(first, last + 1)] == sorted(seqs)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(spans))
