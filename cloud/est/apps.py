"""The enrolment server as a Django application."""

from django.apps import AppConfig


class EstConfig(AppConfig):
    """Its models live in tables named est_..."""

    name = "cloud.est"
    label = "est"
    default_auto_field = "django.db.models.BigAutoField"
