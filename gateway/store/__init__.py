"""The disk: outbox, journal and memory in one SQLite file, on a thread of its own."""
