"""Which certificate is tried next, whatever came of the former attempts."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.app import pairs
from gateway.app.pairs import Candidate, Choice, Role

OLD = Candidate(Role.CURRENT, "old")
NEW = Candidate(Role.TRIAL, "new")
FORMER = Candidate(Role.FORMER, "former")


def marks(choice: Choice, *candidates: Candidate, now_s: float = 0.0) -> list[str]:
    return [one.mark for one in choice.order(candidates, now_s)]


def test_a_new_pair_is_tried_before_the_one_in_use():
    choice = Choice()
    assert choice.is_due([OLD, NEW], 0.0)
    assert marks(choice, OLD, NEW) == ["new", "old"]


def test_a_refused_new_pair_is_never_tried_again_and_the_old_one_at_once():
    choice = Choice()
    choice.order([OLD, NEW], 0.0)

    assert choice.refused(NEW, 0.0)

    assert marks(choice, OLD, NEW) == ["old"]
    assert not choice.is_due([OLD, NEW], 1e9)


def test_while_the_network_is_away_both_are_tried_in_turn_and_none_is_given_up():
    choice = Choice()
    tried = []
    for _ in range(20):
        first = choice.order([OLD, NEW], 0.0)[0]
        tried.append(first.mark)
        goes_on = choice.failed(first, 0.0)
        assert goes_on == (first is NEW)

    assert tried == ["new", "old"] * 10
    assert marks(choice, OLD, NEW)[0] == "new"


def test_a_new_pair_that_fails_while_the_old_one_works_is_tried_less_and_less_often_and_then_given_up():
    choice = Choice()
    now_s, waits_s = 0.0, []
    for _ in range(pairs.PATIENCE):
        assert marks(choice, OLD, NEW, now_s=now_s)[0] == "new"
        assert choice.failed(NEW, now_s)
        given_up = choice.worked(OLD, now_s)
        began_s = now_s
        while not choice.is_due([OLD, NEW], now_s) and now_s < began_s + 1e5:
            now_s += 1.0
        waits_s.append(now_s - began_s)

    assert waits_s[:4] == [60.0, 120.0, 240.0, 480.0]
    assert given_up == "new"
    assert marks(choice, OLD, NEW, now_s=1e9) == ["old"]


def test_a_later_new_pair_begins_with_a_clean_slate():
    choice = Choice()
    choice.order([OLD, NEW], 0.0)
    choice.failed(NEW, 0.0)
    choice.worked(OLD, 0.0)

    assert choice.is_due([OLD, Candidate(Role.TRIAL, "newer")], 0.0)


def test_a_cut_between_two_sessions_says_nothing_about_the_new_pair():
    choice = Choice()
    for _ in range(3 * pairs.PATIENCE):
        choice.order([OLD, NEW], 0.0)
        assert choice.worked(OLD, 0.0) == ""

    assert choice.is_due([OLD, NEW], 0.0)


def test_the_former_pair_is_a_last_resort():
    choice = Choice()
    assert marks(choice, OLD, FORMER) == ["old"]
    choice.failed(OLD, 0.0)
    assert marks(choice, OLD, FORMER) == ["old"]

    assert choice.refused(OLD, 0.0)

    assert marks(choice, OLD, FORMER) == ["former", "old"]
    assert not choice.refused(FORMER, 0.0)
    assert marks(choice, OLD, FORMER)[0] == "old"


def test_whoever_is_alone_is_tried_again_and_again():
    choice = Choice()
    for outcome in (choice.refused, choice.failed, choice.refused):
        assert marks(choice, OLD) == ["old"]
        assert not outcome(OLD, 0.0)


@given(st.lists(st.tuples(st.sampled_from(["works", "refused", "failed"]), st.floats(0, 600)), max_size=60))
def test_there_is_always_something_to_try_and_never_two_without_a_pause_for_long(
    happenings: list[tuple[str, float]],
):
    choice, now_s, in_a_row = Choice(), 0.0, 0
    for outcome, wait_s in happenings:
        now_s += wait_s
        tried = choice.order([OLD, NEW, FORMER], now_s)
        assert tried
        if outcome == "works":
            choice.worked(tried[0], now_s)
            in_a_row = 0
            continue
        goes_on = (choice.refused if outcome == "refused" else choice.failed)(tried[0], now_s)
        in_a_row = in_a_row + 1 if goes_on else 0
        assert in_a_row <= 2
