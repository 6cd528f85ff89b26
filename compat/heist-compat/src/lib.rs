//! heist's own types under crates that are written for Tokio.
//!
//! Each module serves one crate, and is a feature of that crate's name. A program that uses them
//! needs no patch: heist's tasks, timers and sockets are all that runs.
//!
//! | feature | what it gives | for |
//! |---|---|---|
//! | `serve` | [`serve::serve`]: a server with graceful shutdown when the runtime drains | axum, tonic's routes, every tower service |
//! | `hyper-util` | [`client::client`], [`client::Connector`]: a pooled HTTP client | hyper-util |
//! | `rustls` | [`tls`]: TLS with a limit of time for the handshake, for `serve` and for the client | tokio-rustls |
//! | `tonic` | [`tonic::connect`]: a channel | tonic |
//! | `quinn` | [`quinn::HeistRuntime`] | quinn |
//! | `hickory` | [`hickory::HeistProvider`] | hickory-resolver |
//! | `lapin` | [`lapin::runtime`] | lapin |
//! | `redis` | [`redis::connect`] | redis |
//! | `opentelemetry` | [`opentelemetry::HeistRuntime`] | opentelemetry_sdk |
//! | `bridge` | [`bridge::tokio_bridge`]: a Tokio runtime beside heist | crates that insist on Tokio |
//!
//! Another way is the crate named `tokio` over heist (`cargo heist-tokio setup`), with which every
//! crate that is written for Tokio runs unmodified. It excludes this crate: both stand for `tokio`.

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
