"""Processes told apart by more than their number, which the system gives again to another once one has ended."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import psutil

from core.errors import DarkroomError

DEAD = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, told apart from a later one with the same number by its start time (seconds since the epoch)."""

    pid: int
    start_time: float

    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie is dead."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.start_time) < 1.0 and process.status() not in DEAD
        except psutil.Error:
            return False

    def kill_tree(self) -> bool:
        """Kill this process and those it started, whole groups where they lead one; never a stranger.

        Returns:
            Whether it lived: where the number by now belongs to another process, or to none, nothing is done.
        """
        try:
            process = psutil.Process(self.pid)
            started = [ProcessIdentity(one.pid, one.create_time()) for one in process.children(recursive=True)]
        except psutil.Error:
            started = []
        lived = self._kill()
        for other in started if lived else ():
            other._kill()
        return lived

    def _kill(self) -> bool:
        try:
            handle = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        except OSError:
            return False
        try:
            # Looked at after the handle was made, so that what is alive here is what the handle means.
            if not self.is_alive():
                return False
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
            elif handle is not None:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise DarkroomError(
                f"Process {self.pid} belongs to another user, so it cannot be ended from here.", "Ask its owner."
            ) from error
        finally:
            if handle is not None:
                os.close(handle)
        return True


def system_says(pid: int) -> str:
    """The process table's word for what a process does, such as `sleeping`; `dead` for one that is not in it."""
    try:
        return str(psutil.Process(pid).status())
    except psutil.Error:
        return str(psutil.STATUS_DEAD)


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of a living process, or None where it is gone already."""
    try:
        return ProcessIdentity(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def kills_for_memory() -> int | None:
    """How many processes this system has killed since it booted because memory ran out; None where it does not tell."""
    try:
        with open("/proc/vmstat", encoding="ascii") as counters:
            return next((int(line.split()[1]) for line in counters if line.startswith("oom_kill ")), None)
    except (OSError, ValueError):
        return None
