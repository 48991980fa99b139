"""Reads one JSON request a line, `{"id": 1, "do": "lines.pull", "with": {...}}`, and answers each on a line.

Every part of the rig is an object; its public methods are the requests. It ends with its input.
"""

import asyncio
import inspect
import json
import sys
import traceback
from typing import Any

from rig.air import Air
from rig.cloud_end import CloudEnd
from rig.converter import Converter
from rig.daemon import Daemon
from rig.lines import Lines
from rig.record import Record
from rig.rope import Rope
from rig.valves import Valves


def parts() -> dict[str, Any]:
    """Return every part under the name that requests use."""
    record = Record()
    lines = Lines()
    return {
        "record": record,
        "lines": lines,
        "valves": Valves(lines, record),
        "air": Air(),
        "rope": Rope(),
        "converter": Converter(),
        "cloud": CloudEnd(),
        "daemon": Daemon(record),
    }


async def answer(rig: dict[str, Any], line: bytes) -> dict[str, Any]:
    """Do what one line asks; a failure is an answer too, with its traceback."""
    request = json.loads(line)
    try:
        part, name = request["do"].split(".")
        result = getattr(rig[part], name)(**request.get("with", {}))
        if inspect.isawaitable(result):
            result = await result
    except Exception:  # noqa: BLE001  # whoever asked shows it
        return {"id": request["id"], "error": traceback.format_exc()}
    return {"id": request["id"], "ok": result}


async def main() -> None:
    """Serve until the input ends, then give everything back."""
    loop = asyncio.get_running_loop()
    requests = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    rig = parts()
    print('{"id": 0, "ok": "ready"}', flush=True)  # noqa: T201  # this is the wire
    try:
        async for line in requests:
            reply = json.dumps(await answer(rig, line))
            await loop.run_in_executor(None, lambda text=reply: print(text, flush=True))  # noqa: T201
    finally:
        for part in rig.values():
            close = getattr(part, "close", None)
            result = close() if close else None
            if inspect.isawaitable(result):
                await result


asyncio.run(main())
