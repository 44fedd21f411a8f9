#!/usr/bin/env python3
"""Runs programs in an emulated machine that has soft-RoCE NICs (rdma_rxe).

The guest is Debian's kernel with the modules that are needed, and a file system made of this
machine's own programs and libraries: nothing is installed, no privilege is needed, and no network
leaves the guest. KVM is not used: emulation alone works everywhere (vCPU "max": AVX2, no AVX-512).
The kernel package is downloaded once and kept under CACHE.

usage: guest.py CACHE PROGRAM [-- ARGUMENT...]...   Each PROGRAM is run in the guest with its
       arguments; exit status 0 if all of them passed, "SKIPPED: why" if there can be no guest.
"""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
MODULES = ["crc32_generic", "crc32c_generic", "rdma_rxe", "ib_uverbs", "veth", "bridge",
           "af_packet"]
TOOLS = ["busybox", "ip", "rdma"]
TIMEOUT_S = 280


def skip(why):
    print(f"SKIPPED: soft-RoCE guest: {why}")
    sys.exit(0)


def find(tool):
    path = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        skip(f"{tool} is not installed")
    return path


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def fetch_kernel(cache):
    """The unpacked kernel package; (vmlinuz, folder of modules)."""
    unpacked = cache / "kernel"
    if not (unpacked / "complete").exists():
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        name = re.search(r"linux-image-\S+", run(find("apt-cache"), "depends", "linux-image-amd64")
                         .split("Depends:")[-1])
        if name is None:
            skip("no package linux-image-amd64 is known")
        # A child of root's apt may not write into every folder.
        got = subprocess.run(["apt-get", "download", "-o", "APT::Sandbox::User=root",
                              name.group()], cwd=unpacked, stderr=subprocess.PIPE, text=True,
                             stdout=subprocess.DEVNULL, check=False)
        package = next(unpacked.glob("linux-image*.deb"), None)
        if got.returncode != 0 or package is None:
            skip(f"cannot download {name.group()}: {got.stderr.strip()}")
        run("dpkg-deb", "-x", str(package), str(unpacked))
        package.unlink()
        version = next((unpacked / "lib/modules").iterdir()).name
        run(find("depmod"), "-b", str(unpacked), version)
        (unpacked / "complete").touch()
    return next((unpacked / "boot").glob("vmlinuz-*")), next((unpacked / "lib/modules").iterdir())


def module_files(folder):
    """Files to load, in order."""
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        file, depends = line.split(":", 1)
        needs[file] = depends.split()
    names = {pathlib.Path(f).name.split(".")[0].replace("-", "_"): f for f in needs}
    built_in = (folder / "modules.builtin").read_text()
    ordered = []
    for module in MODULES:
        if module not in names:
            if f"/{module}.ko" not in built_in:
                skip(f"the kernel has no module {module}")
            continue
        for file in [*reversed(needs[names[module]]), names[module]]:
            if file not in ordered:
                ordered.append(file)
    return ordered


def libraries(program):
    found = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True,
                           stderr=subprocess.DEVNULL, check=False).stdout
    return re.findall(r"(/\S+) \(0x", found)


class Archive:
    """An initial file system: cpio, format "newc"."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.known = set()

    def add(self, name, mode, data=b""):
        name = str(name).lstrip("/")
        if name in self.known:
            return
        self.known.add(name)
        parent = os.path.dirname(name)
        if parent:
            self.add(parent, stat.S_IFDIR | 0o755)
        fields = [len(self.known), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
        self.out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def file(self, source, name=None, mode=0o755):
        self.add(name or source, stat.S_IFREG | mode, pathlib.Path(source).read_bytes())

    def program(self, source, name):
        self.file(source, name)
        for library in libraries(source):
            self.file(library)

    def close(self):
        self.add("TRAILER!!!", 0)
        self.out.close()


def build(path, modules, jobs):
    archive = Archive(path)
    for folder in ["proc", "sys", "dev", "tmp", "run"]:
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.file(HERE / "init.sh", "init")
    for tool in TOOLS:
        archive.program(find(tool), f"bin/{tool}")
    archive.add("bin/sh", stat.S_IFLNK | 0o777, b"busybox")
    listed = module_files(modules)
    for file in listed:
        archive.file(modules / file, f"modules/{pathlib.Path(file).name}")
    archive.add("modules/list", stat.S_IFREG | 0o644,
                "".join(f"{pathlib.Path(f).name}\n" for f in listed).encode())
    provider = next(pathlib.Path("/usr/lib").glob("*/libibverbs/librxe-rdmav*.so"), None)
    verbs = next(pathlib.Path("/usr/lib").glob("*/libibverbs.so.1"), None)
    if provider is None or verbs is None:
        skip("libibverbs1 and ibverbs-providers are not installed")
    for library in [provider, verbs]:
        archive.program(str(library), str(library))
    archive.file("/etc/libibverbs.d/rxe.driver", mode=0o644)
    script = ""
    for number, (program, *arguments) in enumerate(jobs):
        archive.program(program, f"test/{number}")
        quoted = " ".join("'" + a.replace("'", "'\\''") + "'" for a in arguments)
        script += f"job '{os.path.basename(program)}' /test/{number} {quoted}\n"
    archive.add("test/jobs", stat.S_IFREG | 0o644, script.encode())
    archive.close()


def parse(arguments):
    jobs = []
    fresh = True
    for word in arguments:
        if word == "--":
            fresh = True
        elif fresh:
            jobs.append([word])
            fresh = False
        else:
            jobs[-1].append(word)
    return jobs


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    cache = pathlib.Path(sys.argv[1]).resolve()
    jobs = parse(sys.argv[2:])
    qemu = find("qemu-system-x86_64")
    cache.mkdir(parents=True, exist_ok=True)
    kernel, modules = fetch_kernel(cache)
    initrd = cache / f"initrd.{os.getpid()}"
    started = time.monotonic()
    try:
        build(initrd, modules, jobs)
        guest = subprocess.Popen(
            [qemu, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1536", "-smp", "2",
             "-kernel", str(kernel), "-initrd", str(initrd), "-append",
             "console=ttyS0 panic=-1 quiet mitigations=off nokaslr", "-nographic", "-no-reboot",
             "-nodefaults", "-serial", "stdio"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace")
        os.set_blocking(guest.stdout.fileno(), True)
        passed = False
        import threading
        timer = threading.Timer(TIMEOUT_S, guest.kill)
        timer.start()
        for line in guest.stdout:
            print(line.rstrip(), flush=True)
            passed = passed or line.startswith("GUEST-PASSED")
        guest.wait()
        timer.cancel()
    finally:
        initrd.unlink(missing_ok=True)
    print(f"guest: {time.monotonic() - started:.0f} s")
    if not passed:
        sys.exit("the guest did not pass")


main()
