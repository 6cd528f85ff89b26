//! What the examples of `AsyncFd` begin and end with.

/// A pair of std's sockets, the one non-blocking, and in the second scene an `AsyncFd`.
macro_rules! set {
    (socket) => {
        concat!(
            "# Examples\n\n```\n",
            "use heist::io::unix::AsyncFd;\nuse heist::io::{Interest, Ready};\nuse std::io::{Read, Write};\nuse std::os::unix::net::UnixStream;\n\n",
            "# #[heist::main(flavor = \"current_thread\")]\n",
            "# async fn main() -> std::io::Result<()> {\n",
            "let (here, mut there) = UnixStream::pair()?;\n",
            "here.set_nonblocking(true)?;"
        )
    };
    (fd) => {
        concat!(crate::io::doc_examples::set!(socket), "\nlet mut here = AsyncFd::new(here)?;")
    };
}
pub(super) use set;

/// The end of an example.
macro_rules! end {
    () => {
        "# Ok(())\n# }\n```"
    };
}
pub(super) use end;
