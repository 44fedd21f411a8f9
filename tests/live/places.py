#!/usr/bin/env python3
"""Hostile but ordinary places: each works, or fails at every rank with one clear line.

Not root; 64 KB of lockable memory; PID namespaces; hosts of one name, with a network between them,
with none, and with a bridge of one address on each; a /dev/shm of 64 MB; ptrace_scope, where other
processes' memory cannot be read (CMA).
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import crew


def settle(what, team, patience=60):
    """True when all ranks joined, computed and stopped; else the lines that they ended with."""
    ready = team.ready(patience)
    if all(ready):
        time.sleep(0.3)
        ends = team.stop(patience)
        if all(line and line.split()[0] == "done" and line.split()[2] == "0" for line in ends):
            print(f"{what}: works, {ends[0].split()[1]} operations")
            return True
    print(f"{what}:\n{team.story() or '  not a word'}")
    return False


def fails_clearly(what, team, words, patience=60):
    """Every rank says in one line that it cannot join, and the line has one of the words."""
    lines = [r.wait_for(["unjoined", "failed"], time.monotonic() + patience)
             for r in team.ranks]
    fine = all(line and any(w in line for w in words) for line in lines)
    print(f"{what}: {'fails clearly: ' + lines[0] if fine else 'UNCLEAR ' + repr(lines)}")
    return fine


BYTES = ["--bytes", "8,40000,3000000"]


def works(what, prefix, *options):
    # The tree may lie where other users may not look.
    with tempfile.TemporaryDirectory(prefix="weft-live-") as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(crew.RANK, folder)
        with crew.Crew(4, *BYTES, *options, prefix=lambda r: prefix, program=program) as team:
            return settle(what, team)


def other_users():
    return works("not root", ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])


def little_memory():
    return works("64 KB memlock", ["prlimit", "--memlock=65536:65536"])


def unreadable():
    scope = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
    print(f"ptrace_scope: {scope.read_text().strip() if scope.exists() else 'no Yama here'}")
    # A process without CAP_SYS_PTRACE that is not dumpable cannot be read, whatever the scope.
    return works("no ptrace at all", ["setpriv", "--reuid=65534", "--regid=65534",
                                      "--clear-groups", "--bounding-set=-all"])


def own_pid_namespaces(transport):
    return works(f"PID namespaces, {transport}", ["unshare", "--pid", "--fork", "--kill-child"],
                 "--transport", transport)


def small_shm():
    return works("64 MB /dev/shm", ["unshare", "--mount", "sh", "-c",
                                    "mount -t tmpfs -o size=64m weft /dev/shm && exec \"$0\" "
                                    "\"$@\""], "--transport", "shm")


def no_common_network():
    with crew.Crew(2, "--transport", "tcp", "--meet-ms", "3000", "--patience-ms", "2000",
                   prefix=lambda r: ["unshare", "--net"]) as team:
        return fails_clearly("one host name, networks apart, tcp", team,
                             ["cannot", "reach", "refused", "connect", "unreachable"])


def shared_memory_across_networks():
    with crew.Crew(2, *BYTES, "--meet-ms", "5000", "--patience-ms", "2000",
                   prefix=lambda r: ["unshare", "--net"]) as team:
        if all(team.ready(20)):
            return settle("one host name, networks apart, auto", team)
        return fails_clearly("one host name, networks apart, auto", team,
                             ["cannot", "reach", "refused", "connect", "unreachable"])


class Hosts:
    """Two network namespaces with a cable between them, the same host name, and on each a bridge of
    the same address, as container runtimes make them."""

    def __init__(self):
        self.names = [f"weft-place-{os.getpid()}-{i}" for i in range(2)]

    def __enter__(self):
        a, b = self.names
        steps = [f"netns add {a}", f"netns add {b}",
                 f"link add eth netns {a} type veth peer name eth netns {b}"]
        for i, name in enumerate(self.names):
            steps += [f"-n {name} link set lo up", f"-n {name} link set eth up",
                      f"-n {name} addr add 10.40.0.{i + 1}/24 dev eth",
                      f"-n {name} link add docker0 type bridge",
                      f"-n {name} addr add 172.17.0.1/16 dev docker0",
                      f"-n {name} link set docker0 up"]
        for step in steps:
            subprocess.run(["ip", *step.split()], check=True)
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False)

    def works(self, what, interfaces):
        with crew.Crew(2, *BYTES, "--interfaces", interfaces, "--patience-ms", "20000",
                       prefix=lambda r: ["ip", "netns", "exec", self.names[r]]) as team:
            return settle(what, team)


def two_hosts():
    if not crew.can_use_namespaces():
        print("two hosts: network namespaces cannot be named here")
        return True
    with Hosts() as hosts:
        return (hosts.works("two hosts of one name", "eth:0:0") and
                hosts.works("and a bridge of one address, as a plane", "eth:0:0,docker0:0:1") and
                hosts.works("the bridge first", "docker0:0:0,eth:0:1"))


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not crew.is_root() or not all(map(shutil.which, ("setpriv", "prlimit", "unshare"))):
        crew.skip("needs root, setpriv, prlimit and unshare")
    if subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"],
                      capture_output=True, check=False).returncode:
        crew.skip("namespaces cannot be made here")
    fine = [other_users(), little_memory(), unreadable(), own_pid_namespaces("shm"),
            own_pid_namespaces("tcp"), small_shm(), no_common_network(),
            shared_memory_across_networks(), two_hosts()]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
