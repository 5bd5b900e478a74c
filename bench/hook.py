"""What the WHMCS bridge costs the page in which a hook fires."""

import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import msgspec

from bench.figures import Bound, Options, Part, Row
from bench.noise import Run, Watch, in_words, median, undisturbed
from bench.servers import BenchError

SCRIPT = Path(__file__).with_name("bridge_hook.php")
P99 = Bound(1.0, at_least=False, unit="ms")


def measure(options: Options) -> Part | None:
    """Runs the PHP script; None if there is no PHP."""
    if shutil.which("php") is None:
        return None
    runs = [run for _ in range(options.repeats) for run in undisturbed(_one, tries=options.tries)]
    p50, p99, most = (median(runs, name) / 1000 for name in ("p50_us", "p99_us", "max_us"))
    rows = [
        Row("hook to return, p50", f"{p50:.3f}"),
        Row("hook to return, p99", f"{p99:.3f}", target=P99.text, met=P99.is_met(p99)),
        Row("hook to return, the slowest", f"{most:.2f}"),
    ]
    notes = [f"{runs[0].values['n']:,.0f} hooks a run. {in_words(runs)}"]
    return Part("A hook inside PHP, ms", "", rows, notes, [asdict(run) for run in runs])


def _one() -> Run:
    with Watch() as watch:
        done = subprocess.run(["php", str(SCRIPT)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise BenchError(f"{SCRIPT.name} failed: {done.stdout}{done.stderr}")
    return Run(msgspec.json.decode(done.stdout, type=dict[str, float]), watch.noise)
