//! Child processes.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

/// No socket is open, and no other child lives, so only the orphan itself can cause its end to be
/// collected.
#[tokio::test]
async fn killed_orphan_is_reaped() {
    let null = Stdio::null;
    let child =
        Command::new("sleep").arg("1000").kill_on_drop(true).stdin(null()).stdout(null()).stderr(null()).spawn();
    let child = child.unwrap();
    let process = format!("/proc/{}", child.id().unwrap());
    assert!(Path::new(&process).exists());
    drop(child);
    let limit = Instant::now() + Duration::from_secs(20);
    while Path::new(&process).exists() {
        assert!(Instant::now() < limit, "{process} is a zombie");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn write_that_is_queued_at_a_shutdown_is_not_lost() {
    let folder = std::env::temp_dir().join(format!("heist-queued-write-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        use tokio::io::AsyncWriteExt;

        let mut file = tokio::fs::File::create(&folder).await.unwrap();
        // The only blocking thread is busy from here on.
        drop(tokio::task::spawn_blocking(move || _ = released.recv()));
        file.write_all(b"text").await.unwrap();
        std::mem::forget(file);
    });
    runtime.shutdown_background();
    assert_eq!(std::fs::read(&folder).unwrap(), b"text");
    drop(release);
    std::fs::remove_file(&folder).unwrap();
}
