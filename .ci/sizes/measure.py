"""Measures the subscriber of the guide for devices, and writes or checks the table of what it takes.

measure.py write|check FOLDER COMPILER

FOLDER has the programs `subscriber-<target>-<tls>` and `server`. `write` makes the table of all programs in FOLDER,
`check` compares those of them with the table. Memory is measured for this machine's own programs alone: an emulator's
memory is not a device's.
"""

import contextlib
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "src/guide/devices"
TABLE = GUIDE / "sizes.md"
PLATFORM_ROOTS = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
# What the README repeats of the guide.
COPIES = [TABLE, GUIDE / "platforms.md"]

TARGETS = [
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "armv7-unknown-linux-gnueabihf",
]
# Of these the memory is measured.
NATIVE = "x86_64"
TLS = ["none", "rustls", "native-tls"]

# Shares by which a measured number may differ from the table's.
BINARY, OTHER_COMPILER, MEMORY = 0.03, 0.15, 0.25
# In MB: which pages of files are there depends on the page cache, too; and the table's numbers are rounded.
AT_LEAST = {"resident": 0.2, "own": 0.1}
IDLE_SECONDS = 4
LIMIT_SECONDS = 20

HEAD = """\
| target | TLS | binary | idle over `ws` | idle over `wss` | threads | stacks |
|---|---|--:|--:|--:|--:|--:|
"""
NOTES = """
This is a program that subscribes to one channel and prints its events, built with the profile `embedded` and {compiler}. \
MB are 10⁶ bytes. The memory is what is resident {idle} s after an event, with {roots} root certificates of the platform. \
"Own" are the heap, the stacks and changed data, which no other program shares (`RssAnon`). The rest are pages of files, \
which the kernel shares between all programs that use these files, and can drop when memory is short. For \
`{host}` over `wss` these are {files}. Threads include `main`; of their stacks it is what is resident. \
The memory of other processors' programs was not measured, since an emulator's is not a device's.
"""


def main():
    mode, folder, compiler = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    rows = measure(folder)
    if mode == "write":
        TABLE.write_text(table(rows, compiler))
        replace_copies()
    else:
        check(rows, compiler)


# --- measuring ---


def measure(folder):
    """Returns the cells of each program in the folder, by target and TLS library."""
    with Server(folder / "server", folder / "roots.pem") as server:
        rows = {}
        for target in TARGETS:
            for tls in TLS:
                program = folder / f"subscriber-{target}-{tls}"
                if program.exists():
                    rows[target, tls] = row(program, target, tls, server)
    return rows


def row(program, target, tls, server):
    cells = {"binary": program.stat().st_size / 1e6}
    schemes = ["ws"] if tls == "none" else ["ws", "wss"]
    if target.startswith(NATIVE):
        cells |= {scheme: idle(program, scheme, server) for scheme in schemes}
    # An OpenSSL for the emulator is not here.
    elif tls != "native-tls" and emulator(target):
        for scheme in schemes:
            with receiving([*emulator(target), program], scheme, server):
                pass
        print(f"{program.name} receives over {' and '.join(schemes)} in qemu")
    print(f"{target}, {tls}: {cells}", flush=True)
    return cells


def emulator(target):
    name, libraries = {
        "aarch64": ("qemu-aarch64-static", "/usr/aarch64-linux-gnu"),
        "armv7": ("qemu-arm-static", "/usr/arm-linux-gnueabihf"),
    }[target.partition("-")[0]]
    if shutil.which(name):
        return [name, "-L", libraries]
    print(f"{name} is not here: {target} was built, but not run")


class Server:
    """`server.rs`: the test server, over TCP and over TLS."""

    def __init__(self, program, roots):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([program], stdin=pipe, stdout=pipe, text=True)
        self.urls = {url.partition(":")[0]: url for url in (self.line(), self.line())}
        certificate = "".join(line + "\n" for line in iter(self.line, ""))
        # Beside the platform's roots, which are read as on a device.
        roots.write_text(PLATFORM_ROOTS.read_text() + certificate)
        self.environment = os.environ | {"SSL_CERT_FILE": str(roots)}

    def line(self):
        line = self.process.stdout.readline()
        return line.strip() if line else sys.exit("ci: the server of the sizes has ended")

    def publish(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(LIMIT_SECONDS)


def idle(program, scheme, server):
    """Returns the memory of the program when it has received an event and has been idle."""
    with receiving([program], scheme, server) as pid:
        time.sleep(IDLE_SECONDS)
        return memory(pid)


@contextlib.contextmanager
def receiving(command, scheme, server):
    """Starts the program, waits until it has received an event, and kills it at the end."""
    environment = server.environment | {"PUSHER_URL": server.urls[scheme]}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        end = time.monotonic() + LIMIT_SECONDS
        # The server does not keep events for those who subscribe later.
        while not select.select([process.stdout], [], [], 0.1)[0]:
            if time.monotonic() > end:
                sys.exit(f"ci: {command[-1].name} received nothing over {scheme} within {LIMIT_SECONDS} s")
            server.publish()
        if process.stdout.readline() != b"21.5\n":
            sys.exit(f"ci: {command[-1].name} ended over {scheme}, or received another event")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def memory(pid):
    """Returns the bytes that are resident, those that are the process's own, and those by file and by stack."""
    proc = pathlib.Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    mappings = list(parse_smaps((proc / "smaps").read_text()))
    files = {}
    for mapping in mappings:
        if mapping["name"].startswith("/"):
            name = kind_of_file(mapping["name"])
            files[name] = files.get(name, 0) + mapping["Rss"] - mapping["Anonymous"]
    stacks = {}
    for task in sorted((proc / "task").iterdir(), key=lambda task: int(task.name)):
        # Of a thread that waits in the kernel: its call, six arguments, and the stack pointer.
        pointer = int((task / "syscall").read_text().split()[-2], 16)
        [stack] = [it["Rss"] for it in mappings if it["start"] <= pointer < it["end"]]
        stacks[(task / "comm").read_text().strip()] = stack
    return {
        "resident": kilobytes(status["VmRSS"]),
        "own": kilobytes(status["RssAnon"]),
        "files": files,
        "stacks": stacks,
    }


def parse_smaps(text):
    for block in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)[1:]:
        head, *lines = block.splitlines()
        fields = head.split(maxsplit=5)
        start, end = (int(address, 16) for address in fields[0].split("-"))
        counts = dict(line.split(":", 1) for line in lines)
        yield {
            "start": start,
            "end": end,
            "name": fields[5] if len(fields) > 5 else "",
            "Rss": kilobytes(counts["Rss"]),
            "Anonymous": kilobytes(counts["Anonymous"]),
        }


def kilobytes(text):
    """The kernel's kB are of 1024 bytes."""
    return int(text.split()[0]) * 1024


def kind_of_file(path):
    name = pathlib.Path(path).name
    if name.startswith("subscriber"):
        return "program"
    return "OpenSSL libraries" if name.startswith(("libssl", "libcrypto")) else "C library"


# --- the table ---


def table(rows, compiler):
    lines = [HEAD]
    for (target, tls), cells in rows.items():
        last = cells.get("wss", cells.get("ws"))
        lines.append("| " + " | ".join([
            f"`{target}`",
            "none" if tls == "none" else f"`{tls}`",
            f"{cells['binary']:.2f} MB",
            resident(cells.get("ws")),
            resident(cells.get("wss")) if tls != "none" else "",
            str(len(last["stacks"])) if last else "",
            f"{sum(last['stacks'].values()) // 1024} KiB" if last else "",
        ]) + " |\n")
    facts = {"idle": IDLE_SECONDS, "host": TARGETS[0], "files": files_text(rows), "compiler": compiler}
    notes = NOTES.format(roots=PLATFORM_ROOTS.read_text().count("BEGIN CERTIFICATE"), **facts)
    return "".join(lines) + "\n" + textwrap.fill(notes.strip(), 118, break_on_hyphens=False) + "\n"


def resident(cell):
    return f"{cell['resident'] / 1e6:.1f} MB (own: {cell['own'] / 1e6:.1f})" if cell else "not measured"


def files_text(rows):
    texts = []
    for tls in ["rustls", "native-tls"]:
        cells = rows.get((TARGETS[0], tls))
        if cells:
            files = cells["wss"]["files"].items()
            texts.append(f"with `{tls}` " + ", ".join(f"{size / 1e6:.1f} MB of the {name}" for name, size in sorted(files)))
    return ", and ".join(texts)


# --- checking ---


def check(rows, compiler):
    written = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip(" `") for cell in line.split("|")[1:-1]]
        if len(cells) == 7 and cells[0] in TARGETS:
            written[cells[0], cells[1]] = cells
    # The notes are in lines.
    same = f"and {compiler}." in " ".join(TABLE.read_text().split())
    binary = BINARY if same else OTHER_COMPILER
    if not same:
        print(f"The table was measured with another compiler, so binaries may differ by {binary:.0%}.")
    wrong = []
    for key, cells in rows.items():
        row = written.get(key) or sys.exit(f"ci: {TABLE.relative_to(ROOT)} has no row for {key}")
        compare(wrong, key, "binary", number(row[2]), cells["binary"], binary, 0)
        for column, scheme in [(3, "ws"), (4, "wss")]:
            if scheme in cells:
                for what, of_table in zip(["resident", "own"], numbers(row[column])):
                    measured = cells[scheme][what] / 1e6
                    compare(wrong, key, f"{what} over {scheme}", of_table, measured, MEMORY, AT_LEAST[what])
        last = cells.get("wss", cells.get("ws"))
        if last and len(last["stacks"]) != number(row[5]):
            wrong.append(f"{key}: {row[5]} threads in the table, there are {list(last['stacks'])}")
    wrong += outdated_copies()
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        sys.exit("ci: the table of sizes is not what was measured; PUSHER_SIZES=write bash .ci/run --only sizes writes it")
    print(f"{len(rows)} programs are as large as the table says, and the README repeats it")


def compare(wrong, key, what, of_table, measured, share, at_least):
    if abs(measured - of_table) > max(of_table * share, at_least):
        wrong.append(f"{key}: {what} is {of_table} MB in the table, measured {measured:.2f} MB")


def number(cell):
    return numbers(cell)[0]


def numbers(cell):
    return [float(it) for it in re.findall(r"[0-9.]+", cell)]


# --- copies in the README ---


def markers(copy):
    source = copy.relative_to(ROOT)
    return f"<!-- Copied from {source} by the step `sizes` from here -->\n", "<!-- to here. -->"


def replace_copies():
    readme = ROOT / "README.md"
    text = readme.read_text()
    for copy in COPIES:
        start, end = markers(copy)
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            sys.exit(f"ci: README.md lacks the lines `{start.strip()}` and `{end}`")
        text = before + start + copy.read_text() + end + after
    readme.write_text(text)


def outdated_copies():
    text = (ROOT / "README.md").read_text()
    return [
        f"README.md does not repeat {copy.relative_to(ROOT)}"
        for copy in COPIES
        if copy.read_text().join(markers(copy)) not in text
    ]


main()
