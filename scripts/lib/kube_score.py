#!/usr/bin/env python3
"""kube_score.py EXPLANATIONS FINDINGS...: what kube-score found (its JSON, a file
for each stack) beside the findings that are explained. Fails when a finding has no
explanation, and when an explanation fits no finding any more."""
import fnmatch
import json
import os
import sys
import tomllib

ALL_OK = 10  # kube-score's best grade


def findings(path):
    """Every check of an object that did not pass: its name, the object, what is said."""
    stack = os.path.basename(path).removesuffix(".findings")
    with open(path, encoding="utf-8") as file:
        objects = json.load(file)
    if not objects:
        sys.exit(f"{stack}: kube-score saw no object")
    for thing in objects:
        name = f"{thing['type_meta']['kind']}/{thing['object_meta']['name']}"
        for check in thing["checks"]:
            if check["skipped"] or check["grade"] >= ALL_OK:
                continue
            for comment in check["comments"] or [{"path": "", "summary": ""}]:
                said = ": ".join(part for part in (comment["path"], comment["summary"]) if part)
                yield stack, check["check"]["id"], name, said


def fits(explanation, stack, check, name, said):
    return (
        check == explanation["check"]
        and fnmatch.fnmatch(stack, explanation.get("stacks", "*"))
        and fnmatch.fnmatch(name, explanation["objects"])
        and fnmatch.fnmatch(said, explanation["finding"])
    )


def main():
    explanations, *paths = sys.argv[1:]
    with open(explanations, "rb") as file:
        explained = tomllib.load(file)["explained"]
    used = [0] * len(explained)
    complaints = []
    for path in paths:
        for stack, check, name, said in findings(path):
            reasons = [at for at, one in enumerate(explained) if fits(one, stack, check, name, said)]
            for at in reasons:
                used[at] += 1
            if not reasons:
                complaints.append(f"{stack}: {name}: {check}: {said}")
    for count, one in zip(used, explained):
        print(f"{count:4} findings explained: {one['check']}, {one['finding']}, of {one['objects']}")
        if not count:
            complaints.append(f"an explanation that nothing needs any more: {one}")
    print(f"{len(paths)} stacks; {sum(used)} findings explained, {len(complaints)} complaints")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(bool(complaints))


main()
