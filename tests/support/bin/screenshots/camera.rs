//! The camera, which takes the pictures.

use std::path::{Path, PathBuf};
use std::{fs, io};

use integration_tests::picture::{Theme, svg, svg_side_by_side};
use integration_tests::programs::Screen;

/// A scene, and the look of its pictures.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// Rows and columns of each terminal.
    pub(crate) size: (u16, u16),
    pub(crate) theme: Theme,
    pub(crate) play: fn(&mut Camera<'_>),
}

/// Takes the pictures of a scene.
pub(crate) struct Camera<'a> {
    scene: &'a Scene,
    pictures: Vec<(String, Vec<u8>)>,
}

impl<'a> Camera<'a> {
    /// Plays `scene`, puts its pictures in `folder` and returns where they are.
    pub(crate) fn play(scene: &'a Scene, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut camera = Self { scene, pictures: Vec::new() };
        (scene.play)(&mut camera);
        fs::create_dir_all(folder)?;
        let write = |(name, picture): (String, Vec<u8>)| {
            let path = folder.join(name);
            fs::write(&path, picture).map(|()| path)
        };
        camera.pictures.into_iter().map(write).collect()
    }

    /// The rows and columns that terminals of this scene have.
    pub(crate) fn size(&self) -> (u16, u16) {
        self.scene.size
    }

    /// Takes a picture of `screen`: of `what` in this scene, which also names the window if the program does
    /// not.
    pub(crate) fn shoot(&mut self, what: &str, screen: &Screen) {
        let title = if screen.title().is_empty() { what } else { screen.title() };
        self.keep(what, "svg", svg(screen, title, &self.scene.theme).into_bytes());
    }

    /// Takes a picture of several screens side by side, each with its title.
    pub(crate) fn shoot_side_by_side(&mut self, what: &str, screens: &[(&Screen, &str)]) {
        self.keep(what, "svg", svg_side_by_side(screens, &self.scene.theme).into_bytes());
    }

    /// Keeps a picture that was taken otherwise: of `what`, in the `format` that ends its name.
    pub(crate) fn keep(&mut self, what: &str, format: &str, picture: Vec<u8>) {
        self.pictures.push((format!("{}-{what}.{format}", self.scene.name), picture));
    }
}
