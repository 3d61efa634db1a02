//! Reading JSON without changing a byte of it.
//!
//! A [`Json`] is a value that is known to be well-formed, as the slice of the
//! original text that holds it. Numbers stay the digits they were written in and
//! never pass through floating point; duplicate names stay visible. Nothing here
//! recurses, so nesting costs no stack however deep it is.
//!
//! Out of scope: writing JSON (see [`canonical_json`](crate::canonical_json)), typed
//! deserialisation.

use serde::{
    Deserialize, Deserializer as _,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// An object with more members is not sorted.
pub const MOST_SORTED: usize = 1_000;

/// UTF-8's, which some writers put before everything.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A well-formed JSON value, verbatim, without the blanks around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// The value that `content` is, but for blanks around it and a byte order mark
    /// in front. `None` when it is not JSON in UTF-8.
    #[must_use]
    pub fn parse(content: &'a [u8]) -> Option<Self> {
        let text = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
        serde_json::from_slice::<&RawValue>(text)
            .ok()
            .map(|raw| Self(raw.get()))
    }

    /// The value as it was written: a slice of what was parsed.
    #[must_use]
    pub const fn verbatim(self) -> &'a str {
        self.0
    }

    fn begins_with(self, letters: &[u8]) -> bool {
        let first = self.0.as_bytes().first();
        first.is_some_and(|first| letters.contains(first))
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// Its members when it is an object.
    #[must_use]
    pub fn object(self) -> Option<Object<'a>> {
        if !self.begins_with(b"{") {
            return None;
        }
        serde_json::Deserializer::from_slice(self.0.as_bytes())
            .deserialize_map(Members)
            .ok()
            .map(Object)
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.begins_with(b"[")
    }

    /// The decoded text when it is a string that holds characters alone: no half of a
    /// surrogate pair.
    #[must_use]
    pub fn text(self) -> Option<String> {
        if !self.begins_with(b"\"") {
            return None;
        }
        String::from_utf8(self.string()?.into_owned()).ok()
    }

    /// Its elements when it is an array of no more than `most`.
    #[must_use]
    pub fn elements(self, most: usize) -> Option<Vec<Json<'a>>> {
        if !self.is_array() {
            return None;
        }
        serde_json::Deserializer::from_slice(self.0.as_bytes())
            .deserialize_seq(Elements { most })
            .ok()
    }

    /// The value that a JSON pointer (RFC 6901) names within this one. Of members
    /// with the same name it is the last, as in most parsers.
    #[must_use]
    pub fn at(self, pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        let mut here = self;
        for token in pointer.strip_prefix('/')?.split('/') {
            here = if here.begins_with(b"[") {
                let at = array_index(token)?;
                here.elements(usize::MAX)?.get(at).copied()?
            } else {
                here.object()?.get(&unescape(token))?
            };
        }
        Some(here)
    }

    /// The text of a scalar, exact: a string decoded, a number or boolean as it was
    /// written. `None` for `null`, arrays, objects, and strings that hold half of a
    /// surrogate pair, since two different ones would read the same.
    #[must_use]
    pub fn exact_text(self) -> Option<String> {
        self.text().or_else(|| self.unquoted())
    }

    /// The text of a scalar, for people: like [`exact_text`](Self::exact_text), but
    /// what is no character is replaced.
    #[must_use]
    pub fn shown_text(self) -> Option<String> {
        if self.begins_with(b"\"") {
            return Some(String::from_utf8_lossy(&self.string()?).into_owned());
        }
        self.unquoted()
    }

    /// The text for people that a JSON pointer names, unless it is blank or no scalar.
    #[must_use]
    pub fn shown_at(self, pointer: &str) -> Option<String> {
        self.at(pointer)?
            .shown_text()
            .filter(|text| !is_blank(text))
    }

    fn unquoted(self) -> Option<String> {
        self.begins_with(b"-0123456789tf")
            .then(|| self.0.to_owned())
    }

    fn string(self) -> Option<Cow<'a, [u8]>> {
        serde_json::Deserializer::from_slice(self.0.as_bytes())
            .deserialize_bytes(StringBytes)
            .ok()
    }
}

/// The members of an object, in the order they stand, duplicates included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// The last member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| *value)
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// All members with their names.
    #[must_use]
    pub fn members(self) -> Vec<(Cow<'a, str>, Json<'a>)> {
        self.0
    }

    /// All members, sorted by name. `None` when two have the same name, or there are
    /// more than [`MOST_SORTED`].
    #[must_use]
    pub fn sorted(self) -> Option<Vec<(Cow<'a, str>, Json<'a>)>> {
        if self.0.len() > MOST_SORTED {
            return None;
        }
        // Each is put in its place: for so few, the library's sort is only larger.
        let mut sorted: Vec<(u64, (Cow<'a, str>, Json<'a>))> = Vec::with_capacity(self.0.len());
        for member in self.0 {
            let rank = rank(&member.0);
            let place = sorted.binary_search_by(|(known_rank, known)| {
                known_rank.cmp(&rank).then_with(|| known.0.cmp(&member.0))
            });
            match place {
                Ok(_) => return None,
                Err(place) => sorted.insert(place, (rank, member)),
            }
        }
        Some(sorted.into_iter().map(|(_, member)| member).collect())
    }

    /// The member's text for people, unless it is blank or no scalar.
    #[must_use]
    pub fn shown(&self, name: &str) -> Option<String> {
        self.get(name)?.shown_text().filter(|text| !is_blank(text))
    }

    /// The member's exact text, unless it is blank or no scalar: fit for an identity.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<String> {
        self.get(name)?.exact_text().filter(|text| !is_blank(text))
    }
}

/// The first bytes of a name as a number: most names are told apart by it alone, which
/// is quicker than by the text.
fn rank(name: &str) -> u64 {
    let mut first = [0; 8];
    for (place, byte) in first.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    u64::from_be_bytes(first)
}

/// Whether there is nothing to see in it. A blank id names nothing.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Whether the text is a JSON pointer (RFC 6901).
#[must_use]
pub fn is_pointer(text: &str) -> bool {
    let begins_well = text.is_empty() || text.starts_with('/');
    begins_well
        && text
            .split('~')
            .skip(1)
            .all(|after| after.starts_with(['0', '1']))
}

/// `~1` is `/` and `~0` is `~`, in this order (RFC 6901, section 4).
fn unescape(token: &str) -> Cow<'_, str> {
    if token.contains('~') {
        Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(token)
    }
}

/// Digits without a leading zero (RFC 6901, section 4).
fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    let all_digits = token.bytes().all(|letter| letter.is_ascii_digit());
    if canonical && all_digits {
        token.parse().ok()
    } else {
        None
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, Json<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Most objects have no more.
        let mut members = Vec::with_capacity(16);
        while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            members.push((name.0, Json(value.get())));
        }
        Ok(members)
    }
}

/// A member's name; what is no character is replaced, since a strange name is no
/// reason to lose the object.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_bytes(StringBytes)? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
                .map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }))
    }
}

/// The decoded bytes of a string. serde_json reads a string that is asked for as
/// bytes without objecting to half surrogate pairs, which come out as no UTF-8.
struct StringBytes;

impl<'de> Visitor<'de> for StringBytes {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }
}

struct Elements {
    most: usize,
}

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<Json<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            if elements.len() >= self.most {
                return Err(A::Error::custom("too many elements"));
            }
            elements.push(Json(element.get()));
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Json<'_> {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn pointers_name_what_rfc_6901_says() {
        let document = json(
            r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8,"x":{"0":"zero"}}"#,
        );
        for (pointer, expected) in [
            ("/foo", Some(r#"["bar","baz"]"#)),
            ("/foo/0", Some(r#""bar""#)),
            ("/foo/1", Some(r#""baz""#)),
            ("/foo/2", None),
            ("/foo/-", None),
            ("/foo/01", None),
            ("/foo/+1", None),
            ("/foo/", None),
            ("/foo/99999999999999999999999", None),
            ("/", Some("0")),
            ("/a~1b", Some("1")),
            ("/c%d", Some("2")),
            ("/e^f", Some("3")),
            ("/g|h", Some("4")),
            ("/i\\j", Some("5")),
            ("/k\"l", Some("6")),
            ("/ ", Some("7")),
            ("/m~0n", Some("8")),
            ("/x/0", Some(r#""zero""#)),
            ("/x/0/y", None),
            ("foo", None),
            ("/nowhere/at/all", None),
        ] {
            assert_eq!(
                document.at(pointer).map(Json::verbatim),
                expected,
                "{pointer}"
            );
        }
        assert_eq!(document.at(""), Some(document));
    }

    #[test]
    fn pointers_are_recognised() {
        for pointer in ["", "/", "/data/id", "/a~1b~0c", "/0"] {
            assert!(is_pointer(pointer), "{pointer:?}");
        }
        for other in ["data", "$.data", "/a~2", "/a~", "~0"] {
            assert!(!is_pointer(other), "{other:?}");
        }
    }

    #[test]
    fn a_scalar_has_the_text_it_was_written_in() {
        for (written, text) in [
            ("1", Some("1")),
            (r#""1""#, Some("1")),
            ("1.0", Some("1.0")),
            ("1E+400", Some("1E+400")),
            ("9007199254740993", Some("9007199254740993")),
            (
                "123456789012345678901234567890",
                Some("123456789012345678901234567890"),
            ),
            ("-5", Some("-5")),
            ("true", Some("true")),
            (r#""\u0110\u01a1n h\u00e0ng""#, Some("Đơn hàng")),
            (r#""\ud83d\ude00""#, Some("😀")),
            (r#""a\/b\n""#, Some("a/b\n")),
            ("null", None),
            ("[]", None),
            ("{}", None),
        ] {
            assert_eq!(json(written).exact_text().as_deref(), text, "{written}");
            assert_eq!(json(written).shown_text().as_deref(), text, "{written}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_loses_nothing_but_itself() {
        let object = json(r#"{"id":"a\ud800","\udc00":1,"amount":5}"#);
        let object = object.object().unwrap();
        assert_eq!(object.id("id"), None, "no identity");
        assert!(object.shown("id").unwrap().starts_with('a'));
        assert_eq!(object.shown("amount").as_deref(), Some("5"));
        assert_eq!(object.iter().count(), 3);
    }

    #[test]
    fn duplicate_names_are_visible_and_the_last_one_counts() {
        let object = json(r#"{"id":1,"id":2}"#);
        let object = object.object().unwrap();
        assert_eq!(object.id("id").as_deref(), Some("2"));
        let all: Vec<_> = object.iter().map(|(_, value)| value.verbatim()).collect();
        assert_eq!(all, ["1", "2"]);
        assert_eq!(object.sorted(), None);
        let names = |text: &str| {
            let sorted = json(text).object()?.sorted()?;
            Some(
                sorted
                    .into_iter()
                    .map(|(name, _)| name.into_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(names(r#"{"b":1,"c":2,"a":3}"#).unwrap(), ["a", "b", "c"]);
        assert_eq!(names("{}").unwrap(), [""; 0]);
        assert_eq!(names(r#"{"b":1,"a":2,"b":3}"#), None);
        let long = |members: usize| {
            let members: Vec<_> = (0..members).rev().map(|at| format!("\"{at}\":0")).collect();
            names(&format!("{{{}}}", members.join(",")))
                .map(|names| (names.len(), names.is_sorted()))
        };
        assert_eq!(long(1_000), Some((1_000, true)));
        assert_eq!(long(1_001), None);
    }

    #[test]
    fn what_is_not_json_in_utf_8_is_refused() {
        for other in [
            &b""[..],
            b" ",
            b"{",
            b"{}x",
            b"[1,]",
            b"{'a':1}",
            b"NaN",
            b"01",
            b"\"\xff\"",
            b"\"a\nb\"",
            b"a=1&b=2",
        ] {
            assert_eq!(Json::parse(other), None, "{other:?}");
        }
        assert_eq!(
            Json::parse(b"\xef\xbb\xbf {\"a\" : 1}\n").map(Json::verbatim),
            Some("{\"a\" : 1}")
        );
    }

    #[test]
    fn elements_are_slices_and_counted() {
        let array = json("[ 1 , {\"a\" : [2]},\"x\"\t]");
        let written: Vec<_> = array
            .elements(3)
            .unwrap()
            .into_iter()
            .map(Json::verbatim)
            .collect();
        assert_eq!(written, ["1", "{\"a\" : [2]}", "\"x\""]);
        assert_eq!(array.elements(2), None);
        assert_eq!(json("{}").elements(2), None);
        assert_eq!(json("[]").object(), None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        let value = json(&deep);
        assert_eq!(value.elements(1).map(|inner| inner.len()), Some(1));
        assert!(value.at("/0/0/0").is_some());
        let open = "{\"a\":".repeat(200_000);
        assert_eq!(Json::parse(open.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, pointer in "(/[a-c0-2~]{0,2}){0,3}") {
            if let Some(value) = Json::parse(&bytes) {
                let _ = (value.at(&pointer), value.exact_text(), value.object(), value.elements(3));
            }
        }

        #[test]
        fn it_agrees_with_serde_json(theirs in documents(), pointer in "(/(a|b|~1|0|1)){0,4}") {
            for text in [theirs.to_string(), serde_json::to_string_pretty(&theirs).unwrap()] {
                let ours = json(&text).at(&pointer);
                let read = ours.map(|value| serde_json::from_str::<serde_json::Value>(value.verbatim()).unwrap());
                prop_assert_eq!(read.as_ref(), theirs.pointer(&pointer));
                let string = theirs.pointer(&pointer).and_then(serde_json::Value::as_str);
                if let Some(string) = string {
                    prop_assert_eq!(ours.unwrap().exact_text(), Some(string.to_owned()));
                }
            }
        }
    }

    fn documents() -> impl Strategy<Value = serde_json::Value> {
        let scalar = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        scalar.prop_recursive(4, 40, 4, |inner| {
            let members = prop::collection::btree_map("a|b|/|0", inner.clone(), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Into::into),
                members
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
