"""The structural ideas, as data, one module for each category. To add an idea, add an entry; the tests try all of them.

A snippet is as short as possible while it occurs once in train.py, so that other changes nearby do not matter. Code
elsewhere that the idea needs is a snippet too, so that the idea does not apply without it. An idea that adds code at a
place keeps the place's text, so that the next idea finds it. An idea that depends on another one has a snippet of it.
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
