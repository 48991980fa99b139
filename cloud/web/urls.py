"""Addresses of the pages."""

from django.urls import path

from cloud.web import views

urlpatterns = [
    path("", views.front, name="front"),
    path("healthz", views.healthz, name="healthz"),
]
"""Without a login nothing else may be shown."""
