//! What a LUMI node shows over HTTP, to read and not to change: its figures at `/metrics`, in the text format of
//! Prometheus.
//!
//! This crate decides nothing about the node and holds nothing of it. [`WebServer`] asks an [`Administrator`], which
//! works as well from another thread and another runtime than the node's. There is no secret and no encryption:
//! whoever reaches the listener reads it.
//!
//! ```no_run
//! use lumi_dns::NodeDirectory;
//! use lumi_node_core::{Node, NodeSettings, RosterFile, Server};
//! use lumi_node_web::WebServer;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (file, roster) = RosterFile::open("config/nodelumi.cfg")?;
//! let socket = tokio::net::UdpSocket::bind("127.0.0.2:3344").await?;
//! let node = Node::new(roster, "127.0.0.2:3344".parse()?, NodeSettings::default());
//! let mut server = Server::new(socket, node, NodeDirectory::builder().build()?);
//! let listener = tokio::net::TcpListener::bind("127.0.0.2:8344").await?;
//! let web = WebServer::new(listener, server.administrator(file));
//! tokio::spawn(web.run(std::future::pending()));
//! server.run(async { _ = tokio::signal::ctrl_c().await }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Administrator`]: lumi_node_core::Administrator

mod figures;
mod metrics;
mod pages;
mod patient_stream;
mod server;

pub use server::WebServer;
