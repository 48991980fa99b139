"""What must be remembered between two requests of one gateway."""

from django.db import models

from cloud.registry.models import Gateway


class Challenge(models.Model):
    """What we asked a TPM; answered once, by the gateway that it was made for. One for each gateway.

    And one for each recovery: anybody may begin one, and shall not push out what the gateway is answering.
    """

    id = models.CharField(primary_key=True, max_length=32)
    gateway = models.ForeignKey(Gateway, on_delete=models.CASCADE, related_name="+")
    recovery = models.CharField(max_length=32, blank=True)
    """The recovery whose key is to be proven; "" if it is for a token, or for a renewal."""
    secret_hash = models.CharField(max_length=64)
    """SHA-256 of what only the TPM can decrypt."""
    nonce = models.BinaryField()
    ak_public = models.BinaryField()
    """TPM2B_PUBLIC of the attestation key."""
    key_public = models.BinaryField()
    """TPM2B_PUBLIC of the key that is to be certified."""
    ek_fingerprint = models.CharField(max_length=64)
    expires_at = models.DateTimeField()

    class Meta:
        """Constraints."""

        constraints = (models.UniqueConstraint(fields=["gateway", "recovery"], name="est_challenge_one"),)

    def __str__(self) -> str:
        return f"challenge {self.id} of {self.gateway_id}"
