"""Faults, and what must hold after them: for `make rehearse`, and for the tests.

processes   who runs
invariants  a run at rest -> what is broken of all that must hold
stage       a tree of its own with a trainer and a proposer; a loop is started in it, killed, and gone on with
faults      one function a fault
__main__    a night of them
"""
