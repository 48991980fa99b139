"""The first enrolment, from a token to a pair that is in use.

    whom to trust -> key -> (attestation) -> certificate, checked -> parameters -> files -> in use

It can be cut off anywhere and begun again: the key is kept, so that a cloud whose answer was lost gives the
certificate once more for the same token; a certificate that has arrived is not asked for again. A pair that
is in use stays so until the new one has proven itself to the cloud.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import gmtime, strftime

from gateway import durable
from gateway.errors import EnrolmentError, IdentityError, UnreachableError
from gateway.identity import begun, issued, tls, trust
from gateway.identity.config import Config
from gateway.identity.est import CloudParameters, EstClient
from gateway.identity.https import place
from gateway.identity.keys import Keys, keys_of, open_keys
from gateway.identity.lock import problem
from gateway.identity.order import Enrolled, Order, Say
from gateway.identity.pair import Pair
from gateway.identity.records import Cloud
from gateway.identity.refresh import roots_of
from gateway.identity.slots import Slots
from gateway.identity.window import window

_NO_SUCH_PLACE = 404


def enrol(order: Order, slots: Slots, config: Config, say: Say) -> Enrolled:
    """Enrol, and return who we are then.

    Raises:
        BusyError: Somebody else changes our identity just now.
        EnrolmentError: The cloud refuses, is not the one of the token, or we are enrolled already.
        IdentityError: No answer, no TPM, no space; what was in use is still in use, and the same call may be
            made again.
    """
    with slots.locked():
        done = _done(order, slots, config)
        if done is not None:
            return done
        try:
            return _Enrolment(order, slots, config, say).run()
        except OSError as error:
            raise problem(slots.folder, error) from error


def _done(order: Order, slots: Slots, config: Config) -> Enrolled | None:
    """Return what this token has brought already. Raises EnrolmentError if another one has."""
    current, cloud = slots.current(), slots.cloud
    if current is None:
        return None
    if cloud is not None and begun.is_of(current, order.token):
        return _enrolled(current, cloud, keys_of(current.key_file, config), is_new=False)
    if order.again:
        return None
    name = f"as {cloud.gateway} at {cloud.est_url}" if cloud is not None else "and may be in use"
    raise EnrolmentError(f"this machine is enrolled already, {name}; give --again to enrol it anew")


def _enrolled(pair: Pair, cloud: Cloud, keys: Keys, *, is_new: bool) -> Enrolled:
    until = _until(pair)
    return Enrolled(
        gateway=cloud.gateway, key=keys.kind, until=until, host=cloud.host, port=cloud.port, is_new=is_new
    )


def _until(pair: Pair) -> str:
    try:
        valid = window(pair.cert_file.read_bytes())
    except OSError:
        valid = None
    return strftime("%Y-%m-%d %H:%M UTC", gmtime(valid.end_unix_s)) if valid else "unknown"


class _Enrolment:
    """One attempt; the lock is held."""

    def __init__(self, order: Order, slots: Slots, config: Config, say: Say) -> None:
        self._order, self._slots, self._config, self._say = order, slots, config, say
        self._token = order.token
        self._where = place(order.url)
        self._keys = open_keys(config)
        self._anchor = slots.folder / "enrol-ca.pem"
        self._authority: list[bytes] = []

    def run(self) -> Enrolled:
        """Go all the way."""
        try:
            roots_pem = self._find_trust()
            pair = self._have_key()
            told = self._certify(pair, roots_pem)
        finally:
            durable.remove(self._anchor)
        return self._keep(pair, roots_pem, told)

    # --- steps --------------------------------------------------------------------------------------

    def _find_trust(self) -> bytes:
        """Return the roots of the cloud that the token is from; from here on nobody else is spoken to."""
        given = self._given_roots()
        if self._order.now_unix_s is None:
            self._say("clock", "this machine's clock is wrong: certificates are checked, but not their dates")
        pin = self._token.pin
        durable.write(self._anchor, given or trust.pinned_root(self._where.url, pin, self._order.timeout_s))
        with self._client() as client:
            told = client.cacerts()
        if pin not in map(trust.fingerprint, told):
            raise EnrolmentError(
                f"{self._where.url} is not the cloud that this token is from; check the address"
            )
        self._authority = told
        self._say("trust", f"{self._where.url} is the cloud of this token")
        return roots_of(told) + given

    def _have_key(self) -> Pair:
        """Return a slot with a key; that of an attempt that was cut off is kept."""
        pair = begun.left_over(self._slots, self._keys, self._config, self._token)
        if pair is None:
            pair = self._slots.prepare()
            self._keys.create(pair.key_file)
            where = (
                "in the TPM" if self._keys.kind == "tpm" else "in a FILE: whoever reads the card can copy it"
            )
            begun.note(pair, self._token)
            self._say("key", f"made {where}")
        else:
            self._say("key", "kept from the last attempt")
        return pair

    def _certify(self, pair: Pair, roots_pem: bytes) -> CloudParameters:
        """Have a certificate that the cloud takes, and return what it tells us for it."""
        csr_der = self._keys.csr(pair.key_file, self._token.gateway_id)
        if self._has_certificate(pair, csr_der, roots_pem):
            try:
                return self._parameters(pair)
            except EnrolmentError as error:
                self._say("certificate", f"that of the last attempt is not taken any more ({error})")
        sent = self._request(pair, csr_der)
        durable.write(pair.cert_file, self._checked(sent, csr_der, roots_pem))
        self._say("certificate", f"for {self._token.gateway_id}, until {_until(pair)}")
        return self._parameters(pair)

    def _request(self, pair: Pair, csr_der: bytes) -> bytes:
        """Return the certificate, after proving where the key lies if that can be done.

        Whether the proof is needed is for the cloud to say, when it is asked for the certificate.
        """
        with self._client() as client:
            refusal = self._attest(client, pair)
            try:
                return client.enrol(csr_der, self._token.gateway_id, self._token.secret)
            except EnrolmentError as error:
                raise refusal or error from None

    def _attest(self, client: EstClient, pair: Pair) -> IdentityError | None:
        """Return why the proof failed; None if it did not, or cannot be given, or is not wanted."""
        attester = self._keys.attester()
        if attester is None:
            return None
        try:
            client.attest(attester, pair.key_file, self._token.gateway_id, self._token.secret)
        except UnreachableError:
            raise
        except IdentityError as error:
            if getattr(error, "status", None) == _NO_SUCH_PLACE:
                return None
            self._say("attestation", f"not accepted: {error}")
            return error
        self._say("attestation", "the cloud believes that the key lies in this TPM")
        return None

    def _parameters(self, pair: Pair) -> CloudParameters:
        with self._client(pair) as client:
            told = client.parameters()
        if told.gateway != self._token.gateway_id:
            raise EnrolmentError(f"{self._where.url} takes us for {told.gateway[:80]!a}; ask for a new token")
        self._say("broker", f"{told.host}:{told.port}")
        return told

    def _keep(self, pair: Pair, roots_pem: bytes, told: CloudParameters) -> Enrolled:
        """Write down what the daemon needs, and take the pair into use as the last step."""
        cloud = Cloud(told.gateway, self._where.url, told.host, told.port, told.attestation)
        self._slots.save_ca(roots_pem)
        self._slots.save_command_keys(told.command_keys)
        self._slots.save_cloud(cloud)
        self._slots.promote(pair)
        begun.forget(self._slots)
        self._say("files", str(self._slots.folder))
        return _enrolled(pair, cloud, self._keys, is_new=True)

    # --- parts --------------------------------------------------------------------------------------

    @contextmanager
    def _client(self, pair: Pair | None = None) -> Iterator[EstClient]:
        """Yield a client that shows this pair's certificate; a key in the TPM is let go of at the end."""
        check_time = self._order.now_unix_s is not None
        context = tls.client_context(self._anchor, pair, tcti=self._config.tcti, check_time=check_time)
        try:
            yield EstClient(self._where.url, context, self._order.timeout_s, self._authority)
        finally:
            tls.release(context)

    def _given_roots(self) -> bytes:
        path = self._order.ca_file
        if path is None:
            return b""
        tls.client_context(path, None, tcti="")  # says what is wrong with it, by its name
        return path.read_bytes().strip() + b"\n"

    def _has_certificate(self, pair: Pair, csr_der: bytes, roots_pem: bytes) -> bool:
        try:
            self._checked(pair.cert_file.read_bytes(), csr_der, roots_pem)
        except (OSError, IdentityError):
            return False
        return True

    def _checked(self, sent: bytes, csr_der: bytes, roots_pem: bytes) -> bytes:
        from gateway.identity import csr  # noqa: PLC0415  # cryptography costs 10 MiB

        return issued.check(
            sent,
            public_key_der=csr.public_key(csr_der),
            gateway_id=self._token.gateway_id,
            roots_pem=roots_pem,
            now_unix_s=self._order.now_unix_s,
        )
