//! A server inside the test, on a port of its own and in a folder that goes with it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use oxkeeper::config::{Config, ConfigSources, HostPort};
use oxkeeper::runtime::{Server, StartError};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::rawzk::{Client, PATIENCE};

/// Stops when dropped.
pub struct TestServer {
    pub address: SocketAddr,
    /// Where the AdminServer listens, if it is on.
    pub admin: Option<SocketAddr>,
    /// Where Prometheus finds its metrics.
    pub metrics: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: Option<TempDir>,
}

/// What `lines` of zoo.cfg say about a server in `dir`.
pub fn config(dir: &Path, lines: &str) -> Config {
    let cfg = format!(
        "dataDir={}\nclientPort=1\npreAllocSize=64\n{lines}\n",
        dir.display()
    );
    let sources = ConfigSources {
        cfg: cfg.into_bytes(),
        ..ConfigSources::embedded()
    };
    let mut config = Config::parse(&sources).unwrap().config;
    let host = Some("127.0.0.1".to_owned());
    config.client_addr = Some(HostPort {
        host: host.clone(),
        port: 0,
    });
    config.admin_addr = config.admin_addr.map(|_| HostPort {
        host: host.clone(),
        port: 0,
    });
    if let Some(prometheus) = &mut config.prometheus {
        prometheus.addr = HostPort { host, port: 0 };
    }
    config
}

impl TestServer {
    /// With the defaults but for `lines` of zoo.cfg.
    pub fn start(lines: &str) -> TestServer {
        let dir = tempfile::tempdir().unwrap();
        let mut server = TestServer::with(config(dir.path(), lines)).unwrap();
        server._dir = Some(dir);
        server
    }

    pub fn with(config: Config) -> Result<TestServer, StartError> {
        let (stop, stopped) = oneshot::channel();
        let (started, answer) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = match Server::start(Arc::new(config)).await {
                    Ok(server) => server,
                    Err(error) => return started.send(Err(error)).unwrap(),
                };
                let (clients, admin) = (server.address().unwrap(), server.admin_address());
                let addresses = (clients, admin, server.metrics_address());
                started.send(Ok(addresses)).unwrap();
                let _ = stopped.await;
                server.stop().await;
            });
        });
        let (address, admin, metrics) = answer.recv().unwrap()?;
        Ok(TestServer {
            address,
            admin,
            metrics,
            stop: Some(stop),
            thread: Some(thread),
            _dir: None,
        })
    }

    pub fn open(&self) -> Client {
        Client::open(self.address)
    }

    /// The answer to a four-letter word.
    pub fn word(&self, word: &str) -> String {
        let mut client = Client::dial(self.address);
        client.send(word.as_bytes());
        client.text()
    }

    /// A number of `mntr`.
    pub fn measure(&self, key: &str) -> i64 {
        let text = self.word("mntr");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("zk_{key}\t")));
        line.unwrap_or_else(|| panic!("no {key} in {text}"))
            .parse()
            .unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Asks until it is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}
