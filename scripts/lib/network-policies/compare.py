#!/usr/bin/env python3
"""compare.py NCA OPERATOR: renders the stacks of matrix.txt, has the analyzer compute
who may connect to whom, and prints it. Fails where that is not what is wanted."""
import ipaddress
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
STACK, NAMESPACE = "shop", "store"
# An address outside that a policy may name; the internet is all others.
DATABASE = ipaddress.ip_address("198.51.100.5")
WORKLOADS = ("nginx", "api", "postgres")
OF_THE_STACK = (*WORKLOADS, "postgres-job", "cnpg", "cnpg-standby")
UNASKED = "."


class Case:
    """A stack, and the table that is wanted of it."""

    def __init__(self, text):
        title, spec, *table = [line for line in text.splitlines() if line.strip()]
        self.title = title.strip()
        self.spec = spec.removeprefix("spec: ")
        _corner, *self.columns = table[0].split()
        self.wanted = {}
        for line in table[1:]:
            row, *cells = line.split()
            if len(cells) != len(self.columns):
                sys.exit(f"{self.title}: {row}: {len(cells)} cells for {len(self.columns)} columns")
            for column, cell in zip(self.columns, cells):
                ours = row != column and {row, column} & set(OF_THE_STACK)
                if bool(ours) == (cell == UNASKED):
                    sys.exit(f"{self.title}: {row} to {column}: what is wanted?")
                self.wanted[row, column] = cell
        self.rows = list(dict.fromkeys(row for row, _ in self.wanted))


def read_matrix():
    """The sets of ports that have a name, and the cases."""
    text = (HERE / "matrix.txt").read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    head, *parts = re.split(r"^== ", text, flags=re.MULTILINE)
    names = dict(line.split(" = ") for line in head.splitlines() if line.strip())
    return {name: set(ports.split("+")) for name, ports in names.items()}, [Case(part) for part in parts]


def connectivity(nca, operator, case):
    """What may connect to what, as the analyzer says it: (from, to, connections)."""
    with tempfile.TemporaryDirectory() as directory:
        manifest = pathlib.Path(directory, "authstack.yaml")
        manifest.write_text(
            f"apiVersion: auth.dataviv.com/v1alpha1\nkind: AuthStack\n"
            f"metadata: {{name: {STACK}, namespace: {NAMESPACE}}}\nspec: {case.spec}\n",
            encoding="utf-8",
        )
        objects = pathlib.Path(directory, "objects.yaml")
        objects.write_bytes(subprocess.check_output([operator, "render", "-f", manifest]))
        peers = HERE / "peers.yaml"
        answer = subprocess.run(
            [nca, "--connectivity", objects, "-p", objects, "-p", peers, "-n", peers,
             "--output_format", "txt_no_fw_rules"],
            check=True, capture_output=True, text=True,
        ).stdout
    lines = re.findall(r"^(\S+) => (\S+) : (.+)$", answer, flags=re.MULTILINE)
    if not lines:
        sys.exit(f"{case.title}: the analyzer computed nothing: {answer}")
    return lines


def stands_for(endpoint, name):
    """Whether what the analyzer names so is what tables name so."""
    _namespace, _, pod = endpoint.partition("/")
    if pod.endswith("]"):
        pod = pod.partition("[")[0]
        return pod == (f"{STACK}-{name}" if name in WORKLOADS else name)
    first, _, last = endpoint.partition("-")
    first, last = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
    if first.version != DATABASE.version:
        return name == "internet"
    if name == "database":
        return first <= DATABASE <= last
    return name == "internet" and not first == DATABASE == last


def ports(said):
    """The analyzer's words as a set of ports; UDP's have a mark."""
    if said == "All connections":
        return {"all"}
    found = set()
    for protocols, numbers in re.findall(r"\{protocols:([A-Z, ]+),dst_ports:([\d,-]+)\}", said):
        for protocol in protocols.split(", "):
            mark = {"TCP": "", "UDP": "/udp", "SCTP": "/sctp"}[protocol]
            for number in numbers.split(","):
                first, _, last = number.partition("-")
                found.update(f"{port}{mark}" for port in range(int(first), int(last or first) + 1))
    if not found:
        sys.exit(f"what does the analyzer mean by {said}?")
    return found


def computed(connections, row, column):
    """What is open from a row's pod to a column's."""
    found = set()
    for source, target, said in connections:
        if stands_for(source, row) and stands_for(target, column):
            found |= ports(said)
    return found


def cell(found, names):
    """A set of ports as tables have it."""
    parts = []
    for name, named in names.items():
        if named <= found:
            parts.append(name)
            found = found - named
    parts += sorted(found, key=lambda port: (int(port.partition("/")[0]), port) if port != "all" else (0, port))
    return "+".join(parts) or "-"


def main():
    nca, operator = sys.argv[1:]
    wrong = total = 0
    names, cases = read_matrix()
    for case in cases:
        connections = connectivity(nca, operator, case)
        named = {endpoint for line in connections for endpoint in line[:2]}
        print(f"\n{case.title}\nspec: {case.spec}\n")
        table = [["from\\to", *case.columns]]
        for row in case.rows:
            line = [row]
            for column in case.columns:
                wanted = case.wanted[row, column]
                is_now = UNASKED if wanted == UNASKED else cell(computed(connections, row, column), names)
                total += wanted != UNASKED
                wrong += is_now != wanted
                line.append(is_now if is_now == wanted else f"{is_now}, NOT {wanted}")
            table.append(line)
        widths = [max(map(len, cells)) for cells in zip(*table)]
        for line in table:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        # A name that nobody has would have no connections, and look well guarded.
        for name in {*case.rows, *case.columns}:
            if not any(stands_for(endpoint, name) for endpoint in named):
                sys.exit(f"{case.title}: the analyzer knows no {name}")
    print(f"\n{total} cells compared, {wrong} not as wanted")
    sys.exit(bool(wrong))


main()
