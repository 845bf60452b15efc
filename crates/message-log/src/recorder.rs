//! Turns the event back into an entry.

use std::fmt;

use tracing::field::{Field, Visit};

use crate::entry::Entry;
use crate::event::Direction;

/// Takes an event of [`TARGET`](crate::TARGET) into an entry, in place of what was in it.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    entry: &'a mut Entry,
    recorded: usize,
    waits: bool,
    writes: bool,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(entry: &'a mut Entry) -> Self {
        Self { entry, recorded: 0, waits: false, writes: false }
    }

    /// Returns whether every field was there. An event that someone else gave this target is no message.
    pub(crate) fn is_complete(&self) -> bool {
        self.recorded == FIELDS
    }

    /// Returns whether the line need not be written yet.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// Returns whether the event is no message, but asks for the lines that wait to be written.
    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    fn number(&mut self, field: &str, value: u64) -> Option<()> {
        match field {
            "ip" => self.entry.remote.set_ip(u32::try_from(value).ok()?.into()),
            "port" => self.entry.remote.set_port(u16::try_from(value).ok()?),
            "length" => self.entry.length = usize::try_from(value).ok()?,
            _ => return None,
        }
        Some(())
    }
}

impl Visit for Recorder<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "party" {
            self.entry.party.clear();
            self.entry.party.push_str(value);
            self.recorded += 1;
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "sent" => {
                self.entry.direction = if value { Direction::Sent } else { Direction::Received };
                self.recorded += 1;
            }
            "waits" => {
                self.waits = value;
                self.recorded += 1;
            }
            "write" => self.writes = value,
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.number(field.name(), value).is_some() {
            self.recorded += 1;
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        if field.name() == "message" {
            self.entry.keep(value);
            self.recorded += 1;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// The number of fields of an event.
const FIELDS: usize = 7;
