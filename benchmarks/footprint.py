"""The API process: time to readiness, memory, and what it must not have loaded."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from sweep.client import Client

PROBE = """
import sys, threading
from service.__main__ import _settings
from service.ray_head import RayResources
from service import serving
from pathlib import Path

home = Path(sys.argv[1])

def tell():
    import time
    while not (home / "told").exists():
        time.sleep(0.05)
    heavy = [m for m in ("torch", "ray", "pandas", "scipy", "numpy") if m in sys.modules]
    (home / "modules").write_text(" ".join(heavy) or "none")

threading.Thread(target=tell, daemon=True).start()
serving.serve(_settings(None, 18080, home, embedded=True), resources=RayResources())
"""


def main() -> None:
    """Start the API process with nothing else, and look at it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = {**os.environ, "SWEEP_RAY_ADDRESS": "127.0.0.1:1"}
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", PROBE, folder], env=environment)
        try:
            while not (home / "server.json").exists():
                time.sleep(0.005)
            address = (home / "server.json").read_text().split('"')[3]
            with Client(address) as client:
                while not client.is_ready():
                    time.sleep(0.005)
                ready = time.perf_counter() - began
                spec = Path("studies/arithmetic.yaml").read_text()
                client.dry_run(spec)
                list(client.sweeps())
            memory = psutil.Process(process.pid).memory_info().rss / 1e6
            (home / "told").touch()
            while not (home / "modules").exists():
                time.sleep(0.01)
            loaded = (home / "modules").read_text()
        finally:
            process.terminate()
            process.wait()
    print(f"ready in             {ready:6.2f} s   (target: under 2)")
    print(f"memory after a study {memory:6.0f} MB  (resident; target: under 150)")
    print(f"of torch, ray, pandas, scipy, numpy it loaded: {loaded}")
