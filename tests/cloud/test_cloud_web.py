"""The pages that everybody may see: true numbers, no names, and 503 when something is wrong."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client

from cloud.home import Home
from cloud.registry import services
from cloud.registry.models import Gateway
from cloud.registry.parts import parts
from cloud.web import summary, views
from tests.cloud.conftest import Clock
from tests.fakes.broker_admin import ModelBroker


@pytest.fixture
def client(home: Home, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(views, "_broker", summary.Kept())
    return Client(SERVER_NAME="localhost")


@pytest.fixture
def broken_database(client: Client) -> Iterator[None]:
    def fail(*_: object) -> None:
        raise OperationalError("disk I/O error")

    with connection.execute_wrapper(fail):
        yield


def shown(client: Client) -> str:
    answer = client.get("/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_front_page_counts_gateways_by_state(client: Client):
    for number in range(3):
        services.expect(f"house-{number}", site="Main Street", actor="test")
    services.deny("house-1", actor="test", reason="stolen <b>")

    page = shown(client)

    assert '<th scope="row">expected</th><td>2</td>' in page
    assert '<th scope="row">denied</th><td>1</td>' in page
    assert '<th scope="row">retired</th><td>0</td>' in page


def test_the_front_page_shows_no_name_reason_or_version(client: Client):
    services.expect("house-1", site="Hidden Street", actor="mallory")
    services.deny("house-1", actor="mallory", reason="a secret reason")

    page = shown(client)

    for word in ("house-1", "Hidden", "mallory", "secret", "osquitto", "version"):
        assert word not in page


def test_the_front_page_says_how_the_broker_is(client: Client, broker: ModelBroker):
    broker.access |= {"house-1", "house-2"}
    assert '<th scope="row">gateways that may connect</th><td>2</td>' in shown(client)


def test_a_broker_that_is_away_is_said_and_costs_nothing_else(client: Client, broker: ModelBroker):
    broker.failing.add("stats")

    page = shown(client)

    assert "does not answer" in page
    assert "Revocation list" in page


def test_many_visitors_ask_the_broker_once(home: Home, broker: ModelBroker):
    now_s = 100.0
    kept = summary.Kept(lambda: now_s)
    for _ in range(50):
        kept.stats()
    assert broker.calls.count("stats") == 1

    now_s += 5.0
    kept.stats()
    assert broker.calls.count("stats") == 2


def test_the_revocation_list_shows_its_age_and_its_end(client: Client, clock: Clock):
    clock.advance(hours=3)
    assert "<td>3 h ago</td>" in shown(client)

    clock.advance(days=8)
    assert "has ended" in shown(client)


def test_warnings_are_counted_and_their_words_are_for_operators(client: Client, clock: Clock):
    assert "warnings" not in shown(client)

    clock.advance(days=5 * 365 - 60)
    page = shown(client)

    assert "warnings about the authority: 1" in page
    assert "reed-cloud ca" not in page


def test_health_is_a_word_as_long_as_all_is_well(client: Client):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-store" in answer["Cache-Control"]


def test_an_ended_revocation_list_is_ill_health_since_brokers_then_refuse_everybody(
    client: Client, clock: Clock
):
    clock.advance(days=8)
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (503, b"the revocation list has ended\n")


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
def test_a_revocation_list_that_cannot_be_read_is_ill_health(
    client: Client, home: Home, content: bytes | None
):
    home.crl_file.unlink()
    if content is not None:
        home.crl_file.write_bytes(content)

    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (503, b"the revocation list cannot be read\n")
    assert "cannot be read" in shown(client)


@pytest.mark.usefixtures("broken_database")
def test_a_database_that_does_not_answer_is_ill_health_and_no_traceback(client: Client):
    assert client.get("/healthz").content == b"the database does not answer\n"
    assert "the database does not answer" in shown(client)


@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_nothing_can_be_sent_to_a_page(client: Client, path: str):
    assert client.post(path, {"a": "b"}).status_code == 405
    assert client.head(path).status_code == 200


def test_a_page_that_is_not_there_is_404(client: Client):
    assert client.get("/admin/").status_code == 404


def test_an_age_is_never_negative(home: Home):
    assert summary.age(parts().now() + timedelta(hours=1), parts().now()) == timedelta()


def test_every_state_has_a_number_even_without_gateways(home: Home):
    assert Gateway.objects.count() == 0
    assert set(services.counts()) == {"expected", "enrolled", "denied", "retired"}
