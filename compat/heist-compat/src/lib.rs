//! heist's own types under crates that are written for Tokio.
//!
//! Each module serves one crate or one purpose, and is a feature. A program that uses them needs no
//! patch. Except for the bridge, heist's tasks, timers and sockets are all that runs.
//!
//! | feature | what it gives | for |
//! |---|---|---|
//! | `serve` | [`serve::serve`]: a server with graceful shutdown when the runtime drains | axum, tonic's routes, every tower service |
//! | `hyper-util` | [`client::client`], [`client::Connector`]: a pooled HTTP client | hyper-util |
//! | `rustls` | [`tls`]: TLS with a limit of time for the handshake, for `serve` and for a `TcpStream` | tokio-rustls |
//! | `tonic` | [`tonic::connect`]: a channel | tonic |
//! | `quinn` | [`quinn::HeistRuntime`] | quinn |
//! | `hickory` | [`hickory::HeistProvider`] | hickory-resolver |
//! | `lapin` | [`lapin::runtime`] | lapin |
//! | `redis` | [`redis::connect`] | redis |
//! | `opentelemetry` | [`opentelemetry::HeistRuntime`] | opentelemetry_sdk |
//! | `bridge` | [`bridge::tokio_bridge`]: a Tokio runtime beside heist | crates that insist on Tokio |
//!
//! Another way is the crate named `tokio` over heist (`cargo heist-tokio setup`), with which crates
//! that are written for Tokio run unmodified. The features `serve`, `hyper-util`, `rustls`, `tonic`
//! and `redis` cannot be combined with it: they need heist's features `tokio-io` and `hyper`, which
//! depend on `tokio`.
//!
//! # Before a drain
//!
//! A client, a pool, a channel, an endpoint, a redis or lapin connection and a batch processor each
//! have tasks, which end when the last handle is dropped. A drain waits for them. So drop these
//! handles when the drain begins, or hold them in tasks and services that end with it. Otherwise
//! the drain runs to its deadline, and names the tasks.
//!
//! While a runtime drains, it refuses tasks that are spawned from outside of it. A connection that
//! is begun then, for example by lapin or quinn on a thread of the program's own, may wait for
//! ever.

#[cfg(feature = "bridge")]
pub mod bridge;
#[cfg(feature = "hyper-util")]
pub mod client;
#[cfg(feature = "hickory")]
pub mod hickory;
#[cfg(feature = "lapin")]
pub mod lapin;
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry;
#[cfg(feature = "serve")]
mod preface;
#[cfg(feature = "quinn")]
pub mod quinn;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "rustls")]
pub mod tls;
#[cfg(feature = "tonic")]
pub mod tonic;
