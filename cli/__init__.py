"""The ``tfx-trust`` command, one module a subcommand."""
