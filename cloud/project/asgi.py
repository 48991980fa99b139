"""The application that uvicorn runs, for the home that REED_CLOUD_HOME names."""

import os
from pathlib import Path

from django.core.asgi import get_asgi_application

from cloud.home import Home
from cloud.project.setup import start

start(Home(Path(os.environ.get("REED_CLOUD_HOME", "/var/lib/reed-cloud")).absolute()))
application = get_asgi_application()
