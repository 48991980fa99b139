"""Addresses of enrolment."""

from django.urls import path, re_path

from cloud.est import attestation, recovery, views

_EST = ".well-known/est/"
_REED = "reed/v1/"
_ID = "[0-9a-f]{32}"

urlpatterns = [
    path(f"{_EST}cacerts", views.cacerts),
    path(f"{_EST}csrattrs", views.csrattrs),
    path(f"{_EST}simpleenroll", views.simpleenroll),
    path(f"{_EST}simplereenroll", views.simplereenroll),
    path(f"{_REED}attestation", attestation.begin),
    re_path(rf"^{_REED}attestation/(?P<challenge_id>{_ID})\Z", attestation.finish),
    path(f"{_REED}recovery", recovery.begin),
    re_path(rf"^{_REED}recovery/(?P<recovery_id>{_ID})\Z", recovery.finish),
    path(f"{_REED}parameters", recovery.parameters),
    re_path(rf"^(?:{_EST.replace('.', '[.]')}|{_REED})", views.nowhere),
]
