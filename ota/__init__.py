"""`reed-ota`: builds, signs, publishes and checks the repository that gateways take updates from.

It shares the format of The Update Framework with the gateway, and no code. Needs `tuf`, `securesystemslib`
and `cryptography`; docs/updates.md says who does what with it.
"""
