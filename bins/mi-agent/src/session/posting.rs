//! What the outbox does to a session.

use mi_agent_core::OutboxEvent;
use plumi_proto::MiAddress;

use super::post::{Post, PostEvent, PostSettings};
use super::{Happened, Session};
use crate::store::folder::DataFolder;
use crate::store::outbox::OutboxFiles;

impl Session {
    /// Keeps messages for users who are not there, and delivers them. The address has to be locked.
    pub(crate) fn with_outbox(self, own: MiAddress, settings: PostSettings) -> Self {
        // Nobody else delivers the messages of an address while this has the lock.
        let folder = DataFolder::of(&own).filter(|_| self.guests.is_some());
        let files = folder.map(|folder| OutboxFiles::of(own, &folder));
        let post = files.map(|files| Post::of(files, settings));
        Self { post: post.unwrap_or_default(), ..self }
    }

    /// Handles what has happened to the outbox.
    pub(super) fn posted(&mut self, event: PostEvent) -> Happened {
        match event {
            PostEvent::Answered(post, answer) => Happened::Posted { post, answer },
            PostEvent::Event(OutboxEvent::Talk { conversation, said }) => {
                let begun = self.begin(conversation, None);
                if let Happened::Begun { id, peer, .. } = &begun {
                    let nickname = peer.nickname.clone();
                    self.to_return.push_back(Happened::Line { id: *id, nickname, text: said });
                }
                begun
            }
            PostEvent::Event(OutboxEvent::NotStored { item, error }) => {
                Happened::NotKept(format!("the message {} for {} cannot be kept: {error}", item.id, item.to))
            }
            PostEvent::Event(OutboxEvent::Changed(item)) => Happened::Mail(item),
            PostEvent::Event(_) => Happened::NotKept("something happened to the outbox".into()),
            PostEvent::Unusable(error) => {
                Happened::NotKept(format!("messages for others cannot be read or kept: {error}"))
            }
        }
    }
}
