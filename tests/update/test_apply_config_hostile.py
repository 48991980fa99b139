"""A signed configuration is no reason for the root half to end with anything but an answer."""

import pytest

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply.config_file import _gateway_id


@pytest.mark.parametrize(
    "text",
    [
        "[gateway",
        "[gateway]\nid = 1" + "0" * 5000,
        "[gateway]\nid = 0x" + "f" * 9000,
        "[gateway]\nid" + ".a" * 4000 + " = 1",
        "a = " + "[" * 100_000,
    ],
    ids=["half a table", "digits", "hexadecimal digits", "dotted keys", "lists"],
)
def test_a_document_that_python_cannot_take_is_invalid(text: str):
    with pytest.raises(UpdateError) as caught:
        _gateway_id(text)

    assert caught.value.code == Code.INVALID
