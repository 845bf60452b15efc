//! A store, one thing at a time, on a thread that may block.

use std::collections::VecDeque;
use std::future;
use std::io;

use tokio::task::{self, JoinHandle};

use super::Answer;
use crate::outbox_store::{Changes, OutboxStore};
use crate::state::outbox::OutboxItem;

/// A message to be stored.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) item: OutboxItem,
    /// The one who waits for it.
    pub(super) answer: Option<Answer>,
    /// It is not in the outbox yet.
    pub(super) is_new: bool,
}

/// What a store has done.
pub(super) enum Done {
    Saved(Save, io::Result<()>),
    /// Changes by other programs.
    Looked(Changes),
}

/// A store, and what it has still to do. That is bounded by the messages that there can be, and by the commands.
pub(super) struct Stores {
    store: Option<Box<dyn OutboxStore>>,
    running: Option<JoinHandle<(Box<dyn OutboxStore>, Done)>>,
    saves: VecDeque<Save>,
    looks: bool,
}

impl Stores {
    pub(super) fn new(store: Box<dyn OutboxStore>) -> Self {
        Self { store: Some(store), running: None, saves: VecDeque::new(), looks: false }
    }

    pub(super) fn save(&mut self, save: Save) {
        self.saves.push_back(save);
    }

    /// Has the store looked at for changes by other programs.
    pub(super) fn look(&mut self) {
        self.looks = true;
    }

    /// Waits for the next thing that is done; never ready while there is nothing to do. Cancel safe.
    pub(super) async fn next(&mut self) -> Done {
        if self.running.is_none() {
            self.begin();
        }
        let Some(running) = &mut self.running else { return future::pending().await };
        let done = running.await;
        self.running = None;
        match done {
            Ok((store, done)) => {
                self.store = Some(store);
                done
            }
            // The store has panicked, or the runtime ends. There is nothing to save in any more.
            Err(_) => future::pending().await,
        }
    }

    fn begin(&mut self) {
        let Some(mut store) = self.store.take() else { return };
        if let Some(save) = self.saves.pop_front() {
            self.running = Some(task::spawn_blocking(move || {
                let saved = store.save(&save.item);
                (store, Done::Saved(save, saved))
            }));
        } else if std::mem::take(&mut self.looks) {
            self.running = Some(task::spawn_blocking(move || {
                // What cannot be read now is looked at again.
                let changes = store.changes().unwrap_or_default();
                (store, Done::Looked(changes))
            }));
        } else {
            self.store = Some(store);
        }
    }
}
