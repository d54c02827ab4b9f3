//! What was said in each chat. An application has a database for this; the one here is of this process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Chats that are kept; the oldest one goes when another one comes.
const MAX_CHATS: usize = 1_000;
/// Messages that are kept of a chat.
const MAX_MESSAGES: usize = 200;

/// A message as the SDK has it. What this example does not look at is kept as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) parts: Vec<Value>,
}

impl Message {
    pub(crate) fn answer(id: &str, text: &str) -> Self {
        Self { id: id.to_owned(), role: "assistant".to_owned(), parts: vec![json!({ "type": "text", "text": text })] }
    }

    /// Its text, whatever else it has.
    pub(crate) fn text(&self) -> String {
        let texts = self.parts.iter().filter(|part| part["type"] == "text");
        texts.filter_map(|part| part["text"].as_str()).collect()
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Chats>>);

#[derive(Debug, Default)]
struct Chats {
    messages: HashMap<String, Vec<Message>>,
    /// The oldest first.
    order: VecDeque<String>,
}

impl History {
    fn lock(&self) -> MutexGuard<'_, Chats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(&self, chat: &str) -> Vec<Message> {
        self.lock().messages.get(chat).cloned().unwrap_or_default()
    }

    /// The whole of a chat, as its client has it.
    pub(crate) fn set(&self, chat: &str, mut messages: Vec<Message>) {
        let mut chats = self.lock();
        messages.drain(..messages.len().saturating_sub(MAX_MESSAGES));
        if chats.messages.insert(chat.to_owned(), messages).is_none() {
            chats.order.push_back(chat.to_owned());
        }
        if chats.order.len() > MAX_CHATS
            && let Some(oldest) = chats.order.pop_front()
        {
            chats.messages.remove(&oldest);
        }
    }

    fn add(&self, chat: &str, message: Message) {
        if let Some(messages) = self.lock().messages.get_mut(chat) {
            messages.push(message);
        }
    }
}

/// An answer on its way. However it ends (a stop drops it in the midst), what was said of it is kept.
pub(crate) struct Answer {
    history: History,
    chat: String,
    id: String,
    said: String,
}

impl Answer {
    pub(crate) const fn new(history: History, chat: String, id: String) -> Self {
        Self { history, chat, id, said: String::new() }
    }

    pub(crate) fn say(&mut self, word: &str) {
        self.said.push_str(word);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.history.add(&self.chat, Message::answer(&self.id, &self.said));
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, History, MAX_CHATS, MAX_MESSAGES, Message};

    #[test]
    fn an_answer_is_kept_however_it_ends() {
        let history = History::default();
        history.set("c", vec![]);
        let mut answer = Answer::new(history.clone(), "c".to_owned(), "a".to_owned());
        answer.say("so ");
        answer.say("far");
        drop(answer);
        assert_eq!(history.of("c"), [Message::answer("a", "so far")]);
        assert_eq!(history.of("c")[0].text(), "so far");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let history = History::default();
        for chat in 0..=MAX_CHATS {
            history.set(&chat.to_string(), vec![Message::answer("a", "b"); MAX_MESSAGES + 1]);
        }
        assert_eq!(history.of("0"), []);
        assert_eq!(history.of("1").len(), MAX_MESSAGES);
    }
}
