//! `man-pages FOLDER` writes the man pages there: for the programs from their command lines, for the settings
//! from their samples, so that neither is described twice. What is in no program stands in `pages/`.

mod command_line;
mod notes;
mod page;
mod roff;
mod settings;

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).context("usage: man-pages FOLDER")?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in page::all()? {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
