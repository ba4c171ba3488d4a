"""A run -> text and files for people and programs; nothing here changes a run, except audit.json.

status, flight_phase        the facts; those of the experiment in flight
status_text                 the same as text; in_words and sparkline help it
watch                       the same, live
find_experiment, show       an experiment by number or commit; everything about it
verdict                     the verdict, or where it stands, for an agent at the keyboard
report                      the night as one page
runs, take                  all runs of a tree; the keeps that a person takes onto a branch
export, replay, audit       for other tools; our rule on any ledger; the reproduced gain
"""
