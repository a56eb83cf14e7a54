"""Prometheus's text format, as far as both servers write it."""

import re
import urllib.request

CLASS = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider"
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Scrape:
    """types: family -> type; values: (sample name, labels) -> value, labels as sorted pairs;
    forms: how samples are written, without what differs.
    """

    def __init__(self, text):
        self.types, self.helps, self.values = {}, {}, {}
        self.families, self.forms = {}, set()
        family = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                _, _, name, text = line.split(" ", 3)
                self.helps[name] = text
            elif line.startswith("# TYPE "):
                _, _, family, kind = line.split(" ")
                assert family not in self.types, f"{family} twice"
                self.types[family] = kind
            else:
                name, labels, value = _SAMPLE.match(line).groups()
                pairs = tuple(sorted(_LABEL.findall(labels or "")))
                assert (name, pairs) not in self.values, f"{line} twice"
                self.values[name, pairs] = float(value)
                self.families[name] = family
                self.forms.add(_LABEL.sub(r'\1=""', line.rpartition(" ")[0]))

    def value(self, name, **labels):
        return self.values.get((name, tuple(sorted(labels.items()))))

    def shapes(self):
        """(family, type, sample, names of its labels) of everything."""
        return {(self.families[name], self.types[self.families[name]], name,
                 tuple(label for label, _ in labels)) for name, labels in self.values}


def scrape(port, query=""):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics{query}", timeout=60) as answer:
        assert answer.headers["Content-Type"].lower() == "text/plain; version=0.0.4; charset=utf-8", \
            answer.headers["Content-Type"]
        return Scrape(answer.read().decode())


def cfg(port):
    """Keys of zoo.cfg that turn the endpoint on."""
    return {
        "metricsProvider.className": CLASS,
        "metricsProvider.httpHost": "127.0.0.1",
        "metricsProvider.httpPort": port,
    }
