"""Reads a report of Autobahn's cases: `verdict.py INDEX.json`. Says what is wrong; closes with "N passed, N failed".

KNOWN are those that libwebsockets 4.1.6 itself fails: it answers the first of several pings that come at once, where RFC 6455 (5.5.3) lets
one answer the latest only. 2.11 sends its pings in pieces, so whether it fails is a matter of timing: neither is asked to fail.
A case that did not run is a failure: CASES is how many there are in 1 to 7, 9 and 10.
"""
import json
import sys

KNOWN = {"2.10", "2.11"}
CASES = 301
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}


def main(path):
    with open(path, encoding="utf-8") as file:
        (cases,) = json.load(file).values()
    bad = {name for name, case in cases.items() if case["behavior"] not in GOOD or case["behaviorClose"] not in GOOD}
    for name in sorted(bad - KNOWN):
        print(f"case {name}: {cases[name]['behavior']}, close {cases[name]['behaviorClose']}; {cases[name]['reportfile']}")
    if bad & KNOWN:
        print(f"known of libwebsockets: {', '.join(sorted(bad & KNOWN))}")
    missing = abs(CASES - len(cases))
    if missing:
        print(f"{len(cases)} cases ran, not {CASES}")
    failed = len(bad - KNOWN) + missing
    print(f"{len(cases) - len(bad)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
