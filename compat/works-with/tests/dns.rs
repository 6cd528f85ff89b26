//! DNS: hickory-resolver against dnsmasq.

#[path = "support/peers.rs"]
mod peers;

use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

fn resolver(server: &peers::Peer, mut connection: ConnectionConfig) -> Resolver<TokioRuntimeProvider> {
    connection.port = server.port;
    let server = NameServerConfig::new([127, 0, 0, 1].into(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap()
}

#[tokio::test]
async fn hickory_resolver_asks_dnsmasq_once_and_caches() {
    let server = peers::dnsmasq();
    let resolver = resolver(&server, ConnectionConfig::udp());
    for _ in 0..3 {
        let found = resolver.ipv4_lookup("name.example.").await.unwrap();
        assert!(format!("{found:?}").contains("10.1.2.3"), "{found:?}");
    }
    assert!(resolver.ipv4_lookup("other.example.").await.unwrap_err().is_no_records_found());
    let queries = std::fs::read_to_string(server.folder.join("queries")).unwrap();
    assert_eq!(queries.matches("query[A] name.example").count(), 1, "{queries}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hickory_resolver_asks_dnsmasq_by_tcp() {
    let server = peers::dnsmasq();
    let resolver = resolver(&server, ConnectionConfig::tcp());
    let found = resolver.ipv4_lookup("name.example.").await.unwrap();
    assert!(format!("{found:?}").contains("10.1.2.3"), "{found:?}");
}
