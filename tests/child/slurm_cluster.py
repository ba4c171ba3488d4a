"""A real Slurm on this machine alone: munged, slurmctld and a slurmd for each node; no systemd, no database.

By hand: `python tests/child/slurm_cluster.py FOLDER [NODES]` starts one and prints SLURM_CONF; Ctrl-C or TERM ends it.
It listens on the loopback address only. The nodes are names: each has its own slurmd, so one can be lost with power
while the other goes on. Each has one GPU, which is /dev/null by another name.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
SBIN = "/usr/sbin:/usr/local/sbin"
NODE_TIMEOUT_S = 10  # until a node that is silent is down; 300 where nobody says it

CONF = """\
ClusterName=tests
FirstJobId=1
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
KillWait=5
MinJobAge=60
SlurmctldTimeout=30
SlurmdTimeout={timeout}
GresTypes=gpu
"""


# With memory limits, which the kernel's first version of control groups holds.
LIMITED = {
    "proctrack/linuxproc": "proctrack/cgroup",
    "task/none": "task/cgroup",
    "CR_Core": "CR_Core_Memory",
    "CPUs=2": "CPUs=2 RealMemory=1000",
}
CGROUP = "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nConstrainRAMSpace=yes\nConstrainSwapSpace=yes\n"
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


def missing() -> str:
    """The first program that is not here; empty where all are."""
    path = f"{os.environ['PATH']}:{SBIN}"
    return next((name for name in PROGRAMS if not shutil.which(name, path=path)), "")


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not after {seconds} s")
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """In `folder`, with nodes n1, n2, ..."""

    def __init__(self, folder: Path, nodes: int = 2) -> None:
        self.folder, self.nodes = folder, [f"n{number}" for number in range(1, nodes + 1)]
        self.conf, self.starts = folder / "slurm.conf", 0
        self.environment = {"PATH": f"{os.environ['PATH']}:{SBIN}", "SLURM_CONF": str(self.conf)}
        for name in ("state", "dev", *(f"spool-{node}" for node in self.nodes)):
            (folder / name).mkdir(parents=True)
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        self.write_conf()

    def write_conf(self) -> None:
        host, ports = socket.gethostname().split(".")[0], free_ports(1 + len(self.nodes))
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        text = CONF.format(host=host, ports=ports, user=user, folder=self.folder, timeout=NODE_TIMEOUT_S)
        gres = ""
        for number, (node, port) in enumerate(zip(self.nodes, ports[1:], strict=True)):
            (self.folder / f"dev/nvidia{number}").symlink_to("/dev/null")
            text += f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 Gres=gpu:1\n"
            gres += f"NodeName={node} Name=gpu File={self.folder}/dev/nvidia{number}\n"
        text += f"PartitionName=main Nodes={','.join(self.nodes)} Default=YES MaxTime=60 State=UP\n"
        self.conf.write_text(text)
        (self.folder / "gres.conf").write_text(gres)

    def limit_memory(self) -> "Cluster":
        """A job gets the memory of its --mem, and no more."""
        text = self.conf.read_text()
        for old, new in LIMITED.items():
            text = text.replace(old, new)
        self.conf.write_text(text)
        (self.folder / "cgroup.conf").write_text(CGROUP)
        return self

    def call(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        print(f"{command}: {done}")
        assert not check or done.returncode == 0, done
        return done.stdout

    def start(self) -> "Cluster":
        self.call(
            "munged", f"--socket={self.folder}/munge.socket", f"--key-file={self.folder}/munge.key",
            f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed", "--num-threads=2", "--force",
        )  # fmt: skip
        wait_until((self.folder / "munge.socket").exists)
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        wait_until(lambda: self.call("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(self.nodes))
        return self

    def start_controller(self) -> None:
        """One that was killed may have lost the last ids, and a node on which an id comes again is drained."""
        self.starts += 1
        self.conf.write_text(re.sub("FirstJobId=.*", f"FirstJobId={1000 * self.starts}", self.conf.read_text()))
        self.call("slurmctld", "-f", str(self.conf))
        wait_until(lambda: "UP" in self.call("scontrol", "ping", check=False))

    def start_node(self, node: str) -> None:
        self.call("slurmd", "-N", node, "-f", str(self.conf))

    def pid(self, daemon: str) -> int:
        return int((self.folder / f"{daemon}.pid").read_text())

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> None:
        pid = self.pid(daemon)
        os.kill(pid, number)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        (self.folder / f"{daemon}.pid").unlink(missing_ok=True)

    def steps_of(self, node: str) -> list[int]:
        """The step daemons of a node: they have its log open."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (folder / "cmdline").read_bytes().startswith(b"slurmstepd"):
                    log = self.folder / f"slurmd-{node}.log"
                    found += [int(folder.name)] * any(path.resolve() == log for path in (folder / "fd").iterdir())
        return found

    def lose(self, node: str) -> None:
        """It loses its power: all of it is gone at once, its jobs, too."""
        steps = self.steps_of(node)
        self.kill(f"slurmd-{node}")
        for pid in [pid for step in steps for pid in (step, *descendants(step))]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def mend(self) -> None:
        """All daemons are at work, all nodes are idle, and there is no job."""
        if not self.is_alive("slurmctld"):
            self.start_controller()
        self.call("scancel", "--me", check=False)
        for node in self.nodes:
            if not self.is_alive(f"slurmd-{node}"):
                self.start_node(node)
            self.call("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        wait_until(lambda: self.call("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(self.nodes))

    def is_alive(self, daemon: str) -> bool:
        try:
            return Path(f"/proc/{self.pid(daemon)}").exists()
        except (OSError, ValueError):
            return False

    def stop(self) -> None:
        if (self.folder / "slurmctld.pid").exists():
            self.call("scancel", "--me", check=False)
            with suppress(TimeoutError):
                wait_until(lambda: not self.call("squeue", "-h", check=False), 10)
        for daemon in (*(f"slurmd-{node}" for node in self.nodes), "slurmctld", "munged"):
            with suppress(OSError, ValueError, TimeoutError):
                self.kill(daemon, signal.SIGTERM)
        if (self.folder / "cgroup.conf").exists():
            groups = ("find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", "*/slurm_n1*", "-delete")
            self.call(*groups, check=False)  # those that are used stay


def descendants(pid: int) -> list[int]:
    children = []
    with suppress(OSError):
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [one for child in children for one in (child, *descendants(child))]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    cluster = Cluster(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    try:
        print(f"export SLURM_CONF={cluster.start().conf}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        cluster.stop()
