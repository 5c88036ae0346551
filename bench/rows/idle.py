"""What the program takes before anybody asks: memory at rest with the model loaded, and time to ready, without documents."""
import shutil
import tempfile

from bench import serving

NAMES = ("memory", "start")


def run(names, context):
    ready, resident = [], []
    for _ in range(3 if context.quick else 7):
        data = tempfile.mkdtemp(prefix="tars-bench-")
        try:
            with serving.open_tars(context, data) as server:
                ready.append(server.start_ms)
                resident.append(server.resident_mb())
        finally:
            shutil.rmtree(data, ignore_errors=True)
    peer = "no peer here: see search-100k-memory"
    made = [context.row("memory", "MB", resident, None, peer, budget=120, note="resident at rest, model loaded"),
            context.row("start", "ms", ready, None, peer.replace("memory", "start"), budget=300,
                        note="to ready, no documents")]
    return [row for row in made if row["name"] in names]
