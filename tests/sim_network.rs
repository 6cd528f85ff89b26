//! Simulations of several hosts: TCP and UDP over a network in memory, with partitions and crashes.

#[path = "sim_network/connections.rs"]
mod connections;
#[path = "sim_network/datagrams.rs"]
mod datagrams;
#[path = "sim_network/hosts.rs"]
mod hosts;
#[path = "sim_network/partitions.rs"]
mod partitions;
#[path = "sim_network/peers.rs"]
mod peers;
