"""Ranks as processes (weft-live-rank), for the scripts beside this file."""
import os
import pathlib
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release")).resolve()
RANK = BUILD / "tests/live/weft-live-rank"


class Rank:
    """One process; what it says is kept with the time at which it was said."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.lines = []
        self.pid = self.process.pid
        self.new = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.new.put(line)

    def tell(self, order):
        try:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def said(self, word):
        return next((line for line in self.lines if line.startswith(word)), None)

    def wait_for(self, words, until):
        """The first line that begins with one of the words; None when time or the process ends."""
        while True:
            for word in words:
                line = self.said(word)
                if line:
                    return line
            if self.process.poll() is not None:
                self.reader.join(5)
                return next((self.said(w) for w in words if self.said(w)), None)
            left = until - time.monotonic()
            if left <= 0:
                return None
            try:
                self.new.get(timeout=min(left, 0.2))
            except queue.Empty:
                pass


class Crew:
    """n ranks that meet in a folder of their own; ended, whatever happens, at the end."""

    def __init__(self, ranks, *options, prefix=None, program=RANK, more=lambda r: []):
        self.folder = tempfile.mkdtemp(prefix="weft-live-")
        os.chmod(self.folder, 0o777)  # ranks may be another user's
        made = subprocess.run([program, "--make-id", self.folder], capture_output=True, text=True,
                              check=True)
        self.ranks = []
        for r in range(ranks):
            before = prefix(r) if prefix else []
            own = [str(o).replace("%r", str(r)) for o in [*options, *more(r)]]
            self.ranks.append(Rank([*before, str(program), "--id", made.stdout.strip(), "--rank",
                                    str(r), "--ranks", str(ranks), *own]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def ready(self, patience=60):
        until = time.monotonic() + patience
        return [r.wait_for(["ready"], until) for r in self.ranks]

    def stop(self, patience=60):
        """All ranks agree to stop; their last lines, None where one hangs."""
        self.ranks[0].tell("stop")
        until = time.monotonic() + patience
        return [r.wait_for(["done", "failed"], until) for r in self.ranks]

    def end(self):
        for r in self.ranks:
            if r.process.poll() is None:
                r.process.kill()
        for r in self.ranks:
            r.process.wait()
            r.reader.join(5)
            r.process.stdin.close()
            r.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def story(self):
        return "\n".join(f"  rank {i}: {line}" for i, r in enumerate(self.ranks)
                         for line in r.lines[-6:])


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def shared_memory_entries():
    return {n for n in os.listdir("/dev/shm") if "weft" in n.lower()}


def is_root():
    return os.geteuid() == 0


def can_use_namespaces():
    """True where network namespaces can be made: root with CAP_SYS_ADMIN and `ip`."""
    if not is_root() or not shutil.which("ip"):
        return False
    name = f"weft-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.returncode == 0


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(0)


def seeded(args):
    print(f"seed {args.seed}")
    return random.Random(args.seed)
