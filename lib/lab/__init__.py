"""The Python core of the experiment loop: files in, files out. It starts no process and calls no git: the steps do.

the steps          brief describe conclude mend; records, around a training (`steps` calls them; `cli` all others)
a conclusion       measure rerun judge record remember, in this order; index: what they need of the past
what is kept       flight ledger experiments changes noise logs manifest settings memory hints; schemas, files, jsonl
what a run is      failures evaluation conditions; complexity; reading, by rules; evidence of several, decide
what all teach     lessons
the verbs          status, phases, status_words; watch show find report export audit extra replay proposal verdict;
                   wild: foreign ledgers
a coding agent     heard, blocks: what it answered; before_tool before_stop commands held: what it is reminded of
a proposer         catalog
all say            errors wording
"""
