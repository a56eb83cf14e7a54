//! Whoever speaks HTTP to the AdminServer, against a whole one without sockets or a disk for its data.
//!
//! The input is what is sent over one connection, before the client says no more.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use oxkeeper::admin::Admin;
use oxkeeper::admin::http::AdminSite;
use oxkeeper::admin::operators::Current;
use oxkeeper::admin::port;
use oxkeeper::auth::AuthOptions;
use oxkeeper::client_port::Stop;
use oxkeeper::config::{Config, ConfigSources};
use oxkeeper::replica::gate::Gate;
use oxkeeper::replica::status::Counters;
use oxkeeper::replica::{DiskOp, Input, Output, Replica};
use oxkeeper::runtime::clock::Clock;
use oxkeeper::runtime::mailbox::{Mailbox, Message};
use oxkeeper::runtime::pulse::Pulses;
use oxkeeper::tree::{Tree, TreeOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use super::session::replica_options;

/// Speaks to the server. Whatever is sent, what comes back is HTTP, it comes to its end, and the server answers the
/// next one.
pub fn http(input: &[u8]) {
    thread_local!(static SERVER: Server = Server::start());
    SERVER.with(|server| {
        let answer = server.ask(input);
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1."),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        let next = server.ask(b"GET /commands/ruok HTTP/1.0\r\n\r\n");
        assert!(next.starts_with(b"HTTP/1.0 200 "), "it answers no more");
    });
}

struct Server {
    runtime: Runtime,
    site: Arc<AdminSite>,
    /// Where uploads go.
    _dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let dir = tempfile::tempdir().expect("a folder for uploads");
        let cfg = format!(
            "dataDir={}\nclientPort=1\nadmin.rateLimiterIntervalInMS=0\nadmin.idleTimeout=5000\n",
            dir.path().display()
        );
        let sources = ConfigSources {
            cfg: cfg.into_bytes(),
            ..ConfigSources::embedded()
        };
        let config = Config::parse(&sources).expect("it is right").config;
        let tree = Tree::new(TreeOptions::default());
        let gate = Arc::new(Gate::new(tree, AuthOptions::default(), 1 << 20));
        let (counters, mailbox) = (Arc::new(Counters::default()), Arc::new(Mailbox::default()));
        let options = replica_options(AuthOptions::default());
        let replica = Replica::standalone(options, gate.clone(), counters.clone(), Clock.now());
        let heard = mailbox.clone();
        std::thread::spawn(move || commit(replica, &heard));
        let folder = dir.path().to_path_buf();
        let admin = Arc::new(Admin::new(
            Arc::new(config),
            gate,
            counters,
            mailbox,
            Pulses::default(),
            (folder.clone(), folder),
            Clock,
        ));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Server {
            runtime: runtime.expect("a runtime"),
            site: Arc::new(AdminSite::new(Current::new(admin))),
            _dir: dir,
        }
    }

    fn ask(&self, sent: &[u8]) -> Vec<u8> {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let serve = port::serve(self.site.clone(), server, from, Stop::default());
        let mut answer = Vec::new();
        let talk = async {
            // The server may have heard enough.
            let _ = client.write_all(sent).await;
            let _ = client.shutdown().await;
            let _ = client.read_to_end(&mut answer).await;
        };
        let both = async { tokio::join!(serve, talk) };
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, both).await });
        assert!(ended.is_ok(), "no end: {}", String::from_utf8_lossy(sent));
        answer
    }
}

/// Longer than any pause that the server takes for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the commit loop does for operators; its disk does everything at once.
fn commit(mut replica: Replica, mailbox: &Mailbox) {
    let (mut messages, mut outputs, mut asked) = (Vec::new(), Vec::new(), None);
    loop {
        mailbox.take(&mut messages, Duration::from_secs(1));
        let now = Clock.now();
        for message in messages.drain(..) {
            match message {
                Message::Ask(ask) => ask(&mut replica),
                Message::Restore(tree, whose) => {
                    asked = Some(whose);
                    replica.step(now, Input::Restore { tree });
                }
                _ => {}
            }
            replica.take_outputs(&mut outputs);
            while !outputs.is_empty() {
                for output in std::mem::take(&mut outputs) {
                    match output {
                        Output::Disk(DiskOp::Append { zxid, .. }) => {
                            replica.step(now, Input::Logged { upto: zxid });
                        }
                        Output::Disk(DiskOp::InstallSnapshot { zxid, mut tree }) => {
                            tree.set_last_zxid(zxid);
                            replica.step(now, Input::Installed { tree });
                        }
                        Output::Restored(outcome) => {
                            if let Some(asked) = asked.take() {
                                let _ = asked.send(outcome);
                            }
                        }
                        _ => {}
                    }
                }
                replica.take_outputs(&mut outputs);
            }
        }
        replica.tick(now);
    }
}
