#!/usr/bin/env python3
"""Holds docs/observability against a server that runs: every metric, label and value that a file names is really there.

Usage: check.py SERVER, where SERVER is the example draft-graph. Only Python's own library is needed.
"""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "observability"
BRIEF = "Should we raise the price of our Pro plan from 49 to 59, to reach 20k MRR while keeping churn under 4%?"
STREAM, RESUME = "/assist/draft-graph/stream", "/assist/draft-graph/resume"
NAME = re.compile(r"\btower_resume_[a-z_]+\b")
PATIENCE = 60


def fail(text):
    sys.exit(f"observability: {text}")


def table():
    """What metrics.md says: for each name its kind, and its label with the values."""
    kind, metrics = None, {}
    for line in (FOLDER / "metrics.md").read_text().splitlines():
        if line.startswith("## "):
            kind = line[3:].lower().removesuffix("s")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `tower_resume_"):
            label, _, values = cells[1].partition(":")
            metrics[cells[0].strip("`")] = (kind, label.strip("`"), set(re.findall(r"`([^`]+)`", values)))
    return metrics


def base(name, metrics):
    """The metric that a series of this name belongs to."""
    for suffix in ("_bucket", "_sum", "_count"):
        stem = name.removesuffix(suffix)
        if stem != name and metrics.get(stem, ("",))[0] == "histogram":
            return stem
    return name


class Samples:
    """A page of Prometheus' text format."""

    LINE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')

    def __init__(self, text):
        self.series = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = self.LINE.match(line) or fail(f"not a sample: {line}")
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                self.series.append((match[1], labels, float(match[3])))

    def sum(self, name, **labels):
        return sum(value for known, has, value in self.series if known == name and labels.items() <= has.items())


class Agent(threading.Thread):
    """What a Datadog agent hears."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.lines = []
        self.start()

    def run(self):
        while True:
            self.lines.extend(self.socket.recv(65536).decode().splitlines())

    def points(self):
        """For each metric its types, and all its tags."""
        points = {}
        for line in list(self.lines):
            name, rest = line.split(":", 1)
            parts = rest.split("|")
            tags = next((part[1:].split(",") for part in parts[1:] if part.startswith("#")), [])
            types, known = points.setdefault(name, (set(), set()))
            types.add(parts[1])
            known.update(tags)
        return points


def free_port():
    """Below those that the system itself gives away: nobody gets it between this look at it and its use."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(15_000, 32_000)))
            return probe.getsockname()[1]


class Server:
    def __init__(self, program, agent):
        self.port = free_port()
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("SSE_", "REDIS_", "DD_"))}
        # Few events are kept, so that a client that comes back from the start meets a gap.
        own = {"PORT": str(self.port), "DRAFT_PACE_MS": "30", "SSE_BUFFER_MAX_EVENTS": "4", "DD_AGENT_HOST": "127.0.0.1"}
        own |= {"DD_AGENT_PORT": str(agent.port), "DD_SERVICE": "drafts", "DD_ENV": "test"}
        self.process = subprocess.Popen([program], env=keep | own, stdout=subprocess.DEVNULL)
        self.tokens = set()
        wait("the server listens", lambda: self.ask("/healthz")[0] == 200)

    def ask(self, path, headers=None, body=None, method=None, lines=None):
        """The status and the text of a response; with `lines`, no more than so many lines of it, and then a cut."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                text = ""
                for number, line in enumerate(response):
                    text += line.decode()
                    if lines is not None and number >= lines:
                        break
                status = response.status
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)
        self.tokens.update(re.findall(r"^id: (\S+)", text, re.M))
        return status, text

    def stream(self, **kwargs):
        body = json.dumps({"brief": BRIEF}).encode()
        return self.ask(STREAM, {"content-type": "application/json"}, body, **kwargs)

    def traffic(self):
        status, text = self.stream(lines=12)
        first = re.findall(r"^id: (\S+)", text, re.M)[0]
        assert status == 200, text
        # It comes back when more was let go than is kept: to a gap where the beginning was, and then the rest.
        wait("ten events are recorded", lambda: Samples(self.scrape()).sum("tower_resume_events_total") >= 10)
        status, text = self.ask(RESUME, {"X-Resume-Token": first})
        assert status == 200 and '"phase":"gap"' in text and '"phase":"end"' in text, text
        # Once more: the stream is over, and a snapshot stands in.
        status, text = self.ask(RESUME, {"X-Resume-Token": first})
        assert status == 200 and '"phase":"snapshot"' in text, text
        assert self.ask(RESUME, {"X-Resume-Token": first[:-4] + "AAAA"})[0] == 401
        assert self.ask(RESUME)[0] == 400
        _, text = self.stream(lines=12)
        token = re.findall(r"^id: (\S+)", text, re.M)[-1]
        assert self.ask(RESUME, {"X-Resume-Token": token}, method="DELETE")[0] in (202, 204)

    def scrape(self):
        status, text = self.ask("/metrics")
        assert status == 200, text
        return text

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def wait(what, is_so):
    until = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > until:
            fail(f"it never came: {what}")
        time.sleep(0.05)


def prometheus_names(text):
    """Each name of a metric, with what its braces hold."""
    for match in re.finditer(r"\b(tower_resume_[a-z_]+)\b(?!:)(?:\{([^}]*)\})?", text):
        yield match[1], match[2] or ""


def check_prometheus(file, expressions, metrics, samples):
    exported = {name for name, _, _ in samples.series}
    labels_of = {}
    for name, labels, _ in samples.series:
        labels_of.setdefault(base(name, metrics), set()).update(labels)
    named = set()
    for expression in expressions:
        used = set()
        for name, braces in prometheus_names(expression):
            metric = base(name, metrics)
            used.add(metric)
            if metric not in metrics:
                fail(f"{file}: there is no metric {name}")
            if name not in exported:
                fail(f"{file}: the server exports no series {name}")
            _, label, values = metrics[metric]
            for key, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', braces):
                if key in ("job", "instance"):
                    continue
                if key not in labels_of[metric]:
                    fail(f"{file}: {name} has no label {key}")
                wanted = value.split("|") if "~" in operator else [value]
                if key == label and values and not set(wanted) <= values:
                    fail(f"{file}: {name} never has {key} {sorted(set(wanted) - values)}")
        allowed = {"job", "instance"}.union(*(labels_of[metric] for metric in used)) if used else None
        for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
            for key in filter(None, (key.strip() for key in group.split(","))):
                if allowed is not None and key not in allowed:
                    fail(f"{file}: nothing in `{expression}` has the label {key}")
        named |= used
    print(f"{file}: {len(named)} metrics, all there")
    return named


def strings(value, keys):
    """All texts under one of these keys, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys and isinstance(inner, str):
                yield inner
            else:
                yield from strings(inner, keys)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, keys)


def check_datadog(file, queries, metrics, points):
    named = set()
    for query in queries:
        for aggregator, name, braces in re.findall(r"\b([a-z0-9]+):(tower_resume_[a-z_]+)\{([^}]*)\}", query):
            named.add(name)
            if name not in metrics:
                fail(f"{file}: there is no metric {name}")
            if name not in points:
                fail(f"{file}: the agent heard nothing of {name}")
            kind, label, values = metrics[name]
            if re.fullmatch(r"p\d+", aggregator) and points[name][0] != {"d"}:
                fail(f"{file}: {name} has no percentiles: it comes as {points[name][0]}")
            for key, inside in re.findall(r"!?\b([a-z]+) IN \(([^)]*)\)", braces):
                if key != label or not set(inside.split(",")) <= values:
                    fail(f"{file}: {name} has not all of {key} {inside}")
            for key, value in re.findall(r"\b([a-z]+):([a-z-]+)", braces):
                if key != label or (values and value not in values):
                    fail(f"{file}: {name} never has {key}:{value}")
            left = re.sub(r"!?\b[a-z]+ IN \([^)]*\)|!?\b[a-z]+:[a-z-]+|\$(service|env|host)|AND|[\s,*]", "", braces)
            if left:
                fail(f"{file}: what is `{left}` in {query}")
        for name, group in re.findall(r"(tower_resume_[a-z_]+)\{[^}]*\} by \{([^}]*)\}", query):
            known = {"host", "service", "env", metrics[name][1]}
            if not set(group.split(",")) <= known:
                fail(f"{file}: {name} is not told apart by {group}")
        if not NAME.search(query):
            fail(f"{file}: a query of nothing: {query}")
    print(f"{file}: {len(named)} metrics, all heard")
    return named


def named_to_datadog():
    files = (FOLDER / "datadog-dashboard.json", FOLDER / "datadog-monitors.json")
    return {name for file in files for name in NAME.findall(file.read_text())}


def anchors(page):
    for line in page.read_text().splitlines():
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            yield re.sub(r"[^\w\- ]", "", title).replace(" ", "-")


def check_runbooks(file, links):
    for link in links:
        page, _, anchor = link.partition("#")
        if anchor not in set(anchors(ROOT / page)):
            fail(f"{file}: there is no {link}")


def check_dashboard(dashboard):
    """What Grafana would stumble over at the import, as far as that can be told without it."""
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "panels share an id"
    taken = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, f"{panel['title']} lies over another panel"
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"] and panel["targets"], panel["title"]
            sources = {target["datasource"]["uid"] for target in panel["targets"]} | {panel["datasource"]["uid"]}
            assert sources == {"${datasource}"}, f"{panel['title']} has a data source of its own"
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert {"datasource", "job", "instance"} == variables, variables


def main():
    metrics = table()
    assert len(metrics) > 40, "metrics.md has lost its table"
    agent = Agent()
    server = Server(sys.argv[1], agent)
    try:
        server.traffic()
        # The last of it is counted where its reader leaves.
        wait("both streams have ended", lambda: Samples(server.scrape()).sum("tower_resume_stream_ended_total") == 2)
        wait("all readers have left", lambda: Samples(server.scrape()).sum("tower_resume_readers") == 0)
        # It is told every few seconds of what was counted meanwhile: of the last of it later than of the first.
        needed = {name for name, (kind, _, _) in metrics.items() if kind == "histogram"} | named_to_datadog() & metrics.keys()
        wait("the agent has heard of all", lambda: needed <= agent.points().keys())
        text = server.scrape()
        samples = Samples(text)
    finally:
        code = server.stop()
    assert code == 0, f"the server ended with {code}"
    points = agent.points()

    for name, (kind, label, values) in metrics.items():
        series = {"histogram": f"{name}_count"}.get(kind, name)
        has = [labels for known, labels, _ in samples.series if known == series]
        if not has:
            fail(f"metrics.md: the server exports no {name}")
        if values and kind == "counter" and {labels.get(label) for labels in has} != values:
            fail(f"metrics.md: {name} is exported with {has}")
        if f"# TYPE {name} {kind}\n" not in text or f"# HELP {name} " not in text:
            fail(f"metrics.md: {name} is exported as something else than a {kind}, or undescribed")
    # What tells the agent counts what it tells, too, and soon has that on the page. It is no matter of the layer's.
    ours = {base(name, metrics) for name, _, _ in samples.series if not name.startswith("datadog_dogstatsd_client_")}
    strangers = ours - metrics.keys()
    if strangers:
        fail(f"metrics.md: it lacks {sorted(strangers)}")
    for name, least in {
        "tower_resume_issued_total": 2,
        "tower_resume_gap_events_total": 1,
        "tower_resume_buffer_trimmed_total": 1,
        "tower_resume_success_total": 2,
        "tower_resume_replay_seconds_count": 2,
        "tower_resume_cancel_attempt_total": 1,
    }.items():
        assert samples.sum(name) >= least, f"{name}: {samples.sum(name)}"
    assert samples.sum("tower_resume_refused_total", code="invalid_signature") == 1
    assert samples.sum("tower_resume_open_streams") == 0

    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    check_dashboard(dashboard)
    variables = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}

    def filled(expression):
        for variable, value in variables.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression, expression
        return expression

    shown = check_prometheus("grafana.json", [filled(e) for e in strings(dashboard, {"expr", "definition"})], metrics, samples)
    missing = {name for name, (kind, _, _) in metrics.items()} - shown - {"tower_resume_incompatible_total"}
    print(f"grafana.json does not show: {', '.join(sorted(missing)) or 'nothing'}")

    rules = (FOLDER / "prometheus-rules.yml").read_text()
    blocks = re.findall(r"^ +expr: (?:>-\n)?((?:.*\n)(?: {10,}.*\n)*)", rules, re.M)
    assert len(blocks) == len(re.findall(r"^ +expr:", rules, re.M)) > 15, "an expr was not understood"
    check_prometheus("prometheus-rules.yml", blocks, metrics, samples)
    alerts = set(re.findall(r"- alert: (\w+)", rules))
    tests = (FOLDER / "prometheus-rules.test.yml").read_text()
    fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", tests))
    quiet = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts: \[\]", tests))
    assert alerts == fired == quiet, f"alerts without a test: {alerts - fired}, {alerts - quiet}; tests of none: {fired - alerts}"
    for file, text_ in (("prometheus-rules.yml", rules), ("datadog-monitors.json", (FOLDER / "datadog-monitors.json").read_text())):
        links = re.findall(r"docs/[a-z]+\.md#[a-z-]+", text_)
        assert links, file
        check_runbooks(file, links)
    assert rules.count("runbook_url:") == rules.count("severity:") == rules.count("summary:") == len(alerts)

    check_datadog("datadog-dashboard.json", strings(json.loads((FOLDER / "datadog-dashboard.json").read_text()), {"query"}), metrics, points)
    monitors = json.loads((FOLDER / "datadog-monitors.json").read_text())
    check_datadog("datadog-monitors.json", strings(monitors, {"query"}), metrics, points)
    for monitor in monitors:
        limit = re.search(r"> ([0-9.]+)$", monitor["query"])
        assert limit and float(limit[1]) == monitor["options"]["thresholds"]["critical"], monitor["name"]
    for name, (_, tags) in points.items():
        if name.startswith("tower_resume_"):
            assert {"service:drafts", "env:test"} <= tags, f"{name}: {tags}"

    heard = text + "\n".join(agent.lines)
    assert server.tokens and not any(token in heard for token in server.tokens), "a token was exported"
    print(f"{len(metrics)} metrics exported, {len(samples.series)} series; {len(agent.lines)} lines to the agent; no token in them")


if __name__ == "__main__":
    main()
