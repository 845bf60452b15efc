//! Replacing a file so that a crash leaves the old one or the new one, whole (protocol.md §6).

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Replaces the file at `path` by `contents`, with the same permissions. When this returns `Ok`, the new
/// file is on the disk, and this is its metadata. When it returns an error, the old one is as it was; only if
/// the disk fails at the very end, with the folder, the new one may be there.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<Metadata> {
    // Through a link, the file that it names is replaced and the link stays.
    let path = fs::canonicalize(path)?;
    let folder = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
    // Before anything changes: a folder can be writable and not readable. Only Unix opens folders.
    #[cfg(unix)]
    let opened_folder = fs::File::open(folder)?;
    let mut temporary = NamedTempFile::new_in(folder)?;
    temporary.write_all(contents)?;
    temporary.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    temporary.as_file().sync_all()?;
    // Of this very file: a moment after the rename, somebody else's may have the name.
    let metadata = temporary.as_file().metadata()?;
    temporary.persist(&path)?;
    // The rename itself is durable once the folder is.
    #[cfg(unix)]
    opened_folder.sync_all()?;
    Ok(metadata)
}
