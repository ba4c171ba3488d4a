"""The files of a run and their formats, read and written whole: their form, not their meaning.

durable, jsonl              crash-safe writing; one JSON object a line
schemas, settings           schemas/ and the environment -> checked values
manifest                    the identity of a run
flight                      the experiment in flight
ledger, experiments, reruns a row and an object for each experiment; more runs of its code
memory                      what outlives runs
foreign_ledger              a ledger of another project -> ours
"""
