//! The whole terminal for a program that draws on it with ratatui: taken over, drawn on without being waited
//! for, suspended as a shell has it, given back however the program ends.
//!
//! Neither a terminal that takes nothing, nor a shell that stops the program, nor a panic may hold the
//! program or leave the terminal as nobody can use it, and no input may leave the keyboard dead. What is
//! drawn, and which keys do what, is the program's business: they are those of crossterm, read by [`Keys`].
//!
//! ```no_run
//! use full_screen::{JobControl, Keys, Reports, Screen};
//!
//! # async fn run() -> std::io::Result<()> {
//! let mut job_control = JobControl::listen()?;
//! let mut screen = Screen::enter(Reports::default())?;
//! screen.draw(|frame| frame.render_widget("hola", frame.area()))?;
//! screen.write().await?;
//! let first = Keys::listen()?.next().await;
//! job_control.suspend(&mut screen).await?;
//! screen.leave().await?;
//! # Ok(())
//! # }
//! ```

mod backend;
mod camera_code;
mod job_control;
mod key_parser;
mod keys;
mod screen;
mod text;

pub use camera_code::camera_code;
pub use job_control::{Asked, JobControl};
pub use keys::Keys;
pub use screen::{Reports, Screen, restore};
pub use text::side_by_side;
