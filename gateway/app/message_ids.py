"""What kind of line it is: ids for MESSAGE_ID, by which `journalctl -x` finds systemd/reed-gateway.catalog.

An id is never changed and never used again: people search their logs for it.
"""

from typing import Final

ALARMS: Final = {
    "leak": "e262b642dbf54a81b5a3c3e96ac80729",
    "still-flowing": "8ed046e4bce84d1a8fb1e46a0debd7f3",
    "fail-to-close": "2029452f29a24168b2355c3ce184ec24",
    "flow": "51bd30cee7234c92a03a808ffb846433",
    "freeze": "4dcb32bd27834a8687fc68f9258ff19c",
    "override": "ece1ba8badb241009cd41f1fc0261c3a",
    "lockout": "7b54d5b272d4451f920280a9802ec218",
    "valve-moved-by-hand": "70ea7749dc7e4d718fbec61621214942",
    "exercise-interrupted": "7dd6b5ae540f47fa9e2c6c19ebfc70e3",
    "flow-warning": "56442525ebc04cdf933e1e5d5404edce",
    "freeze-warning": "b0bfaa55172e4480a074d9bdc72932f9",
    "walk-test": "dab63d55fb594240a0d482b35c4d8ba2",
    "maintenance": "dd80eb3173f4464f8ee49bc35f0600c7",
    "sensor-missing": "522b48900b5845aab9240144f965293d",
    "sensor-fault": "bfa10e9a1ce14b9597b3290e674b9dfd",
    "battery-low": "d7c0151ed0fb4da2a7369e294194fb4e",
    "tamper": "100ae9c0fcee4781a3178f578795977c",
    "replay": "164e9bb7dfdd4e4e963525b919e13209",
    "button-stuck": "bc25d42d85074ffcaea21778a0a03069",
    "fail-to-open": "bec1f5afce17400fbdc7b7d987b64327",
    "both-switches": "f9b6f53063f44c2d81c213816591d131",
    "switch-implausible": "fcfe0e17ee4543119c323e3d76cb9b5c",
    "valve-slow": "f0eb95fc0ea346aca0cf1968ea230a5a",
    "coil-failed": "982a25d4884a497d970afa9ac9f87610",
    "update-failed": "0140daa7bfc34827ae866ef17bad77a7",
    "memory-lost": "83e34e58728347c7a9dee3e966ede8ff",
    "cloud-lost": "9e8195cfd4ae4fbd88b2042c9e0189de",
    "cloud-denied": "85aa768400c34b40ba808560813e933e",
    "adapter": "f4a70b17857f4ba2bb087e901c821896",
    "adapter/board": "7dcfb174cd2a434e86d603a9b0edf28b",
    "adapter/certificate": "bfc6e5e77f014dd99f1432db1dc2d953",
    "adapter/config": "df2bf583b5d84cf29a38267446b8da3b",
    "adapter/disk": "7fade156f1c64c898fd28d0a1ea978ee",
    "adapter/identity": "116c3ba2b9504d39a2b13d661c52c958",
    "adapter/store-file": "e950086ae00147aea324f07192418a65",
    "adapter/tpm": "126028cfd8a14dfea463a9887c280526",
}
"""An alarm that has been raised, by its kind; some adapters by kind and name."""

EVENTS: Final = {
    "valve": "bccc77054baa41f08939113dd0e358af",
    "sensor": "8afff7dcf57a4c619833b5f925a261bc",
    "occupancy": "9c3a3bfbcbf34949ae5f347b0330d9f9",
    "walk_test": "ab3574c740ba42c4886b4a62c5121b7f",
    "restarted": "fb46d7ef117c48efa000c322a72a615a",
    "gap": "19e8890160594f29a13ef04586aca497",
    "store-quarantined": "450cff1c2ddf46ab920a21fb65ff4648",
    "commands-refused": "5db95de7a1424b319878b267344ef90f",
    "update": "3647025332364212abb3d2038b4d7b39",
}
"""A message of another kind (docs/protocol.md)."""

UPDATES: Final = {
    "accepted": "6e67fe4e53d1405c9aaf33ac8f65898e",
    "waiting": "2851d3cd46f94829bb13e6f98770cd76",
    "succeeded": "551a0c11fc9245189a9ebe1e6ff84a63",
    "failed": "31c77c4692094bf9a8890cc3a15648d8",
    "rolled_back": "47a774e878a04067a0c9a856f4ed25b7",
}
"""An update that has come to one of these states; "failed" for "rejected", too; others: EVENTS["update"]."""

ACKNOWLEDGED: Final = "410687ec7ad34b27bac8cfc8afe9654c"
OVER: Final = "c63717cbdc694d72ae80be02ca411e59"
READY: Final = "b2f19d49ef1f461499bc547c9bbdc43e"
FAILED: Final = "0d4a0056bd88482e8575392a9fb35260"


def of_alarm(kind: str, subject: str) -> str:
    """Return the id of an alarm that is raised; "" for a kind that nobody has explained."""
    return ALARMS.get(f"{kind}/{subject}") or ALARMS.get(kind, "")
