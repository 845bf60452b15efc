//! The keys that are known of other users.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use plumi_proto::MiAddress;

use crate::key::PublicKey;

/// A key that is known of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pin {
    /// The key.
    pub key: PublicKey,
    /// The reason to believe that it is the user's.
    pub strength: Strength,
    /// The day since which it is known.
    pub since: Day,
    /// The day on which the words were compared, if [`Strength::Verified`].
    pub verified: Option<Day>,
}

impl Pin {
    /// Creates the pin of a key that is seen or introduced `today`.
    pub fn seen(key: PublicKey, today: Day) -> Self {
        Self { key, strength: Strength::Seen, since: today, verified: None }
    }

    /// Returns the pin of the same key once its words were compared `today`.
    #[must_use]
    pub fn verified(self, today: Day) -> Self {
        Self { strength: Strength::Verified, verified: Some(today), ..self }
    }
}

/// The reason to believe that a key is a user's, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Strength {
    /// A call of this agent, through the node of the user, met the key.
    Seen,
    /// The node of the user's domain says so.
    Introduced,
    /// The two users compared the words of the key.
    Verified,
}

impl Strength {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Introduced => "introduced",
            Self::Verified => "verified",
        }
    }
}

/// A day in UTC, written as `2026-11-29`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

impl Day {
    /// Returns the day that it is now.
    #[expect(clippy::disallowed_methods, reason = "a pin names its day, which decides nothing")]
    pub fn today() -> Self {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Day {
    /// A time that no calendar has becomes its first or last day.
    fn from(time: SystemTime) -> Self {
        let limit = if time < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        Self(TimeZone::UTC.to_datetime(Timestamp::try_from(time).unwrap_or(limit)).date())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let day = text.parse().map(Self).map_err(|_| DayError)?;
        // The calendar's parser reads more than the one form.
        if day.to_string() == text { Ok(day) } else { Err(DayError) }
    }
}

/// A text is not a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a day such as 2026-11-29")]
pub struct DayError;

/// The place where an agent keeps the keys of other users.
///
/// The agent reads it on its own runtime, so that should not take long. Calls change it in a thread of their
/// own; [`Agent::trust`](crate::Agent::trust) and [`Agent::verify`](crate::Agent::verify) where they are
/// called. An agent keeps at most [`MAX_KEYS`](crate::MAX_KEYS) keys of a user; the store has no limit of its
/// own.
pub trait TrustStore: fmt::Debug + Send + Sync {
    /// Returns the keys of `address`, none if none is known.
    ///
    /// # Errors
    /// They cannot be read. Then nobody is called: that is no reason to trust another key.
    fn pins(&self, address: &MiAddress) -> io::Result<Vec<Pin>>;

    /// Returns the users with the known key `key`, and their pins of it.
    ///
    /// # Errors
    /// As for [`TrustStore::pins`].
    fn holders(&self, key: &PublicKey) -> io::Result<Vec<(MiAddress, Pin)>>;

    /// Has `change` change the keys of `address`, while nobody else does.
    ///
    /// # Errors
    /// They cannot be read or kept. Then nothing is changed.
    fn change(&self, address: &MiAddress, change: &mut dyn FnMut(&mut Vec<Pin>)) -> io::Result<()>;
}

impl<T: TrustStore + ?Sized> TrustStore for Arc<T> {
    fn pins(&self, address: &MiAddress) -> io::Result<Vec<Pin>> {
        (**self).pins(address)
    }

    fn holders(&self, key: &PublicKey) -> io::Result<Vec<(MiAddress, Pin)>> {
        (**self).holders(key)
    }

    fn change(&self, address: &MiAddress, change: &mut dyn FnMut(&mut Vec<Pin>)) -> io::Result<()> {
        (**self).change(address, change)
    }
}

/// A store that is forgotten with the program.
#[derive(Debug, Default)]
pub struct MemoryTrust(Mutex<BTreeMap<MiAddress, Vec<Pin>>>);

impl TrustStore for MemoryTrust {
    fn pins(&self, address: &MiAddress) -> io::Result<Vec<Pin>> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pins.get(address).cloned().unwrap_or_default())
    }

    fn holders(&self, key: &PublicKey) -> io::Result<Vec<(MiAddress, Pin)>> {
        let pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = pins.iter().flat_map(|(address, pins)| pins.iter().map(|pin| (*address, *pin)));
        Ok(all.filter(|(_, pin)| pin.key == *key).collect())
    }

    fn change(&self, address: &MiAddress, change: &mut dyn FnMut(&mut Vec<Pin>)) -> io::Result<()> {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = pins.entry(*address).or_default();
        change(of_address);
        if of_address.is_empty() {
            pins.remove(address);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_have_one_form() {
        let day = Day::from(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_910_399));
        assert_eq!((day.to_string().as_str(), "2026-11-28".parse()), ("2026-11-28", Ok(day)));
        assert_eq!(
            Day::from(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_910_400)).to_string(),
            "2026-11-29"
        );
        for wrong in ["", "2026-11-31", "20261129", "2026-11-29T00:00:00", "2026-11-29[UTC]", " 2026-11-29"] {
            assert_eq!(wrong.parse::<Day>(), Err(DayError), "{wrong}");
        }
    }

    #[test]
    fn a_store_in_memory_keeps_what_it_is_told() {
        let store = MemoryTrust::default();
        let [laura, joya]: [MiAddress; 2] = ["laura@bb.com", "joya@cc.com"].map(|text| text.parse().unwrap());
        let pin = Pin::seen(PublicKey::from_bytes([1; 32]), "2026-11-29".parse().unwrap());
        for address in [laura, joya] {
            store.change(&address, &mut |pins| pins.push(pin)).unwrap();
        }
        assert_eq!(store.pins(&"laura@BB.com.".parse().unwrap()).unwrap(), [pin]);
        assert_eq!(store.holders(&pin.key).unwrap(), [(laura, pin), (joya, pin)]);
        store.change(&laura, &mut Vec::clear).unwrap();
        assert_eq!(store.pins(&laura).unwrap(), []);
        assert_eq!(store.holders(&pin.key).unwrap(), [(joya, pin)]);
    }
}
