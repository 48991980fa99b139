"""Django's settings for the home that REED_CLOUD_HOME names. Nothing here may be secret but SECRET_KEY."""

import os
from pathlib import Path

from cloud.home import Home
from cloud.project.config import read
from cloud.project.databases import settings as _database

_HOME = Home(Path(os.environ.get("REED_CLOUD_HOME", "/var/lib/reed-cloud")).absolute())
_CONFIG = read(_HOME)

SECRET_KEY = _HOME.secret_key_file.read_text().strip() if os.access(_HOME.secret_key_file, os.R_OK) else ""
DEBUG = False
ALLOWED_HOSTS = [*_CONFIG.public.hosts, "localhost", "127.0.0.1", "[::1]"]
INSTALLED_APPS = ["cloud.registry", "cloud.est", "cloud.web"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]
ROOT_URLCONF = "cloud.project.urls"
ASGI_APPLICATION = "cloud.project.asgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": _database(_CONFIG.database.url, _HOME)}
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 65_536  # the largest honest body, an attestation, has 6 kB
LOGGING_CONFIG = None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_HSTS_SECONDS = 0  # gateways' and people's trust is our own authority; nginx decides
