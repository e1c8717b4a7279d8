"""Commands and programs that ask the API, ready to paste."""

from __future__ import annotations

import shlex

_KEY = "DARKROOM_API_KEY"


def curl(url: str, run_id: str, with_key: bool) -> str:
    """For a shell: the answer for `photo.jpg` as JSON.

    Args:
        url: of the server, without a slash at its end.
        with_key: whether a key is needed, which the shell's variable DARKROOM_API_KEY then holds.
    """
    key = f' -H "Authorization: Bearer ${_KEY}"' if with_key else ""
    return f"curl{key} -F files=@photo.jpg {shlex.quote(_address(url, run_id))}"


def python(url: str, run_id: str, with_key: bool) -> str:
    """A program that needs nothing but the package requests; arguments as for `curl`."""
    headers = f'\n    headers={{"Authorization": "Bearer " + os.environ["{_KEY}"]}},' if with_key else ""
    imports = "import os\nimport sys\n" if with_key else "import sys\n"
    return f"""{imports}
import requests  # pip install requests

paths = sys.argv[1:] or ["photo.jpg"]
response = requests.post(
    {_address(url, run_id)!r},
    files=[("files", open(path, "rb")) for path in paths],{headers}
    timeout=60,
)
answer = response.json()
if "predictions" not in answer:
    sys.exit(f"{{answer['error']}} {{answer['fix']}}")
for one in answer["predictions"]:
    if one["error"]:
        print(one["name"], "could not be read:", one["error"])
    elif one["accepted"]:
        print(one["name"], "is", one["label"], f"({{one['confidence']:.1%}})")
    else:
        print(one["name"], "gets no answer; the likeliest is", one["label"], f"({{one['confidence']:.1%}})")
"""


def alone(run_id: str) -> str:
    """For a shell where Darkroom is installed: a server with this model alone."""
    return f"python -m core serve {run_id} --port 8600"


def prometheus(url: str, with_key: bool) -> str:
    """A job for Prometheus' configuration."""
    scheme, _, host = url.partition("://")
    key = f"\n    authorization: {{credentials_file: {_KEY.lower()}}}" if with_key else ""
    return (
        f"scrape_configs:\n  - job_name: darkroom\n    scheme: {scheme}\n    metrics_path: /api/metrics{key}\n"
        f"    static_configs: [{{targets: [{host!r}]}}]\n"
    )


def _address(url: str, run_id: str) -> str:
    return f"{url}/api/v1/models/{run_id}/predict"
