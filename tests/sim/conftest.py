"""A small building with one of each thing."""

import pytest

from gateway.sim.building import Building
from gateway.sim.plan import Plan, parse

KEY = "231d39c1d7cc1ab1aee224cd096db932"

HOUSE = f"""
[room.cellar]
full_l = 1.0
drain_l_per_min = 3.0

[room.kitchen]

[pipe.main]
room = "cellar"
valve = "main"
leak_l_per_min = 30.0

[pipe.kitchen]
branch_of = "main"
valve = "kitchen"
room = "kitchen"

[pipe.garden]
room = "cellar"
valve = "garden"

[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
open_switch_line = "main-is-open"
closed_switch_line = "main-is-closed"
travel_s = 4.0

[valve.kitchen]
kind = "spring_return"
open_line = "kitchen-open"
closed_switch_line = "kitchen-is-closed"

[valve.garden]
kind = "latching"
open_line = "garden-open"
close_line = "garden-close"
travel_s = 0.1

[contact.floor]
room = "cellar"
line = "leak-1"

[contact.supervised]
room = "kitchen"
line = "leak-2"
normally = "closed"
rail = "supply"

[beacon.pump]
room = "cellar"
format = "bthome"
address = "A4:C1:38:00:00:01"
key = "{KEY}"

[beacon.sink]
room = "kitchen"
format = "switchbot"
address = "C0:4E:30:00:00:03"

[button.lobby]
line = "lobby"

[meter.main]
pipe = "main"
line = "meter"

[indicator]
led_line = "led"
"""


@pytest.fixture
def plan() -> Plan:
    return parse(HOUSE)


@pytest.fixture
def building(plan: Plan) -> Building:
    return Building(plan)
