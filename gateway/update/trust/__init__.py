"""What signed metadata (The Update Framework) say of a target, and who has to be believed for it.

Needs `tuf` and `securesystemslib`; only the processes that update import it.
"""
