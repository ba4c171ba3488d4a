"""The Python core of the experiment loop: files in, files out. It starts no process and calls no git: the steps do.

store                       the files of a run, and their formats
runs                        one training run: its log, its failure, its number
verdict                     the runs of an experiment -> keep, discard or crash
proposal                    what a proposer is told, and what comes back
views                       status, report and all else that is read
agents, catalog             coding agents; the built-in proposer
cli, steps                  `lab`, for verbs; `lab-step`, for the steps of an experiment
errors, one_line, machine   what a person can mend; any text -> one line; what this machine is called
"""
