"""What `[update]` may say."""

import pytest

from gateway.domain.update.model import Kind, Window
from gateway.errors import ConfigError
from gateway.update.config import Config


def test_nothing_need_be_said() -> None:
    config = Config()
    assert (config.url, config.parsed_window) == ("", None)
    assert config.kinds == frozenset(Kind)


@pytest.mark.parametrize(
    ("said", "window"),
    [("02:00-04:00", Window(120, 240)), ("23:30-00:15", Window(1410, 15)), ("00:00-23:59", Window(0, 1439))],
)
def test_a_window_is_part_of_a_day(said: str, window: Window) -> None:
    assert Config(window=said).parsed_window == window


@pytest.mark.parametrize("url", ["https://h/updates", "https://h:8443/updates", "https://[2001:db8::1]:8443"])
def test_an_address_is_one_of_an_https_server(url: str) -> None:
    assert Config(url=url, hawkbit_url=url).url == url


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            (key, url)
            for key in ("url", "hawkbit_url")
            for url in (
                "http://h/updates",
                "https://",
                "https://user:secret@h/",
                "https://h/a b",
                "https://h:99999/",
                "https://h/?q=1",
                "ftp://h",
                "h",
                "https://[::1",
            )
        ),
        *(("window", said) for said in ("2:00-4:00", "24:00-01:00", "02:60-04:00", "02:00", "night")),
        ("hawkbit_tenant", "a/b"),
        ("hawkbit_tenant", ""),
        ("poll_s", 59),
        ("poll_s", float("nan")),
        ("health_timeout_s", 3601),
        ("deadline_s", 0),
        ("allow", ("os", "firmware")),
    ],
)
def test_a_mistake_is_named_with_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**{key: value})  # type: ignore[arg-type]
    ((found, problem),) = caught.value.problems
    assert found == key
    assert "secret" not in problem


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Config(url="x", window="x", poll_s=0)
    assert [key for key, _ in caught.value.problems] == ["poll_s", "url", "window"]
