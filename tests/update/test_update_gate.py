import asyncio
from collections.abc import Callable, Mapping

from gateway.domain.model import Json
from gateway.domain.update.model import Judged
from gateway.errors import ControlError
from gateway.update.gate import IN_A_ROW, Gate
from tests.fakes import quick_loop
from tests.fakes.updated import HEALTHY, Daemon, Machine, Signs, Time

Look = Callable[[int], Mapping[str, Json]]
SICK: dict[str, Json] = {"sensors": {"sump": {"healthy": False, "faults": ["silent"]}}}
SICK = HEALTHY | SICK


class Watched(Daemon):
    """Shows what `look` says at the n-th look."""

    def __init__(self, look: Look) -> None:
        super().__init__(Machine())
        self.look = look
        self.looks = 0

    async def view(self) -> Mapping[str, Json]:
        self.looks += 1
        return self.look(self.looks)


class Silent(Signs):
    async def sign(self) -> bool | None:
        return False


class Hanging(Signs):
    async def sign(self) -> bool | None:
        await asyncio.sleep(1e6)
        return True


def judged(look: Look, signer: Signs | None = None, *, signs: bool = False) -> tuple[Judged, Watched, float]:
    daemon = Watched(look)

    async def check() -> tuple[Judged, Watched, float]:
        loop = asyncio.get_running_loop()
        before = await Gate(Watched(lambda _: HEALTHY), Signs(), Time(loop.time)).before()
        gate = Gate(daemon, signer or Signs(), Time(loop.time))
        verdict = await gate.check(before | {"tpm": signs}, away=False, timeout_s=300.0)
        return verdict, daemon, loop.time()

    return quick_loop.run(check())


def epoch(number: int) -> Mapping[str, Json]:
    return HEALTHY | {"gateway": {"core_late_s": 0.0, "epoch": number}}


def test_what_is_as_before_several_times_in_a_row_is_healthy():
    verdict, daemon, took_s = judged(lambda _: HEALTHY)
    assert (verdict, daemon.looks) == (Judged(healthy=True), IN_A_ROW)
    assert took_s < 60


def test_a_sensor_that_comes_late_is_waited_for():
    verdict, _, took_s = judged(lambda look: SICK if look < 20 else HEALTHY)
    assert verdict.healthy
    assert took_s > 90


def test_one_good_look_between_bad_ones_is_not_enough():
    verdict, _, took_s = judged(lambda look: HEALTHY if look % 3 else SICK)
    assert not verdict.healthy
    assert "sump" in verdict.missed[0]
    assert 300 <= took_s < 320


def test_a_gateway_that_starts_again_and_again_is_not_healthy_though_each_look_is_good():
    verdict, _, _ = judged(lambda look: epoch(look // 2))
    assert verdict == Judged(healthy=False, missed=("the gateway does not stay up",))


def test_one_restart_while_it_settles_is_forgiven():
    verdict, _, _ = judged(lambda look: epoch(7 if look < 3 else 8))
    assert verdict.healthy


def test_a_gateway_that_does_not_answer_is_unhealthy_when_the_time_is_up():
    def nobody(_: int) -> Mapping[str, Json]:
        raise ControlError("NotReached", "is the gateway running?")

    verdict, _, took_s = judged(nobody)
    assert verdict.missed == ("the gateway does not answer: is the gateway running?",)
    assert 300 <= took_s < 320


def test_a_tpm_that_does_not_sign_or_hangs_is_missed():
    for signer in (Silent(), Hanging()):
        verdict, _, _ = judged(lambda _: HEALTHY, signer, signs=True)
        assert verdict.missed == ("the TPM does not sign",)


def test_a_long_list_of_what_is_missed_is_shortened():
    many: dict[str, Json] = {f"s{number}": {"healthy": False, "faults": []} for number in range(30)}
    well: dict[str, Json] = {name: {"healthy": True, "last_seen_s_ago": 1.0} for name in many}

    async def check() -> Judged:
        loop = asyncio.get_running_loop()
        before = await Gate(Watched(lambda _: HEALTHY | {"sensors": well}), Signs(), Time(loop.time)).before()
        gate = Gate(Watched(lambda _: HEALTHY | {"sensors": many}), Signs(), Time(loop.time))
        return await gate.check(before, away=False, timeout_s=30.0)

    verdict = quick_loop.run(check())
    assert len(verdict.missed) == 6
    assert verdict.missed[-1] == "and 25 more"
