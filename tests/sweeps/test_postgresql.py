"""Two machines on one study in a real PostgreSQL: workspaces of their own, one database, disjoint trials."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.runs.store import list_runs
from core.sweeps.launch import start_worker
from core.sweeps.results import num_done
from core.sweeps.store import URL
from core.sweeps.study import read_spec
from core.workspace import Workspace
from tests.running import free_port
from tests.sweeps.conftest import MakeSweep, ended
from tests.waiting import wait_until

SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
REASONS = [
    (os.environ.get("CI") == "true", "a database server is not started in CI"),
    (not SERVERS, "no PostgreSQL here: apt-get install postgresql"),
    (importlib.util.find_spec("psycopg") is None, "no driver here: pip install 'psycopg[binary]'"),
]
WHY_NOT = next((reason for is_so, reason in REASONS if is_so), "")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of the test's own, on this machine alone."""
    folder, port = tmp_path_factory.mktemp("postgres"), free_port()
    # The server refuses to run as root; its own user must be able to reach the folder, which pytest keeps private.
    who = {"user": "postgres"} if os.geteuid() == 0 else {}
    if who:
        for parent in (folder, *folder.parents[:2]):
            os.chmod(parent, 0o755)
        subprocess.run(["chown", "postgres", str(folder)], check=True)
    there = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **who}
    tools = SERVERS[-1].parent
    subprocess.run([tools / "initdb", "-D", folder / "data", "-U", "me", "-A", "trust"], check=True, **there)
    server = subprocess.Popen(
        [tools / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder], **there
    )
    asked = [tools / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
    try:
        wait_until(lambda: subprocess.run(asked, capture_output=True).returncode == 0, "PostgreSQL to answer", 30)
        yield f"postgresql+psycopg://me@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # ends now; with SIGTERM it would wait until nobody is connected
        server.wait(30)


def test_two_machines_share_a_study(
    database: str, light_sweep: MakeSweep, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, database)
    first = light_sweep("one", trials=6, epoch_s=0.1)
    start_worker(first)
    wait_until(lambda: len(first.trials()) > 0, "the first trial")
    assert read_spec(database, "one") == first.spec
    other = Workspace(tmp_path / "other")
    monkeypatch.setenv("DARKROOM_HOME", str(other.root))
    second = light_sweep("one", home=other, trials=6, epoch_s=0.1)
    start_worker(second)
    assert ended(first).state == "finished" and ended(second).state == "finished"
    rows = second.trials()
    assert num_done(rows) == 6 and [row.values for row in rows] == [row.values for row in first.trials()]
    here, there = ({run.id for run in list_runs(home)} for home in (workspace, other))
    assert here and there and not here & there
    begun = [row for row in rows if row.state != "waiting"]
    assert here | there == {row.run for row in begun} and len(begun) == 7
    assert {row.home for row in begun if row.run in there} == {str(other.root)}
