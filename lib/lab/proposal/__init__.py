"""The brief for a proposer, and its proposal -> whether it is tried.

brief, mend_brief           the brief; the brief after its own crash
lessons, hints              lessons of the past; hints of a person
describe                    its output and change -> description, category, or why it is rejected
wave                        its further candidates -> drafts of the run
changes                     its change: constants, places, a diff
rules, rule_check           code that train.py may not gain: the table; the check
check_edit                  a change of train.py in the working tree
"""
