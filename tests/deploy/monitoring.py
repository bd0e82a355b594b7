"""Alerts and dashboard: promtool on every expression, and only metrics that the product has."""

import json
import re

import yaml
from product import metrics
from tools import FETCHED, HERE, ROOT, complaints

ALERTS, BOARD = "deploy/helm/tidegate/files/alerts.yaml", "deploy/helm/tidegate/files/dashboard.json"


def unknown(where, text):
    names = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\btidegate_\w+", text)}
    return [f"{where}: there is no metric {name}" for name in sorted(names - metrics())]


def alerts(root, scratch):
    """Findings in the alerts: their syntax, their metrics, when they fire (alerts_test.yaml), and that each is tried there."""
    found = complaints(FETCHED / "promtool", "check", "rules", root / ALERTS)
    if found:
        return found
    rules = [rule for group in yaml.safe_load((root / ALERTS).read_text())["groups"] for rule in group["rules"]]
    for rule in rules:
        found += unknown(rule["alert"], rule["expr"])
        found += [f"{rule['alert']}: no {part}" for part in ("summary", "description") if not rule.get("annotations", {}).get(part)]
        if rule.get("labels", {}).get("severity") not in ("critical", "warning", "info"):
            found.append(f"{rule['alert']}: severity is critical, warning or info")
    tests = yaml.safe_load((HERE / "alerts_test.yaml").read_text())
    tried = [case for test in tests["tests"] for case in test["alert_rule_test"]]
    for rule in rules:
        for fires in (True, False):
            if not any(case["alertname"] == rule["alert"] and bool(case["exp_alerts"]) == fires for case in tried):
                found.append(f"{rule['alert']} is not tried where it {'fires' if fires else 'does not fire'}")
    tests["rule_files"] = [str(root / ALERTS)]
    (scratch / "alerts_test.yaml").write_text(yaml.safe_dump(tests, sort_keys=False))
    return found + complaints(FETCHED / "promtool", "test", "rules", scratch / "alerts_test.yaml")


def scraped(root, scratch):
    """Findings in compose's Prometheus, whose targets are the compose file's services."""
    config = yaml.safe_load((root / "deploy/compose/prometheus.yml").read_text())
    services = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    targets = {target.split(":")[0] for job in config.get("scrape_configs", []) for entry in job["static_configs"] for target in entry["targets"]}
    wanted = {name for name in services if re.match(r"(gateway|worker)-", name)}
    found = [f"Prometheus asks {name}, which is no gateway or worker" for name in sorted(targets - wanted)]
    found += [f"Prometheus does not ask {name}" for name in sorted(wanted - targets)]
    config["rule_files"] = [str(root / ALERTS)]
    (scratch / "prometheus.yml").write_text(yaml.safe_dump(config))
    return found + complaints(FETCHED / "promtool", "check", "config", scratch / "prometheus.yml")


def board(root, scratch):
    """Findings in the dashboard: each expression parses, and its metrics are there; panels do not lie over each other."""
    try:
        panels = json.loads((root / BOARD).read_text())["panels"]
    except ValueError as error:
        return [f"{BOARD}: {error}"]
    found, rules, places = [], [], set()
    for panel in panels:
        place = panel["gridPos"]
        spots = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        if spots & places or place["x"] + place["w"] > 24:
            found.append(f"{panel['title']}: lies over another panel, or past the edge")
        places |= spots
        for target in panel.get("targets", []):
            found += unknown(panel["title"], target["expr"])
            expr = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
            found += [f"{panel['title']}: {name} is no variable of the dashboard" for name in re.findall(r"\$\w+", expr)]
            rules.append({"record": f"panel:{panel['id']}:{target['refId']}", "expr": expr})
    if len({panel["id"] for panel in panels}) < len(panels):
        found.append("two panels have one id")
    (scratch / "board.yaml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    return found + complaints(FETCHED / "promtool", "check", "rules", scratch / "board.yaml")


def monitoring(root):
    scratch = ROOT / "build/deploy/scratch"
    scratch.mkdir(exist_ok=True)
    return [*alerts(root, scratch), *scraped(root, scratch), *board(root, scratch)]
