//! The HTTP server of a LUMI node, to read and not to change: at `/` a page with its users, its messages as a
//! ladder, and how many they are; at `/metrics` its figures, in the text format of Prometheus.
//!
//! This crate decides nothing about the node and holds nothing of it. [`WebServer`] asks a [`ServerHandle`]
//! and looks at a [`Watch`], which work as well from another thread and another runtime than the node's.
//! There is no secret and no encryption: everybody that reaches the listener can read it, and see which user
//! looks for which.
//!
//! The page is what is in `src/page`, as it stands there. Whatever it shows of strangers is escaped by this
//! crate and the ladder's, and put into the page as text.
//!
//! ```no_run
//! use lumi_node_core::{Node, NodeSettings, RosterFile, Server};
//! use lumi_node_web::WebServer;
//! use message_ladder::Watch;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (file, roster) = RosterFile::open("config/nodelumi.cfg")?;
//! let socket = tokio::net::UdpSocket::bind("127.0.0.2:3344").await?;
//! let node = Node::new(roster, "127.0.0.2:3344".parse()?, NodeSettings::default());
//! let (server, administrator) = Server::builder(socket, node).store(file).build()?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.2:8344").await?;
//! // Sees nothing unless it is a sink of a `message_log::MessageLayer`.
//! let watch = Watch::new("bb.com", 500, std::time::SystemTime::now);
//! let web = WebServer::new(listener, administrator, watch);
//! tokio::spawn(web.run(std::future::pending()));
//! server.run(async { _ = tokio::signal::ctrl_c().await }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`ServerHandle`]: lumi_node_core::ServerHandle
//! [`Watch`]: message_ladder::Watch

mod events;
mod figures;
mod host;
mod metrics;
mod pages;
mod patient_stream;
mod server;
mod users;
mod viewers;

pub use server::WebServer;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
