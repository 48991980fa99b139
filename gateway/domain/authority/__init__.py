"""Who may move a valve: button, leak protection, rule, remote request; arbiter.py is the way in."""
