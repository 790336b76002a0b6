"""Exports in the hands of the trainers that they are for: each takes two real steps on them.

    make test-trainers        # TRL, in an environment of its own

Each trainer has an environment of its own, since their requirements contradict each other. The exports and a
tiny VLM are made here; the scripts beside this file run there and need nothing of vila2.
"""
