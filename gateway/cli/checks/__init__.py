"""What `doctor` looks at: each check returns findings, one line each, and never raises."""
