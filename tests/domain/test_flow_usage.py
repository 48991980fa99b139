"""Water use by the hour and day: every litre once, whatever clock and power do."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.commands import Publish, Remember
from gateway.domain.effects import Effect
from gateway.domain.events import TimeTold
from gateway.domain.flow.metered import Metered
from gateway.domain.flow.setting import Clock
from gateway.domain.model import Json
from gateway.domain.site import MeterSpec

METER = MeterSpec(id="incoming", litres_per_pulse=10.0)
MONDAY = 1_795_392_000.0
"""2026-11-23 00:00 UTC, a Monday; local time is UTC + 1 h here."""
OFFSET_S = 3600.0
WEEK_S = 7 * 86_400.0


class Bench:
    """A meter, the wall clock and the disk."""

    def __init__(self, unix_s: float = MONDAY - OFFSET_S + 8 * 3600.0, *, trusted: bool = True) -> None:
        self.now_s = 500.0
        self.skew_s = unix_s - self.now_s
        self.trusted = trusted
        self.offset_s = OFFSET_S
        self.clock = Clock()
        self.told: list[dict[str, Json]] = []
        self.disk: Json = None
        self.saves = 0
        self.restart()

    def restart(self, away_s: float = 0.0, *, orderly: bool = False) -> None:
        if orderly:
            self.take([self.metered.save(self.now_s)])
        self.skew_s += away_s
        self.now_s += 7.0  # another boot counts from elsewhere
        self.skew_s -= 7.0
        self.clock = Clock()
        self.metered = Metered(METER, {})
        self.metered.start(self.disk, self.now_s)

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Publish) and effect.kind == "water":
                self.told.append(dict(effect.body))
            elif isinstance(effect, Remember):
                self.disk, self.saves = effect.value, self.saves + 1

    def tell_time(self) -> None:
        unix_s = self.now_s + self.skew_s
        local_s = (unix_s + self.offset_s - MONDAY) % WEEK_S
        self.clock = Clock(TimeTold(unix_s, int(local_s // 60), self.trusted), self.now_s)
        self.take(self.metered.clock_told(self.clock, self.now_s))

    def pulse(self, pulses: int = 1) -> None:
        self.take(self.metered.pulsed(pulses, self.clock, self.now_s)[1])

    def wait(self, seconds: float) -> None:
        """Let time pass; the clock is told at each full minute."""
        end_s = self.now_s + seconds
        while True:
            next_s = self.now_s + 60.0 - (self.now_s + self.skew_s) % 60.0
            due_s = self.metered.deadline_s()
            step_s = min(next_s, due_s, end_s)
            self.now_s = max(self.now_s, step_s)
            if due_s <= self.now_s:
                self.take(self.metered.tick(self.now_s)[1])
            if next_s <= self.now_s + 1e-6:
                self.tell_time()
            if self.now_s >= end_s:
                return

    def of(self, period: str) -> list[tuple[Json, Json, Json]]:
        return [
            (t["start_unix_s"], t["litres"], t["time_trusted"]) for t in self.told if t["period"] == period
        ]

    def view(self, key: str) -> Json:
        return self.metered.view(self.now_s)[key]


def at(hours: float) -> float:
    return MONDAY - OFFSET_S + hours * 3600.0


def test_hours_and_days_are_aligned_to_local_time() -> None:
    bench = Bench(at(8.0))
    bench.tell_time()
    bench.pulse(3)
    bench.wait(3600.0)
    bench.pulse(2)
    bench.wait(16 * 3600.0)

    assert bench.of("hour")[:3] == [(at(8), 30.0, True), (at(9), 20.0, True), (at(10), 0.0, True)]
    assert len(bench.of("hour")) == 17
    assert bench.of("day") == [(at(8), 50.0, True)]
    assert bench.told[0]["duration_s"] == 3600.0
    assert bench.told[-1]["total_litres"] == 50.0


def test_pulse_between_the_full_hour_and_the_word_of_the_clock_belongs_to_the_new_hour() -> None:
    bench = Bench(at(8.0))
    bench.tell_time()
    bench.wait(3590.0)
    bench.now_s += 10.05
    bench.pulse()

    assert bench.of("hour") == [(at(8), 0.0, True)]
    assert bench.view("hour_litres") == 10.0


def test_untrusted_clock_gives_periods_without_a_begin() -> None:
    bench = Bench(at(8.4), trusted=False)
    bench.tell_time()
    bench.pulse(3)
    bench.wait(3700.0)
    assert bench.of("hour") == [(None, 30.0, False)]
    bench.pulse(1)

    bench.trusted = True
    bench.wait(2 * 3600.0)

    assert bench.of("hour")[1] == (None, 10.0, False)
    assert [start for start, _, _ in bench.of("hour")[2:]] == [bench.told[3]["start_unix_s"], at(10)]
    assert sum(float(str(litres)) for _, litres, _ in bench.of("hour")) == 40.0


def test_restart_within_the_hour_goes_on_with_it() -> None:
    bench = Bench(at(8.0))
    bench.tell_time()
    bench.pulse(3)
    bench.wait(600.0)
    bench.restart(away_s=300.0)
    bench.pulse(2)
    assert bench.view("hour_litres") == 50.0
    bench.wait(3600.0)

    assert bench.of("hour") == [(at(8), 50.0, True)]
    assert float(str(bench.told[0]["duration_s"])) < 3600.0 - 300.0 + 61.0


def test_restart_in_a_later_hour_tells_the_former_one_and_starts_anew() -> None:
    bench = Bench(at(8.0))
    bench.tell_time()
    bench.pulse(3)
    bench.wait(600.0)
    bench.restart(away_s=5 * 3600.0)
    bench.pulse(2)
    bench.wait(3600.0)

    assert bench.of("hour")[0] == (at(8), 30.0, True)
    assert bench.of("hour")[1][1] == 20.0
    assert bench.view("day_litres") == 50.0


def test_same_weekday_a_week_later_is_another_day() -> None:
    bench = Bench(at(8.0))
    bench.tell_time()
    bench.pulse(3)
    bench.wait(120.0)
    bench.restart(away_s=WEEK_S)
    bench.tell_time()

    assert bench.of("day") == [(at(8), 30.0, True)]
    assert bench.view("day_litres") == 0.0


def test_clock_set_forwards_and_back_splits_periods_and_loses_nothing() -> None:
    bench = Bench(at(8.5))
    bench.tell_time()
    bench.pulse(1)
    bench.skew_s += 3 * 3600.0
    bench.tell_time()
    bench.pulse(2)
    bench.skew_s -= 3 * 3600.0
    bench.tell_time()
    bench.pulse(4)
    bench.wait(3600.0)

    assert [litres for _, litres, _ in bench.of("hour")] == [10.0, 20.0, 40.0]
    assert bench.view("day_litres") == 70.0


def test_clock_set_by_a_week_finds_another_day() -> None:
    bench = Bench(at(8.0))
    bench.tell_time()
    bench.pulse(3)
    bench.wait(600.0)
    bench.skew_s += 7 * 86_400.0
    bench.tell_time()
    bench.pulse(4)
    bench.wait(24 * 3600.0)

    assert bench.of("day") == [(at(8.0), 30.0, True), (at(7 * 24.0 + 8.0) + 600.0, 40.0, True)]


def test_day_with_25_hours_stays_one_day() -> None:
    bench = Bench(at(0.0))
    bench.tell_time()
    bench.pulse(1)
    bench.wait(2.5 * 3600.0)
    bench.offset_s -= 3600.0  # summer time ends
    bench.pulse(1)
    bench.wait(23 * 3600.0)

    assert bench.of("day") == [(at(0), 20.0, True)]


def test_disk_is_spared_and_a_power_cut_costs_a_minute_at_most() -> None:
    bench = Bench(at(8.0))
    bench.tell_time()
    for _ in range(3600):
        bench.wait(0.5)
        bench.pulse()
    counted = bench.view("pulses")
    assert bench.saves <= 31
    assert bench.metered.deadline_s() <= bench.now_s + 60.0

    bench.restart()

    assert isinstance(counted, int)
    assert counted - 120 <= int(str(bench.view("pulses"))) <= counted


def test_orderly_stop_costs_nothing() -> None:
    bench = Bench(at(8.0))
    bench.tell_time()
    for _ in range(100):
        bench.wait(0.5)
        bench.pulse()

    bench.restart(orderly=True)

    assert bench.view("pulses") == 100


def test_coarse_meter_remembers_each_pulse_at_once() -> None:
    bench = Bench(at(8.0))
    for _ in range(5):
        bench.pulse()
        bench.wait(300.0)
        bench.restart()

    assert bench.view("pulses") == 5


BACKWARDS: dict[str, Json] = {"pulses": -3, "litres": 30.0, "hour": None, "day": None}


def test_damaged_memory_counts_as_none() -> None:
    short: dict[str, Json] = {"pulses": 1, "litres": 2.0}
    for damaged in (17, {}, {"pulses": "x"}, short, [], BACKWARDS):
        metered = Metered(METER, {})
        metered.start(damaged, 0.0)  # type: ignore[arg-type]
        assert metered.view(1.0)["pulses"] == 0


def test_memory_that_was_read_late_is_added() -> None:
    before = Bench(at(8.0))
    before.tell_time()
    before.pulse(100)
    late = Bench(at(8.2))
    late.tell_time()
    late.pulse(5)

    late.take(late.metered.recall(before.disk, late.clock, late.now_s))

    assert (late.view("pulses"), late.view("litres"), late.view("hour_litres")) == (105, 1050.0, 1050.0)


WHAT = st.sampled_from(["pulse", "wait", "long", "set", "trust", "restart", "away"])


@given(st.lists(st.tuples(WHAT, st.floats(0.0, 1.0)), max_size=40))
def test_each_litre_is_in_exactly_one_hour_and_one_day_whatever_happens(
    events: list[tuple[str, float]],
) -> None:
    bench, counted = Bench(at(8.3)), 0
    for event, much in events:
        match event:
            case "pulse":
                pulses = 1 + round(4 * much)
                bench.pulse(pulses)
                counted += pulses
            case "wait":
                bench.wait(1.0 + 900.0 * much)
            case "long":
                bench.wait(3600.0 + 5400.0 * much)
            case "set":
                bench.skew_s += 40_000.0 * (much - 0.5)
                bench.tell_time()
            case "trust":
                bench.trusted = not bench.trusted
            case "restart":
                bench.restart(300.0 * much, orderly=True)
            case "away":
                bench.restart(3600.0 + 200_000.0 * much, orderly=True)
        assert bench.view("pulses") == counted
    for period, left in (("hour", bench.view("hour_litres")), ("day", bench.view("day_litres"))):
        told = sum(float(str(litres)) for _, litres, _ in bench.of(period))
        assert told + float(str(left)) == counted * 10.0


UNTIL_A_CRASH = st.sampled_from(["pulse", "wait", "long", "crash"])


@given(st.lists(st.tuples(UNTIL_A_CRASH, st.floats(0.0, 1.0)), max_size=40))
def test_power_cut_may_cost_a_litre_but_never_tells_one_twice(events: list[tuple[str, float]]) -> None:
    bench, counted = Bench(at(8.9)), 0
    bench.tell_time()
    for event, much in events:
        match event:
            case "pulse":
                bench.pulse()
                counted += 1
            case "wait":
                bench.wait(1.0 + 900.0 * much)
            case "long":
                # up to just after the full hour, before the clock has said so
                left_s = 3600.0 - (bench.now_s + bench.skew_s) % 3600.0
                bench.wait(left_s - 1.0)
                bench.now_s += 1.05
            case "crash":
                bench.restart(10.0 * much)
                bench.tell_time()
        for period, left in (("hour", bench.view("hour_litres")), ("day", bench.view("day_litres"))):
            told = sum(float(str(litres)) for _, litres, _ in bench.of(period))
            assert told + float(str(left)) <= counted * 10.0 + 0.01


def test_late_memory_is_remembered_with_what_came_since_at_once() -> None:
    before, late = Bench(at(8.0)), Bench(at(8.2))
    before.pulse(100)
    late.pulse(5)
    late.take(late.metered.recall(before.disk, late.clock, late.now_s))

    assert isinstance(late.disk, dict)
    assert late.disk["pulses"] == 105
