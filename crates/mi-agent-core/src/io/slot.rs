//! The place of one conversation among those that an agent may have.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

/// A slot that is taken until it is freed, or the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Slot(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

/// Frees a slot when it is dropped, unless it is told to keep it.
#[derive(Debug)]
pub(crate) struct FreeOnDrop(Option<Slot>);

impl Slot {
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    /// Frees the slot at once, regardless of its clones.
    pub(crate) fn free(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn free_on_drop(&self) -> FreeOnDrop {
        FreeOnDrop(Some(self.clone()))
    }
}

impl FreeOnDrop {
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for FreeOnDrop {
    fn drop(&mut self) {
        if let Some(slot) = &self.0 {
            slot.free();
        }
    }
}
