//! A map for the few things that are kept in mind: destinations, attempts that are out,
//! webhooks that this isolate has lately heard of. A sorted list is as fast for so few,
//! and a fraction of the code that a tree or a hash table is in the wasm.

/// A map of few entries, in the order of their keys.
#[derive(Clone, Debug)]
pub struct Few<K, V>(Vec<(K, V)>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }

    /// What is there for `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let at = self.place(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Whether `key` is there.
    #[must_use]
    pub fn has(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Adds or replaces.
    pub fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => {
                if let Some((_, known)) = self.0.get_mut(at) {
                    *known = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.place(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// All, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The least key.
    #[must_use]
    pub fn first(&self) -> Option<&K> {
        self.0.first().map(|(key, _)| key)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord> Few<K, ()> {
    /// Adds keys to a set.
    pub fn extend(&mut self, keys: impl IntoIterator<Item = K>) {
        for key in keys {
            self.insert(key, ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Few;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 0_u8..12, any::<u8>()), 0..60)) {
            let (mut few, mut tree) = (Few::default(), BTreeMap::new());
            for (adds, key, value) in steps {
                if adds {
                    few.insert(key, value);
                    tree.insert(key, value);
                } else {
                    prop_assert_eq!(few.remove(&key), tree.remove(&key));
                }
                prop_assert_eq!(few.get(&key), tree.get(&key));
                prop_assert_eq!(few.get_mut(&key), tree.get_mut(&key));
                prop_assert_eq!(few.has(&key), tree.contains_key(&key));
                prop_assert_eq!(few.first(), tree.keys().next());
                prop_assert_eq!((few.len(), few.is_empty()), (tree.len(), tree.is_empty()));
                prop_assert!(few.iter().eq(tree.iter()) && few.keys().eq(tree.keys()));
            }
        }
    }
}
