"""Updates of system, application and configuration: what happens next, decided without I/O."""
