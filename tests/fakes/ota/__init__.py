"""A repository of updates made by the real tool, and a server for it that can misbehave."""
