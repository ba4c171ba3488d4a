"""The Python core of the experiment loop: files in, files out.

Its modules are named after the steps of an experiment (brief, describe, measure, rerun, decide, record), after what is
kept (ledger, experiments, changes, noise, settings, manifest, memory, hints), and after the verbs (status, replay,
audit). `reading` holds what an experiment adds against `rules`; `evaluation` and `conditions` say what a run is worth;
`lessons` what all of them teach. `catalog` is a proposer. It starts no process and calls no git: that is for the steps.
"""
