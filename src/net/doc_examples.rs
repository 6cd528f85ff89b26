//! What the examples of shared methods begin and end with. Each type of socket sets a scene of its own: `here` is a socket of that type, `there`
//! the other end. The first argument of [`set!`] names the scene.

/// Sets the scene.
macro_rules! set {
    (tcp_stream) => {
        crate::net::doc_examples::tcp!("let (mut here, mut there) = (server, client);")
    };
    (tcp_read_half) => {
        crate::net::doc_examples::tcp!(
            "# let (mut server, mut there) = (server, client);\nlet (mut here, _write) = server.split();"
        )
    };
    (tcp_write_half) => {
        crate::net::doc_examples::tcp!(
            "# let (mut server, mut there) = (server, client);\nlet (_read, mut here) = server.split();"
        )
    };
    (tcp_owned_read_half) => {
        crate::net::doc_examples::tcp!("# let mut there = client;\nlet (mut here, _write) = server.into_split();")
    };
    (tcp_owned_write_half) => {
        crate::net::doc_examples::tcp!("# let mut there = client;\nlet (_read, mut here) = server.into_split();")
    };
    (unix_stream) => {
        crate::net::doc_examples::on!("let (mut here, mut there) = heist::net::UnixStream::pair()?;")
    };
    (unix_read_half) => {
        crate::net::doc_examples::on!(
            "let (mut stream, mut there) = heist::net::UnixStream::pair()?;\nlet (mut here, _write) = stream.split();"
        )
    };
    (unix_write_half) => {
        crate::net::doc_examples::on!(
            "let (mut stream, mut there) = heist::net::UnixStream::pair()?;\nlet (_read, mut here) = stream.split();"
        )
    };
    (unix_owned_read_half) => {
        crate::net::doc_examples::on!(
            "let (stream, mut there) = heist::net::UnixStream::pair()?;\nlet (mut here, _write) = stream.into_split();"
        )
    };
    (unix_owned_write_half) => {
        crate::net::doc_examples::on!(
            "let (stream, mut there) = heist::net::UnixStream::pair()?;\nlet (_read, mut here) = stream.into_split();"
        )
    };
    (pipe_sender) => {
        crate::net::doc_examples::on!("let (mut here, mut there) = heist::net::unix::pipe::pipe()?;")
    };
    (pipe_receiver) => {
        crate::net::doc_examples::on!("let (mut there, mut here) = heist::net::unix::pipe::pipe()?;")
    };
    (udp) => {
        crate::net::doc_examples::on!(concat!(
            "use heist::net::UdpSocket;\n\n",
            "let (here, there) = (UdpSocket::bind(\"127.0.0.1:0\").await?, UdpSocket::bind(\"127.0.0.1:0\").await?);\n",
            "here.connect(there.local_addr()?).await?;\n",
            "there.connect(here.local_addr()?).await?;"
        ))
    };
    (unix_datagram) => {
        crate::net::doc_examples::on!("let (here, there) = heist::net::UnixDatagram::pair()?;")
    };
    (nothing) => {
        crate::net::doc_examples::on!("#")
    };
    (tcp_listener) => {
        crate::net::doc_examples::on!(concat!(
            "let here = heist::net::TcpListener::bind(\"127.0.0.1:0\").await?;\n",
            "# let client = heist::net::TcpStream::connect(here.local_addr()?);"
        ))
    };
    (path) => {
        crate::net::doc_examples::on!(concat!(
            "# struct Folder(std::path::PathBuf);\n",
            "# impl Drop for Folder {\n",
            "#     fn drop(&mut self) { std::fs::remove_dir_all(&self.0).unwrap() }\n",
            "# }\n",
            "# let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();\n",
            "# let name = format!(\"heist-{}-{now}\", std::process::id());\n",
            "# let folder = Folder(std::env::temp_dir().join(name));\n",
            "# std::fs::create_dir_all(&folder.0)?;\n",
            "# let path = folder.0.join(\"socket\");"
        ))
    };
    (unix_listener) => {
        concat!(
            crate::net::doc_examples::set!(path),
            "\nlet here = heist::net::UnixListener::bind(&path)?;\n",
            "# let _client = heist::net::UnixStream::connect(&path).await?;"
        )
    };
    (tcp_socket) => {
        crate::net::doc_examples::on!("let here = heist::net::TcpSocket::new_v4()?;")
    };
}
pub(super) use set;

/// The other end says something.
macro_rules! say {
    (udp) => {
        "there.send(b\"hello\").await?;"
    };
    (unix_datagram) => {
        "there.send(b\"hello\").await?;"
    };
    ($stream:ident) => {
        "there.write_all(b\"hello\").await?;"
    };
}
pub(super) use say;

/// What there is before a wait in a direction.
macro_rules! before {
    (Read, $scene:ident) => {
        crate::net::doc_examples::say!($scene)
    };
    (Write, $scene:ident) => {
        "# let _ = &there;"
    };
}
pub(super) use before;

/// What there is to be done when a read is worth trying.
macro_rules! hear {
    (udp) => {
        "assert_eq!(here.try_recv(&mut [0; 16])?, 5);"
    };
    (unix_datagram) => {
        "assert_eq!(here.try_recv(&mut [0; 16])?, 5);"
    };
    ($stream:ident) => {
        "assert_eq!(here.try_read(&mut [0; 16])?, 5);"
    };
}
pub(super) use hear;

/// What there is to be done when a write is worth trying.
macro_rules! speak {
    (udp) => {
        "assert_eq!(here.try_send(b\"hello\")?, 5);"
    };
    (unix_datagram) => {
        "assert_eq!(here.try_send(b\"hello\")?, 5);"
    };
    ($stream:ident) => {
        "assert_eq!(here.try_write(b\"hello\")?, 5);"
    };
}
pub(super) use speak;

/// A wait for readiness, in the direction that there is.
macro_rules! readiness {
    (tcp_read_half) => {
        crate::net::doc_examples::readiness!(reader)
    };
    (tcp_owned_read_half) => {
        crate::net::doc_examples::readiness!(reader)
    };
    (unix_read_half) => {
        crate::net::doc_examples::readiness!(reader)
    };
    (unix_owned_read_half) => {
        crate::net::doc_examples::readiness!(reader)
    };
    (pipe_receiver) => {
        crate::net::doc_examples::readiness!(reader)
    };
    (reader) => {
        concat!(
            "use heist::io::Interest;\n\n",
            "there.write_all(b\"hello\").await?;\n",
            "assert!(here.ready(Interest::READABLE).await?.is_readable());"
        )
    };
    ($other:ident) => {
        "use heist::io::Interest;\n\nassert!(here.ready(Interest::WRITABLE).await?.is_writable());"
    };
}
pub(super) use readiness;

/// A scene on a runtime.
macro_rules! on {
    ($first:expr) => {
        concat!(
            "# Examples\n\n```\n",
            "# #[heist::main(flavor = \"current_thread\")]\n",
            "# async fn main() -> std::io::Result<()> {\n",
            $first
        )
    };
}
pub(super) use on;

/// A scene with a TCP connection.
macro_rules! tcp {
    ($first:expr) => {
        crate::net::doc_examples::on!(concat!(
            "# let listener = heist::net::TcpListener::bind(\"127.0.0.1:0\").await?;\n",
            "# let client = heist::net::TcpStream::connect(listener.local_addr()?).await?;\n",
            "# let (server, _) = listener.accept().await?;\n",
            "// `server` and `client` are the two ends of a TCP connection.\n",
            $first
        ))
    };
}
pub(super) use tcp;

/// The end of an example.
macro_rules! end {
    () => {
        "# Ok(())\n# }\n```"
    };
}
pub(super) use end;
