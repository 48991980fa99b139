from gateway.control.gate import BURST_CALLS, CALLS_PER_S, Gate


def test_a_burst_is_served_at_once_and_then_paced():
    gate = Gate(4, 2)

    waits_s = [gate.wait_s(1000, 0.0) for _ in range(int(BURST_CALLS) + 11)]

    assert max(waits_s[: int(BURST_CALLS) + 1]) < 1e-6
    assert abs(waits_s[-1] - 10 / CALLS_PER_S) < 1e-6


def test_each_user_has_a_pace_of_its_own():
    gate = Gate(4, 2)
    for _ in range(1000):
        gate.wait_s(1000, 0.0)

    assert gate.wait_s(1001, 0.0) == 0.0


def test_connecting_again_is_no_way_around_the_pace():
    gate = Gate(4, 2)
    gate.admit(1000)
    for _ in range(1000):
        gate.wait_s(1000, 0.0)
    gate.release(1000, 0.0)

    assert gate.admit(1000)
    assert gate.wait_s(1000, 0.0) > 10


def test_a_user_who_has_been_quiet_is_forgotten():
    gate = Gate(4, 2)
    gate.admit(1000)
    gate.wait_s(1000, 0.0)
    gate.release(1000, 60.0)

    assert gate.wait_s(1000, 60.0) == 0.0


def test_one_user_cannot_take_every_connection_but_root_always_gets_the_last():
    gate = Gate(4, 2)

    assert [gate.admit(1000) for _ in range(3)] == [True, True, False]
    assert [gate.admit(0) for _ in range(3)] == [True, True, False]
    gate.release(1000, 0.0)
    assert gate.admit(0)
