"""Everything that others may ask of the registry, in one place. Import it after `start(home)`."""

from cloud.registry.attestation import check_ek, note_attested, note_refused
from cloud.registry.audit import entries as audit_entries
from cloud.registry.audit import verify as verify_audit
from cloud.registry.ceremonies import create_intermediate, create_root, drop_root, give_up_intermediate
from cloud.registry.decisions import deny, grant, retire
from cloud.registry.enrolment import check_renewal, enrol, holder, renew
from cloud.registry.gateways import certificates, counts, expect, find, gateways, replace_hardware
from cloud.registry.outlook import warnings
from cloud.registry.own import ensure_services
from cloud.registry.reconcile import reconcile
from cloud.registry.recovery import begin_recovery, check_recovery, finish_recovery
from cloud.registry.revocation import publish_crl, refresh_crl
from cloud.registry.tokens import check_token, new_token
from cloud.registry.tries import watched

__all__ = [
    "audit_entries",
    "begin_recovery",
    "certificates",
    "check_ek",
    "check_recovery",
    "check_renewal",
    "check_token",
    "counts",
    "create_intermediate",
    "create_root",
    "deny",
    "drop_root",
    "enrol",
    "ensure_services",
    "expect",
    "find",
    "finish_recovery",
    "gateways",
    "give_up_intermediate",
    "grant",
    "holder",
    "new_token",
    "note_attested",
    "note_refused",
    "publish_crl",
    "reconcile",
    "refresh_crl",
    "renew",
    "replace_hardware",
    "retire",
    "verify_audit",
    "warnings",
    "watched",
]
