"""The files of a run: their formats, and how to read and write them. What the numbers mean is not known here.

durable, jsonl              crash-safe writing; files with one JSON object per line
schemas, settings           schemas/ and the environment -> checked values
manifest                    the identity of a run
flight                      an experiment in flight
ledger, experiments, reruns the row and the object of each experiment; further runs of its code
two_records                 the ledger compared with the experiments
metric, guards              the metric of a run; bounds on other printed numbers
code                        the files that an experiment may edit
memory                      notes that outlive runs
foreign_ledger              a ledger of another project -> ours (ledger_columns reads its header)
"""
