"""A whole job on a random checkpoint in the shape of a published InternVL2.5, and what it takes on the card.

python3 internvl_job.py --out DIR [--shape internvl2.5-38b] [--seconds 500] [--no-goldens] [--then COMMAND] [-- FLAGS OF emloc tune]
Runs from a checkout, with the folder of this script as the bundle. The checkpoint goes to --scratch (a memory file system, which it takes
for its own), the adapter to --work; both are removed. COMMAND runs after
the job, with {model} for the checkpoint. Writes log.txt, one JSON line a stage into stages.jsonl, and the report.
"""
import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = "libs/golden-models/fixtures/images"


class Sampler:
    """The largest memory.used of the card, and the least MemAvailable of the host, from its start to its end."""

    def __init__(self):
        self.peak, self.before, self.available = 0, None, None
        self.stopped = threading.Event()
        query = ["nvidia-smi", "-i", "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "20"]
        self.process = subprocess.Popen(query, stdout=subprocess.PIPE, text=True) if shutil.which("nvidia-smi") else None
        for target in (self.watch_card, self.watch_host):
            threading.Thread(target=target, daemon=True).start()
        time.sleep(2)

    def watch_card(self):
        for line in self.process.stdout if self.process else ():
            if line.strip().isdigit():
                used = int(line)
                self.before = used if self.before is None else self.before
                self.peak = max(self.peak, used)

    def watch_host(self):
        while not self.stopped.wait(0.2):
            with open("/proc/meminfo") as file:
                available = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
            self.available = available if self.available is None else min(self.available, available)

    def stop(self):
        self.stopped.set()
        if self.process:
            self.process.terminate()
        taken = self.peak - (self.before or 0)
        return {"deviceBeforeMiB": self.before, "devicePeakMiB": taken, "hostLeastAvailableGiB": round((self.available or 0) / 2**20, 2)}


class Log:
    def __init__(self, out):
        os.makedirs(out, exist_ok=True)
        self.out, self.start = out, time.perf_counter()

    def stage(self, name, **facts):
        line = json.dumps({"stage": name, "at": round(time.perf_counter() - self.start, 2), **facts})
        print(line, flush=True)
        with open(os.path.join(self.out, "stages.jsonl"), "a") as file:
            file.write(line + "\n")

    def run(self, name, command, stdout=None, limit=None):
        """Runs a command whose lines go to log.txt with the second that each came at."""
        began = time.perf_counter()
        with open(os.path.join(self.out, "log.txt"), "a") as log, open(stdout or os.devnull, "w") as output:
            process = subprocess.Popen(command, stdout=output if stdout else subprocess.PIPE, stderr=subprocess.PIPE if stdout else subprocess.STDOUT, text=True)
            timer = threading.Timer(limit, process.kill) if limit else None
            if timer:
                timer.start()
            for line in process.stderr if stdout else process.stdout:
                log.write(f"{time.perf_counter() - self.start:8.2f} {line}")
                log.flush()
            code = process.wait()
            if timer:
                timer.cancel()
        self.stage(name, code=code, seconds=round(time.perf_counter() - began, 2))
        return code


def split(rows, validation):
    """Rows beside the images that they name: the last few are for validation."""
    with open(rows) as file:
        lines = file.readlines()
    base = rows.removesuffix(".jsonl")
    for part, chosen in (("train", lines[:-validation]), ("validation", lines[-validation:])):
        with open(f"{base}.{part}.jsonl", "w") as file:
            file.writelines(chosen)
    return [f"{base}.{part}.jsonl" for part in ("train", "validation")]


def main():
    own, tune = sys.argv[1:], []
    if "--" in own:
        own, tune = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--shape", default="internvl2.5-38b")
    parser.add_argument("--scratch", default="/dev/shm/emloc-job")
    parser.add_argument("--work", default="/tmp/emloc-job")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--validation", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=500)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--run", nargs="+", default=[os.path.join(HERE, "run")])
    parser.add_argument("--then", action="append", default=[])
    parser.add_argument("--no-goldens", action="store_true")
    args = parser.parse_args(own)
    log = Log(args.out)
    try:
        if not args.no_goldens:
            log.run("goldens", [*args.run, "goldens", "--device", args.device, "--fixtures", FIXTURES], limit=40)
        for folder in (args.scratch, args.work):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
        model = os.path.join(args.scratch, "model")
        log.run("checkpoint", [*args.run, "bench", "model", args.shape, "--out", model, "--rows", str(args.rows)], limit=120)
        train, validation = split(f"{model}.jsonl", args.validation)
        sampler = Sampler()
        adapter = os.path.join(args.work, "adapter")
        command = [*args.run, "emloc", "tune", "--model", model, "--data", train, "--validation", validation, "--out", adapter]
        command += ["--device", args.device, "--json", *tune]
        left = args.seconds - (time.perf_counter() - log.start)
        code = log.run("tune", command, stdout=os.path.join(args.out, "report.json"), limit=left)
        log.stage("peaks", **sampler.stop(), processPeakGiB=round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2))
        if code == 0:
            sizes = {name: os.path.getsize(os.path.join(adapter, name)) for name in sorted(os.listdir(adapter)) if os.path.isfile(os.path.join(adapter, name))}
            log.stage("adapter", **sizes)
            shutil.copy(os.path.join(adapter, "adapter_config.json"), args.out)
        for command in args.then:
            log.run(command, ["sh", "-c", command.replace("{model}", model)], limit=max(10, args.seconds - (time.perf_counter() - log.start)))
    finally:
        for folder in (args.scratch, args.work):
            shutil.rmtree(folder, ignore_errors=True)
        log.stage("end")


if __name__ == "__main__":
    main()
