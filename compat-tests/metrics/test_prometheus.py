"""A real Prometheus server scrapes an ensemble; our rules and our dashboard work on what it finds."""

import json
import re
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from harness.cache import cache_dir
from harness.ensemble import Ensemble, until
from harness.ports import free_port
from harness.rawzk import Client
from metrics.samples import cfg, scrape

DOCKER = Path(__file__).resolve().parents[2] / "docker"
RULES = DOCKER / "prometheus" / "alerts.yml"
BIN = cache_dir() / "prometheus" / "root" / "usr" / "bin"
# Words of the query language, and what a series has besides its name.
WORDS = set("""
    and avg by count for histogram_quantile ignoring increase irate max min on or rate sum unless without job instance
    up op le stage key owner version quantile label_values znode_count
""".split()) - {"znode_count"}

pytestmark = pytest.mark.skipif(not (BIN / "prometheus").exists(),
                                reason="no Prometheus: compat-tests/install fetches it where there is apt-get")


@pytest.fixture(autouse=True)
def ours(pytestconfig):
    if pytestconfig.getoption("--only") == "java":
        pytest.skip("about the files of this server")


def dashboard_queries():
    found = []

    def walk(part):
        if isinstance(part, dict):
            found.extend(part[key] for key in ("expr", "query") if isinstance(part.get(key), str))
            part = list(part.values())
        if isinstance(part, list):
            for each in part:
                walk(each)

    walk(json.loads((DOCKER / "grafana" / "oxkeeper.json").read_text()))
    # The data source's own query is the kind of data source.
    return [query for query in found if query != "prometheus"]


def rule_queries():
    return re.findall(r"^\s+expr: (.*)$", RULES.read_text(), re.MULTILINE)


def names_of(queries):
    names = set()
    for query in queries:
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", query)
        names |= set(re.findall(r"[a-z_]\w*", bare))
    return names - WORDS


def test_rules_are_valid():
    done = subprocess.run([BIN / "promtool", "check", "config", DOCKER / "prometheus" / "prometheus.yml"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rule_queries())} rules found" in done.stdout


class Prometheus:
    """A server that scrapes these ports, as job `zookeeper`, once a second."""

    def __init__(self, ports):
        self.home = tempfile.TemporaryDirectory(prefix="oxkeeper-prometheus-")
        self.port = free_port()
        home = Path(self.home.name)
        targets = json.dumps([f"127.0.0.1:{each}" for each in ports])
        (home / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{RULES}]
scrape_configs:
  - job_name: zookeeper
    static_configs: [{{targets: {targets}}}]
""")
        self.log = open(home / "log", "wb")
        self.process = subprocess.Popen(
            [BIN / "prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(120)
        self.log.close()
        self.home.cleanup()

    def ask(self, what, **query):
        """The data of an answer; None while the server does not answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        except OSError:
            assert self.process.poll() is None, Path(self.log.name).read_text()
            return None


def test_a_prometheus_server_scrapes_an_ensemble_and_evaluates_our_rules():
    ports = {sid: free_port() for sid in (1, 2, 3)}
    with Ensemble("OOO", member_cfg={sid: cfg(ports[sid]) for sid in ports}) as ensemble:
        ensemble.start()
        client = Client(ensemble[1].host, ensemble[1].port)
        client.create("/app")
        for each in range(20):
            client.create(f"/app/n{each}", b"data")
            client.get_data(f"/app/n{each}")
        with Prometheus(ports.values()) as prometheus:
            def healthy():
                targets = (prometheus.ask("targets") or {}).get("activeTargets", [])
                return len(targets) == 3 and all(target["health"] == "up" for target in targets)

            def evaluated():
                groups = (prometheus.ask("rules") or {}).get("groups", [])
                rules = [rule for group in groups for rule in group["rules"]]
                return rules if rules and all(rule["health"] != "unknown" for rule in rules) else None

            until(healthy, lambda: f"all are scraped: {prometheus.ask('targets')}")
            rules = until(evaluated, "the rules are evaluated")
            assert len(rules) == len(rule_queries())
            assert [rule for rule in rules if rule["health"] != "ok"] == []
            firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
            assert firing == set()
            found = set(prometheus.ask("label/__name__/values"))
            types = {name for each in ports.values() for name in scrape(each).types}
            for queries in (rule_queries(), dashboard_queries()):
                lacking = {name for name in names_of(queries) - found if name not in types}
                # Sets that nothing was recorded in have a name and no series.
                assert {name for name in lacking if re.sub("_(sum|count|bucket)$", "", name) not in types} == set()
            for query in dashboard_queries():
                if not query.startswith("label_values"):
                    concrete = (query.replace("$__rate_interval", "1m").replace("$job", ".*")
                                .replace("$instance", ".*"))
                    assert prometheus.ask("query", query=concrete)["resultType"] == "vector", query
            # A scrape that took too long leaves a gap for a second.
            until(lambda: len(prometheus.ask("query", query="leader_uptime > 0")["result"]) == 1, "one leads")
        client.close_session()
