"""Blocks, answers and turns: everything about Modbus that needs no port."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.ports import Failure, Register
from gateway.drivers.modbus import answer, turns
from gateway.drivers.modbus.answer import Refusal
from gateway.drivers.modbus.blocks import MOST_REGISTERS, Block, blocks, most_at_once
from gateway.drivers.modbus.config import MOST_TIMEOUT_S, Config
from gateway.drivers.modbus.turns import AT_PACE, LONGEST_PAUSE_S, STANDS_BACK_S, Turn
from gateway.errors import ConfigError
from tests.fakes.rs485 import sealed

REQUEST = bytes.fromhex("020400000003b038")
ANSWER = bytes.fromhex("020406000000000001b5a3")
"""As LD5000 User Guide, page 84, shows them."""
BLOCK = Block("input", 0, 3)

registers = st.builds(Register, st.sampled_from(["input", "holding"]), st.integers(0, 300))


# --- blocks -------------------------------------------------------------------------------------------


@given(st.lists(registers, max_size=60), st.integers(1, 125))
def test_blocks_hold_exactly_what_is_wanted_and_no_block_is_too_long(wanted: list[Register], most: int):
    made = blocks(wanted, most)
    held = [register for block in made for register in block.registers()]

    assert sorted(held) == sorted(set(wanted))
    assert all(block.count <= most for block in made)


def test_neighbours_share_a_block_and_a_gap_parts_them():
    wanted = [Register("input", address) for address in (0, 1, 2, 4)] + [Register("holding", 3)]

    assert blocks(wanted, 125) == [Block("holding", 3, 1), Block("input", 0, 3), Block("input", 4, 1)]


@given(st.integers(1200, 115_200), st.sampled_from(["none", "even"]), st.sampled_from([1, 2]))
def test_answer_with_the_most_registers_leaves_time_for_silence(baud: int, parity, stop_bits: int):  # noqa: ANN001
    config = Config(device="/dev/null", baud=baud, parity=parity, stop_bits=stop_bits)
    most = most_at_once(config)

    assert 1 <= most <= MOST_REGISTERS
    assert config.wire_s(Block("input", 0, most).answer_bytes) < MOST_TIMEOUT_S / 2 + 0.01


@pytest.mark.parametrize(
    ("key", "value"), [("baud", 300), ("stop_bits", 3), ("timeout_s", 0.0), ("timeout_s", 0.6)]
)
def test_port_that_makes_no_sense_names_its_key(key: str, value: float):
    with pytest.raises(ConfigError) as error:
        Config(device="/dev/ttyUSB0", **{key: value})

    assert [name for name, _ in error.value.problems] == [key]


# --- answers ------------------------------------------------------------------------------------------


def test_request_and_answer_are_as_the_manual_shows_them():
    assert answer.request(2, BLOCK) == REQUEST
    assert answer.find(ANSWER, 2, BLOCK) == ANSWER
    assert answer.read(ANSWER, BLOCK) == [0, 0, 1]


@given(st.binary(max_size=64))
def test_crc_is_that_of_the_library(data: bytes):
    assert data + answer.crc(data) == sealed(data)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_answer_is_found_in_noise(before: bytes, after: bytes):
    assert answer.find(before + ANSWER + after, 2, BLOCK) is not None


@given(st.integers(0, len(ANSWER) * 8 - 1))
def test_answer_with_one_wrong_bit_is_none(bit: int):
    damaged = bytearray(ANSWER)
    damaged[bit // 8] ^= 1 << bit % 8

    assert answer.find(bytes(damaged), 2, BLOCK) is None


@given(st.integers(0, len(ANSWER) - 1))
def test_part_of_an_answer_is_none(size: int):
    assert answer.find(ANSWER[:size], 2, BLOCK) is None


@pytest.mark.parametrize(
    ("unit", "block"),
    [(3, BLOCK), (2, Block("holding", 0, 3)), (2, Block("input", 0, 2))],
    ids=["unit", "table", "length"],
)
def test_answer_to_another_question_is_none(unit: int, block: Block):
    assert answer.find(ANSWER, unit, block) is None


@given(st.integers(0, 255))
def test_refusal_is_an_answer_in_words(code: int):
    refused = sealed(bytes((2, 0x84, code)))

    frame = answer.find(b"\x00" + refused, 2, BLOCK)

    assert frame == refused
    said = answer.read(frame, BLOCK)
    assert isinstance(said, Refusal)
    assert isinstance(said, Failure)
    assert f"input 0-2: refused with code {code}" in said.problem


@pytest.mark.parametrize(
    ("heard", "words"),
    [
        (b"", "no answer"),
        (REQUEST, "no answer"),
        (ANSWER[:-1], "damaged"),
        (REQUEST + ANSWER[:-1] + b"\0", "damaged"),
        (sealed(bytes((7, 4, 6, 0, 0, 0, 0, 0, 1))), "unit 7 answered instead"),
        (b"\xff\x00\xfe\xf0", "garbage"),
    ],
)
def test_what_was_heard_instead_is_told_in_words(heard: bytes, words: str):
    assert words in answer.problem(heard, REQUEST, 2)


@given(st.binary(max_size=80))
def test_no_noise_makes_it_stumble(heard: bytes):
    assert answer.problem(heard, REQUEST, 2)
    frame = answer.find(heard, 2, BLOCK)
    assert frame is None or answer.is_whole(frame)


# --- turns --------------------------------------------------------------------------------------------


@given(st.floats(0.5, 60.0), st.integers(1, 100_000))
def test_pause_grows_and_has_an_end(every_s: float, misses: int):
    pause_s = turns.pause_s(every_s, misses)

    assert every_s <= pause_s <= max(every_s, LONGEST_PAUSE_S)
    assert pause_s <= turns.pause_s(every_s, misses + 1)
    if misses < AT_PACE:
        assert pause_s == every_s


def test_silent_device_is_not_forgotten_on_a_bus_that_is_never_idle():
    silent, answering = Turn(2.0, due_s=0.0, misses=1), Turn(2.0, due_s=9.0)

    assert turns.choose([(1, silent), (2, answering)], STANDS_BACK_S) == 1
    assert turns.choose([(1, silent), (2, answering)], STANDS_BACK_S, silent_until_s=8.5) == 1


def test_who_has_waited_for_one_silence_does_not_wait_for_another():
    silent, waits, served = Turn(2.0, due_s=0.0, misses=1), Turn(2.0, due_s=9.0), Turn(2.0, due_s=11.5)

    assert turns.choose([(1, silent), (2, waits), (3, served)], STANDS_BACK_S, silent_until_s=9.5) == 2


def test_one_who_answers_goes_before_one_who_does_not():
    silent, answering = Turn(2.0, due_s=9.0, misses=1), Turn(2.0, due_s=9.5)

    assert turns.choose([(1, silent), (2, answering)], 10.0) == 2
    assert turns.choose([(1, silent)], 10.0) == 1
    assert turns.choose([(1, silent)], 8.9) is None


@example([False] * 12 + [True] * 18, 0.5)
@given(st.lists(st.booleans(), min_size=2, max_size=30), st.floats(0.5, 5.0))
def test_no_answering_device_waits_for_more_than_one_silent_one(dead: list[bool], every_s: float):
    """Half an hour of a bus in virtual time; an answer takes 10 ms, silence all that it may."""
    answer_s = 0.01
    devices = {unit: Turn(every_s, 0.0) for unit in range(len(dead))}
    asked_s: dict[int, list[float]] = {unit: [] for unit in devices}
    now_s, silent_until_s = 0.0, 0.0
    while now_s < 1800.0:
        unit = turns.choose(devices.items(), now_s, silent_until_s)
        if unit is None:
            now_s = min(turn.due_s for turn in devices.values())
            continue
        asked_s[unit].append(now_s)
        now_s += MOST_TIMEOUT_S if dead[unit] else answer_s
        silent_until_s = now_s if dead[unit] else silent_until_s
        (devices[unit].missed if dead[unit] else devices[unit].answered)(now_s)
    most_s = every_s + MOST_TIMEOUT_S + 2 * answer_s * len(dead)
    for unit, is_dead in enumerate(dead):
        gaps_s = [later - sooner for sooner, later in zip(asked_s[unit][1:], asked_s[unit][2:], strict=False)]
        if is_dead:
            assert max(gaps_s) <= LONGEST_PAUSE_S + MOST_TIMEOUT_S * len(dead) + every_s
        else:
            assert max(gaps_s) <= most_s
