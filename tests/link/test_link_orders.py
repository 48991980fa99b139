"""Orders for updates from the cloud: what they say, and that the link hands them on once."""

import json
from dataclasses import replace

import pytest

from gateway.cli.demo import devca
from gateway.cli.demo.cloud import Cloud
from gateway.cli.demo.devca import DevCa
from gateway.domain.update.asked import UpdateAsked, UpdateOrdered, UpdateWithdrawn
from gateway.domain.update.model import Kind, Order, Window
from gateway.errors import CommandError, StoreError
from gateway.link import command
from gateway.link.inbox import Inbox
from gateway.link.keys import CommandKeys
from gateway.link.wire import Stamp
from tests.link.conftest import GATEWAY, Site

NOW = 1_800_000_000.0
STAMP = Stamp(mono_s=500.0, unix_s=NOW, trusted=True, floor_unix_s=NOW - 1e6)
BODY = {"update_id": "u-2026-11", "kind": "os", "target": "os/reed-1.4.0.raucb", "version": "1.4.0"}


def judged(body: object, kind: str = "update", stamp: Stamp = STAMP, **changes: object) -> UpdateAsked | None:
    claims = {
        "v": 1,
        "id": "command-1",
        "gateway": GATEWAY,
        "kind": kind,
        "issued_at": NOW - 1,
        "not_after": NOW + 60,
        "actor": "alice@example.com",
        "cause": "patch day",
        "body": body,
    }
    return command.judge(json.dumps(claims | changes).encode(), GATEWAY, kind, stamp).asked


def test_an_order_says_what_when_and_who():
    body = BODY | {"window": {"from_min": 120, "until_min": 240}, "deadline_s": 86_400}

    asked = judged(body)

    assert isinstance(asked, UpdateOrdered)
    assert asked.order == Order(
        id="u-2026-11",
        kind=Kind.OS,
        target="os/reed-1.4.0.raucb",
        version="1.4.0",
        source="cloud",
        actor="alice@example.com",
        window=Window(120, 240),
        deadline_s=86_400.0,
    )
    assert (asked.request.command_id, asked.request.cause) == ("command-1", "patch day")


def test_a_deadline_that_is_not_given_is_left_to_the_configuration():
    asked = judged(BODY)

    assert isinstance(asked, UpdateOrdered)
    assert (asked.order.deadline_s, asked.order.window) == (0.0, None)


def test_a_withdrawal_names_the_update():
    asked = judged({"update_id": "u-2026-11"}, kind="update/cancel")

    assert isinstance(asked, UpdateWithdrawn)
    assert asked.update_id == "u-2026-11"


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "firmware"},
        {"update_id": "../../etc"},
        {"update_id": ""},
        {"target": "os/../../../etc/passwd"},
        {"target": "/etc/passwd"},
        {"target": ".hidden"},
        {"target": "--force"},
        {"target": "~root/os"},
        {"target": "os//reed.raucb"},
        {"target": "os/./reed.raucb"},
        {"target": "os/"},
        {"target": ""},
        {"version": "1.4; rm -rf /"},
        {"downgrade": True},
        {"window": {"from_min": -1, "until_min": 5}},
        {"window": {"from_min": 0}},
        {"deadline_s": 1},
        {"deadline_s": 1e9},
    ],
)
def test_what_no_update_can_be_is_a_bad_request(changes: dict[str, object]):
    with pytest.raises(CommandError) as caught:
        judged(BODY | changes)

    assert caught.value.reason == "bad_request"


def test_the_version_before_may_be_asked_for_as_a_downgrade():
    asked = judged(BODY | {"kind": "app", "target": "", "downgrade": True})

    assert isinstance(asked, UpdateOrdered)
    assert (asked.order.target, asked.order.downgrade) == ("", True)


def test_without_the_time_nobody_knows_how_old_an_order_is():
    with pytest.raises(CommandError) as caught:
        judged(BODY, stamp=replace(STAMP, trusted=False))

    assert caught.value.reason == "clock_untrusted"


# --- through the inbox ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory):
    return devca.ensure(tmp_path_factory.mktemp("ca"), GATEWAY)


@pytest.fixture
async def cloud(ca: DevCa):
    return Cloud(ca.cloud, "127.0.0.1", 1)


@pytest.fixture
async def keys(ca: DevCa):
    return CommandKeys(ca.command_key_file)


def answers(site: Site) -> list[tuple[str, str]]:
    bodies = [json.loads(row.payload)["body"] for row in site.outbox.rows.values()]
    return [(body["state"], body["reason"]) for body in bodies if "command_id" in body]


async def test_an_order_is_handed_on_once_however_often_it_comes(site: Site, keys: CommandKeys, cloud: Cloud):
    asked: list[UpdateAsked] = []
    inbox = Inbox(replace(site.host, order=asked.append), keys)
    token = cloud.sign(cloud.claims("update", BODY))

    await inbox.take("update", token)
    await inbox.take("update", token)

    assert len(asked) == 1
    assert answers(site) == [("received", ""), ("rejected", "duplicate")]


async def test_a_retained_order_is_none(site: Site, keys: CommandKeys, cloud: Cloud):
    asked: list[UpdateAsked] = []
    inbox = Inbox(replace(site.host, order=asked.append), keys)

    await inbox.take("update", cloud.sign(cloud.claims("update", BODY)), retained=True)

    assert asked == []


async def test_an_order_is_not_taken_from_a_disk_that_cannot_promise_to_do_it_once(
    site: Site, keys: CommandKeys, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
):
    async def refused(_id: str, _until: float) -> bool:
        raise StoreError("read-only")

    asked: list[UpdateAsked] = []
    monkeypatch.setattr(site.outbox, "claim", refused)

    await Inbox(replace(site.host, order=asked.append), keys).take(
        "update", cloud.sign(cloud.claims("update", BODY))
    )

    assert asked == []
    assert answers(site) == [("rejected", "store_unavailable")]


async def test_a_gateway_that_takes_no_updates_says_so(site: Site, keys: CommandKeys, cloud: Cloud):
    await Inbox(site.host, keys).take("update", cloud.sign(cloud.claims("update", BODY)))

    assert answers(site) == [("received", ""), ("rejected", "unknown_kind")]
