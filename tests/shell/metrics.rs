//! What Prometheus gets, over raw HTTP.

use super::admin::{ask, body, status};
use super::server::TestServer;

const CLASS: &str =
    "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";

const WORDS: &str = "4lw.commands.whitelist=*";

#[test]
fn a_server_without_a_configuration_is_scraped() {
    let server = TestServer::start(WORDS);
    let metrics = server.metrics.unwrap();
    assert_eq!(server.open().create("/a", b"xyz", 0).err(), 0);
    let answer = ask(metrics, "GET", "/metrics");
    assert_eq!(status(&answer), 200);
    let kind = "\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    assert!(answer.contains(kind), "{answer}");
    for sample in [
        "\nznode_count 6.0\n",
        "\nnum_alive_connections ",
        "\nprocess_resident_memory_bytes ",
        "\noxkeeper_memory_bytes{owner=\"znodes\",} ",
        "# TYPE readlatency summary\n",
        "# TYPE proposal_count counter\n",
        "\noxkeeper_recovering 0.0\n",
    ] {
        assert!(body(&answer).contains(sample), "{sample}");
    }
    // Nobody asked for that provider, so `mntr` is as tools know it.
    assert!(server.word("mntr").contains("zk_avg_readlatency\t"));
}

#[test]
fn samples_can_be_asked_for_by_name_and_nothing_else_is_there() {
    let server = TestServer::start("");
    let metrics = server.metrics.unwrap();
    let some = ask(
        metrics,
        "GET",
        "/metrics?name[]=znode_count&name%5B%5D=fsynctime_sum",
    );
    let names: Vec<&str> = body(&some)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(names, ["znode_count", "fsynctime_sum"]);
    for (method, path, expected) in [
        ("POST", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/", 404),
        ("TRACE", "/metrics", 403),
        ("PUT", "/metrics", 405),
    ] {
        assert_eq!(
            status(&ask(metrics, method, path)),
            expected,
            "{method} {path}"
        );
    }
}

#[test]
fn whoever_asks_for_prometheus_gets_samples_in_mntr() {
    let server = TestServer::start(&format!(
        "{WORDS}\n{CLASS}\nmetricsProvider.exportJvmInfo=false"
    ));
    let scraped = ask(server.metrics.unwrap(), "GET", "/metrics");
    assert!(!scraped.contains("process_open_fds"));
    let mntr = server.word("mntr");
    assert!(mntr.contains("\nzk_znode_count\t5.0\n"), "{mntr}");
    assert!(mntr.contains("\nzk_readlatency{quantile=\"0.5\"}\t"));
}
