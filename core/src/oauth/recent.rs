//! What is remembered of the last few servers: a list that gives up its oldest entry.

use alloc::vec::Vec;

/// How many are remembered.
pub(super) const MAX: usize = 64;

/// A value for each of the last 64 keys.
pub(super) struct Recent<K, V>(Vec<(K, V)>);

impl<K: PartialEq, V> Recent<K, V> {
    pub(super) fn get<Q: ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: PartialEq<Q>,
    {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Remembers `value` as the newest, in place of an earlier one for the same key.
    pub(super) fn put(&mut self, key: K, value: V) {
        self.0.retain(|(known, _)| *known != key);
        if self.0.len() >= MAX {
            self.0.remove(0);
        }
        self.0.push((key, value));
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX, Recent};
    use alloc::string::{String, ToString as _};

    #[test]
    fn the_oldest_is_forgotten_and_a_key_has_its_last_value() {
        let mut recent: Recent<String, usize> = Recent::default();
        for number in 0..MAX {
            recent.put(number.to_string(), number);
        }
        recent.put("0".to_string(), 100);
        recent.put("new".to_string(), 200);
        let found = ["0", "1", "2", "new"].map(|key| recent.get(key).copied());
        assert_eq!(found, [Some(100), None, Some(2), Some(200)]);
        assert_eq!(recent.0.len(), MAX);
    }
}
