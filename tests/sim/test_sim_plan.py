"""A wrong plan is refused with the key and what is allowed."""

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.sim.plan import Plan, load, outputs, parse, rails

WRONG = """
supply_bar = 0
[room.a]
full_l = 0.05
[pipe.one]
room = "attic"
branch_of = "two"
valve = "gate"
[pipe.two]
room = "a"
branch_of = "one"
[contact.c]
room = "a"
line = "x"
[button.b]
line = "x"
[beacon.s]
room = "a"
format = "switchbot"
address = "a4:c1:38:00:00:01"
key = "00"
beacon_s = -1.0
"""


def test_everything_that_does_not_fit_together_is_told_at_once():
    with pytest.raises(ConfigError) as refused:
        parse(WRONG)

    assert dict(refused.value.problems) == {
        "pipe.one.valve": 'there is no "gate"; the plan has none',
        "pipe.one.room": 'there is no "attic"; the plan has a',
        "pipe.one.branch_of": "leads round in a circle",
        "pipe.two.branch_of": "leads round in a circle",
        "supply_bar": "0.0; allowed: more than 0",
        "beacon.s.beacon_s": "-1.0; allowed: more than 0",
        "contact.c.wet_l": "0.1 l never stand in a; allowed: at most 0.05",
        "beacon.s.wet_l": "0.1 l never stand in a; allowed: at most 0.05",
        "beacon.s.address": '"a4:c1:38:00:00:01"; write it as "A4:C1:38:00:00:01"',
        "beacon.s.key": "switchbot does not encrypt",
        "button.b.line": 'line "x" is also contact.c.line',
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[room", "Expected"),
        ("[room.a]\ndepth = 3", "unknown field `depth`"),
        ("[pipe.a]\nroom = 3", "Expected `str`, got `int` - at `$.pipe[...].room`"),
        ("[roof.a]", "unknown field `roof`"),
    ],
)
def test_text_that_is_no_plan_is_refused_in_one_line(text: str, problem: str):
    with pytest.raises(ConfigError, match="plan: ") as refused:
        parse(text)

    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_file_is_a_config_error(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"plan.toml: cannot be read"):
        load(tmp_path / "plan.toml")


def test_bytes_that_are_no_text_are_a_config_error(tmp_path: Path):
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match=r"plan.toml: is not UTF-8"):
        load(tmp_path / "plan.toml")


def test_plan_knows_its_lines(plan: Plan):
    assert outputs(plan) == {
        "main-open": False,
        "main-close": False,
        "kitchen-open": True,
        "garden-open": False,
        "garden-close": False,
        "led": False,
    }
    assert rails(plan)["leak-1"] == "ground"
    assert rails(plan)["leak-2"] == "supply"
    assert set(rails(plan)) == {
        "main-is-open",
        "main-is-closed",
        "kitchen-is-closed",
        "leak-1",
        "leak-2",
        "lobby",
        "meter",
    }
