//! A client of tonic over heist's sockets and tasks.
//!
//! A server needs nothing of this module: [`serve`](crate::serve::serve) serves the routes of
//! tonic, with `tonic::service::Routes` as the service. tonic's own `Server` spawns on Tokio.
//!
//! tonic's timers are Tokio's. They panic without a Tokio runtime, and a channel whose task has
//! panicked is of no use any more. So use [`heist::time::timeout`] around a call, or [the
//! bridge](crate::bridge), and none of these:
//!
//! * timeouts, rate limits and keep-alive of an [`Endpoint`];
//! * `Request::set_timeout`, which sends the metadata `grpc-timeout`;
//! * metadata of another request that are passed on with `grpc-timeout` in them.
//!
//! [`serve`](crate::serve::serve) ignores `grpc-timeout`: only tonic's `Server` implements it.

use heist::hyper::HeistExecutor;
use tonic::transport::{Channel, Endpoint, Error};

use crate::client::Connector;

/// Connects to `endpoint`, and returns a channel whose connection is made again when it is lost.
///
/// # Errors
///
/// If no connection can be made.
///
/// # Panics
///
/// Outside of a heist runtime with I/O and timers.
///
/// # Cancel safety
///
/// If the future is dropped, the connection is closed.
pub async fn connect(endpoint: Endpoint) -> Result<Channel, Error> {
    endpoint.executor(HeistExecutor).connect_with_connector(Connector::new()).await
}

/// Returns a channel which connects to `endpoint` at the first call.
///
/// # Panics
///
/// Outside of a heist runtime.
pub fn connect_lazy(endpoint: Endpoint) -> Channel {
    endpoint.executor(HeistExecutor).connect_with_connector_lazy(Connector::new())
}
