"""How much each local user may ask, so that nobody keeps the loop busy or locks the others out."""

from collections import Counter

CALLS_PER_S = 50.0
BURST_CALLS = 100.0


class Gate:
    """Counts connections and paces calls, for each user."""

    def __init__(self, max_clients: int, max_clients_per_user: int) -> None:
        self._max_clients = max_clients
        self._max_per_user = max_clients_per_user
        self._clients: Counter[int] = Counter()
        self._paid_until_s: dict[int, float] = {}

    def admit(self, uid: int) -> bool:
        """Count a new connection; False if it is one too many (then it is not counted)."""
        if self._clients.total() >= self._max_clients:
            return False
        if uid != 0 and self._clients[uid] >= self._max_per_user:
            return False
        self._clients[uid] += 1
        return True

    def release(self, uid: int, now_s: float) -> None:
        """Forget a connection that was admitted."""
        self._clients[uid] -= 1
        if not self._clients[uid]:
            del self._clients[uid]
        # Only what is paid for: else connecting again would be the way around the pace.
        for user in [user for user, until_s in self._paid_until_s.items() if until_s <= now_s]:
            del self._paid_until_s[user]

    def wait_s(self, uid: int, now_s: float) -> float:
        """Count one call and return how long to wait before it is served (virtual scheduling, GCRA)."""
        due_s = max(self._paid_until_s.get(uid, now_s), now_s)
        self._paid_until_s[uid] = due_s + 1 / CALLS_PER_S
        return max(0.0, due_s - now_s - BURST_CALLS / CALLS_PER_S)
