//! Names of users as administrators type them: alone, without the domain.

use plumi_proto::UserName;

/// Parses the name of a user.
///
/// # Errors
/// The mistake in it.
pub(super) fn user(name: &str) -> Result<UserName, String> {
    if name.contains('@') {
        return Err("give the name of the user alone, without '@' and domain".into());
    }
    name.parse().map_err(|error| format!("the user name {error}"))
}

/// Serializes the name of a user as text.
pub(super) mod one {
    use plumi_proto::UserName;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(user: &UserName, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(user)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UserName, D::Error> {
        super::user(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Serializes the names of users as texts.
pub(super) mod many {
    use plumi_proto::UserName;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(users: &[UserName], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(users.iter().map(UserName::as_str))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<UserName>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().map(|name| super::user(name).map_err(D::Error::custom)).collect()
    }
}
