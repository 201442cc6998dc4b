//! Conversations with Redis (`tests/vectors/redis`): what is sent, and what comes of the replies. Every language runs them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keybound::{RUSTCRYPTO, Spelling};
use keybound_ffi::{Entries, Entry, RedisReplay, RedisTurn};
use serde_json::{Value, json};

#[test]
fn every_conversation_is_as_it_is_on_record() {
    let writes = std::env::var_os("KEYBOUND_WRITE_REDIS").is_some();
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut story: Value = serde_json::from_str(&text).unwrap();
        let played = play(&mut story);
        let played = serde_json::to_string_pretty(&played).unwrap() + "\n";
        if writes {
            std::fs::write(&path, played).unwrap();
        } else {
            assert!(played == text, "{} differs; if that is meant: KEYBOUND_WRITE_REDIS=1", path.display());
        }
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/redis");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    files
}

/// The epochs of a story by their names, as numbers.
#[derive(Default)]
struct Epochs(BTreeMap<String, u64>);

impl Epochs {
    /// Puts names in place of epochs, the new ones among them.
    fn name(&mut self, text: &str, radix: u32) -> String {
        let is_epoch = |word: &&str| match radix {
            16 => word.len() == 16,
            _ => word.len() > 12,
        };
        let words = text.split(' ').map(|word| {
            let number = Some(word).filter(is_epoch).and_then(|word| u64::from_str_radix(word, radix).ok());
            let Some(number) = number else { return word.to_owned() };
            let count = self.0.len();
            let known = self.0.iter().find(|(_, known)| **known == number).map(|(name, _)| name.clone());
            let name = known.unwrap_or_else(|| format!("{{epoch{}}}", count + 1));
            self.0.insert(name.clone(), number);
            name
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Puts epochs in place of names.
    fn fill(&self, text: &str, hexadecimal: bool) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, number)| {
            text.replace(name, &if hexadecimal { format!("{number:016x}") } else { number.to_string() })
        })
    }
}

/// Plays a story and gives it back as it went.
fn play(story: &mut Value) -> Value {
    let redis = RedisReplay::new(text(&story["namespace"]), &story["options"].to_string(), &RUSTCRYPTO).unwrap();
    let texts = story["texts"].clone();
    let mut epochs = Epochs::default();
    for step in story["steps"].as_array_mut().unwrap() {
        let now = step["now"].as_i64().unwrap();
        let mut turn = match step.get("insert") {
            Some(inserted) => {
                let entries = Entries::new();
                for entry in inserted.as_array().unwrap() {
                    let entry = epochs.fill(&entry.to_string(), false);
                    entries.add(&Entry::parse(&entry).unwrap());
                }
                redis.batch(&entries, now)
            }
            None => redis.open(now),
        };
        for wanted in step["turns"].as_array_mut().unwrap() {
            let sent: Vec<Vec<String>> =
                serde_json::from_str(&turn.commands().expect("there is more to send")).unwrap();
            let sent: Vec<Vec<_>> =
                sent.iter().map(|command| command.iter().map(|argument| epochs.name(argument, 16)).collect()).collect();
            wanted["commands"] = json!(sent);
            turn = match wanted["replies"].as_array() {
                Some(replies) => {
                    let replies: Vec<_> = replies.iter().map(|reply| reply_of(text(reply), &texts, &epochs)).collect();
                    turn.resume(&replies, now).unwrap()
                }
                None => turn.lost().unwrap(),
            };
        }
        step["outcome"] = outcome(&turn, &mut epochs);
    }
    story.clone()
}

fn reply_of(reply: &str, texts: &Value, epochs: &Epochs) -> String {
    let known = reply.strip_prefix("+@").map(|names| {
        let sections: Vec<_> = names.split('+').map(|name| text(&texts[name])).collect();
        format!("+{}", sections.join("\r\n"))
    });
    epochs.fill(&known.unwrap_or_else(|| reply.to_owned()), true)
}

fn outcome(turn: &RedisTurn, epochs: &mut Epochs) -> Value {
    assert_eq!(turn.commands(), None, "there is more to send");
    let mut outcome: Value = serde_json::from_str(&turn.outcome(Spelling::Snake).unwrap()).unwrap();
    for answer in outcome["answers"].as_array_mut().unwrap() {
        answer["epoch"] = json!(epochs.name(text(&answer["epoch"]), 10));
    }
    outcome
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
