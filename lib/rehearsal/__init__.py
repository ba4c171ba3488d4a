"""Faults, and the rules that must hold after them, for `make rehearse` and the tests.

processes   running processes
invariants  a run at rest -> the rules that it breaks
stage       a separate tree with a trainer and a proposer, in which loops are started, killed and continued
faults      a function for each fault
__main__    a night with many faults
"""
