import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.decoders import SAMPLES, radio_kinds, target


@pytest.mark.parametrize("kind", radio_kinds())
@given(choice=st.integers(0, 3), body=st.binary(max_size=64))
def test_no_bytes_raise_anything_but_the_typed_error(kind: str, choice: int, body: bytes):
    target(kind)(bytes([choice]) + body)


@pytest.mark.parametrize("kind", radio_kinds())
@given(
    choice=st.integers(0, 3),
    sample=st.sampled_from(SAMPLES),
    changes=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 255)), max_size=4),
    length=st.integers(0, 30),
)
@settings(max_examples=200)
def test_no_changed_or_cut_frame_raises_anything_but_the_typed_error(
    kind: str, choice: int, sample: bytes, changes: list[tuple[int, int]], length: int
):
    frame = bytearray(sample)
    for at, value in changes:
        frame[at % len(frame)] = value

    target(kind)(bytes([choice]) + bytes(frame[:length]))
