"""The command line. Nothing heavy is imported before a command needs it: ``--help`` takes under 0.3 s."""
