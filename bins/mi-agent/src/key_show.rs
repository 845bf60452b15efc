//! `mi-agent key show`: the user's own key, for other people and programs.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use full_screen::camera_code;
use mi_agent_core::{KeyWords, PublicKey};
use plumi_proto::MiAddress;

use crate::misuse::Misuse;
use crate::options::load;
use crate::options::settings::Settings;
use crate::own_keys;
use crate::store::folder::DataFolder;

/// The subcommands of `mi-agent key`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeySubcommand {
    Show(ShowArgs),
}

/// Show your own public key, and create it if there is none: whom you give it to can tell you from others
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ShowArgs {
    /// Your own address, user@domain [default: the one in the settings]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<MiAddress>,

    /// Show the key in this file [default: that of the settings, or of ADDRESS]
    #[arg(long, value_name = "FILE")]
    identity: Option<std::path::PathBuf>,

    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Form {
    /// Print one line for files and programs: ADDRESS ed25519 BASE64
    #[arg(long)]
    line: bool,

    /// Print the words that you read out, and that others type behind /verify
    #[arg(long)]
    words: bool,

    /// Print the same as decimal digits
    #[arg(long)]
    digits: bool,

    /// Draw a code for cameras: mi:ADDRESS?key=BASE64
    #[arg(long)]
    qr: bool,
}

/// Prints the key.
///
/// # Errors
/// A [`Misuse`]; there can be no key, or it is wrong; stdout cannot be written to.
pub(crate) fn run(subcommand: KeySubcommand) -> anyhow::Result<ExitCode> {
    let KeySubcommand::Show(ShowArgs { from, identity, form }) = subcommand;
    let mut settings = load::path().ok().map(|path| Settings::read(&path)).transpose()?.flatten();
    if from.is_some() && settings.as_ref().is_some_and(|settings| settings.address != from) {
        // The key that is set belongs to the address that is set.
        settings = None;
    }
    let mut settings = settings.map_or_else(Settings::defaults, Ok)?;
    let Some(own) = from.or(settings.address) else {
        return Err(Misuse::of("key", "--from is missing, and the settings have no address").into());
    };
    settings.identity = identity.or(settings.identity);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let folder = DataFolder::of(&own);
    let identity = runtime.block_on(own_keys::identity(&settings, folder.as_ref()))?;
    let key = identity.map_err(|reason| anyhow!(reason))?.public_key();
    crate::print(shown(&own, &key, &form)?.as_bytes())
}

fn shown(own: &MiAddress, key: &PublicKey, form: &Form) -> anyhow::Result<String> {
    let line = format!("{own} ed25519 {key}\n");
    Ok(if form.line {
        line
    } else if form.words {
        format!("{}\n", KeyWords::of(own, key))
    } else if form.digits {
        format!("{}\n", KeyWords::of(own, key).digits())
    } else if form.qr {
        let code = camera_code(&format!("mi:{own}?key={key}"), io::stdout().is_terminal());
        code.context("the address is too long for a code")?
    } else {
        let words = KeyWords::of(own, key);
        format!("{line}words   {words}\ndigits  {}\n", words.digits())
    })
}

const HELP: &str = "\
Exit codes:
  0 ended well   1 there is no key, with the reason   2 misuse

Examples:
  mi-agent key show --words
  mi-agent key show --from laura@bb.com --line > laura.key";
