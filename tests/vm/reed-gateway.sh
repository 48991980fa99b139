#!/bin/sh
# The command on the virtual Pi: this checkout's source on Debian's Python and Debian's packages.
PYTHONPATH=/opt/reed exec python3 -m gateway "$@"
