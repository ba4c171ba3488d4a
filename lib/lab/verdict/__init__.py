"""The runs of a flight -> one word, keep, discard or crash, on record.

check_run                   what must hold before a loop starts on a run
conclude                    the order of all that follows a training run
measure                     the runs of the code in flight, together
index                       what is known of the past, without reading all of it
evidence                    all that the verdict depends on, gathered once
noise, complexity           runs -> mean and spread; two texts of train.py -> lines added and removed
more_runs                   whether one more run is needed first
criterion, judge            the simplicity criterion; applied to the evidence
record, remember            the row and its object; what outlives the run
replicates                  runs beside the experiments, for make noise and make audit
"""
