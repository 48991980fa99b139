"""Renewal: a new key and its certificate in the slot that is not in use, and the word to try them.

    prepare -> key -> request -> certificate, checked -> loads? -> stage     (the daemon tries and promotes)

The pair in use is not touched, whatever happens; what was begun is begun anew next time. If the certificate
has ended, or the cloud does not take it any more, the old key proves that we are still us (recovery).
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from gateway import durable
from gateway.errors import EnrolmentError, GatewayError, IdentityError
from gateway.identity import csr, issued, keys, recovery, tls
from gateway.identity.config import Config
from gateway.identity.due import Action
from gateway.identity.est import EstClient, Provable
from gateway.identity.lock import problem
from gateway.identity.pair import Pair
from gateway.identity.records import Attempt, Cloud
from gateway.identity.refresh import roots_of, take_parameters, take_roots
from gateway.identity.slots import Slots
from gateway.identity.window import Window, window

NOT_ENROLLED = "not enrolled; run: reed-gateway enrol --url https://HOST --token TOKEN"

_CUT_OFF = "it was cut off"
_FINAL = ("gateway-denied", "gateway-retired")
"""A person has decided so. A revoked certificate is not final: perhaps only its authority is given up."""
_PROOF = ("attestation-", "ek-")
"""The TPM has not proven that the new key is its own; recovery asks for the same proof."""


def waiting(slots: Slots, now_unix_s: float) -> Pair | None:
    """Return a pair of an earlier renewal that still waits to be tried and has not ended meanwhile."""
    pair = slots.trial()
    valid = window_of(pair) if pair is not None else None
    return pair if valid is not None and now_unix_s < valid.end_unix_s else None


def window_of(pair: Pair) -> Window | None:
    """Return the validity of a pair's certificate; None if it cannot be read or understood."""
    try:
        return window(pair.cert_file.read_bytes())
    except OSError:
        return None


def renew(slots: Slots, config: Config, now_unix_s: float) -> Pair:
    """Return the pair that waits to be tried: a new one, or that of an earlier renewal.

    Args:
        slots: Where it is made.
        config: Where keys are made.
        now_unix_s: Of a trusted clock: without one nothing may be renewed.

    Raises:
        BusyError: Somebody else renews.
        EnrolmentError: The cloud refuses.
        IdentityError: No enrolment, no answer, no TPM, no space, a certificate that is not ours. The pair in
            use is as before; trying again later may help.
    """
    with slots.locked():
        if (pair := waiting(slots, now_unix_s)) is not None:
            return pair
        current, cloud = slots.current(), slots.cloud
        if current is None or cloud is None:
            raise IdentityError(NOT_ENROLLED)
        attempt = Attempt(now_unix_s, _kind(current, now_unix_s), "failed", "", _CUT_OFF)
        slots.save_attempt(attempt)
        try:
            pair = _Renewal(slots, config, current, cloud, now_unix_s).run(attempt.kind)
            slots.save_attempt(replace(attempt, outcome="staged", slot=pair.slot, detail=""))
            slots.stage(pair)
        except GatewayError as error:
            slots.save_attempt(replace(attempt, detail=str(error)))
            raise
        return pair


def _kind(current: Pair, now_unix_s: float) -> str:
    valid = window_of(current)
    return Action.RECOVER if valid is not None and now_unix_s >= valid.end_unix_s else Action.RENEW


class _Renewal:
    """One renewal; the lock is held."""

    def __init__(self, slots: Slots, config: Config, current: Pair, cloud: Cloud, now_unix_s: float) -> None:
        self._slots, self._config = slots, config
        self._current, self._cloud = current, cloud
        self._now_unix_s = now_unix_s
        self._authority: list[bytes] = []
        self._provable: Provable | None = None

    def run(self, kind: str) -> Pair:
        """Return a complete pair that can be used."""
        try:
            fresh = self._slots.prepare()
            maker = keys.open_keys(self._config)
            maker.create(fresh.key_file)
            if (attester := maker.attester()) is not None:
                self._provable = Provable(attester, fresh.key_file, self._cloud.attestation)
            csr_der = maker.csr(fresh.key_file, self._cloud.gateway)
            self._certify(fresh, csr_der, kind)
        except OSError as error:
            raise problem(self._slots.folder, error) from error
        # loading proves that both belong together, before anybody relies on them
        with self._client(fresh) as client:
            take_parameters(self._slots, self._cloud, client)
        return fresh

    def _certify(self, fresh: Pair, csr_der: bytes, kind: str) -> None:
        """Ask for the certificate, check it, and write it; learn which roots there are."""
        with self._client(None) as client:  # a certificate that is not taken must not be in the way
            self._authority = client.cacerts()
        roots_pem = roots_of(self._authority)
        sent = self._recover(csr_der) if kind == Action.RECOVER else self._reenrol(csr_der)
        chain_pem = issued.check(
            sent,
            public_key_der=csr.public_key(csr_der),
            gateway_id=self._cloud.gateway,
            roots_pem=roots_pem,
            now_unix_s=self._now_unix_s,
        )
        take_roots(self._slots, self._cloud.est_url, roots_pem)
        durable.write(fresh.cert_file, chain_pem)

    def _reenrol(self, csr_der: bytes) -> bytes:
        try:
            lent = partial(self._context, self._current)
            client = EstClient(self._cloud.est_url, lent, authority=self._authority)
            return client.reenrol(csr_der, self._provable)
        except EnrolmentError as refusal:
            if refusal.reason in _FINAL or refusal.reason.startswith(_PROOF):
                raise
            try:
                return self._recover(csr_der)
            except EnrolmentError as again:
                both = f"{refusal}; nor by the old key: {again}"
                raise EnrolmentError(both, again.status, again.reason) from None

    def _recover(self, csr_der: bytes) -> bytes:
        holder = keys.keys_of(self._current.key_file, self._config)
        with self._client(None) as client:
            return recovery.recover(client, self._current, holder, csr_der, self._provable)

    @contextmanager
    def _client(self, pair: Pair | None) -> Iterator[EstClient]:
        """Yield a client that shows this pair's certificate; a key in the TPM is let go of at the end."""
        with self._context(pair) as context:
            yield EstClient(self._cloud.est_url, context, authority=self._authority)

    @contextmanager
    def _context(self, pair: Pair | None) -> Iterator[ssl.SSLContext]:
        context = tls.client_context(self._slots.ca_file, pair, tcti=self._config.tcti)
        try:
            yield context
        finally:
            tls.release(context)
