//! A multiplexed connection of redis over a heist socket.
//!
//! ```no_run
//! use redis::AsyncCommands;
//!
//! # async fn run() -> redis::RedisResult<()> {
//! let mut connection = heist_compat::redis::connect("redis://127.0.0.1/").await?;
//! let count: u64 = connection.incr("visits", 1).await?;
//! # drop(count);
//! # Ok(())
//! # }
//! ```

use std::io;
use std::path::Path;
use std::time::Duration;

use heist::net::TcpStream;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisResult};

/// The time for the connection and the login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to a server, and spawns the task that drives the connection.
///
/// It is [`connect_with_config`] with redis's defaults.
///
/// # Errors
///
/// Those of [`connect_with_config`].
///
/// # Panics
///
/// Outside of a heist runtime with I/O and timers.
///
/// # Cancel safety
///
/// If the future is dropped, the connection is closed.
pub async fn connect(info: impl IntoConnectionInfo) -> RedisResult<MultiplexedConnection> {
    connect_with_config(info, AsyncConnectionConfig::new()).await
}

/// Connects to a server, and spawns the task that drives the connection. The connection and the
/// login may take ten seconds.
///
/// Clones of the connection share it. The limits of time in `config` have no effect, because they
/// need Tokio's timers. A response may take any time, so use [`heist::time::timeout`] around a
/// call. The connection is not made again when it is lost; a command then returns an error.
/// Subscriptions need RESP3 and `AsyncConnectionConfig::set_push_sender`.
///
/// # Errors
///
/// If the address is not valid, no connection can be made, or the server refuses the login. TLS
/// needs Tokio's sockets, and gives an error.
///
/// # Panics
///
/// Outside of a heist runtime with I/O and timers.
///
/// # Cancel safety
///
/// If the future is dropped, the connection is closed.
pub async fn connect_with_config(
    info: impl IntoConnectionInfo,
    config: AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let info = info.into_connection_info()?;
    let connecting = async {
        let login = info.redis_settings();
        match info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                drive(login, config, stream).await
            }
            ConnectionAddr::Unix(path) => connect_unix(login, config, path).await,
            other => {
                let text = format!("{other}: heist-compat has no TLS for redis; use the crate `tokio` over heist");
                Err(io::Error::new(io::ErrorKind::Unsupported, text).into())
            }
        }
    };
    heist::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(io::Error::from)?
}

#[cfg(unix)]
async fn connect_unix(
    login: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
    path: &Path,
) -> RedisResult<MultiplexedConnection> {
    drive(login, config, heist::net::UnixStream::connect(path).await?).await
}

#[cfg(not(unix))]
async fn connect_unix(
    _: &RedisConnectionInfo,
    _: AsyncConnectionConfig,
    _: &Path,
) -> RedisResult<MultiplexedConnection> {
    Err(io::Error::from(io::ErrorKind::Unsupported).into())
}

async fn drive<C>(
    login: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
    stream: C,
) -> RedisResult<MultiplexedConnection>
where
    C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // Without the limit, the connection uses no timer of Tokio's.
    let config = config.set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
    drop(heist::spawn(driver));
    Ok(connection)
}
