"""Gateways by name: which there are, which are expected."""

from collections.abc import Mapping

from django.db import transaction
from django.db.models import Count

from cloud.ca.policy import GATEWAY_ID
from cloud.errors import RefusedError, UnknownError
from cloud.registry import audit
from cloud.registry.models import Attestation, Certificate, Gateway, Proof, Site, State
from cloud.registry.parts import parts


def find(gateway_id: str) -> Gateway:
    """Return a gateway.

    Raises:
        UnknownError: There is none of this name.
    """
    found = (
        Gateway.objects.select_related("site").filter(pk=gateway_id).first() if _is_id(gateway_id) else None
    )
    if found is None:
        raise UnknownError(f"there is no gateway {audit.clean(gateway_id, 80)}; see: reed-cloud gateway list")
    return found


def locked(gateway_id: str) -> Gateway:
    """Return a gateway that nobody else changes until the transaction ends.

    Raises:
        UnknownError: As `find`.
    """
    audit.lock()
    find(gateway_id)
    return Gateway.objects.select_for_update().get(pk=gateway_id)


def gateways(*, site: str | None = None, state: str | None = None) -> list[Gateway]:
    """Return the gateways, by name."""
    found = Gateway.objects.select_related("site").order_by("pk")
    if site is not None:
        found = found.filter(site__name=site)
    if state is not None:
        found = found.filter(state=state)
    return list(found)


def counts() -> Mapping[str, int]:
    """Return how many gateways there are in each state, zeros included."""
    found = dict(Gateway.objects.values_list("state").annotate(Count("pk")))
    return {state.value: found.get(state.value, 0) for state in State}


def certificates(gateway_id: str) -> list[Certificate]:
    """Return what was issued to a gateway, the latest first."""
    return list(find(gateway_id).certificates.order_by("-pk"))


def expect(gateway_id: str, *, site: str, attestation: str | None = None, actor: str) -> Gateway:
    """Note that a gateway is to come; repeated, it returns the one there is.

    Args:
        gateway_id: `[a-z0-9-]{1,63}`.
        site: The building; made if it is new.
        attestation: "none" or "required"; None as the settings say.
        actor: Who says so.

    Raises:
        RefusedError: The name is none, or the gateway belongs to another site.
    """
    with audit.refusals("expect", gateway_id, actor=actor), transaction.atomic():
        _check_name(gateway_id)
        audit.lock()
        wanted = Attestation(attestation or parts().enrolment.attestation)
        place, _ = Site.objects.get_or_create(name=audit.clean(site, 100))
        now = parts().now()
        fields = {"site": place, "created_at": now, "changed_at": now, "changed_by": audit.clean(actor, 100)}
        gateway, is_new = Gateway.objects.get_or_create(
            pk=gateway_id, defaults={**fields, "attestation": wanted}
        )
        if gateway.site != place:
            raise RefusedError("other-site", f"{gateway_id} belongs to {gateway.site.name}", 409)
        if is_new:
            audit.record("expect", gateway_id, actor=actor, site=place.name, attestation=wanted.value)
        elif attestation is not None and gateway.attestation != wanted:
            _require(gateway, wanted, actor)
    return gateway


def _require(gateway: Gateway, attestation: Attestation, actor: str) -> None:
    gateway.attestation = attestation
    gateway.save(update_fields=["attestation"])
    audit.record("attestation-policy", gateway.pk, actor=actor, attestation=attestation.value)


def replace_hardware(gateway_id: str, *, actor: str, reason: str) -> Gateway:
    """Forget which TPM a gateway showed, so that another board may take its name, or it another name.

    Raises:
        UnknownError: As `find`.
    """
    with audit.refusals("replace-hardware", gateway_id, actor=actor), transaction.atomic():
        gateway = locked(gateway_id)
        audit.record(
            "replace-hardware", gateway_id, actor=actor, reason=reason, ek=gateway.ek_fingerprint or ""
        )
        gateway.ek_fingerprint = None
        gateway.save(update_fields=["ek_fingerprint"])
        Proof.objects.filter(gateway=gateway).delete()
    return gateway


def _check_name(gateway_id: str) -> None:
    if not _is_id(gateway_id):
        shown = audit.clean(gateway_id, 80)
        raise RefusedError("gateway-name", f'"{shown}" is no name; use a-z, 0-9 and -, at most 63', 400)
    if gateway_id in parts().taken:
        raise RefusedError(
            "gateway-name", f"{gateway_id} is the name of a service or host of ours; take another", 400
        )


def _is_id(text: str) -> bool:
    return GATEWAY_ID.fullmatch(text) is not None
