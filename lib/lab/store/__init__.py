"""Files of a run and their formats, read and written whole: this room knows what they look like, not what they mean.

durable, jsonl              whole at every moment; one JSON object a line
schemas, settings           schemas/ and the environment -> checked values
manifest                    what a run is
flight                      the experiment in flight
ledger, experiments, changes, reruns    a row, an object, a change and more runs for each experiment
memory                      what outlives runs
foreign_ledger              a ledger that somebody else has written -> ours
"""
