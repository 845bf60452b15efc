//! Pictures of the real programs, for the documents:
//!
//! ```text
//! cargo run -p integration-tests --bin screenshots -- --out FOLDER [--only SCENE]
//! ```
//!
//! Each scene is played by real nodes and agents, at terminals of the tests, and says when a picture is
//! taken: an SVG in the folder, or of a page in a browser a PNG, named after the scene and what is in the
//! picture. A scene that does not go as it should fails as a test does. Ports and times differ from run to
//! run, and nothing else.

mod camera;
mod full_screen;
mod keys;
mod ladder;
mod line_mode;
mod page;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use integration_tests::picture::Theme;

use camera::{Camera, Scene};

/// Take pictures of the real programs.
#[derive(Debug, Parser)]
struct Options {
    /// Where the pictures go; those that are there are replaced
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Nothing but this
    #[arg(long, value_name = "SCENE", value_parser = PossibleValuesParser::new(SCENES.map(|scene| scene.name)))]
    only: Option<String>,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    for scene in &SCENES {
        if options.only.as_deref().is_none_or(|only| only == scene.name) {
            for picture in Camera::play(scene, &options.out)? {
                writeln!(io::stdout(), "{}", picture.display())?;
            }
        }
    }
    Ok(())
}

const SCENES: [Scene; 8] = [
    Scene { name: "two-agents", size: (24, 80), theme: Theme::DARK, play: full_screen::two_agents },
    Scene { name: "help", size: (56, 84), theme: Theme::DARK, play: full_screen::help },
    Scene { name: "protocol", size: (24, 100), theme: Theme::DARK, play: full_screen::protocol },
    Scene { name: "keys", size: (18, 84), theme: Theme::DARK, play: keys::conversation },
    Scene { name: "line-mode", size: (13, 76), theme: Theme::DARK, play: line_mode::conversation },
    Scene { name: "ladder", size: (18, 136), theme: Theme::DARK, play: ladder::captured },
    Scene { name: "strikes", size: (18, 120), theme: Theme::LIGHT, play: ladder::strikes },
    // It has no terminal, but views of its own.
    Scene { name: "page", size: (0, 0), theme: Theme::LIGHT, play: page::page },
];
