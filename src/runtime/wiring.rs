//! Builds and connects one server from its configuration, and stops it in the right order.
//!
//! Order of starting: folders, lock, the ports for operators, recovery, listeners (so that a taken port leaves nothing
//! behind; connections wait in the backlog), threads, the ports between servers, and last the client port. Order of
//! stopping: the client port, its connections once they have their answers, the commit loop once everything accepted is
//! applied, the ports between servers, the log.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::commit_loop::{CommitLoop, Ensemble, Wanted};
use super::data_lock::{DataLock, LockError};
use super::durable::Durable;
use super::ensemble::{self, Ports};
use super::log_instruments::LogInstruments;
use super::log_reader::LogReading;
use super::log_writer::{DiskChain, LogQueue};
use super::loop_instruments::LoopInstruments;
use super::mailbox::{Mailbox, Message};
use super::ports::{Complaints, ListenError};
use super::pulse::Pulses;
use super::recovery::{self, Progress};
use super::shutdown::Asked;
use super::snapshotter::Snapshotter;
use super::{entropy, os_user};
use crate::admin::Admin;
use crate::admin::operators::Operators;
use crate::admin::port;
use crate::audit::Event;
use crate::auth::{AuthOptions, DigestAlg};
use crate::base::{Mono, Now, Stamp};
use crate::client_port::throttle::{BucketOptions, ConnectionThrottle, Weights};
use crate::client_port::{self, BindError, ClientPort, Listener, Stop};
use crate::config::{Config, HostPort, limits};
use crate::metrics::Metrics;
use crate::prep::PrepOptions;
use crate::replica::gate::Gate;
use crate::replica::large::LargeRequests;
use crate::replica::membership;
use crate::replica::status::Counters;
use crate::replica::{ReaperOptions, Replica, ReplicaOptions, ThrottleOptions};
use crate::storage::snap_policy::SnapPolicy;
use crate::storage::snapshot::SnapshotOptions;
use crate::storage::txnlog::{LogOptions, LogWriter};
use crate::storage::{Dirs, Disk, OsDisk, RecoverOptions, Recovered, StorageError, purge};
use crate::tree::{Tree, TreeOptions};
use crate::zab::io::{PeerOptions, Stored};
use rand::Rng;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another server uses it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The client port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A port for the other servers cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The AdminServer's port cannot be had.
    #[error(transparent)]
    Admin(port::BindError),
    /// The port for Prometheus cannot be had.
    #[error(transparent)]
    Metrics(port::BindError),
    /// The client port's address means nothing here.
    #[error("clientPortAddress={0}: cannot be resolved: {1}")]
    Address(String, io::Error),
    /// The system refuses threads, signals or files.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// A server that serves.
pub struct Server {
    gate: Arc<Gate>,
    mailbox: Arc<Mailbox>,
    log: Arc<LogQueue>,
    ports: Option<Ports>,
    threads: Vec<JoinHandle<()>>,
    log_thread: JoinHandle<()>,
    stop: Stop,
    tasks: TaskTracker,
    address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    _locks: Vec<DataLock>,
}

/// Connections get this long to take their last answers when the server stops.
const GRACE: Duration = Duration::from_secs(5);

impl Server {
    /// Recovers the data and opens the client port. Operators are answered from before the recovery on, if other
    /// threads than this one run the tasks.
    ///
    /// # Errors
    /// Says which file, folder or address is the trouble, and what to do about it.
    pub async fn start(config: Arc<Config>) -> Result<Server, StartError> {
        let (stop, tasks) = (Stop::default(), TaskTracker::new());
        let started = Server::begin(config, stop.clone(), tasks).await;
        if started.is_err() {
            stop.set();
        }
        started
    }

    async fn begin(
        config: Arc<Config>,
        stop: Stop,
        tasks: TaskTracker,
    ) -> Result<Server, StartError> {
        let clock = Clock;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let dirs = Dirs::new(&config.data_dir, &config.data_log_dir);
        let locks = take_folders(&config, &*disk, &dirs)?;
        let counters = Arc::new(Counters::default());
        let progress = Arc::<Progress>::default();
        let before = before_recovery(&config, &dirs, &counters, &progress);
        let operators = Operators::open(&config, before, &stop, &tasks).await?;
        let (metrics, options) = (&counters.metrics, recover_options(&config));
        let mut recovered = recovery::recover(&disk, &dirs, &options, metrics, &progress)?;
        let mut past = Past::of(&config, &disk, &dirs, &mut recovered)?;

        let auth = auth_options(&config);
        let gate = Arc::new(gate(&config, recovered.tree, auth.clone()));
        let now = clock.now();
        let admin = Arc::new(admin(&config, &dirs, &counters, gate.clone()));
        let (mailbox, pulses) = (admin.mailbox.clone(), admin.pulses.clone());
        let port = client_port(&config, &gate, &counters, &mailbox, admin.clone(), clock);
        let clients = listen(&config)?;
        let address = clients.as_ref().map(Listener::address).transpose()?;
        let log = Arc::new(LogQueue::default());
        let ports = open_ports(&config, &mailbox, &log, &counters.metrics).await?;
        admin.meet(&log, ports.as_ref().map(|ports| &ports.peers));
        let options = replica_options(&config, auth);
        let replica = past.replica(options, &gate, counters.clone(), now);
        let parts = Parts {
            config: &config,
            disk: &disk,
            dirs: &dirs,
            gate: &gate,
            mailbox: &mailbox,
            ports: ports.as_ref(),
            metrics: counters.metrics.clone(),
            durable: past.durable.clone(),
            log: log.clone(),
            pulses,
            clock,
        };
        let (threads, log_thread) = parts.start(replica)?;

        operators.meet(&admin);
        tokio::spawn(move_windows(admin, stop.clone()));
        if let Some(listener) = clients {
            tasks.spawn(listener.run(port, stop.clone(), tasks.clone()));
        }
        start_purging(&config, disk, dirs, past.durable, &stop);
        Ok(Server {
            gate,
            mailbox,
            log,
            ports,
            threads,
            log_thread,
            stop,
            tasks,
            address,
            admin_address: operators.admin_address,
            metrics_address: operators.metrics_address,
            _locks: locks,
        })
    }

    /// Where clients connect, unless there is no client port.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Where the AdminServer listens, if there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where Prometheus finds the metrics, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Serves until it is asked to stop, then finishes what was accepted.
    pub async fn run(self, asked: Asked) {
        asked.wait().await;
        let gate = self.gate.clone();
        if let Some(user) = gate.audit_user() {
            Event::server_stop(user).tell();
        }
        self.stop().await;
        // The process ends: giving back a large tree znode by znode would only hold that up.
        std::mem::forget(gate);
    }

    /// Finishes what was accepted, syncs it, and ends.
    pub async fn stop(self) {
        self.stop.set();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                "{} connections did not take their last answers in time and are closed; their clients find out \
                 when they connect again",
                self.tasks.len()
            );
        }
        self.mailbox.push(Message::Stop);
        let (log, threads, log_thread) = (self.log, self.threads, self.log_thread);
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().all(|thread| thread.join().is_ok())
        });
        let clean = joined.await.unwrap_or(false);
        if let Some(ports) = &self.ports {
            ports.stop().await;
        }
        let joined = tokio::task::spawn_blocking(move || {
            log.stop();
            clean && log_thread.join().is_ok()
        });
        match joined.await {
            Ok(true) => tracing::info!("stopped"),
            _ => super::stop_for_good("a thread of the server died"),
        }
    }
}

/// Puts the folders in order and keeps other servers out of them.
fn take_folders(
    config: &Config,
    disk: &dyn Disk,
    dirs: &Dirs,
) -> Result<Vec<DataLock>, StartError> {
    for kept in super::restored::complete(&config.data_dir)? {
        tracing::warn!(
            "{}: a restore was interrupted and is completed; this is what was there before",
            kept.display()
        );
    }
    dirs.prepare(disk, config.datadir_autocreate)?;
    let mut locks = vec![DataLock::take(&dirs.data)?];
    if dirs.log != dirs.data {
        locks.push(DataLock::take(&dirs.log)?);
    }
    Ok(locks)
}

fn gate(config: &Config, tree: Tree, auth: AuthOptions) -> Gate {
    let gate = Gate::new(tree, auth, limits::OUTBOX_NOTIFICATION_BYTES);
    if config.audit.enabled {
        gate.audit_as(os_user::name().into());
    }
    gate
}

fn tree_options(config: &Config) -> TreeOptions {
    TreeOptions {
        extended_types: config.extended_types,
        emulate_353_ttl: config.emulate_353_ttl,
        digest: config.digest_enabled,
    }
}

fn recover_options(config: &Config) -> RecoverOptions {
    let kept = config
        .member
        .as_ref()
        .map(|own| (own.commit_log_count, limits::HISTORY_BYTES));
    let (tail_count, tail_bytes) = kept.unwrap_or_default();
    RecoverOptions {
        tree: tree_options(config),
        create_dirs: config.datadir_autocreate,
        // Concerns members of an ensemble, who might have lost what others have. Java serves an empty database on
        // its own, too.
        create_database: config.is_standalone() || config.db_autocreate,
        trust_empty_snapshot: config.snapshot_trust_empty,
        snapshot: snapshot_options(config),
        tail_count,
        tail_bytes,
    }
}

/// What the files said, for those who have to go on from there.
struct Past {
    durable: Arc<Durable>,
    /// What the protocol is told, on a member.
    member: Option<(PeerOptions, Stored)>,
}

impl Past {
    fn of(
        config: &Config,
        disk: &Arc<dyn Disk>,
        dirs: &Dirs,
        recovered: &mut Recovered,
    ) -> Result<Past, StorageError> {
        let durable = Durable::new(recovered.last_zxid);
        let member = match &config.member {
            Some(own) => {
                let peer = membership::peer_options(config, own);
                let stored = ensemble::stored(&**disk, dirs, recovered, peer.history)?;
                Some((peer, stored))
            }
            None => None,
        };
        Ok(Past {
            durable: Arc::new(durable),
            member,
        })
    }

    fn replica(
        &mut self,
        options: ReplicaOptions,
        gate: &Arc<Gate>,
        counters: Arc<Counters>,
        now: Now,
    ) -> Replica {
        let gate = gate.clone();
        match self.member.take() {
            Some((peer, stored)) => Replica::member(options, gate, counters, peer, stored, now),
            None => Replica::standalone(options, gate, counters, now),
        }
    }
}

/// The ports for the other servers, if there are any.
async fn open_ports(
    config: &Config,
    mailbox: &Arc<Mailbox>,
    log: &Arc<LogQueue>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Ports>, ListenError> {
    let Some(own) = &config.member else {
        return Ok(None);
    };
    let bound = ensemble::bind(own).await?;
    Ok(Some(bound.serve(
        config,
        own,
        tree_options(config),
        mailbox,
        log,
        metrics,
    )))
}

fn snapshot_options(config: &Config) -> SnapshotOptions {
    use crate::config::Compression as Wanted;
    use crate::storage::snapshot::Compression;
    let compression = match config.snapshot_compression {
        Wanted::None => Compression::None,
        Wanted::Gz => Compression::Gz,
        Wanted::Snappy => Compression::Snappy,
    };
    SnapshotOptions {
        compression,
        serialize_last_zxid: config.serialize_last_zxid,
    }
}

fn auth_options(config: &Config) -> AuthOptions {
    AuthOptions {
        digest_enabled: config.digest_auth_enabled,
        // The configuration refuses every other name.
        digest_alg: DigestAlg::named(&config.digest_alg).unwrap_or_default(),
        super_digest: config.super_digest.clone(),
        skip_acl: config.skip_acl,
        ..AuthOptions::default()
    }
}

fn replica_options(config: &Config, auth: AuthOptions) -> ReplicaOptions {
    ReplicaOptions {
        tick: config.tick_time,
        min_session_timeout: config.min_session_timeout,
        max_session_timeout: config.max_session_timeout,
        server_id: config.session_server_id(),
        prep: PrepOptions {
            enforce_quota: config.enforce_quota,
            reconfig_enabled: config.reconfig_enabled,
            auth,
        },
        reaper: ReaperOptions {
            interval: config.container_check_interval,
            max_per_minute: u32::try_from(config.container_max_per_minute).unwrap_or(u32::MAX),
            max_never_used: config.container_max_never_used.unwrap_or_default(),
        },
        throttle: ThrottleOptions {
            max_requests: config.request_throttle_max_requests,
            stall_time: config.request_throttle_stall_time,
            drop_stale: config.request_throttle_drop_stale,
            stale_connection: config.request_stale_connection_check,
            stale_latency: config.request_stale_latency_check,
            max_wait: config.throttled_op_wait_time,
        },
        reply_backlog_bytes: limits::OUTBOX_REPLY_BYTES,
        slow_request: config.request_warning_threshold,
    }
}

fn client_port(
    config: &Config,
    gate: &Arc<Gate>,
    counters: &Arc<Counters>,
    mailbox: &Arc<Mailbox>,
    admin: Arc<Admin>,
    clock: Clock,
) -> Arc<ClientPort> {
    Arc::new(ClientPort {
        gate: gate.clone(),
        counters: counters.clone(),
        mailbox: mailbox.clone(),
        clock,
        admin,
        frame_limit: config.jute_max_buffer,
        field_limit: config
            .jute_max_buffer
            .saturating_add(config.jute_extra_size),
        reply_backlog_bytes: limits::OUTBOX_REPLY_BYTES,
        outstanding_limit: i64::try_from(config.outstanding_limit()).unwrap_or(i64::MAX),
        throttle_limit: throttle_limit(config),
        connection_throttle: connection_throttle(config, clock.mono()),
        large_requests: config
            .large_request_threshold
            .map(|threshold| LargeRequests::new(threshold, config.large_request_max_bytes)),
        sessionless: config.sessionless_timeout,
        max_per_address: config.max_client_cnxns,
        max_connections: config.max_cnxns,
        keep_alive: config.client_tcp_keep_alive,
        slow_request: config.request_warning_threshold,
        complaints: Complaints::default(),
    })
}

/// Where the throttle is on at all, reads pass beside the loop only while it has room.
fn throttle_limit(config: &Config) -> Option<i64> {
    let limit = config.request_throttle_max_requests;
    (limit > 0).then(|| i64::try_from(limit).unwrap_or(i64::MAX))
}

fn connection_throttle(config: &Config, now: Mono) -> Option<ConnectionThrottle> {
    let options = BucketOptions {
        tokens: config.connection_throttle_tokens,
        fill_time: config.connection_throttle_fill_time,
        fill_count: config.connection_throttle_fill_count,
        freeze_time: config.connection_throttle_freeze_time,
        drop_increase: config.connection_throttle_drop_increase,
        drop_decrease: config.connection_throttle_drop_decrease,
        decrease_ratio: config.connection_throttle_decrease_ratio,
    };
    let weights = match config.connection_throttle_weight_enabled {
        // A standalone server's sessions are global.
        true => Weights {
            new: config.connection_throttle_global_session_weight,
            renewed: config.connection_throttle_renew_session_weight,
        },
        false => Weights { new: 1, renewed: 1 },
    };
    (options.tokens > 0).then(|| ConnectionThrottle::new(options, weights, now, entropy::rng()))
}

fn listen(config: &Config) -> Result<Option<Listener>, StartError> {
    let Some(HostPort { host, port }) = &config.client_addr else {
        return Ok(None);
    };
    let ip = host.as_deref().map(resolve).transpose()?;
    Ok(Some(client_port::bind(
        ip,
        *port,
        config.client_port_listen_backlog,
    )?))
}

/// What answers operators, with a way to the commit loop of its own.
fn admin(config: &Arc<Config>, dirs: &Dirs, counters: &Arc<Counters>, gate: Arc<Gate>) -> Admin {
    Admin::new(
        config.clone(),
        gate,
        counters.clone(),
        Arc::default(),
        Pulses::default(),
        absolute(dirs),
        Clock,
    )
}

/// What answers them while there is nothing to serve yet.
fn before_recovery(
    config: &Arc<Config>,
    dirs: &Dirs,
    counters: &Arc<Counters>,
    progress: &Arc<Progress>,
) -> Admin {
    let nothing = Tree::new(tree_options(config));
    let gate = Arc::new(gate(config, nothing, AuthOptions::default()));
    let mut admin = admin(config, dirs, counters, gate);
    admin.recovery = Some(progress.clone());
    admin
}

/// Quantiles are of the last minutes, also where nobody looks at them often.
async fn move_windows(admin: Arc<Admin>, stop: Stop) {
    let mut ticks = tokio::time::interval(Duration::from_secs(60));
    loop {
        tokio::select! {
            _ = ticks.tick() => admin.counters.metrics.tick(admin.clock.mono()),
            () = stop.requested() => return,
        }
    }
}

fn resolve(host: &str) -> Result<IpAddr, StartError> {
    let failed = |cause| StartError::Address(host.to_owned(), cause);
    let mut found = (host, 0).to_socket_addrs().map_err(failed)?;
    let first = found
        .next()
        .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    Ok(first.ip())
}

/// What the threads own or talk to.
struct Parts<'a> {
    config: &'a Config,
    disk: &'a Arc<dyn Disk>,
    dirs: &'a Dirs,
    gate: &'a Arc<Gate>,
    mailbox: &'a Arc<Mailbox>,
    ports: Option<&'a Ports>,
    metrics: Arc<Metrics>,
    durable: Arc<Durable>,
    log: Arc<LogQueue>,
    pulses: Pulses,
    clock: Clock,
}

impl Parts<'_> {
    /// The log thread is apart: it ends last.
    fn start(&self, replica: Replica) -> io::Result<(Vec<JoinHandle<()>>, JoinHandle<()>)> {
        let log_thread = self.disk_chain().start()?;
        let (snapshots, snapshot_thread) = self.snapshotter().start()?;
        let mut threads = vec![snapshot_thread];
        let mut ensemble = None;
        if let (Some(ports), Some(own)) = (self.ports, &self.config.member) {
            let reading = LogReading {
                disk: self.disk.clone(),
                dirs: self.dirs.clone(),
                mailbox: self.mailbox.clone(),
                snapshot_size_factor: own.snapshot_size_factor,
            };
            let (log_reads, thread) = reading.start()?;
            threads.push(thread);
            ensemble = Some(Ensemble {
                ports: ports.clone(),
                log_reads,
            });
        }
        let commit_loop = CommitLoop {
            replica,
            mailbox: self.mailbox.clone(),
            log: self.log.clone(),
            snapshots,
            ensemble,
            pulse: self.pulses.commit_loop.clone(),
            clock: self.clock,
            wanted: Wanted::default(),
            instruments: LoopInstruments::new(self.metrics.clone()),
            stamp: Stamp::default(),
        };
        threads.push(commit_loop.start()?);
        Ok((threads, log_thread))
    }

    fn disk_chain(&self) -> DiskChain {
        let config = self.config;
        let log = LogWriter::new(
            self.disk.clone(),
            self.dirs.log.clone(),
            LogOptions {
                preallocate_bytes: config.pre_alloc_bytes,
                force_sync: config.force_sync,
                size_limit_bytes: config.txn_log_size_limit_bytes,
            },
        );
        let mut rng = entropy::rng();
        let mut draw = |below: u64| rng.random_range(0..below.max(1));
        let size_limit = config.snap_size_limit_bytes.unwrap_or(0);
        DiskChain {
            queue: self.log.clone(),
            mailbox: self.mailbox.clone(),
            log,
            durable: self.durable.clone(),
            disk: self.disk.clone(),
            dirs: self.dirs.clone(),
            recover: recover_options(config),
            policy: SnapPolicy::new(config.snap_count, size_limit, &mut draw),
            slow_sync: config.fsync_warning_threshold,
            pulse: self.pulses.log_writer.clone(),
            clock: self.clock,
            instruments: LogInstruments::new(self.metrics.clone(), config.member.is_some()),
        }
    }

    fn snapshotter(&self) -> Snapshotter {
        Snapshotter {
            disk: self.disk.clone(),
            dirs: self.dirs.clone(),
            options: snapshot_options(self.config),
            gate: self.gate.clone(),
            durable: self.durable.clone(),
            mailbox: self.mailbox.clone(),
            field_limit: self.config.jute_buffer_max(),
            peers: self.ports.map(|ports| ports.peers.clone()),
            metrics: self.metrics.clone(),
            clock: self.clock,
            waiting: Vec::new(),
        }
    }
}

/// Source: `DatadirCleanupManager`.
fn start_purging(
    config: &Config,
    disk: Arc<dyn Disk>,
    dirs: Dirs,
    durable: Arc<Durable>,
    stop: &Stop,
) {
    let Some(interval) = config.purge_interval else {
        return;
    };
    let (retain, stop) = (config.snap_retain_count, stop.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(interval);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.requested() => return,
            }
            let (disk, dirs, durable) = (disk.clone(), dirs.clone(), durable.clone());
            let purging = tokio::task::spawn_blocking(move || {
                // Nor while a history is cut that may need what is old.
                let _alone = durable.files();
                purge::purge(&*disk, &dirs, retain)
            });
            match purging.await {
                Ok(Ok(removed)) => {
                    for path in removed {
                        tracing::info!("{}: purged", path.display());
                    }
                }
                Ok(Err(error)) => tracing::warn!(
                    "nothing more is purged until the next round: {error}; files pile up until what is wrong \
                     with that one is mended"
                ),
                Err(_) => return,
            }
        }
    });
}

/// Folder of snapshots and folder of logs.
fn absolute(dirs: &Dirs) -> (PathBuf, PathBuf) {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    (absolute(&dirs.data), absolute(&dirs.log))
}
