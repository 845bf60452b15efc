//! `mi-agent trust`: the keys of other users that a user knows.
//!
//! An agent that runs meanwhile sees every change at its next call.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use mi_agent_core::key_rules::{forget, introduce, verify};
use mi_agent_core::{Day, KeyWords, KnownPeers, Pin, PublicKey, TrustError, TrustStore, safe_text};
use plumi_proto::MiAddress;

use crate::command::address_of;
use crate::misuse::Misuse;
use crate::options::load;
use crate::options::settings::Settings;
use crate::reason::Reason;
use crate::store::folder::{self, DataFolder};
use crate::{exit, own_keys};

/// The keys of other users, as this host knows them for you
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TrustArgs {
    /// Your own address, user@domain [default: the one in the settings]
    #[arg(long, value_name = "ADDRESS", global = true)]
    from: Option<MiAddress>,

    #[command(subcommand)]
    subcommand: TrustSubcommand,
}

/// The subcommands of `mi-agent trust`.
#[derive(Debug, clap::Subcommand)]
enum TrustSubcommand {
    /// List them, one key a line, since when each is known, and since when it is verified
    List,
    /// Learn the keys in FILE, from lines such as `mi-agent key show --line` or the node's
    /// `ctl keys --known-peers` prints; - is stdin. Nothing is added to a user with another key that a call
    /// met or that you verified
    Import {
        /// Learn keys of users of other domains, too
        #[arg(long)]
        any_domain: bool,

        /// Lines of the form ADDRESS ed25519 BASE64; what follows does not matter
        file: PathBuf,
    },
    /// Compare the words of a known key: type what its user reads out
    Verify {
        /// Whose key it is; a name alone is a user of your own domain
        address: String,

        /// What its user reads out
        #[arg(required = true)]
        word: Vec<String>,
    },
    /// Forget the keys of a user, or one of them: the next call meets a new key
    Forget {
        /// Forget a key even if its words were compared
        #[arg(long)]
        verified: bool,

        /// Whose keys they are; a name alone is a user of your own domain
        address: String,

        /// Forget only this one, in base64
        key: Option<PublicKey>,
    },
}

/// Lists or changes the keys.
///
/// # Errors
/// A [`Misuse`]; the keys cannot be read or written; stdout cannot be written to.
pub(crate) fn run(args: TrustArgs) -> anyhow::Result<ExitCode> {
    let TrustArgs { from, subcommand } = args;
    let own = match from {
        Some(own) => Some(own),
        None => Settings::read(&load::path()?)?.and_then(|settings| settings.address),
    };
    let Some(own) = own else {
        return Err(Misuse::of("trust", "--from is missing, and the settings have no address").into());
    };
    let folder = DataFolder::of(&own).context("nobody knows where keys are; set HOME")?;
    let address = |text: &str| {
        let address = address_of(text, &own);
        address.map_err(|error| Misuse::of("trust", format!("ADDRESS is wrong: {error}")))
    };
    let keys = Keys { own, folder: &folder, store: own_keys::known_peers(&folder)? };
    match subcommand {
        TrustSubcommand::List => keys.list(),
        TrustSubcommand::Import { any_domain, file } => keys.import(&file, any_domain),
        TrustSubcommand::Verify { address: whose, word } => {
            let words = word.join(" ").parse();
            let words = words.map_err(|error| Misuse::of("trust", format!("these words {error}")))?;
            keys.verify(&address(&whose)?, &words)
        }
        TrustSubcommand::Forget { verified, address: whose, key } => {
            keys.forget(&address(&whose)?, key.as_ref(), verified)
        }
    }
}

struct Keys<'a> {
    own: MiAddress,
    folder: &'a DataFolder,
    store: KnownPeers,
}

impl Keys<'_> {
    fn list(&self) -> anyhow::Result<ExitCode> {
        let mut lines = String::new();
        for (address, pin) in self.store.all().map_err(io::Error::from)? {
            lines += &format!("{}\n", KnownPeers::line(&address, &pin));
        }
        crate::print(lines.as_bytes())
    }

    /// Learns the keys in `file`. A line that is none ends it before anything is learned.
    fn import(&self, file: &Path, any_domain: bool) -> anyhow::Result<ExitCode> {
        let keys = read(file)?;
        folder::make(self.folder.path()).context("cannot create the folder of the keys")?;
        let mut told = String::new();
        let mut code = exit::WELL;
        let mut others = BTreeSet::new();
        for (address, key) in keys {
            // A list of the domain has everybody in it.
            if address == self.own {
                continue;
            }
            if !any_domain && address.domain() != self.own.domain() {
                others.insert(address);
                continue;
            }
            let introduced = self.change(&address, |pins, today| {
                let is_known = pins.iter().any(|pin| pin.key == key);
                introduce(pins, key, today).map(|()| is_known)
            })?;
            match introduced {
                Ok(true) => writeln!(told, "* {address} is known with this key")?,
                Ok(false) => writeln!(told, "* {address} is introduced")?,
                Err(error) => {
                    code = exit::FAILURE;
                    writeln!(told, "! the keys of {address} stay as they are: {error}")?;
                }
            }
        }
        for address in others {
            code = exit::FAILURE;
            let domain = self.own.domain();
            writeln!(
                told,
                "! {address} is not of {domain}, whose node you believe; --any-domain learns it, too"
            )?;
        }
        crate::print(safe_text_of_lines(&told).as_bytes())?;
        Ok(ExitCode::from(code))
    }

    fn verify(&self, address: &MiAddress, words: &KeyWords) -> anyhow::Result<ExitCode> {
        let pins = self.store.pins(address)?;
        let mut differs_at = None;
        for pin in pins {
            match KeyWords::of(address, &pin.key).differs_at(words) {
                None => {
                    let verified = self.change(address, |pins, today| verify(pins, pin.key, today))?;
                    verified.map_err(|error| stays(address, &error))?;
                    return crate::print(format!("* the key of {address} is verified\n").as_bytes());
                }
                // The key with the most words alike is the one that was meant.
                Some(at) => differs_at = differs_at.max(Some(at)),
            }
        }
        match differs_at {
            Some(at) => bail!("the key of {address} is not verified: word {at} is another one"),
            None => bail!("no key of {address} is known: call it first, or import its key"),
        }
    }

    fn forget(
        &self,
        address: &MiAddress,
        key: Option<&PublicKey>,
        even_verified: bool,
    ) -> anyhow::Result<ExitCode> {
        let gone = match self.change(address, |pins, _| forget(pins, key, even_verified))? {
            Err(TrustError::IsVerified) => {
                bail!("the words of a key of {address} were compared; --verified forgets it all the same")
            }
            gone => gone.map_err(|error| stays(address, &error))?,
        };
        let mut told = String::new();
        for pin in gone {
            writeln!(told, "* forgotten: {}", KnownPeers::line(address, &pin))?;
        }
        crate::print(told.as_bytes())
    }

    /// Changes the keys of `address`.
    fn change<T>(
        &self,
        address: &MiAddress,
        change: impl Fn(&mut Vec<Pin>, Day) -> Result<T, TrustError>,
    ) -> anyhow::Result<Result<T, TrustError>> {
        let today = Day::today();
        let mut changed = Err(TrustError::NotKnown);
        let kept = self.store.change(address, &mut |pins| changed = change(pins, today));
        kept.map_err(|error| anyhow!("the keys of others cannot be changed: {}", Reason(&error)))?;
        Ok(changed)
    }
}

fn stays(address: &MiAddress, error: &TrustError) -> anyhow::Error {
    anyhow!("the keys of {address} stay as they are: {error}")
}

/// Reads the keys in `file`. `-` is stdin.
fn read(file: &Path) -> anyhow::Result<Vec<(MiAddress, PublicKey)>> {
    let mut text = String::new();
    let opened: io::Result<Box<dyn Read>> = match file.to_str() {
        Some("-") => Ok(Box::new(standard_streams::stdin())),
        _ => fs::File::open(file).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let read = opened.and_then(|file| file.take(MAX_IMPORT + 1).read_to_string(&mut text));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    if text.len() as u64 > MAX_IMPORT {
        bail!("{} has more than {MAX_IMPORT} bytes", file.display());
    }
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let key = |(line, number): (&str, usize)| {
        let [address, "ed25519", key, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("line {number} is not of the form ADDRESS ed25519 BASE64");
        };
        let address = address.parse().map_err(|error| anyhow!("line {number}: {error}"))?;
        let key = key.parse().map_err(|error| anyhow!("line {number}: the key {error}"))?;
        Ok((address, key))
    };
    lines
        .map(key)
        .collect::<Result<_, _>>()
        .with_context(|| format!("nothing was learned from {}", safe_text(&file.to_string_lossy())))
}

/// Makes every line of `text` safe to show.
fn safe_text_of_lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", safe_text(line))).collect()
}

/// The most bytes that are imported: as many as the keys of all users may have.
const MAX_IMPORT: u64 = 16 << 20;

const HELP: &str = "\
A key that a call meets is known from then on. `mi-agent trust list` shows them all.

Exit codes:
  0 ended well   1 other failure, also when not everything was learned   2 misuse

Examples:
  mi-agent trust list --from laura@bb.com
  mi-agent trust import class.peers
  mi-agent trust import --any-domain joya.key
  mi-agent trust verify joya@cc.com candy … zebra";
