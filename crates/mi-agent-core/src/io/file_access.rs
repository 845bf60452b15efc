//! The access to a file: whether users other than the one that runs this may read or write it.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::fgetxattr;
use rustix::io::Errno;
use rustix::process::geteuid;

/// Returns whether others than this user and root have access to `file`.
///
/// systemd gives a credential to a service by an access control list (acl(5)) where the file system has them.
/// Then the permissions of the group in the mode are those that the list may grant at most, and the list
/// names the users.
///
/// # Errors
/// The access to the file cannot be read.
pub(crate) fn others_have_access(file: &File) -> io::Result<bool> {
    let mode = file.metadata()?.mode();
    if mode & GROUP_AND_OTHERS == 0 {
        return Ok(false);
    }
    let mut list = [0; MAX_LIST];
    match fgetxattr(file, "system.posix_acl_access", &mut list) {
        Ok(length) => Ok(grants_others(&list[..length], geteuid().as_raw())),
        // It has no list, or so long a one that others are in it.
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether an access control list grants anything to others than the owner and `user`.
///
/// ```text
/// list  = 02 00 00 00 *entry              numbers are little-endian
/// entry = tag(2) permissions(2) id(4)
/// ```
fn grants_others(list: &[u8], user: u32) -> bool {
    let Some((&VERSION, entries)) = list.split_first_chunk() else { return true };
    let (entries, []) = entries.as_chunks::<8>() else { return true };
    entries.iter().any(|&[tag, _, permissions, _, id @ ..]| match tag {
        _ if permissions == 0 => false,
        OWNER | MASK => false,
        NAMED_USER => u32::from_le_bytes(id) != user,
        _ => true,
    })
}

/// The permissions of the group and of others.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Room for more entries than a list of the owner, a user and nobody else has.
const MAX_LIST: usize = 4 + 16 * 8;

const VERSION: [u8; 4] = [2, 0, 0, 0];

// The tags of entries.
const OWNER: u8 = 0x01;
const NAMED_USER: u8 = 0x02;
const MASK: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: u8 = 0x04;
    const NAMED_GROUP: u8 = 0x08;
    const OTHERS: u8 = 0x20;

    fn list(entries: &[(u8, u8, u32)]) -> Vec<u8> {
        let mut list = VERSION.to_vec();
        for (tag, permissions, id) in entries {
            list.extend([*tag, 0, *permissions, 0]);
            list.extend(id.to_le_bytes());
        }
        list
    }

    #[test]
    fn a_list_grants_to_others_or_to_this_user_alone() {
        let none = u32::MAX;
        let credential =
            [(OWNER, 4, none), (NAMED_USER, 4, 1000), (GROUP, 0, none), (MASK, 4, none), (OTHERS, 0, none)];
        assert!(!grants_others(&list(&credential), 1000));
        assert!(grants_others(&list(&credential), 1001), "it is somebody else's");
        for (at, entry) in [
            (1, (NAMED_USER, 4, 0)),
            (2, (GROUP, 4, none)),
            (2, (NAMED_GROUP, 2, 1000)),
            (4, (OTHERS, 1, none)),
        ] {
            let mut changed = credential;
            changed[at] = entry;
            assert!(grants_others(&list(&changed), 1000), "{entry:?}");
        }
        for wrong in [&[][..], &[2, 0, 0], &[3, 0, 0, 0], &list(&credential)[..43]] {
            assert!(grants_others(wrong, 1000), "{wrong:?}");
        }
    }
}
