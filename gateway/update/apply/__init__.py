"""The privileged half of updates: it believes nobody, and can undo all that it does."""
