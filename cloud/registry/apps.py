"""The registry as a Django application."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """Its models live in tables named registry_..."""

    name = "cloud.registry"
    label = "registry"
    default_auto_field = "django.db.models.BigAutoField"
