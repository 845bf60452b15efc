//! `mi-agent up`: an agent that keeps running, and `mi-agent down`, which ends it.
//!
//! The agent holds the lock of its address, answers callers, keeps the history and delivers the outbox. Programs
//! of the same user attach to its socket as fronts, and come and go without ending a conversation:
//!
//! ```text
//!  fronts ──lines──► fronts.rs ──orders──► hub.rs ──Wish──► Session ──Happened──► hub.rs ──lines──► every front
//! ```
//!
//! A line is an object of docs/events.md.

mod down;
pub(crate) mod front;
mod fronts;
mod hub;
mod kept;
mod lines;
mod serve;
mod service;
mod socket;

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use mi_agent_core::Intake;
use plumi_proto::MiAddress;

use self::fronts::Fronts;
use self::hub::Hub;
use self::kept::History;
use self::socket::FrontSocket;
use crate::logging::Diagnostics;
use crate::options::given::GivenOptions;
use crate::options::settings::Settings;
use crate::session::Session;
use crate::signals::Ending;
use crate::start;
use crate::store::folder::DataFolder;
use crate::store::lock::AddressLock;
use crate::store::user_data::UserData;

pub(crate) use self::down::DownArgs;
pub(crate) use self::down::run as run_down;

/// Keep an agent running without a screen, until `mi-agent down`, SIGINT or SIGTERM
///
/// It registers ADDRESS, answers callers, keeps the history, and delivers the messages that wait. Prints one line
/// when it is ready. A node that is not there at the start is waited for.
///
/// `mi-agent listen --json` of the same address attaches to it: several programs see and say the same.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Your own address, user@domain, also if the settings have one
    address: MiAddress,

    #[command(flatten)]
    options: GivenOptions,
}

/// Runs the agent until it is ended.
///
/// # Errors
/// Another agent of the address; the address cannot be locked, or there can be no socket; those of
/// [`start::run`].
pub(crate) fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    let UpArgs { address: own, options } = args;
    let settings = Settings::load(Some(own), &options)?.without_default_log();
    let folder = DataFolder::of(&own).ok_or_else(|| anyhow!("nobody knows where data are; set HOME"))?;
    let lock = AddressLock::take(&own)?;
    let lock = lock.ok_or_else(|| anyhow!("{} cannot be locked", folder.path().display()))?;
    let (socket, listener) = FrontSocket::bind(&own, &folder)?;
    lock.name_socket(socket.path()).context("the lock cannot be written")?;
    let UserData { admission, contacts, keeper, troubles } = UserData::open(&own, settings.history)?;
    let nickname = settings.nick.as_ref().map_or_else(|| own.user().to_string(), ToString::to_string);
    let conversations = usize::from(settings.conversations.unwrap_or_default().0.get());
    start::run(&settings, own, Diagnostics::Stderr, Ending::of_lines(), async |builder, signals| {
        for trouble in troubles {
            tracing::warn!("{trouble}");
        }
        let builder = builder.conversations(conversations).admission(admission);
        let builder = builder.intake(Some(Intake::OF_PEOPLE));
        let session = Session::start_patiently(builder, Some(keeper))
            .with_lock(Some(lock))
            .with_outbox(own, (&settings).into());
        let hub = Hub::new(own, History::new(contacts, nickname, settings.history));
        serve::run(own, hub, session, Fronts::of((socket, listener))?, signals).await
    })
}
