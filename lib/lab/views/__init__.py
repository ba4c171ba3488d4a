"""A run -> text and files for people and programs. Nothing here changes a run, except that audit writes audit.json.

status, flight_phase        the status; the phases of the experiments in flight
status_text                 the status as text, with the help of in_words and sparkline
watch                       the status, live
find_experiment, show       find an experiment by number or commit; show everything about it
verdict                     the verdict or the phase of an experiment, for an agent
report                      the night as one page
runs, take                  all runs of a tree; the keeps that go onto another branch
export, replay, audit       files for other tools; our rule applied to any ledger; the reproduced gain
"""
