"""Rules about the code that an experiment adds to train.py. `rule_check` applies them.

They do not protect the number: another process measures it (prepare.py, "The graph"). They save a training run that
could only be rejected, or would only be lucky, and tell the proposer why.
"""

RULES = (
    "system",  # a run starts no other process, uses no network, and does not end itself early
    "metric",  # evaluate_bpb is called once, and val_bpb and the memory are printed as before
    "budget",  # training happens only in the loop that asks the clock, until its budget is used
    "validation",  # make_dataloader has the split 'train' only: the evaluator has the validation text
    "seed",  # every seed comes from SEED: a fixed seed is luck, and makes reruns identical
    "memory",  # the peak of GPU memory is measured over the whole run; empty_cache frees memory
    "bulk",  # no tables of numbers or text in the code: a model learns from the training rows alone
    "unreadable",  # code with null bytes, or nested too deep, cannot be checked
)
KEPT = {"budget", "seed"}  # the code that these are about must also stay


def words(text: str) -> set[str]:
    """A set, as text."""
    return set(text.split())


# Modules that start processes or use the network; CALLS: such functions of other modules.
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

# Functions that start a sequence of random numbers; their argument must come from SEED.
SEEDERS = {"manual_seed", "manual_seed_all", "seed", "default_rng", "RandomState", "Random", "SeedSequence"}
SEED = "SEED"

# Only the run itself can report the peak of a GPU's memory.
MEMORY = ("reset_peak_", "reset_max_", "reset_accumulated_memory_stats", "change_current_allocator", "MemPool")

METRIC = "val_bpb"  # the variable that the evaluation is assigned to
PRINTED = (METRIC, "peak_vram_mb")
EVALUATION, LOADER, CLOCK = "evaluate_bpb", "make_dataloader", "progress"

MOST = 1000  # limit of a literal: characters of a text, entries of a collection, bits of a number
