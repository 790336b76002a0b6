"""What the command line does, as typed functions: ``vila2.recaption(...)``, ``vila2.improve(...)`` and so on.

Each function does what its command does and resumes as it does. ``vila2`` itself resolves their names.
"""
