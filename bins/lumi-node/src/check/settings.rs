//! Finds every error of a settings file, and the settings that are right in spite of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;
use settings_text::Mistake;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::files::let_read;
use super::finding::{Finding, Report};
use crate::options::load::DEFAULT_CONFIG;
use crate::options::settings::{Settings, mistake};
use crate::reason;

/// The contents of a settings file.
#[derive(Debug)]
pub(super) struct SettingsFile {
    /// The settings that are right in it.
    pub(super) settings: Settings,
    /// The settings that the other part may have been about.
    pub(super) doubt: Doubt,
}

/// The settings that are unknown, because they are wrong in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// These keys.
    Some(BTreeSet<String>),
    /// Any key: the file cannot be read as settings.
    All,
}

impl Doubt {
    /// Whether one of `keys` is in doubt.
    pub(super) fn is_about(&self, keys: &[&str]) -> bool {
        match self {
            Self::Some(wrong) => keys.iter().any(|&key| wrong.contains(key)),
            Self::All => true,
        }
    }

    fn none() -> Self {
        Self::Some(BTreeSet::new())
    }
}

/// Checks the settings file that was `asked` for, or the default one if it exists.
///
/// # Errors
/// Those of `report`.
pub(super) fn check(asked: Option<&Path>, report: &mut Report) -> anyhow::Result<SettingsFile> {
    let path = asked.unwrap_or(Path::new(DEFAULT_CONFIG));
    let subject = format!("settings {}", path.display());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if asked.is_none() && error.kind() == io::ErrorKind::NotFound => {
            report.add(&Finding::well(subject, "there is no such file, so the defaults hold"))?;
            return Ok(SettingsFile { settings: Settings::default(), doubt: Doubt::none() });
        }
        Err(error) => {
            let remedy = match error.kind() {
                io::ErrorKind::PermissionDenied => let_read(path),
                _ => "name another file with --config".to_owned(),
            };
            report.add(&Finding::wrong(subject, reason::in_words(&error), remedy))?;
            return Ok(SettingsFile { settings: Settings::default(), doubt: Doubt::All });
        }
    };
    let Read { settings, doubt, errors } = Read::new(&text);
    if errors.is_empty() {
        report.add(&Finding::well(&subject, "every key is right"))?;
    }
    let in_line = |Mistake { line, key, reason }| {
        let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
        let key = key.map(|key| format!(", {key}")).unwrap_or_default();
        Finding::wrong(format!("{subject}{line}{key}"), reason, "correct that, or take it out")
    };
    report.add_all(&subject, errors.into_iter().map(in_line))?;
    Ok(SettingsFile { settings, doubt })
}

/// Every error in the text of a settings file, in the order of their lines. A node words the first error the
/// same way.
pub(crate) fn errors(text: &str) -> Vec<String> {
    let without_key = |mistake| Mistake { key: None, ..mistake }.to_string();
    Read::new(text).errors.into_iter().map(without_key).collect()
}

#[derive(Debug)]
struct Read {
    settings: Settings,
    doubt: Doubt,
    errors: Vec<Mistake>,
}

impl Read {
    fn new(text: &str) -> Self {
        let (document, syntax) = DeTable::parse_recoverable(text);
        let error = |key: Option<&str>, error: &toml::de::Error| Mistake {
            key: key.map(str::to_owned),
            ..mistake(text, error)
        };
        let mut errors: Vec<_> = syntax.iter().map(|wrong| error(None, wrong)).collect();
        if !errors.is_empty() {
            // An error without a place follows from another one.
            if errors.iter().any(|error| error.line.is_some()) {
                errors.retain(|error| error.line.is_some());
            }
            // The text after such an error may have been meant otherwise.
            return Self { settings: Settings::default(), doubt: Doubt::All, errors };
        }
        let span = document.span();
        let table = document.into_inner();
        let settings_of =
            |table| Settings::deserialize(Deserializer::from(Spanned::new(span.clone(), table)));
        let mut wrong = BTreeSet::new();
        for (key, value) in &table {
            for part in parts(value) {
                if let Err(found) = settings_of(DeTable::from_iter([(key.clone(), part)])) {
                    errors.push(error(Some(key.get_ref()), &found));
                    wrong.insert(key.get_ref().to_string());
                }
            }
        }
        let right = table.into_iter().filter(|(key, _)| !wrong.contains(&**key.get_ref()));
        let settings = settings_of(right.collect()).unwrap_or_else(|found| {
            errors.push(error(None, &found));
            Settings::default()
        });
        errors.sort();
        // A list in the wrong place is one error, not one for each of its parts.
        errors.dedup();
        Self { settings, doubt: Doubt::Some(wrong), errors }
    }
}

/// Splits `value` into parts that are right or wrong on their own. Reading it whole would end at the first
/// error.
fn parts<'t>(value: &Spanned<DeValue<'t>>) -> Vec<Spanned<DeValue<'t>>> {
    let spanned = |part| Spanned::new(value.span(), part);
    let parts: Vec<_> = match value.get_ref() {
        DeValue::Table(table) => {
            let alone = |(key, part): (&Spanned<_>, &Spanned<_>)| {
                DeTable::from_iter([(Clone::clone(key), Clone::clone(part))])
            };
            table.iter().map(|entry| spanned(DeValue::Table(alone(entry)))).collect()
        }
        DeValue::Array(array) => {
            array.iter().map(|part| spanned(DeValue::Array([part.clone()].into_iter().collect()))).collect()
        }
        _ => Vec::new(),
    };
    if parts.is_empty() { vec![value.clone()] } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_key_is_told_with_its_line_and_the_others_hold() {
        let text = "listen = 'here'\nlog = 'x.log'\nport = 3344\n\
                    allow = [\n'10.0.0.0/8',\n'there',\n7]\n\
                    name-servers = ['127.0.0.1:53', '127.0.0.2:53']\nrate-limit = [0, 1]\n\
                    [peers]\n'a..b' = '127.0.0.1:1'\n'c.d' = '127.0.0.1:1'\ne = 1\n";
        let read = Read::new(text);
        let places: Vec<_> =
            read.errors.iter().map(|error| (error.line.unwrap(), error.key.as_deref().unwrap())).collect();
        assert_eq!(
            places,
            [
                (1, "listen"),
                (3, "port"),
                (6, "allow"),
                (7, "allow"),
                (9, "rate-limit"),
                (11, "peers"),
                (13, "peers")
            ]
        );
        assert_eq!(read.settings.log.as_deref(), Some(Path::new("x.log")));
        assert_eq!(read.settings.name_servers.len(), 2, "they are read whole");
        for key in ["listen", "port", "allow", "rate-limit", "peers"] {
            assert!(read.doubt.is_about(&["console", key]), "{key}");
        }
        assert!(!read.doubt.is_about(&["log", "name-servers", "roster"]));
    }

    #[test]
    fn what_is_no_toml_says_nothing_of_any_key() {
        let read = Read::new("log = 'x.log'\nlisten = \n[peers\n");
        assert_eq!(read.doubt, Doubt::All);
        assert!(read.doubt.is_about(&["roster"]) && read.settings.log.is_none());
        let lines: BTreeSet<_> = read.errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [Some(2), Some(3)].into());
    }

    /// A node that does not start reports the first error.
    #[test]
    fn a_text_is_wrong_here_if_and_only_if_a_node_refuses_it() {
        for text in [
            "",
            "\n# only this\n",
            include_str!("../../../../config/lumi-node.toml"),
            "allow = []\n[peers]\n",
            "listen = []",
            "peers = []",
            "peers = 1",
            "allow = {}",
            "roster.file = 'x'",
            "log-max-size = ['1']",
            "[[peers]]\n'cc.com' = '127.0.0.1:1'",
            "[peers]\n'cc.com' = '127.0.0.1:1'\n'CC.com' = '127.0.0.2:1'",
            "a = 1\na = 2",
            "\0",
            "=",
        ] {
            let errors = errors(text);
            match Settings::parse(text) {
                Ok(_) => assert_eq!(errors, [""; 0], "{text:?}"),
                Err(error) => {
                    assert!(errors.contains(&error.to_string()), "{text:?}: {error} and {errors:?}");
                }
            }
        }
    }
}
