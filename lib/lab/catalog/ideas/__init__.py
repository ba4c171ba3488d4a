"""The structural ideas, as data, in one module a category. To add one is to add an entry: the tests try each of them.

A snippet is as short as it can be and still stand in train.py once, so that other changes around it do no harm; what
it needs elsewhere is a snippet, too, so that it does not apply where that is gone. Where an idea adds to a place, the
place is still there afterwards, for the next one. An idea that stands on another one needs a snippet of it.
"""

from lab.catalog.ideas import (
    activation_functions,
    attention_patterns,
    batch_size_and_accumulation,
    depth_against_width,
    learning_rate_and_schedule,
    normalization,
    optimizer,
    radical_changes,
    simplification,
)

IDEAS = (
    *learning_rate_and_schedule.IDEAS,
    *depth_against_width.IDEAS,
    *attention_patterns.IDEAS,
    *optimizer.IDEAS,
    *normalization.IDEAS,
    *activation_functions.IDEAS,
    *batch_size_and_accumulation.IDEAS,
    *simplification.IDEAS,
    *radical_changes.IDEAS,
)
