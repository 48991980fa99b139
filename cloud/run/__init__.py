"""The embedded cloud in one process: broker, nginx and web application, watched and kept up to date."""
