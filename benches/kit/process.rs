//! The servers under comparison as plain processes, and what the kernel says of them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Apache ZooKeeper 3.9.5, from the folder `compat-tests/install` fills.
    Java,
    /// This repository's release binary.
    Oxkeeper,
}

impl Kind {
    /// Both, in the order they take their turns.
    pub const BOTH: [Kind; 2] = [Kind::Java, Kind::Oxkeeper];
}

/// A data folder with its zoo.cfg, and the process that serves it, if one runs. Ends the process
/// when dropped.
pub struct Server {
    kind: Kind,
    home: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Writes a configuration of nothing but defaults into the new folder `home`; starts nothing.
    ///
    /// # Errors
    /// The folder exists or cannot be made.
    pub fn new(kind: Kind, home: PathBuf, connections: u32) -> io::Result<Self> {
        let lines = if connections >= 60 {
            "maxClientCnxns=0\n"
        } else {
            ""
        };
        Server::with(kind, home, free_ports(1)?[0], lines)
    }

    /// As [`Server::new`], with the client port and further lines of the configuration given.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn with(kind: Kind, home: PathBuf, port: u16, lines: &str) -> io::Result<Self> {
        fs::create_dir_all(home.join("data"))?;
        let text = format!(
            "tickTime=2000\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\n{lines}",
            home.join("data").display()
        );
        fs::write(home.join("zoo.cfg"), text)?;
        fs::write(home.join("log4j2.properties"), LOG4J2)?;
        Ok(Server {
            kind,
            home,
            port,
            child: None,
        })
    }

    /// Starts the process and waits until `srvr` names its mode; returns how long that took.
    ///
    /// # Errors
    /// The process cannot be started, ends, or does not serve within five minutes; the text holds
    /// its log's end.
    pub fn start(&mut self) -> Result<Duration, String> {
        let started = Instant::now();
        self.spawn()?;
        self.serving()?;
        Ok(started.elapsed())
    }

    /// Starts the process.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&mut self) -> Result<(), String> {
        let text = |error: io::Error| error.to_string();
        let log = fs::File::create(self.home.join("server.log")).map_err(text)?;
        let copy = log.try_clone().map_err(text)?;
        let mut command = self.command()?;
        command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .current_dir(&self.home);
        let child = command
            .spawn()
            .map_err(|error| format!("{command:?}: {error}"))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until `srvr` names the mode of the started process, and returns the name.
    ///
    /// # Errors
    /// It ends or does not serve within five minutes; the text holds its log's end.
    pub fn serving(&mut self) -> Result<String, String> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(300) {
            if let Some(mode) = self.mode() {
                return Ok(mode);
            }
            if let Some(Ok(Some(status))) = self.child.as_mut().map(Child::try_wait) {
                let log = self.log_end();
                return Err(format!("{:?} ended with {status}\n{log}", self.kind));
            }
            thread::sleep(Duration::from_millis(2));
        }
        let log = self.log_end();
        Err(format!("{:?} does not serve\n{log}", self.kind))
    }

    /// What the server says it is; None while it does not serve.
    pub fn mode(&self) -> Option<String> {
        let text = srvr(self.port).ok()?;
        let mode = text.lines().find_map(|line| line.strip_prefix("Mode:"))?;
        Some(mode.trim().into())
    }

    /// Ends the process at once, as a crash does. [`Server::stop`] waits until it is gone.
    pub fn crash(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
        }
    }

    /// Ends the process with SIGTERM and waits for it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = rustix::process::Pid::from_child(&child);
            let asked = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            if asked.is_err() || child.wait().is_err() {
                child.kill().ok();
            }
        }
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The running process; 0, which is no process, when stopped.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Reads every file of the data folder, so that a start finds them in the page cache; returns
    /// their bytes.
    pub fn warm_page_cache(&self) -> io::Result<u64> {
        let mut total = 0;
        for entry in fs::read_dir(self.home.join("data/version-2"))? {
            let mut file = fs::File::open(entry?.path())?;
            total += io::copy(&mut file, &mut io::sink())?;
        }
        Ok(total)
    }

    fn command(&self) -> Result<Command, String> {
        let config = self.home.join("zoo.cfg");
        let mut command;
        match self.kind {
            Kind::Java => {
                let jars = java_folder()?;
                command = Command::new("java");
                // The heap of zkEnv.sh, and otherwise what the JVM does by itself.
                command.arg("-Xmx1000m");
                command.arg(format!(
                    "-Dlog4j2.configurationFile={}/log4j2.properties",
                    self.home.display()
                ));
                command.arg("-cp").arg(format!("{}/*", jars.display()));
                command
                    .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
                    .arg(config);
            }
            Kind::Oxkeeper => {
                command = Command::new(oxkeeper_binary()?);
                command.arg("server").arg(config);
            }
        }
        Ok(command)
    }

    fn log_end(&self) -> String {
        let text = fs::read_to_string(self.home.join("server.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ports of 127.0.0.1 that are free by now.
///
/// # Errors
/// None are left.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held: Vec<_> = (0..count).map(bind).collect::<io::Result<_>>()?;
    held.iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}

const LOG4J2: &str = "status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} [myid:%X{myid}] - %-5p [%t:%C{1}@%L] - %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
";

fn java_folder() -> Result<PathBuf, String> {
    let cache = match (std::env::var_os("OXKEEPER_CACHE"), std::env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => Path::new(&home).join(".cache/oxkeeper"),
        (None, None) => return Err("neither OXKEEPER_CACHE nor HOME is set".into()),
    };
    let jars = cache.join("zk-3.9.5");
    match jars.is_dir() {
        true => Ok(jars),
        false => Err(format!(
            "{} is missing: run compat-tests/install",
            jars.display()
        )),
    }
}

fn oxkeeper_binary() -> Result<PathBuf, String> {
    let binary = match std::env::var_os("OXKEEPER_BIN") {
        Some(named) => PathBuf::from(named),
        None => PathBuf::from(env!("CARGO_BIN_EXE_oxkeeper")),
    };
    match binary.is_file() {
        true => Ok(binary),
        false => Err(format!("{} is missing", binary.display())),
    }
}

fn srvr(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"srvr")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// CPU time a process has used, user and system, in seconds; None when there is no such process.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th field after
    // it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// USER_HZ, the same on every Linux this builds for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory of a process in bytes; None when there is no such process.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
