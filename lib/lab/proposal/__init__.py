"""What a proposer is told, and what it proposes -> whether that is tried.

brief, mend_brief           what it is told; what it is told of its own crash
lessons, hints              what the past teaches; what a person says
describe                    what it said and changed -> description, category, or why it is rejected
changes                     what it changed: constants, places, a diff
rules, rule_check           what may not be added to train.py: the table; a text held against it
from_tree                   a change that somebody has made in the tree
"""
