//! Walks an operator's JSON and collects every mistake with its JSON pointer
//! (RFC 6901), so that all can be mended at once.

use crate::{json::Json, problem::FieldError, webhook::seconds};
use serde_json::{Map, Number, Value, value::RawValue};

/// How many mistakes are listed; more of them help nobody.
const MAX_MISTAKES: usize = 100;
/// Levels of objects and arrays in one another.
const MAX_DEPTH: u32 = 32;
/// Characters of a field's name that are repeated in a pointer.
const MAX_NAME: usize = 200;
/// Stands for a number that is out of every range (`1e400`), a text with half a
/// surrogate pair and what is nested too deeply: no field takes it.
const UNREADABLE: f64 = f64::MAX;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<FieldError>);

impl Mistakes {
    /// Notes a mistake. The message never holds a secret.
    pub(crate) fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.push(pointer.into(), message.into());
    }

    // Once for all the ways in which texts are handed over.
    #[inline(never)]
    fn push(&mut self, pointer: String, message: String) {
        if self.0.len() < MAX_MISTAKES {
            self.0.push(FieldError { pointer, message });
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_slice(&self) -> &[FieldError] {
        &self.0
    }

    pub(crate) fn into_vec(self) -> Vec<FieldError> {
        self.0
    }
}

/// JSON as a value. Where an object names a field twice it would be a guess which one
/// is meant: that is a mistake at the field, and the first is read on.
pub(crate) fn parse(text: &[u8], mistakes: &mut Mistakes) -> Option<Value> {
    let Some(json) = Json::parse(text) else {
        let why = serde_json::from_slice::<&RawValue>(text).err()?;
        let (line, column) = (why.line(), why.column());
        mistakes.add("", format!("is not JSON, at line {line} column {column}"));
        return None;
    };
    Some(value(json, "", 0, mistakes))
}

fn value(json: Json<'_>, pointer: &str, depth: u32, mistakes: &mut Mistakes) -> Value {
    let inner = depth.saturating_add(1);
    if depth > MAX_DEPTH {
        mistakes.add(
            pointer,
            "is nested too deeply: nothing here has so many levels",
        );
        return UNREADABLE.into();
    }
    if let Some(object) = json.object() {
        let mut map = Map::new();
        for (name, member) in object.members() {
            let at = below(pointer, &name);
            if map.contains_key(&*name) {
                mistakes.add(at, "is named twice: send it once");
            } else {
                let member = value(member, &at, inner, mistakes);
                map.insert(name.into_owned(), member);
            }
        }
        return Value::Object(map);
    }
    if let Some(elements) = json.elements(usize::MAX) {
        let mut list = Vec::with_capacity(elements.len());
        for element in elements {
            let at = below(pointer, &list.len().to_string());
            list.push(value(element, &at, inner, mistakes));
        }
        return Value::Array(list);
    }
    match json.verbatim() {
        "null" => Value::Null,
        "true" => true.into(),
        "false" => false.into(),
        other => json
            .text()
            .map(Value::String)
            .unwrap_or_else(|| number(other).into()),
    }
}

/// No field takes a whole number below zero: as floating point they do as well.
fn number(digits: &str) -> Number {
    let whole = digits.parse::<u64>().ok().map(Number::from);
    let read = serde_json::from_slice(digits.as_bytes());
    whole
        .or_else(|| Number::from_f64(read.unwrap_or(UNREADABLE)))
        .unwrap_or_else(|| u64::MAX.into())
}

/// The pointer (RFC 6901) of what stands at `name` under `pointer`.
pub(crate) fn below(pointer: &str, name: &str) -> String {
    let name = shortened(name).replace('~', "~0").replace('/', "~1");
    [pointer, "/", &name].concat()
}

/// The beginning of a name that is longer than any that is known: it is there to be
/// found, not to be repeated.
pub(crate) fn shortened(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_NAME).map(|(at, _)| at);
    end.and_then(|end| name.get(..end)).unwrap_or(name)
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
        Self {
            value,
            pointer: below(&self.pointer, name),
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

    /// A whole number from `least` to `most`; `5.0` is one, and some languages write it
    /// so.
    pub(crate) fn whole(&self, least: u32, most: u32, mistakes: &mut Mistakes) -> Option<u32> {
        let read = self
            .value
            .as_f64()
            .filter(|number| number.fract() == 0.0)
            .and_then(seconds)
            .and_then(|number| u32::try_from(number.as_secs()).ok())
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

    /// The entries of an array of at most `most`. Where there are more, the first.
    pub(crate) fn list(&self, most: usize, mistakes: &mut Mistakes) -> Option<Vec<Self>> {
        let Some(entries) = self.value.as_array() else {
            self.wrong("must be an array", mistakes);
            return None;
        };
        if entries.len() > most {
            self.wrong(format!("must have at most {most} entries"), mistakes);
        }
        Some(
            entries
                .iter()
                .take(most)
                .enumerate()
                .map(|(index, value)| self.child(&index.to_string(), value))
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
                let message = if known.is_empty() {
                    "is not a known field: none are taken here".to_owned()
                } else {
                    ["is not a known field; known are ", &known.join(", ")].concat()
                };
                node.wrong(message, mistakes);
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

    /// What is read, and each mistake as its pointer and message.
    fn read(text: &str) -> (Option<Value>, Vec<(String, String)>) {
        let mut mistakes = Mistakes::default();
        let value = parse(text.as_bytes(), &mut mistakes);
        let mistakes = mistakes.into_vec().into_iter();
        let mistakes = mistakes.map(|mistake| (mistake.pointer, mistake.message));
        (value, mistakes.collect())
    }

    #[test]
    fn what_is_not_json_is_one_mistake() {
        for (text, at) in [
            ("", "line 1 column 0"),
            ("{", "line 1 column 1"),
            ("{\"a\":1}x", "line 1 column 8"),
            ("{\n'a':1}", "line 2 column 1"),
            ("{\"a\":NaN}", "line 1 column 6"),
            ("{\"a\":Infinity}", "line 1 column 6"),
            ("{\"a\":01}", "line 1 column 7"),
        ] {
            let message = format!("is not JSON, at {at}");
            assert_eq!(read(text), (None, vec![(String::new(), message)]), "{text}");
        }
        let mut mistakes = Mistakes::default();
        assert_eq!(parse(b"\"\xff\"", &mut mistakes), None);
        assert!(!mistakes.is_empty());
        assert_eq!(read(&"[".repeat(100_000)).1.len(), 1);
    }

    #[test]
    fn a_field_that_is_named_twice_is_named() {
        let twice = |text: &str| {
            let (value, mistakes) = read(text);
            assert!(value.is_some(), "what else is wrong is still to be found");
            for (_, message) in &mistakes {
                assert_eq!(message, "is named twice: send it once");
            }
            mistakes.into_iter().map(|(at, _)| at).collect::<Vec<_>>()
        };
        assert_eq!(twice(r#"{"a":1,"b":{"a":2}}"#), [""; 0]);
        assert_eq!(twice(r#"{"a":1,"a":1,"a":2}"#), ["/a", "/a"]);
        assert_eq!(twice(r#"[{"b":{"a":1,"\u0061":2}}]"#), ["/0/b/a"]);
    }

    #[test]
    fn what_is_out_of_every_range_is_taken_for_nothing_else() {
        for text in ["1e400", "-1e400", r#""\ud800""#] {
            let value = read(text).0.unwrap();
            let mut mistakes = Mistakes::default();
            let node = Node::root(&value);
            assert_eq!(node.whole(0, u32::MAX, &mut mistakes), None);
            assert_eq!(node.number(0, u32::MAX, &mut mistakes), None);
            assert_eq!(node.text(&mut mistakes), None);
            assert!(!node.is_null());
        }
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let mistakes = read(&deep).1;
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].1.contains("too deeply"), "{mistakes:?}");
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        for text in [
            r#"{"a":[1,-1.5,0.5,"x",true,null,false,{}],"b":18446744073709551615,"d":1e3}"#,
            r#"" đơn\n\u0110 ""#,
            "[]",
        ] {
            let theirs = serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(read(text), (Some(theirs), Vec::new()));
        }
    }

    #[test]
    fn pointers_are_escaped() {
        let value = read(r#"{"a/b~c":{"d":[0,1]}}"#).0.unwrap();
        let mut mistakes = Mistakes::default();
        let root = Node::root(&value);
        assert!(
            root.object(&["a"], &mut mistakes)
                .unwrap()
                .get("a/b~c")
                .is_none()
        );
        assert_eq!(mistakes.into_vec()[0].pointer, "/a~1b~0c");
        let long = "đ".repeat(201);
        assert_eq!(below("/a", &long), format!("/a/{}", "đ".repeat(200)));
        assert_eq!(below("/a", "b"), "/a/b");
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
