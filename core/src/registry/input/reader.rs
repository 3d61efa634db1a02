//! Walks an operator's JSON and collects every mistake with its JSON pointer
//! (RFC 6901), so that all can be mended at once.

use crate::problem::FieldError;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;

/// How many mistakes are listed; more of them help nobody.
const MAX_MISTAKES: usize = 100;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<FieldError>);

impl Mistakes {
    /// Notes a mistake. The message never holds a secret.
    pub(crate) fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MAX_MISTAKES {
            self.0.push(FieldError {
                pointer: pointer.into(),
                message: message.into(),
            });
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is wrong at this pointer or below it.
    pub(crate) fn any_at(&self, pointer: &str) -> bool {
        self.0.iter().any(|mistake| {
            mistake
                .pointer
                .strip_prefix(pointer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    pub(crate) fn into_vec(self) -> Vec<FieldError> {
        self.0
    }
}

/// JSON text as a value; one mistake at the root when it is not JSON, or when an
/// object names a field twice, where it would be a guess which one is meant.
pub(crate) fn parse(text: &str) -> Result<Value, FieldError> {
    serde_json::from_slice::<Unique>(text.as_bytes())
        .map(|unique| unique.0)
        .map_err(|error| FieldError {
            pointer: String::new(),
            message: if error.is_data() {
                format!(
                    "names a field twice in one object, near line {} column {}",
                    error.line(),
                    error.column()
                )
            } else {
                format!(
                    "is not JSON, at line {} column {}",
                    error.line(),
                    error.column()
                )
            },
        })
}

/// A value none of whose objects names a field twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Unique;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_unit<E>(self) -> Result<Unique, E> {
                Ok(Unique(Value::Null))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
                let mut list = Vec::new();
                while let Some(Unique(item)) = items.next_element()? {
                    list.push(item);
                }
                Ok(Unique(Value::Array(list)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Unique, A::Error> {
                let mut map = Map::new();
                while let Some((name, Unique(value))) = fields.next_entry::<String, Unique>()? {
                    if map.insert(name, value).is_some() {
                        return Err(A::Error::custom("a field is named twice"));
                    }
                }
                Ok(Unique(Value::Object(map)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A value and where it stands. Each reading method answers `None` after noting
/// what is wrong.
pub(crate) struct Node<'a> {
    pub(crate) value: &'a Value,
    pub(crate) pointer: String,
}

impl<'a> Node<'a> {
    pub(crate) const fn root(value: &'a Value) -> Self {
        Self {
            value,
            pointer: String::new(),
        }
    }

    /// What stands at `name` under this node.
    pub(crate) fn child(&self, name: &str, value: &'a Value) -> Self {
        let name = name.replace('~', "~0").replace('/', "~1");
        Self {
            value,
            pointer: format!("{}/{name}", self.pointer),
        }
    }

    pub(crate) fn wrong(&self, message: impl Into<String>, mistakes: &mut Mistakes) {
        mistakes.add(self.pointer.clone(), message);
    }

    pub(crate) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    pub(crate) fn boolean(&self, mistakes: &mut Mistakes) -> Option<bool> {
        let read = self.value.as_bool();
        if read.is_none() {
            self.wrong("must be true or false", mistakes);
        }
        read
    }

    /// A text of any length.
    pub(crate) fn text(&self, mistakes: &mut Mistakes) -> Option<&'a str> {
        let read = self.value.as_str();
        if read.is_none() {
            self.wrong("must be a text", mistakes);
        }
        read
    }

    /// A text of 1 to `longest` characters without control characters.
    pub(crate) fn line(&self, longest: usize, mistakes: &mut Mistakes) -> Option<&'a str> {
        let text = self.text(mistakes)?;
        if !(1..=longest).contains(&text.chars().count()) {
            self.wrong(format!("must have 1 to {longest} characters"), mistakes);
            return None;
        }
        if text.chars().any(char::is_control) {
            self.wrong("must not hold control characters", mistakes);
            return None;
        }
        Some(text)
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn whole(&self, least: u32, most: u32, mistakes: &mut Mistakes) -> Option<u32> {
        let read = self
            .value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (least..=most).contains(number));
        if read.is_none() {
            self.wrong(
                format!("must be a whole number from {least} to {most}"),
                mistakes,
            );
        }
        read
    }

    /// A number from `least` to `most`. These are whole: to write others takes more code
    /// than any two of the providers.
    pub(crate) fn number(&self, least: u32, most: u32, mistakes: &mut Mistakes) -> Option<f64> {
        let read = self
            .value
            .as_f64()
            .filter(|number| (f64::from(least)..=f64::from(most)).contains(number));
        if read.is_none() {
            self.wrong(format!("must be a number from {least} to {most}"), mistakes);
        }
        read
    }

    /// One of the named choices.
    pub(crate) fn choice<T: Copy>(
        &self,
        choices: &[(&str, T)],
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let read = self.value.as_str().and_then(|text| {
            choices
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, choice)| *choice)
        });
        if read.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(format!("must be one of {}", names.join(", ")), mistakes);
        }
        read
    }

    /// The entries of an array of at most `most`.
    pub(crate) fn list(&self, most: usize, mistakes: &mut Mistakes) -> Option<Vec<Self>> {
        let Some(entries) = self.value.as_array() else {
            self.wrong("must be an array", mistakes);
            return None;
        };
        if entries.len() > most {
            self.wrong(format!("must have at most {most} entries"), mistakes);
            return None;
        }
        Some(
            entries
                .iter()
                .enumerate()
                .map(|(index, value)| self.child(&index.to_string(), value))
                .collect(),
        )
    }

    /// An array of at most `most` texts, each of 1 to `longest` characters. Texts
    /// that are wrong are noted and left out.
    pub(crate) fn lines(
        &self,
        most: usize,
        longest: usize,
        mistakes: &mut Mistakes,
    ) -> Option<Vec<String>> {
        Some(
            self.list(most, mistakes)?
                .iter()
                .filter_map(|entry| entry.line(longest, mistakes))
                .map(str::to_owned)
                .collect(),
        )
    }

    /// The fields of an object.
    pub(crate) fn fields(&self, mistakes: &mut Mistakes) -> Option<Vec<(&'a str, Self)>> {
        let Some(map) = self.value.as_object() else {
            self.wrong("must be an object", mistakes);
            return None;
        };
        Some(
            map.iter()
                .map(|(name, value)| (name.as_str(), self.child(name, value)))
                .collect(),
        )
    }

    /// The fields of an object that has no others than the `known`.
    pub(crate) fn object(&self, known: &[&str], mistakes: &mut Mistakes) -> Option<Object<'a>> {
        let mut fields = self.fields(mistakes)?;
        fields.retain(|(name, node)| {
            let is_known = known.contains(name);
            if !is_known {
                node.wrong(
                    format!("is not a known field; known are {}", known.join(", ")),
                    mistakes,
                );
            }
            is_known
        });
        Some(Object {
            pointer: self.pointer.clone(),
            fields,
        })
    }
}

/// The fields that were sent in an object.
pub(crate) struct Object<'a> {
    pointer: String,
    fields: Vec<(&'a str, Node<'a>)>,
}

impl<'a> Object<'a> {
    /// The field, when it was sent.
    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.fields
            .iter()
            .find(|(sent, _)| *sent == name)
            .map(|(_, node)| node)
    }

    /// The field, or a mistake that says that it is missing.
    pub(crate) fn need(&self, name: &str, mistakes: &mut Mistakes) -> Option<&Node<'a>> {
        let node = self.get(name);
        if node.is_none() {
            mistakes.add(format!("{}/{name}", self.pointer), "is missing");
        }
        node
    }

    /// Drops the fields for which `keep` is false.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &Node<'a>) -> bool) {
        self.fields.retain(|(name, node)| keep(name, node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_without_repeated_fields_is_read() {
        assert!(parse(r#"{"a":[1,-1,0.5,"x",true,null,{"a":1}],"b":{"a":2}}"#).is_ok());
        for text in [
            "",
            "{",
            "{\"a\":1}x",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"a\":1e999}",
            "\u{feff}{}",
        ] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.pointer, "", "{text}");
            assert!(
                mistake.message.starts_with("is not JSON"),
                "{}",
                mistake.message
            );
        }
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.pointer, "");
            assert!(
                mistake.message.starts_with("names a field twice"),
                "{}",
                mistake.message
            );
        }
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let text = r#"{"a":[1,-1,0.5,"x",true,null],"b":18446744073709551615}"#;
        assert_eq!(
            parse(text).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
    }

    #[test]
    fn pointers_are_escaped() {
        let value = parse(r#"{"a/b~c":{"d":[0,1]}}"#).unwrap();
        let mut mistakes = Mistakes::default();
        let root = Node::root(&value);
        assert!(
            root.object(&["a"], &mut mistakes)
                .unwrap()
                .get("a/b~c")
                .is_none()
        );
        assert_eq!(mistakes.into_vec()[0].pointer, "/a~1b~0c");
    }

    #[test]
    fn mistakes_are_listed_up_to_a_hundred() {
        let mut mistakes = Mistakes::default();
        for _ in 0..1_000 {
            mistakes.add("/a", "is wrong");
        }
        assert_eq!(mistakes.into_vec().len(), MAX_MISTAKES);
    }
}
