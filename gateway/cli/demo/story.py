"""The story that the demo plays by itself: each step is tried on real parts and measured."""

import time

from gateway.cli.demo import enrolment, story_identity, story_outage, story_person, story_water
from gateway.cli.demo.place import Place
from gateway.cli.demo.stage import running_stage
from gateway.cli.demo.tell import Teller, span

_ACTS = (
    enrolment.enrols,
    story_water.bursts,
    story_water.stays_shut,
    story_water.is_reset,
    story_identity.renews,
    story_identity.is_denied,
    story_identity.is_granted,
    story_outage.is_cut_off,
    story_outage.is_killed,
    story_outage.is_back,
    story_person.presses,
    story_person.lets_go,
    story_person.says_goodbye,
)


async def play(place: Place, tell: Teller) -> None:
    """Play it from beginning to end.

    Raises:
        DemoError: A step did not hold; the story ends there.
        GatewayError: The scene could not be set.
    """
    began_s = time.monotonic()
    tell.act("The scene is set")
    async with running_stage(place, tell) as stage:
        for act in _ACTS:
            await act(stage, tell)
        tell.act("The end")
    tell.note(f"\nEvery one of {tell.steps} steps held, in {span(time.monotonic() - began_s)}.")
    tell.note(f"Configuration, the cloud's home, state and logs: {place.folder}")
