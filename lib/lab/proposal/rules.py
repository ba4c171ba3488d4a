"""The rules for what an experiment adds to train.py, as a table; `rule_check` holds them against a text.

They are for an agent that wants the number more than the model, by edits that read like those of a training script; not
for a hostile programmer. A path is what a name stands for after all imports, with `()` for a call and `[]` for an
index, such as `prepare.Clock.().seconds`. It covers what is below it; with a `*` at its end, all that begins so. Of the
paths that cover a name, allowed and refused ones, the longest decides; of two that are the same, the refused one.
"""

from dataclasses import dataclass


def listed(text: str) -> tuple[str, ...]:
    """A list, as text."""
    return tuple(text.split())


def below(root: str, names: str) -> tuple[str, ...]:
    """The paths of a list of names."""
    return tuple(f"{root}.{name}" for name in names.split())


# What may be imported. All that is in a module is allowed, unless a rule says otherwise.
MODULES = frozenset(
    (
        *listed(
            "__future__ abc bisect cmath collections collections.abc contextlib copy dataclasses decimal einops enum"
        ),
        *listed("fractions functools gc heapq itertools json math numbers operator os random re statistics string sys"),
        *listed("time triton triton.language typing warnings numpy numpy.fft numpy.linalg numpy.random torch"),
        *below("torch", "amp autograd autograd.function autograd.graph backends compiler cuda cuda.amp cuda.nvtx fft"),
        *below("torch", "linalg mps nn ops optim optim.lr_scheduler optim.optimizer optim.swa_utils random special"),
        *below("torch", "utils utils.checkpoint version _dynamo _dynamo.config _inductor _inductor.config"),
        *below("torch.nn", "attention attention.bias attention.flex_attention functional init parameter utils"),
        *below("torch.nn.utils", "parametrizations parametrize"),
        *below(
            "torch.backends", "cpu cuda cudnn cusparselt kleidiai mha miopen mkl mkldnn mps nnpack openmp opt_einsum"
        ),
        *below("torch.backends", "python_native quantized"),
    )
)

# What train.py gets from prepare.py: names to import, and paths for what has no other name.
CONSTANTS = "MAX_SEQ_LEN TIME_BUDGET PROFILE VOCAB_SIZE EVAL_TOKENS"
PUBLISHED = frozenset(listed(f"{CONSTANTS} Tokenizer Clock best_device evaluate_bpb make_dataloader"))
CLOCK = "prepare.Clock.()"
TOKENIZER = "prepare.Tokenizer.from_directory.()"
TOKEN_BYTES = f"{TOKENIZER}.token_bytes"
LOADER = "prepare.make_dataloader.()"
EVALUATION = "prepare.evaluate_bpb.()"
METRIC = "val_bpb"  # the variable that the evaluation is assigned to

# Allowed, though something above it is refused.
MEMBERS = (
    *below("prepare", f"{CONSTANTS} best_device.()"),
    *(LOADER, EVALUATION, CLOCK, TOKENIZER, f"{TOKEN_BYTES}.[]"),
    *below(CLOCK, "seconds progress.()"),
    *below(TOKENIZER, "token_bytes tokens get_vocab_size.() get_bos_token_id.() encode.() decode.()"),
    *below("os", "cpu_count environ.get.() environ.[] getenv"),
    *below("sys", "exit float_info maxsize platform stderr stdout version_info"),
    *below("gc", "collect disable enable freeze isenabled"),
    *below("time", "monotonic perf_counter process_time sleep time"),
    *below("time", "monotonic_ns perf_counter_ns process_time_ns time_ns"),
    *below("torch._dynamo", "config disable mark_dynamic mark_static reset"),
    *below("torch._inductor", "config"),
    *below("torch.func", "functional_call stack_module_state vmap"),
    *below("torch.library", "custom_op triton_op wrap_triton"),
    *below("torch", "_assert* _foreach_* _fused_* _grouped_mm _int_mm _scaled_mm* utils.checkpoint"),
    *listed("bisect.bisect copy.copy random.random torch.Tensor torch.__version__"),
    *listed("delattr.() getattr.() setattr.() type"),
)

# Settings, to which a constant may be assigned.
KNOBS = ("torch.backends", "torch._dynamo.config", "torch._inductor.config")

# What is neither assigned nor passed on, since it could not be followed; and the rule that says so.
HELD = {
    **dict.fromkeys((*MODULES, "torch.Tensor", "type.()"), "alias"),
    **{CLOCK: "clock", "prepare.Clock": "prepare", "prepare.Tokenizer": "prepare"},
}

# What is followed when it is assigned to a name.
TRACKED = frozenset({CLOCK, TOKENIZER, TOKEN_BYTES})

# Attributes of what is tracked that are known by their name alone, but for one's own (`self.`).
FIELDS = {"token_bytes": TOKEN_BYTES}

# What a literal may hold: characters of a text, entries of a collection, bits of a number.
MOST = 1000

# What is called without arguments.
BARE = {CLOCK: "clock", TOKENIZER: "prepare", "torch.inference_mode.()": "gradients"}

# Modules, and torch.Tensor, that are among the names of other modules.
DETOURS = frozenset(
    (
        *listed(
            "F Tensor abc bltns builtins codecs collections contextlib contextvars copy copyreg ctypes dataclasses"
        ),
        *listed(
            "enum functools fx_traceback getpass glob hooks importlib inspect io itertools keyword logging m math np"
        ),
        *listed("numbers operator os platform random re stdlib_re sys sysconfig tempfile textwrap threading torch"),
        *listed("traceback types typing uuid warnings weakref"),
    )
)

# Names between two underscores on each side that are innocent, whatever they are names of.
DUNDERS = frozenset(
    f"__{name}__"
    for name in (
        *listed(
            "abs add all and bool call contains debug div doc enter eq exit float floordiv format future ge getattr"
        ),
        *listed(
            "getitem gt hash iadd imul init init_subclass int invert isub iter itruediv le len lt main matmul missing"
        ),
        *listed(
            "mod mul name ne neg new next or post_init pow qualname radd repr reversed rmatmul rmul round rpow rsub"
        ),
        *listed("rtruediv setitem slots str sub truediv version xor"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is refused, as far as it can be listed; `rule_check` has the rest, under the rule's name."""

    name: str
    why: str  # what it is against, and what to do instead
    paths: tuple[str, ...] = ()  # not mentioned,
    except_in: tuple[str, ...] = ()  # except in functions of these names
    stores: tuple[str, ...] = ()  # paths that are not assigned to
    attributes: tuple[str, ...] = ()  # of anything
    names: tuple[str, ...] = ()  # not bound again
    texts: tuple[str, ...] = ()  # parts of strings
    words: tuple[str, ...] = ()  # whole strings
    kept: bool = False  # what the rule is about is not taken away either


RULES = (
    Rule(
        name="imports",
        why="a training script needs what computes, no files, processes or networks; a person may allow a module",
        paths=(
            *below(
                "torch", "ScriptModule accelerator ao classes cpp cpu distributed distributions export func functional"
            ),
            *below(
                "torch", "futures fx get_device_module hub jit library masked monitor mtia multiprocessing nested onnx"
            ),
            *below("torch", "overrides package profiler quantization quasirandom return_types serialization signal"),
            *below("torch", "sparse storage testing torch_version trace types utils windows xpu _dynamo _inductor"),
            *below("torch", "amp.autocast_mode amp.grad_scaler compiler.config mps.event mps.profiler"),
            *below("torch.autograd", "anomaly_mode forward_ad profiler profiler_legacy profiler_util"),
            *below(
                "torch.cuda", "amp.autocast_mode amp.common amp.grad_scaler gds graphs green_contexts jiterator nccl"
            ),
            *below("torch.cuda", "profiler sparse streams tunable"),
            *below("torch.nn", "common_types functional.grad grad intrinsic parallel qat quantizable quantized"),
            *below("torch.nn.utils", "clip_grad convert_parameters fusion init memory_format rnn stateless"),
            *below("torch.nn.utils", "parametrizations.parametrize"),
            *below("numpy", "char core ctypeslib dtypes emath exceptions f2py lib ma polynomial rec strings testing"),
            *below("numpy", "typing random.bit_generator random.mtrand"),
            *below("triton", "backends compiler knobs runtime testing tools"),
            *below("json", "decoder encoder scanner"),
        ),
    ),
    Rule(
        name="detour",
        why="a module is used by its own import, and what begins with an underscore is private",
        paths=("torch._*",),
    ),
    Rule(
        name="alias",
        why="a module, torch.Tensor or type(x) under another name could be changed there unseen: use them by their own",
    ),
    Rule(
        name="patch",
        why="what torch or another module does is not changed: write a function or a class of your own, and call that",
        stores=("*",),
        paths=("torch.nn.modules", "torch.optim.optimizer.register_*"),
    ),
    Rule(
        name="prepare",
        why="prepare.py is used as it is: import its published names, keep them, call them, change nothing of theirs",
        stores=("prepare",),
        paths=("prepare", f"{TOKENIZER}.*", f"{TOKEN_BYTES}.*"),
    ),
    Rule(
        name="clock",
        why="the time is taken by prepare.py; train.py asks its one clock, and leaves it as it is",
        stores=("prepare.Clock",),
        paths=(f"{CLOCK}.*",),
    ),
    Rule(
        name="budget",
        why="training is what is done in the one loop that asks the clock before each step, until its budget is used",
        kept=True,
    ),
    Rule(
        name="metric",
        why="val_bpb is what evaluate_bpb says of the model, once; it is printed, and the memory, as it was",
        stores=("prepare.evaluate_bpb",),
        paths=("contextlib.redirect_stdout",),
        texts=("val_bpb", "peak_vram_mb"),
    ),
    Rule(
        name="validation",
        why="the rows that are validated on are for evaluate_bpb alone: the split is written out, and is 'train'",
        words=("val",),
    ),
    Rule(
        name="seed",
        why="another seed is other luck, and one of your own makes reruns the same: draw from torch, as it is seeded",
        kept=True,
        paths=(
            *below("torch", "Generator default_generator initial_seed manual_seed seed thread_safe_generator"),
            *below("torch.random", "fork_rng initial_seed manual_seed seed set_rng_state"),
            *below("torch.cuda", "default_generators initial_seed seed seed_all"),
            *below("random", "Random SystemRandom seed setstate"),
            *below("numpy.random", "Generator MT19937 PCG64 PCG64DXSM Philox RandomState SFC64 SeedSequence"),
            *below("numpy.random", "default_rng seed set_state"),
        ),
        attributes=("manual_seed", "manual_seed_all", "set_rng_state", "set_rng_state_all", "fork_rng"),
        words=("SEED",),
    ),
    Rule(
        name="gradients",
        why="a model that is evaluated does not learn; in training, gradients are on anyway",
        paths=(
            *below("torch", "enable_grad set_grad_enabled autograd.enable_grad autograd.set_grad_enabled"),
            *below("torch.autograd", "functional grad_mode inference_mode set_grad_enabled"),
        ),
        except_in=("step", "backward"),
    ),
    Rule(
        name="memory",
        why="the peak of memory is measured over the whole run, by torch's own allocator; free it with empty_cache",
        paths=(
            *below("torch.cuda", "CUDAPluggableAllocator MemPool caching_allocator_* change_current_allocator cudart"),
            *below("torch.cuda", "memory reset_* use_mem_pool"),
        ),
    ),
    Rule(
        name="files",
        why="an experiment starts from nothing, and leaves nothing but its log: no weights or data are saved or loaded",
        paths=(
            *below("torch", "save load from_file ops.load_library get_file_path PyTorchFile* import_ir_module*"),
            *below("torch", "UntypedStorage TypedStorage Storage StorageBase DeserializationStorageContext FileCheck"),
            *below("numpy", "save savez savez_compressed load fromfile memmap loadtxt savetxt genfromtxt fromregex"),
            *below("numpy", "DataSource"),
        ),
        attributes=("tofile", "dump", "debug_dump", "from_file", "memmap", "_write_file", "_set_from_file"),
    ),
    Rule(
        name="records",
        why="the loop's records, the prepared data and the settings of the toolkit are none of train.py's business",
        texts=listed(
            """
            results.tsv experiments.jsonl reruns.jsonl manifest.json data.json evaluation.json val.bin train.bin
            tokenizer.json run.log LAB_ AUTORESEARCH_CACHE /proc/ /dev/shm .git prepare.py train.py
            """
        ),
    ),
    Rule(
        name="system",
        why="of the system, a training script needs the time, its environment, the number of cores and a way to exit",
        paths=("gc", "os", "sys", "time"),
    ),
    Rule(
        name="builtins",
        why="no files, and no code or names out of strings but for your own objects; builtins stay what they are",
        paths=(
            *listed("open exec eval compile globals locals vars breakpoint getattr setattr delattr"),
            *below("typing", "get_type_hints ForwardRef"),
        ),
        names=listed("print int float round isinstance issubclass hasattr getattr setattr delattr"),
    ),
    Rule(
        name="internals",
        why="what Python keeps between two underscores, frames among it, leads around every rule",
        paths=("__import__",),
        attributes=listed(
            "ag_frame as_subclass cr_frame f_back f_builtins f_globals f_locals gi_frame mro tb_frame tb_next"
        ),
    ),
    Rule(
        name="bulk",
        why="what a model knows it has learned from the training rows: no tables of numbers or text in the code",
    ),
    Rule(
        name="unreadable",
        why="what is nested too deep, or has null bytes, cannot be read: write it in plain statements",
    ),
)
