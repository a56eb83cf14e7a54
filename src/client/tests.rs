//! The client against a server of ours in this process, and against servers that misbehave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jute::proto::{
    CheckVersionRequest, ConnectResponse, CreateRequest, DeleteRequest, MultiOp, MultiResult,
};
use jute::{ErrorCode, Op, Str, Writer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::config::{Config, ConfigSources, HostPort};
use crate::runtime::Server;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server of ours that stops when told.
struct TestServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl TestServer {
    async fn start(dir: &TempDir, port: u16) -> TestServer {
        let cfg = format!(
            "dataDir={}\nclientPort=1\npreAllocSize=64\nadmin.enableServer=false\n",
            dir.path().display()
        );
        let sources = ConfigSources {
            cfg: cfg.into_bytes(),
            ..ConfigSources::embedded()
        };
        let mut config = Config::parse(&sources).unwrap().config;
        let host = Some("127.0.0.1".to_owned());
        config.client_addr = Some(HostPort { host, port });
        let server = Server::start(Arc::new(config)).await.unwrap();
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let _ = stopped.await;
            server.stop().await;
        });
        TestServer {
            address,
            stop,
            task,
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    async fn client(&self) -> (Client, Events) {
        Client::connect(&self.address.to_string(), PATIENCE)
            .await
            .unwrap()
    }
}

fn data(text: &'static str) -> jute::Buffer {
    Some(Bytes::from_static(text.as_bytes()))
}

async fn make(client: &Client, path: &str) -> Str {
    let created = client
        .create(path, data("x"), &open_acl(), CreateMode::Persistent)
        .await;
    created.unwrap().path.unwrap()
}

/// The next event that is no state.
async fn next_watch(events: &mut Events) -> (EventKind, Str) {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await;
        if let Event::Watch { kind, path, .. } = event.unwrap().unwrap() {
            return (kind, path);
        }
    }
}

async fn next_state(events: &mut Events) -> State {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await;
        if let Event::State(state) = event.unwrap().unwrap() {
            return state;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_answers_with_its_record() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(&dir, 0).await;
    let (client, mut events) = server.client().await;
    assert_eq!(next_state(&mut events).await, State::Connected);
    assert_eq!(make(&client, "/a").await, "/a");
    assert_eq!(client.get_data("/a", false).await.unwrap().data, data("x"));
    let stat = client.set_data("/a", data("yz"), 0).await.unwrap();
    assert_eq!((stat.version, stat.data_length), (1, 2));
    let stale = client.set_data("/a", None, 0).await;
    assert_eq!(stale, Err(Error::Server(ErrorCode::BAD_VERSION)));
    assert_eq!(client.exists("/none", false).await, Ok(None));
    let (open, mode) = (open_acl(), CreateMode::EphemeralSequential);
    let numbered = client.create("/a/s-", None, &open, mode).await;
    let numbered = numbered.unwrap().path.unwrap();
    assert_eq!(numbered, "/a/s-0000000000");
    assert_eq!(client.get_ephemerals("/a").await.unwrap(), [numbered]);
    let children = client.get_children("/a", false).await.unwrap();
    assert_eq!(children.children.unwrap(), ["s-0000000000"]);
    assert_eq!(client.get_all_children_number("/a").await, Ok(1));
    let acl = client.get_acl("/a").await.unwrap();
    assert_eq!(acl.acl.unwrap(), open_acl());
    let stat = client.set_acl("/a", &open_acl(), 0).await.unwrap();
    assert_eq!(stat.aversion, 1);
    client.sync("/").await.unwrap();
    let not_empty = client.delete("/a", -1).await;
    assert_eq!(not_empty, Err(Error::Server(ErrorCode::NOT_EMPTY)));
    client
        .add_auth("digest", Bytes::from_static(b"bob:pw"))
        .await
        .unwrap();
    let schemes = client.who_am_i().await.unwrap();
    assert!(
        schemes.iter().any(|who| who.user == Some("bob".into())),
        "{schemes:?}"
    );
    let config = client.get_config(false).await.unwrap();
    assert_eq!(config.stat.aversion, -1);
    let alone = client
        .reconfig(&jute::proto::ReconfigRequest::default())
        .await;
    assert!(matches!(alone, Err(Error::Server(_))), "{alone:?}");
    client.close().await;
    assert_eq!(client.state(), State::Closed);
    assert_eq!(client.exists("/a", false).await, Err(Error::Closed));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_multi_tells_which_op_failed() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(&dir, 0).await;
    let (client, _) = server.client().await;
    make(&client, "/root").await;
    let chrooted = format!("{}/root", server.address);
    let (inside, _) = Client::connect(&chrooted, PATIENCE).await.unwrap();
    let create = MultiOp::Create(
        Op::Create,
        CreateRequest {
            path: Some("/m".into()),
            acl: Some(open_acl()),
            ..CreateRequest::default()
        },
    );
    let check = MultiOp::Check(CheckVersionRequest {
        path: Some("/m".into()),
        version: 0,
    });
    let done = inside.multi(vec![create.clone(), check.clone()]).await;
    let created = MultiResult::Create(Some("/m".into()));
    assert_eq!(done.unwrap(), [created, MultiResult::Check]);
    let delete = MultiOp::Delete(DeleteRequest {
        path: Some("/m".into()),
        version: 7,
    });
    let codes = [0, -103, -2].map(|code| MultiResult::Error(ErrorCode(code)));
    let failed = inside.multi(vec![check.clone(), delete, check]).await;
    assert_eq!(failed.unwrap(), codes);
    let reads = vec![
        MultiOp::GetChildren(Some("/".into())),
        MultiOp::GetData(Some("/no".into())),
    ];
    let read = client.multi_read(reads).await.unwrap();
    let MultiResult::GetChildren(Some(names)) = &read[0] else {
        panic!("{read:?}");
    };
    assert!(names.contains(&"root".into()));
    assert_eq!(read[1], MultiResult::Error(ErrorCode::NO_NODE));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_requests_are_in_flight_on_one_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(&dir, 0).await;
    let (client, _) = server.client().await;
    make(&client, "/p").await;
    let mut waiting = Vec::new();
    for number in 0..3000 {
        let client = client.clone();
        let path = format!("/p/{number}");
        waiting.push(tokio::spawn(async move { make(&client, &path).await }));
    }
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(client.get_all_children_number("/p").await, Ok(3000));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_tell_what_happened_below_the_chroot() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(&dir, 0).await;
    let (writer, _) = server.client().await;
    make(&writer, "/app").await;
    let chrooted = format!("{}/app", server.address);
    let (client, mut events) = Client::connect(&chrooted, PATIENCE).await.unwrap();
    assert_eq!(client.exists("/n", true).await, Ok(None));
    client.get_children("/", true).await.unwrap();
    make(&writer, "/app/n").await;
    assert_eq!(
        next_watch(&mut events).await,
        (EventKind::NodeCreated, "/n".into())
    );
    let children = (EventKind::NodeChildrenChanged, "/".into());
    assert_eq!(next_watch(&mut events).await, children);
    client
        .add_watch("/", WatchMode::PersistentRecursive)
        .await
        .unwrap();
    client.get_data("/n", true).await.unwrap();
    writer.set_data("/app/n", None, -1).await.unwrap();
    writer.set_data("/app/n", None, -1).await.unwrap();
    for _ in 0..2 {
        let changed = (EventKind::NodeDataChanged, "/n".into());
        assert_eq!(next_watch(&mut events).await, changed);
    }
    client
        .remove_watches("/", RemoveKind::Any, false)
        .await
        .unwrap();
    let removed = (EventKind::PersistentWatchRemoved, "/".into());
    assert_eq!(next_watch(&mut events).await, removed);
    let nothing = client.remove_watches("/", RemoveKind::Any, true).await;
    assert_eq!(nothing, Err(Error::Server(ErrorCode::NO_WATCHER)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_and_its_watches_survive_the_servers_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(&dir, 0).await;
    let address = server.address;
    let (client, mut events) = server.client().await;
    make(&client, "/a").await;
    let mode = CreateMode::Ephemeral;
    client.create("/e", None, &open_acl(), mode).await.unwrap();
    client.get_data("/a", true).await.unwrap();
    client.add_watch("/a", WatchMode::Persistent).await.unwrap();
    client
        .add_auth("digest", Bytes::from_static(b"bob:pw"))
        .await
        .unwrap();
    let session = client.session_id();
    assert_eq!(next_state(&mut events).await, State::Connected);
    server.stop().await;
    assert_eq!(next_state(&mut events).await, State::Connecting);
    let server = TestServer::start(&dir, address.port()).await;
    assert_eq!(next_state(&mut events).await, State::Connected);
    assert_eq!(client.session_id(), session);
    assert!(client.exists("/e", false).await.unwrap().is_some());
    let (writer, _) = server.client().await;
    for _ in 0..2 {
        writer.set_data("/a", None, -1).await.unwrap();
        let changed = (EventKind::NodeDataChanged, "/a".into());
        assert_eq!(next_watch(&mut events).await, changed);
    }
    let who = client.who_am_i().await.unwrap();
    assert!(
        who.iter().any(|who| who.user == Some("bob".into())),
        "{who:?}"
    );
    client.close().await;
    assert_eq!(writer.exists("/e", false).await, Ok(None));
    server.stop().await;
}

#[tokio::test]
async fn a_list_of_dead_servers_ends_in_connection_loss_and_not_in_silence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let servers = Servers::parse(&address.to_string()).unwrap();
    let (client, _events) = Client::open(servers, Options::default());
    assert_eq!(client.exists("/", false).await, Err(Error::ConnectionLoss));
    let late = client.wait_connected(Duration::from_millis(1)).await;
    assert_eq!(late, Err(Error::NoServer(address.to_string())));
    client.close().await;
}

/// Accepts a session and says `frames` to whoever asks first; then holds the connection.
async fn misbehaving(frames: Vec<Vec<u8>>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 49];
            stream.read_exact(&mut request).await.unwrap();
            let mut out = BytesMut::new();
            let accepted = ConnectResponse {
                timeout: 30_000,
                session_id: 7,
                password: [1; 16],
                read_only: Some(false),
            };
            Writer::for_client(&mut out).framed(|w| accepted.write(w));
            stream.write_all(&out).await.unwrap();
            let length = stream.read_u32().await.unwrap();
            stream
                .read_exact(&mut vec![0; length as usize])
                .await
                .unwrap();
            for frame in &frames {
                stream.write_all(frame).await.unwrap();
            }
            held.push(stream);
        }
    });
    (address, task)
}

fn reply(xid: i32, err: i32, body: &[u8]) -> Vec<u8> {
    let mut out = ((16 + body.len()) as i32).to_be_bytes().to_vec();
    out.extend(xid.to_be_bytes());
    out.extend(5i64.to_be_bytes());
    out.extend(err.to_be_bytes());
    out.extend(body);
    out
}

#[tokio::test]
async fn bad_bytes_end_the_connection_and_not_the_program() {
    let event_without_path = [0, 0, 0, 1, 0, 0, 0, 3, 255, 255, 255, 255];
    for bad in [
        vec![255, 255, 255, 255],
        vec![127, 255, 255, 255],
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 3, 1, 2, 3],
        reply(2, 0, &[]),
        reply(-4, 0, &[]),
        reply(-1, 0, &[0; 5]),
        reply(-1, 0, &event_without_path),
    ] {
        let (address, task) = misbehaving(vec![bad.clone()]).await;
        let (client, _events) = Client::connect(&address.to_string(), PATIENCE)
            .await
            .unwrap();
        let answer = client.get_data("/", false).await;
        assert_eq!(answer, Err(Error::ConnectionLoss), "{bad:?}");
        task.abort();
    }
}

#[tokio::test]
async fn an_answer_that_does_not_decode_is_the_callers_error() {
    for body in [&[0; 3][..], &[0; 73], &[127; 72]] {
        let (address, task) = misbehaving(vec![reply(1, 0, body)]).await;
        let (client, _events) = Client::connect(&address.to_string(), PATIENCE)
            .await
            .unwrap();
        let answer = client.get_data("/", false).await;
        assert!(matches!(answer, Err(Error::BadReply(_))), "{answer:?}");
        task.abort();
    }
}

#[tokio::test]
async fn a_refused_identity_ends_the_session() {
    let (address, task) = misbehaving(vec![reply(-4, -115, &[])]).await;
    let (client, mut events) = Client::connect(&address.to_string(), PATIENCE)
        .await
        .unwrap();
    let refused = client.add_auth("digest", Bytes::new()).await;
    assert_eq!(refused, Err(Error::AuthFailed));
    assert_eq!(next_state(&mut events).await, State::Connected);
    assert_eq!(next_state(&mut events).await, State::AuthFailed);
    assert_eq!(client.exists("/", false).await, Err(Error::AuthFailed));
    task.abort();
}

#[tokio::test]
async fn a_session_the_server_does_not_know_has_expired() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 49];
        stream.read_exact(&mut request).await.unwrap();
        let mut out = BytesMut::new();
        let refusal = ConnectResponse::refusal(Some(false));
        Writer::for_client(&mut out).framed(|w| refusal.write(w));
        stream.write_all(&out).await.unwrap();
    });
    let servers = Servers::parse(&address.to_string()).unwrap();
    let (client, mut events) = Client::open(servers, Options::default());
    assert_eq!(next_state(&mut events).await, State::Expired);
    assert_eq!(client.exists("/", false).await, Err(Error::SessionExpired));
    task.await.unwrap();
}
