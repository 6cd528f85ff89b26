//! A process that forks while a runtime works. The documentation of `Runtime` says what the child
//! may do.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist::net::{TcpListener, TcpStream};
use heist::runtime::Runtime;
use heist::time::{Duration, sleep};

use super::{alone, runtime};

/// Forks. The child calls `f` and exits, and `f` may only do what a child with one thread may do.
/// Returns the exit code of the child, or none if a signal has ended it.
fn fork(f: impl FnOnce()) -> Option<i32> {
    // SAFETY: the child only calls `f`, and exits without running destructors.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: the call has no requirements. A child that hangs is ended.
            unsafe { libc::alarm(60) };
            f();
            // SAFETY: the call has no requirements.
            unsafe { libc::_exit(7) }
        }
        child => {
            let mut status = 0;
            // SAFETY: the place is valid for the call.
            while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {}
            libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
        }
    }
}

/// Serves one connection until `done`, and counts the bytes. Returns the number of bytes that came
/// back to the client.
fn with_echo<R>(runtime: &Runtime, f: impl FnOnce() -> R) -> (usize, R) {
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    let echo = runtime.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = futures::join!(TcpStream::connect(address), listener.accept());
        let (mut client, (mut server, _)) = (client.unwrap(), server.unwrap());
        let mut bytes = 0;
        while !seen.load(Ordering::SeqCst) || bytes < 1_000 {
            client.write_all(&[1; 10]).await.unwrap();
            let mut buf = [0; 10];
            server.read_exact(&mut buf).await.unwrap();
            server.write_all(&buf).await.unwrap();
            bytes += client.read_exact(&mut buf).await.unwrap();
            sleep(Duration::from_micros(100)).await;
        }
        // Each side learns of the end.
        drop(client);
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
        bytes
    });
    let result = f();
    done.store(true, Ordering::SeqCst);
    (runtime.block_on(echo).unwrap(), result)
}

#[test]
fn parent_of_children_that_exit_or_execute_a_program_is_unaffected() {
    alone("forks::parent_of_children_that_exit_or_execute_a_program_is_unaffected", || {
        let runtime = runtime(2);
        let (bytes, children) = with_echo(&runtime, || {
            for _ in 0..20 {
                assert_eq!(fork(|| ()), Some(7));
                assert!(Command::new("true").status().unwrap().success());
            }
            20
        });
        assert!(bytes >= 1_000 && children == 20);
        let report = runtime.drain(Duration::from_secs(60)).wait();
        assert_eq!(report.stragglers.len(), 0, "{report}");
    });
}

/// No descriptor of the runtime is inherited by a program that the child executes.
#[test]
fn program_of_a_child_inherits_no_descriptor_of_the_runtime() {
    alone("forks::program_of_a_child_inherits_no_descriptor_of_the_runtime", || {
        let list = || {
            let output = Command::new("ls").arg("/proc/self/fd").output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let before = list();
        let runtime = runtime(2);
        let (_, after) = with_echo(&runtime, list);
        assert_eq!(after, before);
    });
}
