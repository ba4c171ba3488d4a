"""The rules that classify a failed training run: data about the messages of other programs.

The first rule that fits counts. Some rules blame the machine, and a fault of the machine is not a crash of the
experiment. A text is searched at the start of a line, because programs print errors there, and in the middle of a line
it is only a mention. Prefixes of ranks, loggers and launchers are stripped first (PREFIX). Each rule has example logs
in tests/examples/failures. lab.runs.failures applies the rules.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

FAILED = range(1, 256)  # exit statuses
SIGNALLED = range(129, 193)  # 128 and the number of the signal
RAISED = (1,)  # Python's status after an exception


@dataclass(frozen=True)
class Rule:
    """A rule fits a run with one of its statuses and, if it has a text, a log that contains the text."""

    name: str
    failure: str = "error"
    says: str = ""  # the reason in the row; default: the one in failures.WHY
    statuses: Container[int] = FAILED
    text: re.Pattern[bytes] | None = None
    oom_killer: bool = False  # fits only if the kernel's OOM killer ended a process during the run
    is_last: bool = False  # fits only if no other exception follows, because this one may have been caught and logged
    machine: tuple[str, str] | tuple[None, None] = (None, None)  # the part of the machine that may be at fault, and why


# ---------------------------------------------------------------------------
# Prefixes of a line
# ---------------------------------------------------------------------------

LEVEL = "(?:ERROR|CRITICAL|FATAL)"
DATE = r"(?:\d{4}[-/]\d\d[-/]\d\d|\d\d[-/]\d\d(?:[-/]\d\d)?)"
TIME = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
# A host or a container may have any name, so its name is a prefix only before something like an error.
RAISES = r'(?=Traceback \(most|  File "|  what\(\)|terminate called|[A-Za-z_][\w.]{0,199}(?:Error|Exception|Exit)\b)'
PREFIXES = (
    r"[\[(](?:[Rr]ank|[a-z]{4,12})[ _:]?\d{1,5}(?:\|std(?:out|err))?[\])]:? ?",  # [rank0]: [default0]:
    r"[Rr]ank ?\d{1,5}: ",
    r"\[\d{1,5},\d{1,5}\](?:<std(?:out|err)>)?: ?",  # mpirun
    r"\((?:[^()\n]{0,120}\bpid=\d{1,10}[^()\n]{0,80}|raylet)\) ",  # Ray, vLLM
    r"\d{1,5}: ",  # srun --label
    r" {2,12}\| ",  # the exceptions of a group
    rf"[a-z][\w.-]{{0,62}}\d: {RAISES}",
    rf"[\w.-]{{1,64}} {{1,40}}\| {RAISES}",  # docker compose
    # Times, and the fields that loggers put after them.
    rf"\[?{DATE}[T ]{TIME}(?:Z|[+-]\d\d:?\d\d)?(?: [A-Z]{{2,4}}\d{{1,4}})?\]?:? ?(?:\| |std(?:out|err) [FP] )?",
    rf"\[?{TIME}\]?:? ",
    rf"[A-Z][a-z]{{2}} [ \d]\d {TIME} \S{{1,100}} [^\s:]{{1,100}}: ",  # syslog
    rf"(?: ?- [\w.]{{1,80}})? ?- {LEVEL} - ",
    rf"\[[\w.]{{1,80}}\]\[{LEVEL}\](?: - | )",
    rf"\[?{LEVEL}\]?(?: {{0,9}}[|:-] | )(?:[\w.]{{1,80}}:[\w.<>]{{1,80}}:\d{{1,6}} - )?",
    rf"{LEVEL}:[\w.]{{1,80}}:",
    r"\[[\w.]{1,80}\.py:\d{1,6}(?::\w{1,80})?\] ",
    rf"\[?[EF]\d{{3,4}} {TIME} {{1,9}}(?:\d{{1,10}} )?[\w./-]{{1,200}}:\d{{1,6}}\] ?",  # glog, absl
    r"[EF] [\w./-]{1,200}:\d{1,6}\] ",  # TensorFlow
)
PREFIX = re.compile(f"^(?:{'|'.join(PREFIXES)}){{1,6}}".encode(), re.MULTILINE)

# ---------------------------------------------------------------------------
# Parts of rules: patterns that match from the start of a line
# ---------------------------------------------------------------------------


def lines(*texts: str, ignore_case: bool = False) -> re.Pattern[bytes]:
    """Match lines that start with one of the patterns."""
    joined = "|".join(texts)
    return re.compile(f"^(?:{joined})".encode(), re.MULTILINE | (re.IGNORECASE if ignore_case else 0))


NAME = r"(?:[A-Za-z_][\w.]{0,199}| {1,2}what\(\))"
WATCHDOG = r"(?:\[[^\]\n]{0,99}\] )?(?:Process group|NCCL) watchdog thread terminated with exception: "


def raised(*texts: str) -> str:
    """Errors of Python (`torch.OutOfMemoryError: ...`), nested ones too, and errors of C++ before an abort."""
    return rf"(?:{NAME}: +(?:[\w.]{{1,200}}: ){{0,5}})?(?:{WATCHDOG})?(?<= )(?:{'|'.join(texts)})"


def errors(*texts: str, ignore_case: bool = False) -> re.Pattern[bytes]:
    """Match lines with errors as in `raised`."""
    return lines(raised(*texts), ignore_case=ignore_case)


# A mistake in the code or a warning may quote another error, and is not that error.
MISTAKE = r"(?:Key|Name|Type|Attribute|Index|Assertion|Syntax)Error\b|[\w.]{0,199}Warning\b"


def inside(*texts: str) -> str:
    """Errors with one of the texts anywhere in their line."""
    return rf"(?!{MISTAKE})(?:{NAME}|fatal|RuntimeError): .{{0,800}}?(?:{'|'.join(texts)})"


PROGRAM = r"\S{1,200}| {1,2}(?:cause|Caused by)"  # a program, an exception, or a cause that uv prints below an error


def refused(*texts: str) -> str:
    """System errors of Python (`OSError: [Errno 28] No space left on device`) and of other programs."""
    return rf"(?:{PROGRAM}): (?:.{{0,300}}: )?(?:\[Errno \d+\] )?(?:{'|'.join(texts)})"


def refusals(*texts: str) -> re.Pattern[bytes]:
    """Match lines with errors as in `refused`."""
    return lines(refused(*texts))


HOLDS = r" Process \d+ has \d{1,4}\.\d\d GiB memory in use"

# The network: names of exceptions of libraries that fetch, and texts in any error.
FETCHING = (
    r"(?:\w{1,80}\.){0,9}(?:Connect(?:ion)?(?:Timeout)?Error|Connection(?:Refused|Reset|Aborted)Error|ConnectTimeout"
    r"|(?:Read|Write|Pool)Timeout(?:Error)?|NameResolutionError|NewConnectionError|MaxRetryError"
    r"|Proxy(?:Connection)?Error|RemoteProtocolError|ProtocolError|RemoteDisconnected|IncompleteRead"
    r"|ChunkedEncodingError|gaierror|herror|Client(?:Connector\w{0,40}|OS|Connection)Error|ServerDisconnectedError"
    r"|(?:Server|Socket|Connection)TimeoutError|EndpointConnectionError|ConnectionClosedError|HTTPClientError"
    r"|SSL\w{0,40}Error|LocalEntryNotFoundError|OfflineModeIsEnabled|CommError|TransportError|ServiceUnavailable"
    r"|GatewayTimeout|BadGateway|TooManyRequests)(?:: |$)",
    r"(?:requests|urllib3|httpx|httpcore|aiohttp|huggingface_hub|botocore)\.(?:\w{1,80}\.){0,9}"
    r"(?:Timeout(?:Exception)?|ReadError|WriteError|CloseError|NetworkError)(?:: |$)",
    r"socket\.timeout\b",
)
UNREACHABLE = (
    "Temporary failure in name resolution", "Name or service not known", "No address associated with hostname",
    "nodename nor servname", "[Gg]etaddrinfo failed", "[Ff]ailed to resolve", "[Cc]ould not resolve",
    "failed to lookup address", "unable to resolve host", "no such host", "dns error", "Max retries exceeded with url",
    "Network is unreachable", "No route to host", "[Cc]onnection timed out", "[Cc]onnection refused",
    "[Cc]onnection reset by peer", "Connection aborted", "Remote end closed connection",
    "[Ff]ailed to establish a new connection", "Failed to connect to", "[Cc]ould ?n[o']t connect to",
    "[Cc]annot connect to (?:host|proxy)", "Unable to connect to proxy", "Tunnel connection failed",
    "Proxy Authentication Required", "[Rr]ead timed out", "operation timed out", "urlopen error timed out",
    "i/o timeout", "error sending request for url", "specific connection error when trying to load",
    "[Cc]ouldn't reach (?:http|'.{1,200}' on the Hub)", "offline mode is enabled", "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed", "UNEXPECTED_EOF_WHILE_READING", "EOF occurred in violation of protocol",
    "TLS (?:handshake|connect error)",
    r"\b(?:408|429|5\d\d) (?:Client|Server) Error", r"HTTP Error (?:408|429|5\d\d)\b",
    r"(?:Client|Server) error '(?:408|429|5\d\d)\b", r"HTTP status (?:client|server) error \((?:408|429|5\d\d)\b",
    r"\b(?:429|50[0-4])(?:, message=|:)? ?'?(?:Too Many|Internal Server|Bad Gateway|Service|Gateway|Backend|Quota)",
    "Too Many Requests", "Service (?:Temporarily )?Unavailable", "Bad Gateway", "Gateway Time-?[Oo]ut",
    r"An error occurred \((?:SlowDown|Throttling\w{0,40}|RequestTimeout|ServiceUnavailable|InternalError|50\d)\)",
)  # fmt: skip
OF_PROGRAMS = (  # messages of curl, wget, git, ssh and uv
    r"curl: \((?:5|6|7|18|28|35|52|55|56|92)\) ",
    r"Connecting to .{1,300}\.\.\. failed: ",
    r"ssh: (?:connect to host|Could not resolve) ",
    r" {1,2}(?:cause|Caused by): .{0,300}(?:dns error|tcp connect error|operation timed out|client error \(Connect\))",
)

# The run reports that a process it started was killed. Some libraries say only that the process has gone.
KILLED = "|".join(
    [
        inside(
            r"(?:killed|terminated) (?:by|with) signal:? (?:Killed|SIGKILL|9)\b",
            r"died with <Signals\.SIGKILL: 9>",
            r"SIGKILL\(-9\)",
            "exited with code -9",
        ),
        r" {0,9}exitcode {1,9}: -9 \(pid: \d+\)",
        r" {0,9}traceback : Signal 9 \(SIGKILL\) received by PID \d+",
    ]
)

RULES = (
    Rule(
        "network-stalled",  # the last line of the log
        failure="timeout",
        says="killed: it ran longer than RUN_TIMEOUT while it waited for the network",
        statuses=(124,),
        machine=("network", "the network or a server does not answer"),
        text=re.compile(
            rb"^(?:%s)[^\n]{0,900}\s{0,99}\Z"
            % "|".join(
                [
                    r"'\([^\n]{0,900}thrown while requesting (?:HEAD|GET)",
                    r"(?:WARNING[^\n]{0,200})?Retrying (?:in \d|\(Retry)",
                    *FETCHING,
                    inside(*UNREACHABLE),
                ]
            ).encode(),
            re.MULTILINE,
        ),
    ),
    Rule("timeout", failure="timeout", statuses=(124,)),
    Rule(
        "oom-killer",
        failure="oom",
        says="it ran out of memory: the kernel's OOM killer ended it",
        statuses=(137,),
        oom_killer=True,
    ),
    Rule(
        "oom-reported",  # by a program that watches the memory of the cgroup or the machine
        failure="oom",
        text=lines(
            r"slurmstepd: error: Detected \d+ oom.?kill event",
            r"srun: error: .{1,200}: Out Of Memory",
            r"(?:ray\.exceptions\.)?OutOfMemoryError: Task was killed due to the node running low on memory",
        ),
    ),
    # HUP, INT, QUIT, KILL and TERM come from outside, so the log does not have the cause.
    Rule("killed", failure="killed", statuses=(129, 130, 131, 137, 143)),
    # --- The machine -------------------------------------------------------------------------------------------------
    Rule(
        "not-run",
        says="it could not be started",
        statuses=(126, 127),
        machine=("environment", "uv, or a program that it starts, cannot be run"),
    ),
    Rule(
        "sandbox",
        machine=("environment", "the sandbox fails"),
        statuses=(1,),
        text=re.compile(rb"\A(?:bwrap|landlock): "),
    ),
    Rule(
        "gpu-gone",
        machine=("gpu", "no usable GPU"),
        text=lines(
            raised(
                "No (?:(?:CUDA|HIP|MUSA) GPU|XPU device|NPU)s are available",
                r"Found no (?:NVIDIA|HIP|AMD|XPU)\b.{0,20} on your system",
                "The NVIDIA driver on your system is too old",
                "CUDA driver initialization failed",
                "CUDA unknown error - ",
                r"Unexpected error from (?:cuda|hip)GetDeviceCount\(\)",
                r"(?:CUDA|HIP) (?:driver )?error: (?:no (?:CUDA|ROCm)-capable device is detected"
                r"|CUDA driver version is insufficient for CUDA runtime version"
                r"|system has unsupported display driver|forward compatibility was attempted)",
                "Unable to initialize backend '(?:cuda|gpu|rocm|tpu)'",
                "(?:No visible (?:GPU|TPU)|no supported devices found for platform)",
            ),
            # The driver was updated while the machine ran, or a container lost its devices.
            r"(?:[\w.-]{1,80}: .{0,200})?(?:Failed to initialize NVML|nvml error): ",
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver",
            r"(?:\w+\.)*NVMLError_(?:DriverNotLoaded|LibraryNotFound|LibRmVersionMismatch|Unknown)\b",
            inside("CUDA_ERROR_(?:NO_DEVICE|SYSTEM_DRIVER_MISMATCH|COMPAT_NOT_SUPPORTED)", "hipErrorNoDevice"),
        ),
    ),
    Rule(
        "gpu-broken",
        machine=("gpu", "the GPU or its driver is broken"),
        text=lines(
            raised(
                r"(?:CUDA|HIP) (?:driver )?error: (?:"
                r"(?:all )?CUDA-capable device(?:s are|\(s\) is/are) busy or unavailable"
                r"|uncorrectable (?:ECC|NVLink) error|system not yet initialized|unknown error)",
                "GPU is lost",
                "GPU has fallen off the bus",
            ),
            inside(
                "CUDA_ERROR_(?:ECC_UNCORRECTABLE|NVLINK_UNCORRECTABLE|DEVICE_UNAVAILABLE|SYSTEM_NOT_READY)",
                "cudaErrorDevicesUnavailable",
                "cudaErrorECCUncorrectable",
                "hipErrorECCNotCorrectable",
                "uncorrectable ECC error encountered",
            ),
        ),
    ),
    # In a container and in the sandbox, torch does not recognize its own process, and lists its memory too. So there,
    # another process is at fault only if two are listed. If the driver does not know the amount, as in WSL, it prints
    # 17179869184.00 GiB.
    Rule(
        "gpu-held",
        failure="oom",
        machine=("gpu-memory", "another process uses the GPU's memory"),
        text=errors(
            rf"CUDA out of memory\.(?=.{{0,2000}}{HOLDS})(?=.{{0,2000}} this process has )",
            rf"CUDA out of memory\.(?:.{{0,2000}}{HOLDS}){{2}}",
        ),
    ),
    Rule(
        "shared-memory",  # a container has 64 MB of it by default
        failure="oom",
        says="/dev/shm is full",
        machine=("shared-memory", "/dev/shm is too small (in Docker, use --shm-size or --ipc=host)"),
        text=lines(
            inside(
                r"worker \(pid\(?s?\)? [\d, ]+\) is killed by signal: Bus error",
                "workers are out of shared memory",
                r"insufficient shared memory \(shm\)",
                r"unable to (?:write to file|open shared memory object|mmap \d+ bytes from file) </?torch_",
                r"No space left on device.{0,40}/dev/shm/",
                r"[Ee]rror while creating shared memory segment",
                "/dev/shm/nccl-",
            ),
            "(?:ERROR: )?Unexpected bus error encountered in worker",
        ),
    ),
    Rule(
        "evaluator",
        machine=("environment", "the evaluator fails"),
        text=lines("RuntimeError: the evaluator has ended without a number"),
    ),
    Rule(
        "disk-full",
        machine=("disk", "the disk is full"),
        text=refusals("No space left on device", "Disk quota exceeded"),
    ),
    Rule(
        "output-lost",  # Python's status if it cannot write its output; it cannot report that either
        says="its output was lost",
        statuses=(120,),
        machine=("disk", "the log cannot be written"),
    ),
    # The sandbox makes all other paths read-only on purpose.
    Rule(
        "disk-read-only",
        machine=("disk", "the disk is read-only"),
        text=lines(rf"(?:{PROGRAM}): (?=.{{0,1000}}Read-only file system).{{0,1000}}/run\.\d+/(?:scratch|handover)\b"),
    ),
    Rule(
        "disk-broken",
        machine=("disk", "the disk is broken or missing"),
        text=refusals("Input/output error", "Stale file handle", "Transport endpoint is not connected"),
    ),
    Rule(
        "bus-error",  # reading a memory-mapped file, such as the tokens
        says="it crashed: bus error",
        statuses=(135,),
        machine=("disk", "a memory-mapped file cannot be read or was truncated"),
    ),
    Rule(
        "data-missing",  # messages of our prepare.py and of the published one
        machine=("data", "the data is missing"),
        text=lines(
            "prepare: (?:missing|damaged) data '",
            r"FileNotFoundError: \[Errno 2\] .{0,100}: '[^'\n]{0,2000}/autoresearch/(?:data|tokenizer)\b",
            r"AssertionError: No parquet files found\. Run prepare\.py first",
        ),
    ),
    Rule(
        "uv",  # uv failed before train.py printed anything
        statuses=(1, 2),
        machine=("environment", "uv fails"),
        text=re.compile(rb"\A(?=\S)(?:(?:warning: | |Using |Removed |Creating ).*\n|\n)*error: "),
    ),
    Rule(
        "packages",  # packages that prepare.py imports, and libraries of torch
        statuses=RAISED,
        machine=("environment", "packages are missing from the environment"),
        text=lines(
            "ModuleNotFoundError: No module named '(?:torch|numpy|rustbpe|tiktoken|filelock|tqdm)'$",
            r"(?:ImportError|OSError): [^\s:]{1,200}\.so[.\d]*: cannot open shared object file",
        ),
    ),
    Rule(
        "network",  # it may also be the experiment's fault: 50-check-machine decides by another run
        is_last=True,
        machine=("network", "the network or a server does not answer"),
        text=lines(*FETCHING, *OF_PROGRAMS, inside(*UNREACHABLE)),
    ),
    # --- Memory ------------------------------------------------------------------------------------------------------
    Rule(
        "gpu-memory",
        failure="oom",
        text=lines(
            raised(
                "(?:CUDA|HIP|XPU|MUSA|NPU|MPS backend) out of memory",
                "CUDA (?:driver )?error: (?:out of memory|(?:CU|HIP)BLAS_STATUS_ALLOC_FAILED)",
                r"cuDNN error: CUDNN_STATUS_\w*ALLOC",
                # PyTorch's allocator without a message of its own.
                r"NVML_SUCCESS == .{1,200} INTERNAL ASSERT FAILED at .{1,200}CUDACachingAllocator",
                "RESOURCE_EXHAUSTED: ",
            ),
            inside(
                "[Oo]ut of memory(?! bounds)",
                "RESOURCE_EXHAUSTED: (?:Out of|OOM|Failed to allocate|Error allocating|Attempting to)",
                "OOM when allocating",
                "failed to allocate memory",
                "[Ii]nsufficient Memory",
                "not enough GPU video memory",
                r"\[(?:METAL|metal|malloc)[^\]\n]{0,40}\].{0,80}(?:[Uu]nable to allocate|greater than the maximum)",
                "(?:UR|PI|ZE)_(?:RESULT_ERROR|ERROR|RESULT)_OUT_OF_(?:DEVICE_MEMORY|HOST_MEMORY|RESOURCES)",
                "(?:CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|hipErrorOutOfMemory|hipErrorMemoryAllocation)",
                "(?:CUBLAS|HIPBLAS|CUDNN|CUSOLVER|CUSPARSE|CUFFT)_STATUS_(?:INTERNAL_ERROR_)?ALLOC_FAILED",
            ),
            r"libc\+\+abi: .{0,300}(?:[Ii]nsufficient Memory|[Uu]nable to allocate)",
            r"(?:\w+\.)*\w*(?:OutOfMemory|ResourceExhausted)\w*(?:: |$)",
        ),
    ),
    Rule(
        "memory",
        failure="oom",
        text=lines(
            r"(?:\w+\.)*\w*MemoryError\b",
            r".{0,300}\bDefaultCPUAllocator: ",
            r".{0,300}\bstd::bad_alloc\b",
            r"\S{1,200}: (?:.{0,300}: )?(?:\[Errno 12\] )?Cannot allocate memory",
            "memory allocation of [0-9]+ bytes failed",  # Rust
            "fatal error: (?:runtime: )?(?:out of memory|cannot allocate memory)",  # Go, C++
        ),
    ),
    # A process that the run started was killed, and the run ended itself because of that.
    Rule(
        "child-oom-killed",
        failure="oom",
        says="it ran out of memory: the kernel's OOM killer ended one of its processes",
        oom_killer=True,
        text=lines(KILLED, inside("exited unexpectedly", "process pool was terminated abruptly", "died unexpectedly")),
    ),
    Rule("child-killed", failure="killed", says="one of its processes was killed", text=lines(KILLED)),
    # --- Not a number ------------------------------------------------------------------------------------------------
    Rule(
        "nan-fail",  # train.py's word; the published train.py prints it after the last progress line
        failure="nan",
        statuses=RAISED,
        text=re.compile(rb"^FAIL: training loss is |(?:^| )FAIL(?=\s*\Z)", re.MULTILINE),
    ),
    Rule(
        "nan-error",
        failure="nan",
        text=errors(
            r".{0,200}\b(?:loss|logits|gradients|probability tensor|returned)\b"
            r".{0,100}\b(?:nan|inf|non-finite|not finite)\b",
            "cannot convert float (?:nan|infinity) to integer",
            ignore_case=True,
        ),
    ),
    Rule(
        "nan-printed",
        failure="nan",
        text=lines(
            r"val_bpb:[ \t]*[-+]?(?:nan|inf)", r".{0,300}\bloss\b[ \t]*[:=]?[ \t]*[-+]?(?:nan|inf)\b", ignore_case=True
        ),
    ),
    # --- Errors ------------------------------------------------------------------------------------------------------
    Rule(
        "blas",
        says="a call of cuBLAS or cuDNN failed",
        text=errors("CUDA error: CUBLAS_STATUS_", "cuDNN (?:Frontend )?error: "),
    ),
    Rule("cuda", says="a CUDA kernel failed", text=errors("CUDA (?:driver )?error: ", r"Triton Error \[CUDA\]: ")),
    Rule(
        "compile",
        says="torch.compile failed",
        statuses=RAISED,
        text=lines(r"(?:torch\._(?:dynamo|inductor|functorch)|triton)\.[\w.]{1,200}: "),
    ),
    Rule(
        "import",
        says="an import failed",
        statuses=RAISED,
        text=lines(r"(?:ImportError|ModuleNotFoundError)\b"),
    ),
    Rule("assertion", says="an assertion failed", statuses=RAISED, text=lines(r"AssertionError\b")),
    # Signals that a process causes itself: ILL, TRAP, ABRT, FPE, SEGV, SYS.
    Rule("segmentation-fault", says="it crashed: segmentation fault", statuses=(139,)),
    Rule("abort", says="it crashed: abort", statuses=(134,)),
    Rule("crash", says="it crashed", statuses=(132, 133, 136, 159)),
    Rule("signal", failure="killed", statuses=SIGNALLED),
    Rule("error"),
)
