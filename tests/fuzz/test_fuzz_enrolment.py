import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.enrolment import SAMPLES, TARGETS, target
from tests.fuzz.run import ENROLMENT

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")


def test_make_fuzz_knows_every_target():
    assert set(ENROLMENT) == set(TARGETS) == set(SAMPLES)


@pytest.mark.parametrize("name", TARGETS)
def test_every_sample_leads_into_its_target(name: str):
    for sample in SAMPLES[name]:
        assert len(sample) <= ENROLMENT[name]
        target(name)(sample)


@pytest.mark.parametrize("name", TARGETS)
@given(body=st.binary(max_size=400))
def test_no_bytes_raise_anything_but_a_refusal_in_one_line(name: str, body: bytes):
    target(name)(body)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(max_examples=200)
def test_no_changed_or_cut_input_raises_anything_but_a_refusal_in_one_line(name: str, data: st.DataObject):
    body = bytearray(data.draw(st.sampled_from(SAMPLES[name])))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=4)):
        body[at % len(body)] = value
    target(name)(bytes(body[: data.draw(st.integers(0, 1200))]))
