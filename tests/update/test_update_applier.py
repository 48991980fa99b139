import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.errors import UpdateError
from gateway.update.applier import ApplierClient
from tests.fakes.updated import Machine
from tests.fakes.updated_socket import ApplierServer

Serve = Callable[[asyncio.StreamWriter], None]


@asynccontextmanager
async def saying(folder: Path, *lines: bytes) -> AsyncIterator[ApplierClient]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.writelines(lines)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, folder / "applier")
    async with server:
        yield ApplierClient(folder / "applier")


async def test_a_request_is_done_and_its_percent_told(folder: Path):
    machine, percents = Machine(), []
    with ApplierServer(folder / "applier", machine):
        client = ApplierClient(folder / "applier")
        await client.call("install", {"kind": "app", "version": "2"}, percents.append)
        state = await client.call("state", {})
    assert percents == [100]
    assert machine.versions["app"] == "2"
    assert state["kinds"]["app"]["version"] == "2"


async def test_a_refusal_carries_its_code_and_whether_it_passes(folder: Path):
    machine = Machine()
    machine.trouble["install"] = [UpdateError("no_space", "12 MiB free", passing=True)]
    client = ApplierClient(folder / "applier")
    with ApplierServer(folder / "applier", machine), pytest.raises(UpdateError, match="12 MiB") as caught:
        await client.call("install", {"kind": "app", "version": "2"})
    assert (caught.value.code, caught.value.passing) == ("no_space", True)


async def test_nobody_there_passes(folder: Path):
    with pytest.raises(UpdateError, match=r"reed-apply\.socket") as caught:
        await ApplierClient(folder / "applier").call("state", {})
    assert (caught.value.code, caught.value.passing) == ("busy", True)


@pytest.mark.parametrize(
    "lines", [[], [b'{"percent": 5}\n'], [b'{"ok": {}}'], [b"nonsense\n"], [b"x" * 3_000_000]]
)
async def test_an_answer_that_breaks_off_is_an_interruption_not_a_failure(folder: Path, lines: list[bytes]):
    async with saying(folder, *lines) as client:
        with pytest.raises(UpdateError, match="broke off") as caught:
            await client.call("install", {})
    assert (caught.value.code, caught.value.passing) == ("interrupted", True)


async def test_lines_of_the_future_are_passed_over_and_unknown_codes_are_failures(folder: Path):
    lines = [b'{"note": 1}\n', b'{"error": {"code": "moon", "detail": "full moon"}}\n']
    async with saying(folder, *lines) as client:
        with pytest.raises(UpdateError, match="full moon") as caught:
            await client.call("install", {})
    assert (caught.value.code, caught.value.passing) == ("install_failed", False)
