"""Files of a run and their formats, read and written whole: this room knows what they look like, not what they mean.

durable, jsonl              whole at every moment; one JSON object a line
schemas, settings           schemas/ and the environment -> checked values
manifest                    what a run is
flight                      the experiment in flight
ledger, experiments, reruns a row and an object for each experiment; more runs of its code
memory                      what outlives runs
foreign_ledger              a ledger that somebody else has written -> ours
"""
