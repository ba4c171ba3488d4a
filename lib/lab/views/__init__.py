"""A run -> what a person or a program reads of it; nothing here changes a run, but for audit.json.

status, phases, status_text the facts; of the experiment in flight; in words
watch                       the same, live
find_experiment, show       the experiment that a person means; all that is known of it
last_verdict                what an agent at the keyboard reads of its experiment
report                      the night as one page
export, replay, audit       for other tools; our rule on any ledger; how much of the gain is there again
"""
