"""The Python core of the experiment loop: files in, files out.

Its modules are named after the steps of an experiment (brief, describe, measure, decide, record) and after what they
keep (ledger, experiments, settings, manifest). It starts no process and calls no git: that is for the steps.
"""
