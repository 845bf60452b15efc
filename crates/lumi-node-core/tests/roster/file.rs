//! A change and the file: its mode, links, changes by others, disks on which nothing can be written.

use std::fs;

use lumi_node_core::{RosterFile, RosterFileError};

use super::{Config, add, name, remove};

#[cfg(unix)]
#[test]
fn the_file_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;

    for mode in [0o600, 0o640, 0o644, 0o664] {
        let config = Config::new("bb.com\n");
        fs::set_permissions(&config.path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let mut file = config.open();
        for change in [add("laura"), remove("laura")] {
            file.apply(&change).expect("it can be written");
            let kept = fs::metadata(&config.path).expect("it is there").permissions().mode();
            assert_eq!(kept & 0o7777, mode);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let config = Config::new("bb.com\nlaura\n");
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("nodelumi.cfg");
    std::os::unix::fs::symlink(&config.path, &link).expect("a link");
    let (mut file, _) = RosterFile::open(&link).expect("a roster");
    file.apply(&add("pere")).expect("it can be written");
    file.apply(&remove("laura")).expect("it can be written");
    assert_eq!(fs::read_link(&link).expect("still a link"), config.path);
    assert_eq!(config.text(), "bb.com\npere\n");
    config.assert_alone();
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside the link");
}

#[test]
fn what_somebody_else_changed_is_left_as_they_left_it() {
    let in_place = |config: &Config, text: &[u8]| fs::write(&config.path, text);
    let by_renaming = |config: &Config, text: &[u8]| {
        let new = config.folder.path().join("new");
        fs::write(&new, text)?;
        fs::rename(new, &config.path)
    };
    type Edit = fn(&Config, &[u8]) -> std::io::Result<()>;
    let edits: [(Edit, &[u8]); 6] = [
        (in_place, b"bb.com\nlaura\npere\n"),
        (in_place, b"bb.com\n"),
        (in_place, b""),
        // The file is no longer even UTF-8.
        (in_place, b"bb.com\nlaura\njos\xe9\n"),
        // An editor does this; the text is of the same length, and perhaps within the same tick of the file
        // system's clock.
        (by_renaming, b"bb.com\nmarta\n"),
        (by_renaming, b"bb.com\nmart\xe0\n"),
    ];
    for (edit, theirs) in edits {
        let config = Config::new("bb.com\nlaura\n");
        let mut file = config.open();
        edit(&config, theirs).expect("a change by somebody else");
        for change in [add("joan"), remove("laura")] {
            let error = file.apply(&change).expect_err("it was changed");
            assert!(matches!(error, RosterFileError::Changed { .. }), "{error:?}");
            assert_eq!(fs::read(&config.path).expect("it is there"), theirs);
        }
        config.assert_alone();
    }
}

#[test]
fn a_change_by_somebody_else_holds_once_the_file_is_opened_again() {
    let config = Config::new("bb.com\nlaura\n");
    let mut file = config.open();
    file.apply(&add("pere")).expect("it can be written");
    fs::write(&config.path, "bb.com\nlaura\npere\nmarta\n").expect("a change by somebody else");
    let error = file.apply(&add("joan")).expect_err("it was changed");
    assert_eq!(
        error.to_string(),
        format!(
            "the roster {} was changed by somebody else; 'reload' takes that change over",
            config.path.display()
        )
    );
    let (mut file, roster) = file.reopen().expect("a roster");
    assert!(roster.contains(&name("marta")));
    file.apply(&add("joan")).expect("it can be written");
    assert_eq!(config.text(), "bb.com\nlaura\npere\nmarta\njoan\n");
}

#[test]
fn a_file_that_is_gone_is_not_made_anew() {
    let config = Config::new("bb.com\nlaura\n");
    let mut file = config.open();
    fs::remove_file(&config.path).expect("it is there");
    let error = file.apply(&add("joan")).expect_err("it is gone");
    assert!(matches!(error, RosterFileError::Read { .. }), "{error:?}");
    assert!(!config.path.exists());
    fs::remove_dir(config.folder.path()).expect("nothing is left in it");
    let error = file.apply(&remove("laura")).expect_err("its folder is gone");
    assert!(matches!(error, RosterFileError::Read { .. }), "{error:?}");
}

/// The folder has so long a path that no other file's path fits. Unlike a folder without write permission,
/// that stops everybody, the superuser too.
#[cfg(target_os = "linux")]
#[test]
fn where_no_file_can_be_made_the_old_one_stays() {
    /// The longest path, its end included (`limits.h`).
    const PATH_MAX: usize = 4096;
    let root = tempfile::tempdir().expect("a folder");
    let mut folder = root.path().canonicalize().expect("a folder");
    let length = PATH_MAX - "/r".len() - 1;
    while folder.as_os_str().len() < length {
        // Never so near to the end that a last part of no bytes would be missing.
        let missing = length - folder.as_os_str().len() - 1;
        folder.push("d".repeat(if missing > 255 { missing.min(250) } else { missing }));
    }
    fs::create_dir_all(&folder).expect("folders");
    let path = folder.join("r");
    fs::write(&path, "bb.com\nlaura\n").expect("a path just short enough");

    let (mut file, _) = RosterFile::open(&path).expect("a roster");
    for change in [add("joan"), remove("laura")] {
        let error = file.apply(&change).expect_err("there is no room for a second name");
        assert!(matches!(error, RosterFileError::Write { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("cannot write the roster {}, which is as it was", path.display())
        );
        assert_eq!(fs::read(&path).expect("it is there"), b"bb.com\nlaura\n");
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_without_write_permission_keeps_the_old_file() {
    use std::os::unix::fs::PermissionsExt;

    let config = Config::new("bb.com\nlaura\n");
    let mut file = config.open();
    let permit = |mode| {
        fs::set_permissions(config.folder.path(), fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    // Write permission without read permission is too little too: the folder could not be made durable.
    for mode in [0o500, 0o300] {
        permit(mode);
        let permits_all = fs::read_dir(config.folder.path()).is_ok()
            && fs::File::create(config.folder.path().join("probe")).is_ok();
        let applied = file.apply(&add("joan"));
        permit(0o700);
        if permits_all {
            eprintln!("skipped: the superuser may write where nobody may");
            return;
        }
        let error = applied.expect_err("no permission");
        assert!(matches!(error, RosterFileError::Write { .. }), "{error:?}");
        assert_eq!(config.text(), "bb.com\nlaura\n");
        config.assert_alone();
    }
    file.apply(&add("joan")).expect("what failed can be tried again");
    assert_eq!(config.text(), "bb.com\nlaura\njoan\n");
}
