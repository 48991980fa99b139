"""From what sensors say to a leak: watch.py is the way in."""
