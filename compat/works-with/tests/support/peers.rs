//! Peers that a test starts, and kills when it ends.

// A test file uses some of them.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A running program, and the port on which it listens.
pub struct Peer {
    child: Child,
    pub port: u16,
    /// Where the peer stores its files.
    pub folder: PathBuf,
    /// Programs that the peer needs.
    helpers: Vec<Child>,
}

impl Peer {
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for child in std::iter::once(&mut self.child).chain(&mut self.helpers) {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Returns a port that is free, and that no other test and no client takes: it lies below the range
/// from which the operating system chooses.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 10;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Returns a new, empty folder.
pub fn folder(name: &str) -> PathBuf {
    // The port is one that no other test of this process has.
    let folder = std::env::temp_dir().join(format!("heist-works-with-{name}-{}", free_port()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn spawn(name: &str, package: &str, command: &mut Command) -> Child {
    let child = command.stdin(Stdio::null()).spawn();
    child.unwrap_or_else(|error| panic!("{name} did not start ({error}); install the Debian package {package}"))
}

fn start(name: &str, package: &str, port: u16, folder: PathBuf, command: &mut Command) -> Peer {
    let child = spawn(name, package, command.stdout(Stdio::null()).stderr(Stdio::null()));
    let peer = Peer { child, port, folder, helpers: Vec::new() };
    wait_for(&format!("{name} does not listen on port {port}"), || {
        std::net::TcpStream::connect(peer.address()).is_ok()
    });
    peer
}

/// Polls for a condition of another process. Panics with `failure` if it takes more than a minute.
fn wait_for(failure: &str, mut is_met: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !is_met() {
        assert!(Instant::now() < limit, "{failure}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns what a program prints. Panics if the program is absent or fails.
pub async fn output(program: &str, package: &str, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(program);
    let ended = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let ended =
        ended.unwrap_or_else(|error| panic!("{program} did not start ({error}); install the Debian package {package}"));
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program} {arguments:?} failed: {}\n{errors}", ended.status);
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

pub fn redis() -> Peer {
    let (port, folder) = (free_port(), folder("redis"));
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]).current_dir(&folder);
    start("redis-server", "redis-server", port, folder.clone(), &mut command)
}

pub fn mosquitto() -> Peer {
    let (port, folder) = (free_port(), folder("mosquitto"));
    let mut command = Command::new("mosquitto");
    command.args(["-p", &port.to_string()]);
    start("mosquitto", "mosquitto", port, folder, &mut command)
}

/// A DNS server that knows `name.example` as 10.1.2.3, and no other name. It writes the queries into
/// the file `queries` of its folder.
pub fn dnsmasq() -> Peer {
    let (port, folder) = (free_port(), folder("dnsmasq"));
    let mut command = Command::new("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file"]);
    command.args([
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--address=/name.example/10.1.2.3",
        "--local=/example/",
    ]);
    // A reply of dnsmasq that it makes up has no lifetime otherwise.
    command.args(["--local-ttl=60", "--log-queries", &format!("--log-facility={}", folder.join("queries").display())]);
    command.arg(format!("--port={port}"));
    if is_root() {
        command.arg("--user=root");
    }
    start("dnsmasq", "dnsmasq-base", port, folder.clone(), &mut command)
}

/// An HTTPS server that answers each request with a page about its connection. Its certificate is
/// the one of the folder's `certificate.pem`.
pub fn openssl_server(write: impl FnOnce(&Path)) -> Peer {
    let (port, folder) = (free_port(), folder("openssl"));
    write(&folder);
    let mut command = Command::new("openssl");
    command.args(["s_server", "-www", "-accept", &format!("127.0.0.1:{port}")]);
    command.args(["-cert", "certificate.pem", "-key", "key.pem"]).current_dir(&folder);
    start("openssl", "openssl", port, folder.clone(), &mut command)
}

/// RabbitMQ, with a port mapper of its own. Both run as the user who runs the test.
pub fn rabbitmq() -> Peer {
    const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    let (port, distribution, mapper) = (free_port(), free_port(), free_port());
    let folder = folder("rabbitmq");
    let mut epmd = Command::new("epmd");
    epmd.args(["-address", "127.0.0.1", "-port", &mapper.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let epmd = spawn("epmd", "rabbitmq-server", &mut epmd);
    let mut command = Command::new(SERVER);
    command.current_dir(&folder).env("HOME", &folder).env("ERL_EPMD_PORT", mapper.to_string());
    command.env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command.env("RABBITMQ_NODENAME", format!("heist-{port}@localhost"));
    command.env("RABBITMQ_NODE_PORT", port.to_string()).env("RABBITMQ_DIST_PORT", distribution.to_string());
    command.env("RABBITMQ_MNESIA_BASE", folder.join("data")).env("RABBITMQ_LOG_BASE", folder.join("log"));
    command.env("RABBITMQ_CONF_ENV_FILE", folder.join("none")).env("RABBITMQ_CONFIG_FILE", folder.join("none"));
    command.env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"));
    // The script then replaces itself by the server, which the end of the test kills.
    command.env("RUNNING_UNDER_SYSTEMD", "true");
    let began = Instant::now();
    let mut peer = start("RabbitMQ", "rabbitmq-server", port, folder, &mut command);
    peer.helpers.push(epmd);
    println!("RabbitMQ listened after {:.1} s", began.elapsed().as_secs_f32());
    peer
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}

/// PostgreSQL refuses to run as root, so root runs it as the user `postgres`.
pub fn postgres() -> Peer {
    let (port, folder) = (free_port(), folder("postgres"));
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is missing; install the Debian package postgresql")
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    versions.sort();
    let bin = versions.last().unwrap().clone();
    let as_user = |program: &str| {
        let program = bin.join(program);
        if is_root() {
            // It replaces itself by the program, which the end of the test kills.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    };
    if is_root() {
        assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
    }
    let data = folder.join("data");
    let made =
        as_user("initdb").args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"]).arg(&data).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = as_user("postgres");
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k"]).arg(&folder).args(["-c", "fsync=off"]);
    let peer = start("PostgreSQL", "postgresql", port, folder, &mut command);
    let ready = || {
        let asked =
            Command::new(bin.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status();
        asked.is_ok_and(|status| status.success())
    };
    wait_for("PostgreSQL accepts no connections", ready);
    peer
}

/// Returns the command of a peer on the real Tokio.
fn on_tokio(arguments: &[&str]) -> Command {
    let program = std::env::var_os("HEIST_PEERS")
        .expect("HEIST_PEERS does not name the program of compat/works-with/peers; run compat/works-with-tests");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// A server on the real Tokio: `http`, `grpc-server` or `quic-server`. It finds its certificate in its
/// folder.
pub fn tokio_server(kind: &str, write: impl FnOnce(&Path)) -> Peer {
    let folder = folder(kind);
    write(&folder);
    let mut command = on_tokio(&[kind]);
    if kind == "quic-server" {
        command.arg(&folder);
    }
    let child = command.spawn().expect("the peer on Tokio did not start");
    let mut peer = Peer { child, port: 0, folder, helpers: Vec::new() };
    let mut line = String::new();
    BufReader::new(peer.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    peer.port = line.trim().parse().unwrap_or_else(|_| panic!("{kind} on Tokio printed no port"));
    peer
}

/// Runs a client on the real Tokio to its end, on a thread of the caller's choice.
pub fn tokio_client(arguments: &[&str]) {
    let mut child = on_tokio(arguments).spawn().expect("the peer on Tokio did not start");
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success() && printed == "done\n", "{arguments:?} on Tokio failed: {status}");
}
