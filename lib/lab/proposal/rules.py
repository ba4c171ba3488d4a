"""The rules for what an experiment adds to train.py: advice and economy. `rule_check` holds them against a text.

They are no wall: what is measured is out of train.py's reach (prepare.py, "The graph"; lib/child/runner.py). They save
a run that could only be refused after it was made, or be other luck, and tell the proposer why.
"""

RULES = (
    "system",  # a run has one process, no network, and an end of its own: no others, and no way around them
    "metric",  # val_bpb is what evaluate_bpb says of the model, once; it is printed, and the memory, as it was
    "budget",  # training is what is done while the clock is asked, until its budget is used
    "validation",  # make_dataloader has the split 'train' alone: the validation text is the evaluator's
    "seed",  # another seed is other luck, and one of your own makes reruns the same: draw from SEED
    "memory",  # the peak of a GPU's memory is measured over the whole run; free it with empty_cache
    "bulk",  # what a model knows it has learned from the training rows: no tables of numbers or text in the code
    "unreadable",  # what is nested too deep, or has null bytes, cannot be read: write it in plain statements
)
KEPT = {"budget", "seed"}  # what these are about must also stay


def words(text: str) -> set[str]:
    """A set, as text."""
    return set(text.split())


# Modules that start processes or reach for a network; and what does so in modules that are innocent otherwise.
MODULES = words(
    "asyncio concurrent ftplib http multiprocessing pty requests smtplib socket socketserver subprocess urllib"
)
CALLS = words(
    """
    os.system os.popen os.fork os.forkpty os.kill os.killpg os._exit os.abort os.execv os.execve os.execvp os.spawnl
    os.spawnv os.posix_spawn os.putenv torch.multiprocessing torch.multiprocessing.spawn
    torch.distributed.init_process_group
    """
)

# Functions that begin a sequence of random numbers; an argument that comes from SEED makes them honest.
SEEDERS = {"manual_seed", "manual_seed_all", "seed", "default_rng", "RandomState", "Random", "SeedSequence"}
SEED = "SEED"

# The peak of a GPU's memory is the one figure that the run itself tells.
MEMORY = ("reset_peak_", "reset_max_", "reset_accumulated_memory_stats", "change_current_allocator", "MemPool")

METRIC = "val_bpb"  # the variable that the evaluation is assigned to
PRINTED = (METRIC, "peak_vram_mb")
EVALUATION, LOADER, CLOCK = "evaluate_bpb", "make_dataloader", "progress"

MOST = 1000  # what a literal may hold: characters of a text, entries of a collection, bits of a number
