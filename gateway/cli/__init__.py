"""The commands of `reed-gateway`: one module each, found by its name.

A module `walk_test.py` is the command `walk-test`. It has two functions:

* `add_parser(subparsers) -> None` adds its parser with its options, and a `help`;
* `run(args) -> int` does the work and returns the exit status.

Only the module of the command that was typed is imported, and it imports what it needs inside `run`
where that is heavy. A `GatewayError` becomes one line on stderr and its exit status. A package is a command
if it has them in `command.py`; modules without `add_parser` are none.
"""
