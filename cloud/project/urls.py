"""Which part answers which address."""

from django.urls import include, path

urlpatterns = [
    path("", include("cloud.est.urls")),
    path("", include("cloud.web.urls")),
]
