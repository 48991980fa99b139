"""The commands of `reed-cloud`: one module each, found by its name.

A module with `add_parser(subparsers) -> None` and `run(args) -> int` is a command. Only the module of the
command that was typed is imported, and it imports what it needs inside `run` where that is heavy. A
`CloudError` becomes one line on stderr and its exit status.
"""
