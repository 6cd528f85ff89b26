//! Handles of tasks: heist's own types.

/// Where a task was spawned. heist records that by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpawnLocation;

impl SpawnLocation {
    #[allow(dead_code)]
    pub(crate) fn capture() -> SpawnLocation {
        SpawnLocation
    }
}
