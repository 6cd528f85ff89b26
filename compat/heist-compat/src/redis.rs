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

use heist::net::{TcpStream, UnixStream};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisResult};

/// Connects to a server, and spawns the task that drives the connection.
///
/// Clones of the connection share it. A response may take any time: redis's own limit needs Tokio's
/// timers, so use [`heist::time::timeout`] around a call. The connection is not made again when it
/// is lost; a command then returns an error.
///
/// # Errors
///
/// If the address is not valid, no connection can be made, or the server refuses the login. TLS
/// needs Tokio's sockets, and gives an error.
///
/// # Panics
///
/// Outside of a heist runtime with I/O.
///
/// # Cancel safety
///
/// If the future is dropped, the connection is closed.
pub async fn connect(info: impl IntoConnectionInfo) -> RedisResult<MultiplexedConnection> {
    let info = info.into_connection_info()?;
    let login = info.redis_settings();
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            drive(login, stream).await
        }
        ConnectionAddr::Unix(path) => drive(login, UnixStream::connect(path).await?).await,
        other => {
            let text =
                format!("{other}: heist-compat connects over TCP and unix sockets; use the crate `tokio` over heist");
            Err(io::Error::new(io::ErrorKind::Unsupported, text).into())
        }
    }
}

async fn drive<C>(login: &RedisConnectionInfo, stream: C) -> RedisResult<MultiplexedConnection>
where
    C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    // Without the limit, the connection uses no timer of Tokio's.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
    drop(heist::spawn(driver));
    Ok(connection)
}
