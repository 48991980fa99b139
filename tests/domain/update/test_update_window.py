import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.update.model import Window
from gateway.domain.update.window import opens_in_min, shown

MINUTES = st.integers(0, 1439)
EDGES = st.integers(0, 1440)


@pytest.mark.parametrize(
    ("window", "minute", "wait_min"),
    [
        (Window(120, 240), 119, 1),
        (Window(120, 240), 120, 0),
        (Window(120, 240), 239, 0),
        (Window(120, 240), 240, 1320),
        (Window(1320, 60), 1319, 1),
        (Window(1320, 60), 30, 0),
        (Window(1320, 60), 60, 1260),
        (Window(0, 0), 700, 0),
        (Window(0, 1440), 700, 0),
        (Window(1440, 60), 30, 0),
        (Window(1440, 60), 60, 1380),
        (None, 700, 0),
    ],
)
def test_a_window_is_open_from_its_first_minute_to_its_last_over_midnight_too(
    window: Window | None, minute: int, wait_min: int
):
    assert opens_in_min(window, minute) == wait_min


@given(EDGES, EDGES, MINUTES)
def test_after_the_wait_it_is_open_and_never_before(begin: int, end: int, minute: int):
    window = Window(begin, end)
    wait_min = opens_in_min(window, minute)
    assert opens_in_min(window, (minute + wait_min) % 1440) == 0
    assert all(opens_in_min(window, (minute + early) % 1440) for early in range(wait_min))


def test_it_is_shown_as_it_is_configured():
    assert shown(Window(120, 245)) == "02:00-04:05"
