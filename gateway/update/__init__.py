"""Updates, done by a process of its own: fetched, verified, installed, judged, kept or undone."""
