"""What hawkBit says, taken apart, and what it is told; without a server."""

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.update.model import Code, Kind, Order, State, Step, Update
from gateway.errors import UpdateError
from gateway.update.hawkbit import feedback, wire
from gateway.update.hawkbit.orders import action_of, order
from gateway.update.hawkbit.wire import Action, Deployment
from tests.fakes.hawkbit import actions

BASE = {
    "config": {"polling": {"sleep": "12:00:00"}},
    "_links": {
        "deploymentBase": {"href": "https://h.example/T/controller/v1/gw-1/deploymentBase/8?c=-2129030598"},
        "installedBase": {"href": "https://h.example/T/controller/v1/gw-1/installedBase/7"},
        "configData": {"href": "https://h.example/T/controller/v1/gw-1/configData"},
    },
}
ACTION = Action("8", "-2129030598")


def module(**changes: object) -> actions.Module:
    whole = {"type": "os", "name": "reed", "version": "1.4.0", "metadata": {"reed.target": "os/reed-1.4.0"}}
    return actions.Module(**{**whole, **changes})  # type: ignore[arg-type]


def deployment(*modules: actions.Module, **changes: object) -> Deployment:
    action = actions.Action(8, "gw-1", actions.DistributionSet("reed", "1", modules), **changes)  # type: ignore[arg-type]
    return wire.deployment(json.dumps({"id": "8", "deployment": action.deployment()}).encode(), ACTION)


def ordered(*modules: actions.Module, **changes: object) -> Order:
    return order(ACTION, deployment(*modules, **changes), deadline_s=3600.0)


def update(state: State, **changes: object) -> Update:
    return replace(Update(ordered(module()), state), **changes)  # type: ignore[arg-type]


def told(one: Update) -> dict[str, object]:
    status: dict[str, object] = json.loads(feedback.feedback("8", one))["status"]
    return status


def test_the_documented_answer_is_understood():
    offer = wire.offer(json.dumps(BASE).encode())
    assert offer == wire.Offer(12 * 3600.0, deployment=ACTION, wants_attributes=True)


def test_an_answer_without_work_is_no_work():
    assert wire.offer(b'{"config":{"polling":{"sleep":"00:01:30"}}}') == wire.Offer(90.0)
    assert wire.offer(b"{}") == wire.Offer()


def test_a_link_to_elsewhere_gives_its_number_only():
    links = {"deploymentBase": {"href": "https://evil.example/x/deploymentBase/31?c=5"}}
    assert wire.offer(json.dumps({"_links": links}).encode()).deployment == Action("31", "5")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"\xff\xfe",
        b"[]",
        b'{"_links": 5}',
        b'{"_links": {"deploymentBase": {"href": "https://h/cancelAction/8"}}}',
        b'{"_links": {"deploymentBase": {"href": "https://h/deploymentBase/eight"}}}',
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_understood_passes(body: bytes):
    with pytest.raises(UpdateError) as failed:
        wire.offer(body)
    assert failed.value.passing
    assert len(str(failed.value)) < 300
    assert str(failed.value).isprintable()


def test_a_deployment_that_speaks_of_another_action_is_not_taken():
    with pytest.raises(UpdateError, match="instead of 8"):
        wire.deployment(b'{"id": "9", "deployment": {"chunks": []}}', ACTION)


def test_the_metadata_of_a_software_module_name_the_target():
    wanted = ordered(module())
    assert (wanted.kind, wanted.target, wanted.version) == (Kind.OS, "os/reed-1.4.0", "1.4.0")
    assert (wanted.source, wanted.downgrade, wanted.deadline_s) == ("hawkbit", False, 3600.0)
    assert action_of(wanted.id) == "8"


def test_without_metadata_type_and_only_file_name_the_target():
    wanted = ordered(module(type="application", metadata={}, artifacts=("reed-1.4.0.tar",)))
    assert (wanted.kind, wanted.target) == (Kind.APP, "app/reed-1.4.0.tar")


def test_a_downgrade_is_one_only_if_said():
    meant = {"reed.target": "app/reed-1.3.0", "reed.downgrade": "true"}
    assert ordered(module(metadata=meant)).downgrade


@pytest.mark.parametrize(
    ("modules", "code"),
    [
        ((), Code.UNSUPPORTED),
        ((module(), module(name="other")), Code.UNSUPPORTED),
        ((module(metadata={}),), Code.UNSUPPORTED),
        ((module(metadata={}, artifacts=("a", "b")),), Code.UNSUPPORTED),
        ((module(type="firmware", metadata={}, artifacts=("a",)),), Code.UNSUPPORTED),
        ((module(metadata={"reed.target": "/etc/passwd"}),), Code.INVALID),
        ((module(metadata={"reed.target": "os/../root.json"}),), Code.INVALID),
        ((module(metadata={"reed.target": "os/a\nb"}),), Code.INVALID),
        ((module(metadata={}, artifacts=("../../x",)),), Code.INVALID),
        ((module(version=""),), Code.INVALID),
        ((module(version="1 && reboot"),), Code.INVALID),
    ],
)
def test_what_no_gateway_can_carry_out_is_refused_for_good(modules: tuple[actions.Module, ...], code: Code):
    with pytest.raises(UpdateError) as failed:
        ordered(*modules)
    assert failed.value.code == code
    assert not failed.value.passing


def test_a_new_server_that_counts_from_one_again_does_not_repeat_an_id():
    ids = {ordered(module(version=version)).id for version in ("1.4.0", "1.5.0")}
    assert len(ids) == 2
    assert ordered(module()).id == ordered(module()).id


@pytest.mark.parametrize("foreign", ["", "cloud-8", "hawkbit-8", "hawkbit-x-00000000", "hawkbit-8-0000000\n"])
def test_orders_of_others_are_nobodys_action(foreign: str):
    assert action_of(foreign) == ""


@pytest.mark.parametrize("state", State)
def test_only_what_is_kept_is_a_success(state: State):
    status = told(update(state))
    result = status["result"]
    assert isinstance(result, dict)
    assert (result["finished"] == "success") == (state is State.SUCCEEDED)
    assert (status["execution"] == "closed") == state.final
    # hawkBit takes "closed" without a failure for a success
    assert (result["finished"] == "none") == (not state.final)


def test_a_failure_says_why_in_words_and_as_a_number():
    one = update(State.ROLLED_BACK, code=Code.UNHEALTHY, detail="sensor kitchen\x1b[31m is silent")
    status = told(one)
    assert status["code"] == 613
    assert status["details"] == ["rolled_back: unhealthy", "sensor kitchen [31m is silent"]


def test_every_reason_has_a_number_of_its_own():
    assert set(feedback.NUMBERS) == {"", *Code}
    assert len(set(feedback.NUMBERS.values())) == len(feedback.NUMBERS)


def test_progress_is_told_in_tenths():
    one = update(State.DOWNLOADING, percent=57)
    assert told(one)["result"] == {"finished": "none", "progress": {"cnt": 57, "of": 100}}
    assert feedback.stage(one) == feedback.stage(replace(one, percent=58))
    assert feedback.stage(one) != feedback.stage(replace(one, percent=61))


def test_waiting_to_install_is_told_as_downloaded():
    assert told(update(State.WAITING, next=Step.INSTALL))["execution"] == "downloaded"
    assert told(update(State.WAITING, next=Step.DOWNLOAD))["execution"] == "scheduled"
    assert told(update(State.WAITING, next=Step.REBOOT))["execution"] == "proceeding"


# --- whatever arrives -----------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    [
        "config", "polling", "sleep", "_links", "href", "deploymentBase", "cancelAction", "confirmationBase",
        "configData", "id", "deployment", "chunks", "metadata", "artifacts", "key", "value", "reed.target",
        "stopId", "filename", "maintenanceWindow", "update", "skip", "unavailable", "os/x", "8", "12:00:00",
        "/deploymentBase/8?c=1", "/cancelAction/8",
    ]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=5), inner),
    max_leaves=30,
)
_BODIES = st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode())


@given(_BODIES)
def test_no_answer_raises_anything_but_an_error_that_passes(body: bytes):
    for parse in (wire.offer, wire.stopped, lambda data: wire.deployment(data, ACTION)):
        try:
            parse(body)
        except UpdateError as error:
            assert error.passing  # noqa: PT017  # it need not be raised


@given(st.builds(wire.Chunk, *[st.text(max_size=90) | _WORDS] * 3, st.none(), st.lists(st.builds(
    wire.Metadata, st.just("reed.target") | _WORDS, st.text(max_size=90) | _WORDS), max_size=3)))  # fmt: skip
def test_whatever_is_deployed_becomes_an_order_with_a_harmless_path_or_is_refused(chunk: wire.Chunk):
    try:
        wanted = order(ACTION, Deployment([chunk]), deadline_s=1.0)
    except UpdateError as error:
        assert not error.passing  # noqa: PT017  # it need not be raised
        msgspec.json.decode(feedback.refused("8", error.code, str(error)))
    else:
        parts = wanted.target.split("/")
        assert parts[0] in Kind.__members__.values()
        assert not any(part.startswith(".") or not part for part in parts)
        assert wanted.version.isascii()
        assert wanted.version.isprintable()
