//! Peers that a test starts, and kills when it ends.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A running program, and the port on which it listens.
pub struct Peer {
    child: Child,
    pub port: u16,
    folder: PathBuf,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

fn folder(name: &str) -> PathBuf {
    // The port is one that no other test of this process has.
    let folder = std::env::temp_dir().join(format!("heist-works-with-{name}-{}", free_port()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn start(name: &str, package: &str, port: u16, folder: PathBuf, command: &mut Command) -> Peer {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.unwrap_or_else(|error| panic!("{name} did not start ({error}); install the Debian package {package}"));
    let peer = Peer { child, port, folder };
    let limit = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < limit, "{name} does not listen on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
    peer
}

#[allow(dead_code)]
pub fn redis() -> Peer {
    let (port, folder) = (free_port(), folder("redis"));
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"]).current_dir(&folder);
    start("redis-server", "redis-server", port, folder.clone(), &mut command)
}

#[allow(dead_code)]
pub fn mosquitto() -> Peer {
    let (port, folder) = (free_port(), folder("mosquitto"));
    let mut command = Command::new("mosquitto");
    if !std::process::Command::new("mosquitto").arg("-h").output().is_ok_and(|_| true) {
        command = Command::new("/usr/sbin/mosquitto");
    }
    command.args(["-p", &port.to_string()]);
    start("mosquitto", "mosquitto", port, folder, &mut command)
}

/// PostgreSQL refuses to run as root, so root runs it as the user `postgres`.
#[allow(dead_code)]
pub fn postgres() -> Peer {
    let (port, folder) = (free_port(), folder("postgres"));
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is missing; install the Debian package postgresql")
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    versions.sort();
    let bin = versions.last().unwrap().clone();
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let as_user = |program: &str| {
        let program = bin.join(program);
        if is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        }
    };
    if is_root {
        assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
    }
    let data = folder.join("data");
    let made = as_user("initdb").args(["-A", "trust", "-U", "postgres", "-D"]).arg(&data).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = as_user("postgres");
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k"]).arg(&folder).args(["-c", "fsync=off"]);
    let peer = start("PostgreSQL", "postgresql", port, folder, &mut command);
    std::thread::sleep(Duration::from_millis(500));
    peer
}
