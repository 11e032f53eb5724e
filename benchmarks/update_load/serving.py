"""What one server bears: wrk asks it for what looks ask for."""

import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.update_load.web_server import WebServer, needed

CONNECTIONS = 64
# A look: the root after the newest, which is not there, and the timestamp; then the connection ends.
_LOOK = """
local number = 0
request = function()
  number = number + 1
  if number % 2 == 1 then return wrk.format("GET", "{root}", {{["User-Agent"] = "litelens"}}) end
  return wrk.format("GET", "/metadata/timestamp.json", {{["User-Agent"] = "litelens", ["Connection"] = "close"}})
end
"""
_SAME = """
request = function() return wrk.format("GET", "{path}", {{["User-Agent"] = "litelens"}}) end
"""
_REPORT = """
done = function(summary, latency)
  local e = summary.errors
  print(string.format("took_us=%d requests=%d bytes=%d p50_us=%d p99_us=%d errors=%d", summary.duration,
    summary.requests, summary.bytes, latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """One run of wrk."""

    requests_s: float
    bytes_s: float
    p50_ms: float
    """Of a request, with CONNECTIONS waiting at once: as slow as it gets, not as fast as it can."""
    p99_ms: float
    errors: int
    """Connections and answers that failed; an answer of 404 is none, a look wants it."""


def bear_looks(server: WebServer, site: Path, folder: Path, *, seconds: int, runs: int) -> list[Load]:
    """So many runs of looks, as fast as one thread of wrk can make them."""
    newest = max(int(path.name.split(".")[0]) for path in (site / "metadata").glob("*.root.json"))
    script = _LOOK.format(root=f"/metadata/{newest + 1}.root.json")
    return [_wrk(server, folder, script, seconds) for _ in range(runs)]


def bear_downloads(server: WebServer, site: Path, folder: Path, *, seconds: int) -> Load:
    """One run of downloads of the newest model file."""
    newest = max((site / "targets").rglob("*.tflite"), key=lambda path: path.stat().st_mtime_ns)
    return _wrk(server, folder, _SAME.format(path=f"/{newest.relative_to(site)}"), seconds)


def median(loads: list[Load]) -> Load:
    """Figure by figure; of errors the sum."""
    middle = {name: statistics.median(getattr(load, name) for load in loads) for name in Load.__annotations__}
    return Load(**middle | {"errors": sum(load.errors for load in loads)})


def _wrk(server: WebServer, folder: Path, script: str, seconds: int) -> Load:
    file = folder / "look.lua"
    file.write_text(script + _REPORT)
    command = [needed("wrk", "wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", file, server.address]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    told = {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", ended.stdout)}
    if ended.returncode or "took_us" not in told:
        raise click.ClickException(f"wrk failed: {(ended.stderr or ended.stdout).strip()[-500:]}")
    took_s = told["took_us"] / 1e6
    return Load(
        told["requests"] / took_s,
        told["bytes"] / took_s,
        told["p50_us"] / 1e3,
        told["p99_us"] / 1e3,
        told["errors"],
    )
