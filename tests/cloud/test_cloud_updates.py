"""The updates' folder behind a real nginx: who gets it, and what of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.errors import SetupError
from cloud.registry.config import Public
from cloud.run.nginx import config_text
from tests.cloud.front import Front
from tests.fakes.authority import Authority

FILE = "/updates/targets/os/abc.reed.raucb"
DATA = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("updates"))
    home = made.home
    shutil.copy(home.cert_file("broker"), home.cert_file("web"))
    shutil.copy(home.key_file("broker"), home.key_file("web"))
    home.crl_file.write_bytes(made.crl())
    return made


@pytest.fixture(scope="module")
def www(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("www")
    (folder / "targets/os").mkdir(parents=True)
    (folder / "targets/os/abc.reed.raucb").write_bytes(DATA)
    (folder / "metadata").mkdir()
    (folder / "metadata/timestamp.json").write_text("{}")
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "targets/os/passwd").symlink_to("/etc/passwd")
    for name in ("keys", "draft", "offline"):  # what `reed-ota` has in a repository
        (folder / name).mkdir()
        (folder / name / "os.pem").write_text("a key")
    (folder / "metadata/.timestamp.json.new").write_text("half")
    return folder


@pytest.fixture(scope="module")
def front(authority: Authority, www: Path) -> Iterator[Front]:
    with Front(authority.home, "tests.cloud.echo:application", updates_dir=str(www)) as running:
        yield running


def test_an_enrolled_gateway_gets_targets_and_metadata(front: Front, authority: Authority):
    pair = authority.files("house-7")

    answer = front.ask("GET", FILE, pair=pair)

    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert front.ask("GET", "/updates/metadata/timestamp.json", pair=pair).body == b"{}"


def test_a_download_that_broke_goes_on(front: Front, authority: Authority):
    pair = authority.files("house-7")

    answer = front.ask("GET", FILE, headers={"Range": "bytes=100000-"}, pair=pair)

    assert (answer.status, answer.body) == (206, DATA[100_000:])
    assert answer.headers["Content-Range"] == f"bytes 100000-{len(DATA) - 1}/{len(DATA)}"
    beyond = front.ask("GET", FILE, headers={"Range": f"bytes={len(DATA)}-"}, pair=pair)
    assert beyond.status == 416


def test_nobody_gets_nothing(front: Front):
    answer = front.ask("GET", FILE)

    assert answer.status == 403
    assert "enrolled gateways" in answer.line


def test_a_denied_gateway_gets_nothing_until_it_is_let_in_again(front: Front, authority: Authority):
    pair = authority.files("house-8")
    assert front.ask("GET", FILE, pair=pair).status == 200

    authority.home.crl_file.write_bytes(authority.hold("house-8"))
    front.reload()
    denied = front.ask("GET", FILE, pair=pair)
    authority.home.crl_file.write_bytes(authority.release("house-8"))
    front.reload()

    assert denied.status == 403
    assert denied.headers["Reed-Reason"] == "certificate-revoked"
    assert front.ask("GET", FILE, pair=pair).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/updates/none",
        "/updates/passwd",
        "/updates/targets/os/passwd",
        "/updates/../home/keys",
        "/updates/%2e%2e/%2e%2e/etc/passwd",
        "/updates/targets/os/",
        "/updates/",
    ],
)
def test_what_is_no_file_of_the_folder_is_not_given(front: Front, authority: Authority, path: str):
    answer = front.ask("GET", path, pair=authority.files("house-7"))

    assert answer.status in (400, 403, 404) or b'"headers"' in answer.body
    assert b"root:" not in answer.body


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_nothing_can_be_put_there(front: Front, authority: Authority, www: Path, method: str):
    answer = front.ask(method, FILE, b"x", pair=authority.files("house-7"))

    assert answer.status == 405
    assert (www / "targets/os/abc.reed.raucb").read_bytes() == DATA


def test_without_a_folder_there_is_no_such_place(authority: Authority):
    assert "/updates/" not in config_text(authority.home, Public())


@pytest.mark.parametrize("folder", ['/srv/"; }', "/srv/$uri", "/"])
def test_a_folder_that_nginx_would_read_otherwise_or_that_holds_the_keys_is_refused(
    authority: Authority, folder: str
):
    with pytest.raises(SetupError, match="updates_dir"):
        config_text(authority.home, Public(updates_dir=folder))


def test_the_folder_is_an_absolute_path():
    with pytest.raises(ValueError, match="absolute path"):
        Public(updates_dir="www")


@pytest.mark.parametrize(
    "path",
    [
        "keys/os.pem",
        "metadata/../keys/os.pem",
        "metadata/%2e%2e/keys/os.pem",
        "draft/os.pem",
        "offline/os.pem",
        "metadata/.timestamp.json.new",
        "metadata/",
        "targets/os/",
        "",
    ],
)
def test_a_repository_that_is_served_by_mistake_shows_no_key(front: Front, authority: Authority, path: str):
    answer = front.ask("GET", f"/updates/{path}", pair=authority.files("house-7"))

    assert answer.status == 404
    assert b"a key" not in answer.body
