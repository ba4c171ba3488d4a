"""The runs of a flight -> a recorded verdict: keep, discard or crash.

check_run, mend             checks and repairs of the records, before a loop starts
conclude                    the order of everything that follows a training run
measure                     all runs of the code in flight -> their value, or a failure
index                       the run's past in short, so that it is not read whole
evidence                    everything that the verdict depends on, gathered once
noise, complexity           runs -> mean and spread; two versions of the code -> lines added and removed
more_runs                   whether another run is needed before the verdict
criterion, judge            the simplicity criterion; applied to the evidence
record, remember            the row and its object; notes that outlive the run
trust, trailers             how sure a keep's gain is; its numbers in a commit message
budget                      whether the proposers have used up their budget
replicates                  runs besides the experiments, for make noise and make audit
"""
