//! The metrics provider's keys.

use super::ensemble::HostPort;
use super::lookup::Lookup;
use super::server::Config;

/// The endpoint that Prometheus scrapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prometheus {
    /// `metricsProvider.httpHost` and `metricsProvider.httpPort`.
    pub addr: HostPort,
    /// `metricsProvider.exportJvmInfo`: whether metrics of the process are among them.
    pub process_metrics: bool,
    /// Whether the configuration asks for it: then the server does not start without it, and `mntr` shows Prometheus's
    /// samples, as in Java. It is on without being asked for where there is no configuration at all.
    pub is_asked_for: bool,
}

const PROMETHEUS: &str = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";
const DEFAULT: &str = "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider";
const NULL: &str = "org.apache.zookeeper.metrics.impl.NullMetricsProvider";

/// Source: `QuorumPeerConfig.parseProperties`, `PrometheusMetricsProvider.configure`.
pub(super) fn fill(config: &mut Config, keys: &mut Lookup<'_>, embedded: bool) {
    let class = keys.text("metricsProvider.className").unwrap_or_default();
    match class.as_str() {
        PROMETHEUS => config.prometheus = prometheus(keys, true),
        DEFAULT if embedded => config.prometheus = prometheus(keys, false),
        DEFAULT => unused(keys),
        NULL => {
            let why = "the default provider is used: mntr shows metrics all the same";
            keys.warn("metricsProvider.className", why);
            unused(keys);
        }
        _ => {
            let why = format!("unknown class; there are {PROMETHEUS} and {DEFAULT}");
            keys.error("metricsProvider.className", &why);
        }
    }
}

fn prometheus(keys: &mut Lookup<'_>, is_asked_for: bool) -> Option<Prometheus> {
    let port = keys.text("metricsProvider.httpPort").unwrap_or_default();
    let Ok(port) = port.parse::<u16>() else {
        keys.error(
            "metricsProvider.httpPort",
            "must be a number from 0 to 65535",
        );
        return None;
    };
    let process = keys
        .text("metricsProvider.exportJvmInfo")
        .unwrap_or_default();
    Some(Prometheus {
        addr: HostPort {
            host: keys.text("metricsProvider.httpHost"),
            port,
        },
        process_metrics: process.eq_ignore_ascii_case("true"),
        is_asked_for,
    })
}

/// Java's default provider takes the keys of the other one and does nothing with them. Where their defaults are written
/// nobody expects anything.
fn unused(keys: &mut Lookup<'_>) {
    for (key, default) in [
        ("httpHost", "0.0.0.0"),
        ("httpPort", "7000"),
        ("exportJvmInfo", "true"),
    ] {
        let key = format!("metricsProvider.{key}");
        if keys.find(&key).is_some_and(|found| found.value != default) {
            let why = format!("no effect without metricsProvider.className={PROMETHEUS}");
            keys.warn(&key, &why);
        }
    }
}
