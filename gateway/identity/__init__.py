"""Who we are: a key that stays where it was made, its certificate, and how both are renewed."""
