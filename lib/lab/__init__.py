"""The Python core of the experiment loop. It reads and writes files; the steps start processes and call git.

store                       the files of a run, and their formats
runs                        one training run: its log, its failure, its value
verdict                     the runs of an experiment -> keep, discard or crash
proposal                    the brief for a proposer, and its answer
views                       status, report and everything else that people and tools read
agents, catalog             coding agents; the built-in proposer
cli, step_server            `lab` for verbs; `lab-step` for the steps of an experiment
errors, one_line, hardware  errors that a person can fix; any text -> one line; the name of this machine
"""
