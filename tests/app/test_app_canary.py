"""Canaries: secrets that a gateway is given, and every place where they must not come out again."""

import json
import subprocess
import sys
from pathlib import Path

from gateway.cli.demo.keys import command_keys  # placeholder
