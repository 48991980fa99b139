"""Pages for people: for now one front page without names or secrets, and a sign of life for machines."""
