"""The configuration: TOML in, frozen dataclasses out, every error named at once."""
