"""Find Slurm, which tests/engines/test_slurm.py drives, and run one of one node. On Debian, as root, install it.

    python tests/environment/slurm.py

Exit status 0 when it is there; else 1, and stderr says what to install.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
ADVICE = (
    "tests/engines/test_slurm.py needs Slurm, and {missing} was not found. Install it (Debian: apt-get install "
    "slurm-wlm). It is not set up on the machine: the tests start one of their own."
)
START_SECONDS = 60.0
END_SECONDS = 30.0
# No authentication, no accounting, no control groups; all decisions within a second or so. cred_expire is the time that
# an element waits before it is started again, two minutes if nothing is said.
CONFIGURATION = """
ClusterName=toys
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=1
JobRequeue=1
KillWait=2
MessageTimeout=30
ReturnToService=2
SlurmdTimeout=0
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName=toy NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=toys Nodes=toy Default=YES MaxTime=INFINITE State=UP
"""


class ToySlurm:
    """A Slurm of one node with two processors, of which nobody else knows.

    Parameters
    ----------
    folder : Path
        Where its files are, without spaces.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.configuration = folder, folder / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool"):
            (folder / name).mkdir()
        ports = _free_ports(2)
        text = CONFIGURATION.format(
            folder=folder,
            host=socket.gethostname().partition(".")[0],
            user=_user(),
            controller_port=ports[0],
            node_port=ports[1],
        )
        self.configuration.write_text(text)

    def ask(self, *command: str) -> str:
        """Return what a command of Slurm says; it must succeed."""
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr}{done.stdout}")
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return the environment in which Slurm's commands mean this one."""
        return {**os.environ, "SLURM_CONF": str(self.configuration)}

    def start(self, daemon: str) -> None:
        """Start slurmctld or slurmd."""
        with (self.folder / f"{daemon}.log").open("ab") as log:
            self._daemons[daemon] = subprocess.Popen(
                [_found(daemon) or daemon, "-D"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
            )

    def stop(self, daemon: str) -> None:
        """End slurmctld or slurmd, whose state is kept."""
        process = self._daemons.pop(daemon)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextmanager
    def paused(self, daemon: str) -> Iterator[None]:
        """Let slurmctld or slurmd hang for the length of a block."""
        process = self._daemons[daemon]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def wait_until_ready(self) -> None:
        """Wait until it takes jobs."""

        def is_ready() -> bool:
            dead = [name for name, process in self._daemons.items() if process.poll() is not None]
            if dead:
                raise RuntimeError(f"{dead[0]} ended:\n{self.logs()}")
            command = ["sinfo", "--noheader", "--format=%T"]
            done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
            return done.stdout.strip() in ("idle", "mixed", "allocated")

        if not wait_until(is_ready, START_SECONDS):
            raise RuntimeError(f"Slurm did not get ready in {START_SECONDS:.0f} s:\n{self.logs()}")

    def jobs(self) -> str:
        """Return what waits or runs, one element in a line: job_element and state."""
        return self.ask("squeue", "--noheader", "--array", "--format=%i %T").strip()

    def logs(self) -> str:
        """Return the end of both logs."""
        return "".join(f"{path.name}:\n{path.read_text()[-3000:]}\n" for path in sorted(self.folder.glob("*.log")))

    def cancel_all(self) -> None:
        """End all jobs, and wait until they are gone."""
        self.ask("scancel", "--user", _user())
        wait_until(lambda: not self.jobs(), END_SECONDS)

    def end(self) -> None:
        """End all jobs, then the daemons."""
        try:
            if len(self._daemons) == 2:
                self.cancel_all()
        finally:
            for daemon in list(self._daemons):
                self.stop(daemon)


@contextmanager
def running_slurm(folder: Path) -> Iterator[ToySlurm]:
    """Give a Slurm that lives as long as the block."""
    slurm = ToySlurm(folder)
    try:
        slurm.start("slurmctld")
        slurm.start("slurmd")
        slurm.wait_until_ready()
        yield slurm
    finally:
        slurm.end()


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition; return whether it came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.1)
    return False


def missing_programs() -> list[str]:
    """Return which programs of Slurm are not there."""
    return [name for name in PROGRAMS if _found(name) is None]


def install() -> None:
    """Install Debian's package, quietly; what apt says is shown when it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "slurm-wlm"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}\n")
            return


def _found(program: str) -> str | None:
    # Daemons are in sbin, which is not on everybody's path.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    return shutil.which(program, path=path)


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


if __name__ == "__main__":
    if missing_programs() and shutil.which("apt-get") and os.geteuid() == 0:
        sys.stdout.write("== installing slurm-wlm, which tests/engines/test_slurm.py drives\n")
        sys.stdout.flush()
        install()
    sys.exit(ADVICE.format(missing=missing_programs()[0]) if missing_programs() else None)
