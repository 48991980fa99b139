"""The tables. Times are UTC; fingerprints are SHA-256 in lower-case hexadecimal."""

from django.db import models
from django.db.models import Q


class State(models.TextChoices):
    """Where a gateway stands."""

    EXPECTED = "expected"
    ENROLLED = "enrolled"
    DENIED = "denied"
    RETIRED = "retired"


class Attestation(models.TextChoices):
    """What a gateway has to show before it is certified."""

    NONE = "none"
    REQUIRED = "required"


class Site(models.Model):
    """A building, or whatever an operator keeps gateways together by."""

    name = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.name


class Gateway(models.Model):
    """One gateway; `id` is its name in certificates and topics.

    `ek_fingerprint` is that of the TPM's endorsement key that it showed: another TPM cannot take its name.
    """

    id = models.CharField(primary_key=True, max_length=63)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="gateways")
    state = models.CharField(max_length=10, choices=State.choices, default=State.EXPECTED)
    attestation = models.CharField(max_length=10, choices=Attestation.choices, default=Attestation.NONE)
    ek_fingerprint = models.CharField(max_length=64, unique=True, null=True)  # noqa: DJ001  # unique if there is one
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=100)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        """Indexes and constraints."""

        indexes = (models.Index(fields=["state"]),)

    def __str__(self) -> str:
        return self.id


class Token(models.Model):
    """A right to be certified once. Only the secret's SHA-256 is kept."""

    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="tokens")
    hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    used_for = models.CharField(max_length=64, blank=True)
    """Fingerprint of the public key that was certified for it."""
    void = models.BooleanField(default=False)
    """Withdrawn: the gateway was retired, or a newer token took its place."""

    def __str__(self) -> str:
        return f"token {self.pk} for {self.gateway_id}"


class Certificate(models.Model):
    """What was issued; never deleted, so that no key can come back under another name."""

    serial = models.CharField(max_length=40)
    issuer = models.CharField(max_length=64)
    """Subject key identifier of the authority that signed it, in hexadecimal."""
    name = models.CharField(max_length=63)
    gateway = models.ForeignKey(Gateway, on_delete=models.PROTECT, related_name="certificates", null=True)
    """None: one of our own services."""
    fingerprint = models.CharField(max_length=64, unique=True)
    key_fingerprint = models.CharField(max_length=64)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, related_name="+", null=True)
    """With which it was renewed or recovered; None: with a token."""
    superseded_at = models.DateTimeField(null=True)
    """A later one is in use: it still connects until it ends, but proves nothing to us any more."""
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.CharField(max_length=30, blank=True)
    """As in RFC 5280, e.g. "certificateHold" while the gateway is denied."""

    class Meta:
        """Indexes and constraints."""

        constraints = (models.UniqueConstraint(fields=["issuer", "serial"], name="registry_serial"),)
        indexes = (
            models.Index(fields=["key_fingerprint"]),
            models.Index(
                fields=["not_after"], condition=Q(revoked_at__isnull=False), name="registry_revoked"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.serial}"


class Proof(models.Model):
    """A public key that was shown to lie in the TPM of a gateway; good for one enrolment."""

    gateway = models.OneToOneField(Gateway, on_delete=models.CASCADE, primary_key=True, related_name="proof")
    key_fingerprint = models.CharField(max_length=64)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"proof of {self.gateway_id}"


class Recovery(models.Model):
    """A nonce that the holder of an expired certificate has to sign; good for one use."""

    id = models.CharField(primary_key=True, max_length=32)
    certificate = models.ForeignKey(Certificate, on_delete=models.CASCADE)
    certificate_key = models.BinaryField()
    """Its public key (DER, SubjectPublicKeyInfo)."""
    nonce = models.BinaryField()
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"recovery {self.id}"


class Tries(models.Model):
    """Refusals within a window of time, for one gateway from one peer, or from one peer at all."""

    key = models.CharField(primary_key=True, max_length=200)
    since = models.DateTimeField()
    count = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.count} tries of {self.key}"


class CrlNumber(models.Model):
    """How far our CRLs have come; one row. Numbers only rise, whatever crashes."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    number = models.BigIntegerField()
    installed = models.BigIntegerField()
    """The number that the broker is known to follow."""

    def __str__(self) -> str:
        return f"CRL {self.number}"


class AuditEntry(models.Model):
    """One decision. The database refuses to change or delete it; each holds the hash of the one before."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=100)
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=100)
    outcome = models.CharField(max_length=10)
    """One of "done", "refused" and "failed"."""
    reason = models.CharField(max_length=200, blank=True)
    peer = models.CharField(max_length=100, blank=True)
    detail = models.TextField(blank=True)
    """JSON with sorted keys; never a secret."""
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        """Indexes and constraints."""

        indexes = (models.Index(fields=["subject", "seq"]),)

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.subject} {self.outcome}"


class AuditHead(models.Model):
    """The end of the chain; one row, locked while an entry is added. What is cut off at the end shows."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    seq = models.BigIntegerField()
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"audit up to {self.seq}"
