#!/usr/bin/env python3
"""Whatever a user gets wrong is one clear line on stderr, exit 2, and no file.

Each case is a command line and the words that its message must hold. {dir} is a folder with the
inputs of INPUTS and TRACES, {out} a folder that must not come to exist.
"""
import gzip
import os
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEFT = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools/weft").resolve()

INPUTS = {
    "empty.yaml": b"",
    "garbage.yaml": bytes(range(256)) * 4,
    "deep.yaml": b"[" * 4000,
    "alias.yaml": b"a: &a [1, 2]\nb: *a\n",
    "twice.yaml": b"fabric: hpn7\nfabric: rail2\n",
    "unit.yaml": b"fabric: hpn7\nparameters:\n  port_rate: 200\n",
    "key.yaml": b"fabric: hpn7\nparameters:\n  segmnets: 2\n",
    "detailed.yaml": b"machine: lab\ncosts: {}\ndetailed: 5\n",
    "rate.yaml": b"machine: lab\ncosts:\n  nic.rate: {value: 120%}\n",
    "none.yaml": b"parameters:\n  segments: 2\n",
    "short.txt": b"HYBRID_TRANSFORMER all_gpus: 8 model_parallel_NPU_group: 8\n2\na -1 5 ALLRED",
    "wide.txt": b"HYBRID_TRANSFORMER all_gpus: 8 model_parallel_NPU_group: 16\n1\n"
                b"a -1 5 NONE 0 5 NONE 0 5 NONE 0 100\n",
    "huge.txt": b"HYBRID_TRANSFORMER all_gpus: 16384\n1\na -1 5 NONE 0 5 NONE 0 5 NONE 0 100\n",
    "token.txt": b"MICRO\n1\na -1 5 ALLREDUCES 8 5 NONE 0 5 NONE 0 100\n",
    "job.yaml": b"workload: j\nworld: 8\nstages:\n  - ops:\n      - {compute: 900}\n",
    "loop.cm": b"Nodes 4\nConnections 1\n0->0 start 0 size 5\n",
    "wide.cm": b"Nodes 9999\nConnections 1\n0->9998 start 0 size 5\n",
    "core.cm": b"Nodes 4\nConnections 0\nFailures 1\n"
               b"failure switch_type AGG switch_id 0 link_id 9\n",
    "odd.topo": b"Nodes 16\nTiers 2\nPodsize 15\n",
    "ns3.txt": b"3 1 2\n2\n0 2 100Gbps 1us 0\n1 2 100 1us 0\n",
    "list.txt": b"1\n0 2 3 100 5 0\n",
    "cdf.txt": b"0 0\n10 5\n5 100\n",
    "good.yaml": b"workload: j\nworld: 8\nstages: [{ops: [{compute: 1ms}]}]\n",
    "chain.yaml": b"workload: j\nworld: 2\ngroups: {PP: {size: 2}}\nstages:\n"
                  b"  - ops: [{send: 1MiB, group: PP, to: +1}]\n",
    "times.csv": b"group,collective,size,time\nTP,alltoall,64MiB,1ms\n",
    "cut.json": b'{"schema": "weft/result/1", "step_t',
    "profile.json.gz": gzip.compress(b"{}"),
    "dump.pickle": pickle.dumps({"entries": []}, 2),
    "open.yaml": b"name: lab\nhosts:\n  - {name: a, count: 2, gpus: 1",
}

HEADER = ("HYBRID_TRANSFORMER_FWD_IN_BCKWD model_parallel_NPU_group: 8 ep: 1 pp: 1 vpp: 1 ga: 1 "
          "all_gpus: 64 checkpoints: 0 checkpoint_initiates: 0 pp_comm: 0\n")
EVENT = ('{"ph": "X", "cat": "kernel", "name": "ncclDevKernel", "pid": 0, "ts": 5, "dur": 9, '
         '"args": {"Collective name": "allreduce", "In msg nelems": 8, "Out msg nelems": 8, '
         '"Group size": 2, "dtype": "BFloat16", "Process Group Ranks": "[0, 1]"}}')
PROFILE = ('{"distributedInfo": {"rank": 0, "world_size": 8}, "traceEvents": [' + EVENT + "]}")

DUMP = ('{"version": "2.10", "pg_config": {"0": {"name": "0", "desc": "default_pg", "ranks": '
        '"[0, 1, 2, 3, 4, 5, 6, 7]"}}, "entries": [{"process_group": ["0", "default_pg"], '
        '"collective_seq_id": 1, "op_id": 1, "profiling_name": "nccl:_all_gather_base", '
        '"input_sizes": [[4]], "input_dtypes": ["BFloat16"], "output_sizes": [[32]], '
        '"output_dtypes": ["BFloat16"], "duration_ms": 0.5}]}\n')
RECORD = ('{"header": {"id": "0x1", "rank": 0, "n_ranks": 8, "nnodes": 1}, "coll_perf": {"coll": '
          '"AllGather", "coll_sn": 1, "coll_msg_size_bytes": 8, "coll_exec_time_us": 9}}\n')

LAYER = "mlp -1 500 ALLGATHER 64 700 NONE 0 900 NONE 0 100\n"

TRACES = {
    "good.txt": HEADER + "1\n" + LAYER,
    "cut.txt": HEADER + "3\n" + LAYER + LAYER[:20],
    "nan.txt": HEADER + "1\n" + LAYER.replace("500", "nan"),
    "minus.txt": HEADER + "1\n" + LAYER.replace(" 64 ", " -64 "),
    "large.txt": HEADER + "1\n" + LAYER.replace(" 64 ", " 99999999999999999999 "),
    "cut_dump.json": DUMP + DUMP[:70],
    "other_dump.json": DUMP.replace("[[32]]", "[[33]]"),
    "idle_dump.json": DUMP.replace("duration_ms", "duration"),
    "wide_dump.json": DUMP.replace("[[32]]", "[[4294967296, 4294967296, 4294967296]]"),
    "odd_dump.json": DUMP.replace('["0", "default_pg"]', '"0"'),
    "cut_inspector.log": RECORD + RECORD[:-30],
    "other_inspector.log": RECORD.replace("bytes\": 8", "bytes\": 16"),
    "minus_inspector.log": RECORD + RECORD.replace("us\": 9", "us\": -9"),
    "list_inspector.log": RECORD + "[1]\n",
    "cut_profile.json": PROFILE[:-40],
    "cpu_profile.json": PROFILE.replace('"kernel"', '"cpu_op"'),
    "old_profile.json": PROFILE.replace("Collective name", "Collective"),
    "far_profile.json": PROFILE.replace('"dur": 9', '"dur": 1e300'),
    "odd_profile.json": PROFILE.replace("[0, 1]", "[0, 3]"),
    "type_profile.json": PROFILE.replace("BFloat16", "Float7"),
    "size_profile.json": PROFILE.replace("nelems\": 8", "nelems\": 18446744073709551615"),
    "send_profile.json": PROFILE.replace("allreduce", "send"),
    "alone_profile.json": PROFILE.replace("distributedInfo", "info"),
}

CASES = [
    # what is typed
    ("", ["subcommand"]),
    ("simulate", ["command", "simulate", "one of"]),
    ("fabric hpn7 --describ", ["--describ"]),
    ("route --from 0", ["--to"]),
    # machines
    ("sim allreduce --size 1MiB --gpus 8 --machine h10", ["--machine", "h10", "YAML file"]),
    ("sim allreduce --size 1MiB --gpus 8 --machine {dir}/gone.yaml", ["gone.yaml", "--machine"]),
    ("sim allreduce --size 1MiB --gpus 8 --machine {dir}/rate.yaml", ["rate.yaml:3", "nic.rate"]),
    ("sim allreduce --size 1MiB --gpus 8 --machine {dir}/detailed.yaml",
     ["detailed.yaml:3", "detailed"]),
    ("sim allreduce --size 1MiB --gpus 8 --endpoint detail", ["--endpoint", "detailed"]),
    ("replay {dir}/good.txt --machine {dir}/empty.yaml --out {out}", ["empty.yaml"]),
    # fabrics
    ("fabric hpm7", ["hpm7", "hpn7"]),
    ("fabric hpn7:segments=0", ["segments", "0"]),
    ("fabric hpn7:segments=-3", ["segments", "-3"]),
    ("fabric hpn7:segments=99999999999999999999", ["segments", "9999"]),
    ("fabric hpn7:segments=two", ["segments", "two"]),
    ("fabric hpn7:segments=nan", ["segments", "nan"]),
    ("fabric hpn7:port_rate=200", ["port_rate", "unit"]),
    ("fabric hpn7:port_rate=200GiB", ["port_rate", "200GiB"]),
    ("fabric hpn7:port_rate=nanGbps", ["port_rate", "nan"]),
    ("fabric hpn7:port_rate=-1Gbps", ["port_rate", "-1Gbps"]),
    ("fabric hpn7:port_rate=1e400Gbps", ["port_rate", "1e400"]),
    ("fabric hpn7:segments=2,segments=3", ["segments"]),
    ("fabric hpn7:mode=triple-plane", ["mode", "dual-plane"]),
    ("fabric {dir}/missing.yaml", ["missing.yaml"]),
    ("fabric {dir}/", ["{dir}"]),
    ("fabric {dir}/empty.yaml", ["empty.yaml"]),
    ("fabric {dir}/garbage.yaml", ["garbage.yaml"]),
    ("fabric {dir}/deep.yaml", ["deep.yaml"]),
    ("fabric {dir}/alias.yaml", ["alias.yaml:1"]),
    ("fabric {dir}/twice.yaml", ["twice.yaml:2", "fabric"]),
    ("fabric {dir}/unit.yaml", ["unit.yaml:3", "port_rate", "unit"]),
    ("fabric {dir}/key.yaml", ["key.yaml:3", "segmnets", "segments"]),
    ("fabric {dir}/none.yaml", ["none.yaml"]),
    ("fabric {dir}/open.yaml", ["open.yaml"]),
    # traces
    ("flows {dir}/loop.cm", ["--fabric"]),
    ("flows --fabric leaf-spine", ["INPUT", "--generate"]),
    ("flows {dir}/loop.cm --fabric leaf-spine --out {out}", ["loop.cm:3", "0->0"]),
    ("flows {dir}/wide.cm --fabric leaf-spine --out {out}", ["flow 0", "9998", "64"]),
    ("flows {dir}/core.cm --fabric leaf-spine --out {out}", ["core.cm:4", "link_id"]),
    ("flows {dir}/empty.yaml --fabric leaf-spine", ["empty.yaml", "htsim", "HPCC"]),
    ("flows {dir}/list.txt --fabric {dir}/ns3.txt", ["ns3.txt:4", "rate", "100"]),
    ("flows {dir}/list.txt --fabric {dir}/odd.topo", ["odd.topo", "tier 0"]),
    ("flows {dir}/loop.cm --start-unit h --fabric leaf-spine", ["--start-unit", "ps"]),
    ("flows --generate {dir}/cdf.txt:load=5% --fabric leaf-spine", ["cdf.txt:3", "point"]),
    ("flows --generate websearch:lod=5% --fabric leaf-spine", ["lod", "load"]),
    ("flows --generate websearch --fabric leaf-spine --cc cubic", ["cubic", "window"]),
    ("reproduce hpcc --time 5", ["--time", "unit"]),
    ("reproduce hpcc --time 200s", ["time", "100 s"]),
    ("fabric {dir}/odd.topo --set rate=5", ["odd.topo", "no parameters"]),
    ("replay", ["trace"]),
    ("replay {dir}/missing.txt --out {out}", ["missing.txt"]),
    ("replay {dir}/ --out {out}", ["{dir}", "folder"]),
    ("replay {dir}/empty.yaml --out {out}", ["empty.yaml", "empty"]),
    ("replay {dir}/garbage.yaml --out {out}", ["garbage.yaml", "trace format"]),
    ("replay {dir}/unit.yaml --out {out}", ["unit.yaml", "trace format"]),
    ("replay {dir}/short.txt --out {out}", ["short.txt:3", "4 columns", "12 columns"]),
    ("replay {dir}/wide.txt --out {out}", ["wide.txt:1", "larger than the world"]),
    ("replay {dir}/huge.txt --out {out}", ["16384"]),
    ("replay {dir}/token.txt --gpus 8 --out {out}", ["token.txt:3", "ALLREDUCES"]),
    ("replay {dir}/token.txt --out {out}", ["token.txt:3"]),
    ("replay {dir}/job.yaml --out {out}", ["job.yaml:5", "compute", "900", "unit"]),
    ("replay {dir}/chain.yaml --out {out}", ["chain.yaml", "rank 0", "rank 1"]),
    ("replay {dir}/job.yaml --gpus 9 --out {out}", ["job.yaml:2", "world"]),
    ("replay {dir}/good.yaml --fabric hpm7 --out {out}", ["hpm7"]),
    ("replay {dir}/good.yaml --endpoint ideel --out {out}", ["ideel", "ideal"]),
    ("replay {dir}/cut.txt --out {out}", ["cut.txt"]),
    ("replay {dir}/nan.txt --out {out}", ["nan.txt:3", "nan"]),
    ("replay {dir}/minus.txt --out {out}", ["minus.txt:3", "-64"]),
    ("replay {dir}/large.txt --out {out}", ["large.txt:3", "9999"]),
    ("replay {dir}/profile.json.gz --out {out}", ["profile.json.gz", "gunzip"]),
    ("replay {dir}/good.txt --measured {dir}/dump.pickle --out {out}", ["pickled", "JSON"]),
    ("replay {dir}/cut_profile.json --out {out}", ["cut_profile.json", "JSON"]),
    ("replay {dir}/cpu_profile.json --out {out}", ["cpu_profile.json", "ProfilerActivity.CUDA"]),
    ("replay {dir}/old_profile.json --out {out}", ["traceEvents[0].args", "Collective name"]),
    ("replay {dir}/far_profile.json --out {out}", ["traceEvents[0].dur", "1e+300"]),
    ("replay {dir}/odd_profile.json --out {out}", ["Process Group Ranks", "evenly spaced"]),
    ("replay {dir}/type_profile.json --out {out}", ["traceEvents[0].args.dtype", "Float7"]),
    ("replay {dir}/size_profile.json --out {out}", ["traceEvents[0].args", "nelems"]),
    ("replay {dir}/send_profile.json --out {out}", ["Collective name", "send", "pipeline"]),
    ("replay {dir}/alone_profile.json --out {out}", ["world size", "--gpus"]),
    ("replay {dir}/good.txt --fabric scale-up --out {out}", ["64", "8"]),
    ("replay {dir}/good.txt --gpus 60 --out {out}", ["60"]),
    ("replay {dir}/good.txt --gpus -1 --out {out}", ["-1"]),
    ("replay {dir}/good.txt --library ncl --out {out}", ["ncl", "nccl-static"]),
    ("replay {dir}/good.txt --network packets --out {out}", ["packets"]),
    ("replay {dir}/good.txt --out {dir}/empty.yaml/x", ["empty.yaml"]),
    # measured times
    ("replay {dir}/good.txt --measured {dir}/missing --out {out}", ["missing"]),
    ("replay {dir}/good.txt --measured {dir}/empty.yaml --out {out}", ["empty.yaml", "empty"]),
    ("replay {dir}/good.txt --measured {dir}/garbage.yaml --out {out}", ["garbage.yaml"]),
    ("replay {dir}/good.txt --measured {dir}/times.csv --out {out}", ["times.csv:2", "TP"]),
    ("replay {dir}/good.txt --measured {dir}/cut.json --out {out}", ["cut.json", "JSON"]),
    ("replay {dir}/good.txt --measured {dir}/cut_dump.json --out {out}", ["cut_dump.json:2"]),
    ("replay {dir}/good.txt --measured {dir}/other_dump.json --out {out}",
     ["other_dump.json", "allgather of 66 B over default_pg"]),
    ("replay {dir}/good.txt --measured {dir}/idle_dump.json --out {out}", ["ENABLE_TIMING"]),
    ("replay {dir}/good.txt --measured {dir}/wide_dump.json --out {out}",
     ["entries[0].output_sizes", "1 PiB"]),
    ("replay {dir}/good.txt --measured {dir}/odd_dump.json --out {out}",
     ["entries[0].process_group"]),
    ("replay {dir}/good.txt --measured {dir}/cut_inspector.log --out {out}",
     ["cut_inspector.log:2", "JSON"]),
    ("replay {dir}/good.txt --measured {dir}/other_inspector.log --out {out}",
     ["allgather of 128 B", "8 ranks"]),
    ("replay {dir}/good.txt --measured {dir}/minus_inspector.log --out {out}",
     ["record 2.coll_perf.coll_exec_time_us", "-9"]),
    ("replay {dir}/good.txt --measured {dir}/list_inspector.log --out {out}", ["record 2"]),
    ("replay {dir}/good.txt --measured {dir}/cut_profile.json --out {out}", ["JSON"]),
    ("replay {dir}/good.txt --measured-step 4.9 --out {out}", ["--measured-step", "unit"]),
    ("replay {dir}/good.txt --measured-step 0s --out {out}", ["--measured-step", "above 0"]),
    ("replay {dir}/good.txt --measured-step 1s --measured-on hpm7 --out {out}", ["hpm7"]),
    ("replay {dir}/good.txt --measured-step 1s --measured-gpus 60 --out {out}", ["60"]),
    ("replay {dir}/good.txt --trust-limit 10 --out {out}", ["--trust-limit", "10%"]),
    ("replay {dir}/good.txt --trust-limit 101% --out {out}", ["--trust-limit", "101%"]),
    ("replay {dir}/good.txt --trust-limit -1% --out {out}", ["--trust-limit", "-1%"]),
    ("replay {dir}/good.txt --jitter noise=2 --out {out}", ["--jitter", "2", "%"]),
    ("replay {dir}/good.txt --jitter nois=2% --out {out}", ["--jitter", "nois", "stragglers"]),
    ("replay {dir}/good.txt --jitter stalls=1%:20 --out {out}", ["--jitter", "unit"]),
    ("replay {dir}/good.txt --overlap smm --out {out}", ["--overlap", "smm", "copy-engine"]),
    ("replay {dir}/good.txt --overlap sm:sms=0 --out {out}", ["--overlap", "0", "65536"]),
    ("replay {dir}/good.txt --seeds 0 --out {out}", ["--seeds", "0"]),
    # one collective
    ("sim", ["collective"]),
    ("sim allreduce", ["--size"]),
    ("sim allredcue --size 1GiB", ["allredcue", "allreduce"]),
    ("sim allreduce --size 1", ["--size", "unit"]),
    ("sim allreduce --size -1GiB", ["--size", "-1GiB"]),
    ("sim allreduce --size 1e30GiB", ["--size", "1e30GiB"]),
    ("sim allreduce --size nanGiB", ["--size", "nanGiB"]),
    ("sim allreduce --size 1GiB --gpus 0", ["--gpus", "0"]),
    ("sim allreduce --size 1GiB --gpus -8", ["--gpus", "-8"]),
    ("sim allreduce --size 1GiB --gpus 99999999999999999999", ["--gpus", "9999"]),
    ("sim allreduce --size 1GiB --gpus 100000", ["100000", "15360"]),
    ("sim allreduce --size 1GiB --gpus 64 --fabric hpm7", ["hpm7", "hpn7"]),
    ("sim allreduce --size 1GiB --gpus 64 --algorithm rign", ["rign", "ring"]),
    ("sim allreduce --size 1GiB --gpus 64 --library ncl", ["ncl", "nccl-static"]),
    ("sim allreduce --size 1GiB --gpus 64 --network packets", ["packets", "flow"]),
    ("sim allreduce --size 1GiB --gpus 64 --endpoint real", ["real", "ideal"]),
    ("sim allreduce --size 1GiB --gpus 64 --segments 7", ["64", "segments"]),
    ("sim allreduce --size 1GiB --gpus 64 --qps -1", ["--qps", "-1"]),
    ("sim allreduce --size 1GiB --gpus 64 --fail nowhere", ["--fail", "nowhere"]),
    ("sim allreduce --size 1GiB --gpus 64 --fail nowhere@2ms", ["nowhere"]),
    ("sim allreduce --size 1GiB --gpus 64 --fail {dir}@later", ["--fail"]),
    ("sim allreduce --size 1GiB --gpus 64 --fail loss@2ms", ["--fail", "no target"]),
    ("sim allreduce --size 1GiB --gpus 64 --fail plane:7@2ms", ["--fail", "plane 7"]),
    ("sim allreduce --size 1GiB --gpus 64 --fail plane:1@2ms --convergence 5",
     ["--convergence", "unit"]),
    ("sim allreduce --size 1GiB --gpus 64 --failures {dir}/nothing.yaml", ["nothing.yaml"]),
    ("sim allreduce --size 1GiB --gpus 64 --watchdog dorp", ["--watchdog", "drop"]),
    ("sim allreduce --size 1GiB --gpus 64 --watchdog drop:detect=1ms", ["detect", "detection"]),
    ("sim allreduce --size 1GiB --gpus 64 --fec kp4:ber=2", ["ber", "2e-5"]),
    # live
    ("bench allredcue", ["allredcue", "allreduce"]),
    ("bench allreduce -n 0", ["0"]),
    ("bench allreduce -n -4", ["-4"]),
    ("bench allreduce -n 2 --dtype f33", ["f33"]),
    ("bench allreduce -n 2 --op mean", ["mean"]),
    ("bench allreduce -n 2 -b 1 -e 2", ["unit"]),
    ("bench allreduce -n 2 --transport pigeon", ["pigeon", "inproc"]),
    ("bench allreduce -n 2 --algorithm rign", ["rign", "ring"]),
    # routes
    ("route --from 0 --to 99999999", ["--to", "99999999"]),
    ("route --from 0 --to 8 --qps -1", ["--qps", "-1"]),
    ("route --from 0 --to 8 --paths 99999999999999999999", ["--paths", "9999"]),
    ("route --from zero --to 1", ["--from", "zero"]),
    ("route --from 0 --to 8 --down nowhere", ["--down", "nowhere"]),
    ("route --from 0 --to 8 --hash perfect", ["--hash", "perfect"]),
]


def complain(arguments, words, folder, out):
    """What is wrong with the answer to one command, or None."""
    replaced = [a.replace("{dir}", str(folder)).replace("{out}", str(out))
                for a in arguments.split()]
    try:
        done = subprocess.run([WEFT, *replaced], cwd=folder, capture_output=True, text=True,
                              errors="replace", timeout=60, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return "no answer within a minute"
    said = done.stderr
    if done.returncode != 2:
        return f"exit {done.returncode}, expected 2; it said: {said.strip()[:300]}"
    if done.stdout:
        return f"printed a result: {done.stdout[:80]!r}"
    if said.count("\n") != 1 or not said.endswith("\n") or len(said) > 500:
        return f"not one line: {said[:300]!r}"
    if re.search(r"[^\x20-\x7e\n]", said) or "bug" in said or "terminate" in said:
        return f"not a clear line: {said!r}"
    missing = [w for w in words if w.replace("{dir}", str(folder)) not in said]
    if missing:
        return f"the line lacks {missing}: {said.strip()}"
    return f"{out} came to exist" if out.exists() else None


def main():
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder, out = pathlib.Path(name) / "in", pathlib.Path(name) / "out"
        folder.mkdir()
        for path, content in INPUTS.items():
            (folder / path).write_bytes(content)
        for path, text in TRACES.items():
            (folder / path).write_text(text)
        before = sorted(folder.iterdir())
        for arguments, words in CASES:
            fault = complain(arguments, words, folder, out)
            if fault is None and sorted(folder.iterdir()) != before:
                fault = "left a file behind"
            bad += fault is not None
            if fault or "-v" in sys.argv:
                print(f"weft {arguments}\n    {fault or 'ok'}")
    print(f"{len(CASES)} malformed inputs, {bad} answered badly")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
