"""Somebody in the cloud asks the gateway, and hears what became of it."""

from collections.abc import Mapping

from gateway.cli.demo.stage import Stage
from gateway.errors import DemoError

_FINAL = ("rejected", "succeeded", "failed")


async def ask(stage: Stage, kind: str, body: Mapping[str, object], **claims: object) -> tuple[str, str]:
    """Send a signed command; return (state, reason) of its last answer. Raises DemoError, LinkError."""
    command_id = await stage.cloud.command(kind, body, **claims)

    def last() -> tuple[str, str] | None:
        finals = [answer for answer in stage.cloud.answers(command_id) if answer[0] in _FINAL]
        return finals[0] if finals else None

    await stage.until_cloud(lambda _cloud: last(), f"an answer to {kind}")
    return last() or ("", "")


async def expect(
    stage: Stage, wanted: tuple[str, str], kind: str, body: Mapping[str, object], **claims: object
) -> None:
    """Send a signed command that must be answered like this. Raises DemoError, LinkError."""
    answer = await ask(stage, kind, body, **claims)
    if answer != wanted:
        raise DemoError(f"expected {' '.join(wanted).strip()}, the answer was {' '.join(answer).strip()}")


async def send_again(stage: Stage, kind: str, token: bytes, command_id: str) -> None:
    """Repeat a command that was executed; it must be refused. Raises DemoError, LinkError."""
    await stage.cloud.send(kind, token)
    await stage.until_cloud(
        lambda cloud: cloud.answers(command_id)[-1:] == [("rejected", "duplicate")],
        "the repeated command to be refused",
    )
