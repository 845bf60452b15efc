//! Registrations under way all the time, and what a node's log has to say of them.

use std::collections::HashMap;

use integration_tests::programs::NodeProgram;
use integration_tests::raw_user::RawUser;

use super::changes::Users;

/// Clients with one registration each under way.
#[derive(Debug)]
pub(super) struct Load {
    clients: Vec<(RawUser, String)>,
    answered: usize,
    /// The lines that the log has to have for the answers that came, and how often.
    lines: HashMap<String, usize>,
}

impl Load {
    /// Each of `users` asks the node.
    pub(super) fn start(users: &Users, node: &NodeProgram) -> Self {
        let client = |user: &String| (RawUser::new(node.address()), format!("PR{user}@bb.com"));
        let clients: Vec<_> = users.0.iter().map(client).collect();
        for (client, question) in &clients {
            client.say(question);
        }
        Self { clients, answered: 0, lines: HashMap::new() }
    }

    /// Waits for so many answers, one client after the other. An answered client asks again.
    pub(super) fn turn(&mut self, answers: usize) {
        for _ in 0..answers {
            let (client, question) = &self.clients[self.answered % self.clients.len()];
            let answer = client.hear();
            client.say(question);
            self.note(self.answered % self.clients.len(), &answer);
        }
    }

    /// Takes what has come from `node`, which has ended.
    ///
    /// # Panics
    /// If an answer, or the question it is for, is not in the node's log.
    pub(super) fn assert_logged(&mut self, node: &NodeProgram) {
        for client in 0..self.clients.len() {
            while let Some(answer) = self.clients[client].0.heard() {
                self.note(client, &answer);
            }
        }
        let mut logged = HashMap::new();
        for line in node.log() {
            *logged.entry(line).or_insert(0) += 1;
        }
        for (line, &expected) in &self.lines {
            let found = logged.get(line).copied().unwrap_or(0);
            assert!(found >= expected, "{expected} answers came, and in the log are {found}: {line}");
        }
    }

    /// Returns the number of answers that have come.
    pub(super) fn answered(&self) -> usize {
        self.answered
    }

    fn note(&mut self, client: usize, answer: &str) {
        self.answered += 1;
        let (client, question) = &self.clients[client];
        let from = format!("127.0.0.1:UDP:{}", client.address().port());
        let line = |direction, message: &str| format!("{direction}: {from}, {message}, {}", message.len());
        for line in [line('R', question), line('E', answer)] {
            *self.lines.entry(line).or_insert(0) += 1;
        }
    }
}
