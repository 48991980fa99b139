"""One valve: a pure state machine for all kinds of drive; machine.py is the way in."""
