"""The Python core of the experiment loop: files in, files out.

Its modules are named after the steps of an experiment (brief, describe, measure, rerun, decide, record), after what
keep (ledger, experiments, noise, settings, manifest), and after the verbs (status, replay). `catalog` is a proposer. It
starts no process and calls no git: that is for the steps.
"""
