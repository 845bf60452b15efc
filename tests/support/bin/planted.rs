//! Puts the bugs of `tests/planted/bugs.toml` into a copy of the workspace, and runs the test there that has
//! to find them.
//!
//! The copy is `planted` in the target folder. It has everything that git does not ignore, and only what has
//! changed since is written again and built again.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use integration_tests::planted::{Bug, bugs, put_in, root};

/// The files of the copy, by their paths from its root.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let program = env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program is not in a target folder")?;
    let copy = target.join("planted");
    let mut files = workspace()?;
    put_in_all(&mut files, &bugs())?;
    fs::create_dir_all(&copy)?;
    remove_others(&copy, Path::new(""), &files)?;
    write(&copy, &files)?;
    // The features are those of the whole workspace, so that no dependency is built again.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--workspace", "--test", "harness"])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", target)
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads everything that git does not ignore.
fn workspace() -> Result<Files, Box<dyn Error>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    if !listed.status.success() {
        return Err(String::from_utf8_lossy(&listed.stderr).trim().into());
    }
    let mut files = Files::new();
    for path in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        match fs::read(root().join(path)) {
            Ok(bytes) => _ = files.insert(path.into(), bytes),
            // Removed, but not from the index.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{path}: {error}").into()),
        }
    }
    Ok(files)
}

/// Makes the copy: puts in `bugs`, the switch of each crate that has one, and the test that turns them on.
fn put_in_all(files: &mut Files, bugs: &[Bug]) -> Result<(), Box<dyn Error>> {
    let mut by_file = BTreeMap::<&str, Vec<&Bug>>::new();
    for bug in bugs {
        by_file.entry(&bug.file).or_default().push(bug);
    }
    for (file, bugs) in by_file {
        edit(files, Path::new(file), |text| put_in(&bugs, text))?;
        let source: PathBuf =
            Path::new(file).components().take_while(|part| part.as_os_str() != "src").collect();
        let source = source.join("src");
        if files.insert(source.join("planted.rs"), SWITCH.into()).is_none() {
            edit(files, &source.join("lib.rs"), |text| Ok(format!("{text}\npub mod planted;\n")))?;
        }
    }
    // Another version: without it, the crates of the copy would share their files in the target folder with
    // those of the workspace, and programs that ship would be linked with the bugs.
    edit(files, Path::new("Cargo.toml"), |text| match text.split(VERSION).collect::<Vec<_>>()[..] {
        [before, after] => {
            let (version, after) = after.split_once('"').ok_or("a version without an end")?;
            Ok(format!("{before}{VERSION}{version}{PLANTED}\"{after}"))
        }
        ref parts => Err(format!("the workspace has {} versions", parts.len() - 1)),
    })?;
    // A test brings the programs of its package along, but not its examples.
    let no_programs = |text: &str| text.replace("[[bin]]", "[[example]]");
    edit(files, Path::new("tests/Cargo.toml"), |text| Ok(no_programs(text) + HARNESS))
}

fn edit(
    files: &mut Files,
    path: &Path,
    change: impl FnOnce(&str) -> Result<String, String>,
) -> Result<(), Box<dyn Error>> {
    let bytes = files.get_mut(path).ok_or_else(|| format!("there is no {}", path.display()))?;
    *bytes = change(str::from_utf8(bytes)?)?.into();
    Ok(())
}

/// Writes the files that differ: the others keep their times, by which cargo knows what to build.
fn write(copy: &Path, files: &Files) -> io::Result<()> {
    for (path, bytes) in files {
        let path = copy.join(path);
        if fs::read(&path).is_ok_and(|written| written == *bytes) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, bytes)?;
    }
    Ok(())
}

/// Removes what is below `folder` of the copy and not among `files`.
fn remove_others(copy: &Path, folder: &Path, files: &Files) -> io::Result<()> {
    for entry in fs::read_dir(copy.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(copy, &path, files)?;
        } else if !files.contains_key(&path) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

const SWITCH: &str = include_str!("../../planted/switch.rs");

const VERSION: &str = "\nversion = \"";

/// Makes another version of one, which fits the same requirements.
const PLANTED: &str = "+planted";

const HARNESS: &str = r#"
[[test]]
name = "harness"
path = "planted/harness.rs"
"#;
