"""The newcomer's path: docs/quickstart.md, walked command by command."""
