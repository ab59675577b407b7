"""A Ray session: the one that is there, one of a cluster, or one on this machine that ends with the run."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import MissingFrameworkError
from .task import EngineError

__all__ = ["imported_ray", "joined", "started"]

_OBJECTS = 80 * 2**20  # bytes; the least that Ray takes, as nothing but receipts travels
_PREFIX, _LOCK = "ba-ray-", "in-use"
_LONGEST = 20  # characters of a folder that leave room for the names of Ray's sockets
_REACH = 5.0  # seconds
_ADVICE = "Start a cluster with `ray start --head`, and pass its address; or 'local' for Ray on this machine only."
# RAY_AUTH_MODE stays: Ray reads it once, and a cluster that is started from here later must be of the same mind.
_RAYS_VARIABLES = ("PYTHONBREAKPOINT",)
_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nobody is told
    # The engine says itself what a death means; Ray would print it to stdout, where data may be expected.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed|Raylet is terminated|The node with node id",
    # Workers for which no GPU was asked see none.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}


def imported_ray() -> Any:
    """Return Ray.

    Raises
    ------
    MissingFrameworkError
        If it cannot be imported.
    """
    with _variables():  # some are read on import
        try:
            import ray
        except ImportError as error:
            raise MissingFrameworkError(
                f"engine='ray' needs Ray, which could not be imported: {error}. Install it with: "
                f"pip install 'brain-adapters[ray]'"
            ) from error
    return ray


@contextmanager
def started(n_cpus: float, n_gpus: int, init: Mapping[str, Any]) -> Iterator[None]:
    """Have Ray on this machine only, also where there is a cluster; nothing is left of it afterwards.

    Parameters
    ----------
    n_cpus : float
        That it gives to workers; a number to count with, not to be compared with the cores.
    n_gpus : int
        That it gives to workers.
    init : mapping of str to object
        Further arguments of ``ray.init``, or other values for those that are set here.

    Raises
    ------
    EngineError
        If it does not start.
    """
    with ExitStack() as stack:
        options = {
            "num_cpus": n_cpus,
            "num_gpus": n_gpus,
            "object_store_memory": _OBJECTS,
            "include_dashboard": False,
            **init,
        }
        if "_temp_dir" not in options:
            options["_temp_dir"] = str(stack.enter_context(_own_folder()))
        stack.enter_context(joined("local", options))
        yield


@contextmanager
def joined(address: str, init: Mapping[str, Any]) -> Iterator[None]:
    """Be a client of a cluster for the time of a block.

    Parameters
    ----------
    address : str
        Of the cluster, as ``ray.init`` takes it.
    init : mapping of str to object
        Further arguments of ``ray.init``.

    Raises
    ------
    EngineError
        If it cannot be reached.
    """
    ray = imported_ray()
    _require_somebody_at(address)
    gc.collect()  # what is left of an earlier session would take things of this one with it: names come again
    options = {"logging_level": "ERROR", "log_to_driver": False, **init}
    with _same_process():
        try:
            try:
                with _later_interrupt(), _variables(), warnings.catch_warnings():
                    # JAX warns of forks; those of Ray start another program at once.
                    warnings.filterwarnings("ignore", message=r"os\.fork", category=RuntimeWarning)
                    ray.init(address=address, **options)
            except (OSError, RuntimeError, ValueError, TimeoutError) as error:
                raise EngineError(f"Ray did not start with address={address!r}: {error} {_ADVICE}") from error
            yield
        finally:
            ray.shutdown()


def _require_somebody_at(address: str) -> None:
    host, separator, port = address.rpartition(":")
    if separator and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _REACH).close()
        except OSError as error:  # Ray would try for minutes
            raise EngineError(f"Nobody answers at address={address!r}: {error}. {_ADVICE}") from error


@contextmanager
def _variables() -> Iterator[None]:
    """Set what Ray reads from the environment, where the user has not said anything else."""
    missing = {name: value for name, value in _VARIABLES.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Give a folder for what Ray writes down, and remove it afterwards, with those of processes that were killed."""
    import fcntl  # not on Windows

    usual = tempfile.gettempdir()
    place = Path(usual if len(usual) <= _LONGEST else "/tmp")
    for left in place.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), left.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    try:
        with (folder / "new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "new").rename(folder / _LOCK)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _later_interrupt() -> Iterator[None]:
    """Have Ctrl-C wait for the end of a block, in which it could be lost in a callback; but not a second one."""
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)


@contextmanager
def _same_process() -> Iterator[None]:
    """Take back what Ray does to the environment, to ``breakpoint()``, and with SIGTERM."""
    variables, is_main = dict(os.environ), threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        for name in _RAYS_VARIABLES:
            if name in variables:
                os.environ[name] = variables[name]
            else:
                os.environ.pop(name, None)
        if is_main and handler is not None:  # None: it was not set from Python
            signal.signal(signal.SIGTERM, handler)
