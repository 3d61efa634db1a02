//! JSON written in one agreed way, for senders that sign what a document says and
//! not its bytes.
//!
//! Members are sorted by name at every depth, nothing stands between the tokens, and
//! numbers keep the digits they came in. How strings are escaped is what writers
//! disagree about: a [`Notation`] says how.
//!
//! Out of scope: RFC 8785, which also rewrites numbers.

use crate::json::Json;
use std::borrow::Cow;

/// Objects and arrays within each other. What is signed like this is flat; each level
/// costs one more reading of what it holds, by senders that nothing is known of.
const MOST_LEVELS: usize = 8;

/// Tokens of a document, which bounds the memory that it takes.
const MOST_TOKENS: usize = 20_000;

/// How strings are written. Control characters, `"` and `\` are escaped by all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says of one set of characters whether it is escaped"
)]
pub struct Notation {
    /// Values as they came. Names, whose spelling is not kept, are written like the
    /// rest says.
    verbatim: bool,
    /// `/` becomes `\/`.
    slash: bool,
    /// Everything beyond ASCII becomes `\u….`
    beyond_ascii: bool,
    /// U+007F becomes `\u007f`.
    delete: bool,
    /// `<`, `>`, `&`, U+2028 and U+2029 become `\u….`
    markup: bool,
}

impl Notation {
    /// `JSON.stringify`; also Jackson (Java) and Newtonsoft (.NET).
    pub const JAVASCRIPT: Self = Self {
        verbatim: false,
        slash: false,
        beyond_ascii: false,
        delete: false,
        markup: false,
    };
    /// Values as they came.
    pub const VERBATIM: Self = Self {
        verbatim: true,
        ..Self::JAVASCRIPT
    };
    /// PHP's `json_encode`.
    pub const PHP: Self = Self {
        slash: true,
        beyond_ascii: true,
        ..Self::JAVASCRIPT
    };
    /// PHP's `json_encode` with `JSON_UNESCAPED_UNICODE`.
    pub const PHP_UNICODE: Self = Self {
        slash: true,
        ..Self::JAVASCRIPT
    };
    /// Python's `json.dumps`.
    pub const PYTHON: Self = Self {
        beyond_ascii: true,
        delete: true,
        ..Self::JAVASCRIPT
    };
    /// Go's `json.Marshal`.
    pub const GO: Self = Self {
        markup: true,
        ..Self::JAVASCRIPT
    };
    /// Those of the samples that providers publish.
    pub const ALL: [Self; 5] = [
        Self::VERBATIM,
        Self::JAVASCRIPT,
        Self::PHP,
        Self::PYTHON,
        Self::GO,
    ];

    /// Writes a string with its quotes.
    pub fn write_string(self, text: &str, out: &mut String) {
        out.push('"');
        self.write_text(text, out);
        out.push('"');
    }

    fn write_scalar(self, scalar: Json<'_>, out: &mut String) {
        let text = if self.verbatim { None } else { scalar.text() };
        match text {
            Some(text) => self.write_string(&text, out),
            None => out.push_str(scalar.verbatim()),
        }
    }

    /// Writes what stands between the quotes of a string.
    pub fn write_text(self, text: &str, out: &mut String) {
        let mut rest = text;
        // Most of a text is written as it is: it is copied in runs.
        while let Some((plain, after)) = rest
            .bytes()
            .position(|byte| self.may_escape(byte))
            .and_then(|at| rest.split_at_checked(at))
        {
            out.push_str(plain);
            let mut letters = after.chars();
            if let Some(letter) = letters.next() {
                self.write_letter(letter, out);
            }
            rest = letters.as_str();
        }
        out.push_str(rest);
    }

    /// Whether a letter that begins with this byte may be written otherwise.
    const fn may_escape(self, byte: u8) -> bool {
        match byte {
            0..=0x1f | b'"' | b'\\' => true,
            b'/' => self.slash,
            // U+2028 begins with 0xe2.
            b'<' | b'>' | b'&' | 0xe2 if self.markup => true,
            0x7f => self.delete,
            0x80.. => self.beyond_ascii,
            _ => false,
        }
    }

    fn write_letter(self, letter: char, out: &mut String) {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '/' if self.slash => out.push_str("\\/"),
            '\u{0}'..='\u{1f}' => write_escape(letter, out),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if self.markup => write_escape(letter, out),
            '\u{7f}' if self.delete => write_escape(letter, out),
            '\u{80}'.. if self.beyond_ascii => write_escape(letter, out),
            _ => out.push(letter),
        }
    }
}

/// `\u` and four digits, twice beyond the basic plane.
fn write_escape(letter: char, out: &mut String) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        out.push_str("\\u");
        out.push_str(&hex::encode(unit.to_be_bytes()));
    }
}

/// What stands between the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    comma: &'static str,
    colon: &'static str,
    /// Blanks per level, each member and element on its own line.
    indent: Option<usize>,
}

impl Layout {
    /// Nothing.
    pub const COMPACT: Self = Self {
        comma: ",",
        colon: ":",
        indent: None,
    };
    /// A blank behind each comma and colon: Python's `json.dumps`.
    pub const SPACED: Self = Self {
        comma: ", ",
        colon: ": ",
        indent: None,
    };
    /// Lines indented by two blanks per level.
    pub const INDENTED_2: Self = Self {
        comma: ",",
        colon: ": ",
        indent: Some(2),
    };
    /// Lines indented by four.
    pub const INDENTED_4: Self = Self {
        indent: Some(4),
        ..Self::INDENTED_2
    };

    fn write_line_break(self, levels: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            for _ in 0..levels.saturating_mul(indent) {
                out.push(' ');
            }
        }
    }
}

/// A document that can be written anew: with its members sorted, unless it says
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical<'a> {
    tokens: Vec<Token<'a>>,
    /// Bytes that it came in.
    len: usize,
}

/// What stands between two of them follows from both.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open(char),
    Close(char),
    Name(Cow<'a, str>),
    Scalar(Json<'a>),
}

/// What was written last.
#[derive(Clone, Copy)]
enum Last {
    /// Nothing that a value has to be told from: the start, or a name.
    Nothing,
    Open,
    Value,
}

impl<'a> Canonical<'a> {
    /// Sorts the members of every object in `document`.
    ///
    /// # Errors
    /// When an object has two members of the same name, which readers understand
    /// differently; when it is nested too deeply or holds too much (see also
    /// [`MOST_SORTED`](crate::json::MOST_SORTED)).
    pub fn of(document: Json<'a>) -> Result<Self, &'static str> {
        Self::read(document, true)
    }

    /// Leaves the members in the order they came in.
    ///
    /// # Errors
    /// When it is nested too deeply or holds too much.
    pub fn unsorted(document: Json<'a>) -> Result<Self, &'static str> {
        Self::read(document, false)
    }

    fn read(document: Json<'a>, is_sorted: bool) -> Result<Self, &'static str> {
        let mut tokens = Vec::new();
        walk(document, MOST_LEVELS, is_sorted, &mut tokens)?;
        let len = document.verbatim().len();
        Ok(Self { tokens, len })
    }

    /// The document as text.
    #[must_use]
    pub fn written(&self, notation: Notation) -> String {
        self.laid_out(notation, Layout::COMPACT)
    }

    /// The document as text with this between its tokens.
    #[must_use]
    pub fn laid_out(&self, notation: Notation, layout: Layout) -> String {
        let mut out = String::with_capacity(self.len);
        let mut levels = 0_usize;
        let mut last = Last::Nothing;
        for token in &self.tokens {
            if let Token::Close(mark) = token {
                levels = levels.saturating_sub(1);
                if matches!(last, Last::Value) {
                    layout.write_line_break(levels, &mut out);
                }
                out.push(*mark);
                last = Last::Value;
                continue;
            }
            match last {
                Last::Nothing => {}
                Last::Open => layout.write_line_break(levels, &mut out),
                Last::Value => {
                    out.push_str(layout.comma);
                    layout.write_line_break(levels, &mut out);
                }
            }
            last = match token {
                Token::Open(mark) | Token::Close(mark) => {
                    out.push(*mark);
                    levels = levels.saturating_add(1);
                    Last::Open
                }
                Token::Name(name) => {
                    notation.write_string(name, &mut out);
                    out.push_str(layout.colon);
                    Last::Nothing
                }
                Token::Scalar(scalar) => {
                    notation.write_scalar(*scalar, &mut out);
                    Last::Value
                }
            };
        }
        #[cfg(test)]
        crate::work::add(out.len());
        out
    }
}

fn walk<'a>(
    value: Json<'a>,
    levels: usize,
    is_sorted: bool,
    tokens: &mut Vec<Token<'a>>,
) -> Result<(), &'static str> {
    const TOO_DEEP: &str = "it is nested too deeply";
    const TOO_MUCH: &str = "it holds too many values";
    if tokens.len() > MOST_TOKENS {
        return Err(TOO_MUCH);
    }
    if let Some(object) = value.object() {
        let levels = levels.checked_sub(1).ok_or(TOO_DEEP)?;
        let members = if is_sorted {
            let sorted = object.sorted();
            sorted.ok_or("it has two members of one name, or too many")?
        } else {
            object.members()
        };
        tokens.reserve(members.len().saturating_mul(2).saturating_add(2));
        tokens.push(Token::Open('{'));
        for (name, member) in members {
            tokens.push(Token::Name(name));
            walk(member, levels, is_sorted, tokens)?;
        }
        tokens.push(Token::Close('}'));
    } else if value.is_array() {
        let levels = levels.checked_sub(1).ok_or(TOO_DEEP)?;
        tokens.push(Token::Open('['));
        for element in value.elements(MOST_TOKENS).ok_or(TOO_MUCH)? {
            walk(element, levels, is_sorted, tokens)?;
        }
        tokens.push(Token::Close(']'));
    } else {
        tokens.push(Token::Scalar(value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str, notation: Notation) -> Result<String, &'static str> {
        Canonical::of(Json::parse(text.as_bytes()).unwrap()).map(|it| it.written(notation))
    }

    #[test]
    fn members_are_sorted_and_values_kept() {
        for (text, expected) in [
            ("{}", "{}"),
            (" [ ] ", "[]"),
            ("null", "null"),
            (r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#),
            (
                r#"{"B":1,"a":2,"A":3,"Aa":4}"#,
                r#"{"A":3,"Aa":4,"B":1,"a":2}"#,
            ),
            (
                " { \"b\" : { \"d\" : [ { \"z\" : 1.50 , \"y\" : -0 } , true ] , \"c\" : 1E+2 } ,\n\"a\":null}",
                r#"{"a":null,"b":{"c":1E+2,"d":[{"y":-0,"z":1.50},true]}}"#,
            ),
            (
                r#"{"a":123456789012345678901234567890}"#,
                r#"{"a":123456789012345678901234567890}"#,
            ),
        ] {
            for notation in Notation::ALL {
                assert_eq!(written(text, notation).as_deref(), Ok(expected), "{text}");
            }
        }
    }

    #[test]
    fn each_writer_escapes_in_its_own_way() {
        let text = r#"{"s":"Đơn\/<a&b> \u0110\ud83d\ude00\u2028\"\\\n\u007f\u001f"}"#;
        for (notation, expected) in [
            (Notation::VERBATIM, text.to_owned()),
            (
                Notation::JAVASCRIPT,
                "{\"s\":\"Đơn/<a&b> Đ😀\u{2028}\\\"\\\\\\n\u{7f}\\u001f\"}".to_owned(),
            ),
            (
                Notation::PHP,
                "{\"s\":\"\\u0110\\u01a1n\\/<a&b> \\u0110\\ud83d\\ude00\\u2028\\\"\\\\\\n\u{7f}\\u001f\"}".to_owned(),
            ),
            (
                Notation::PYTHON,
                "{\"s\":\"\\u0110\\u01a1n/<a&b> \\u0110\\ud83d\\ude00\\u2028\\\"\\\\\\n\\u007f\\u001f\"}".to_owned(),
            ),
            (
                Notation::GO,
                "{\"s\":\"Đơn/\\u003ca\\u0026b\\u003e Đ😀\\u2028\\\"\\\\\\n\u{7f}\\u001f\"}".to_owned(),
            ),
        ] {
            assert_eq!(written(text, notation), Ok(expected), "{notation:?}");
        }
        let half = r#"{"s":"\ud800"}"#;
        for notation in Notation::ALL {
            assert_eq!(written(half, notation).as_deref(), Ok(half));
        }
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_refused() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
        ] {
            assert!(written(text, Notation::VERBATIM).is_err(), "{text}");
        }
    }

    #[test]
    fn what_costs_too_much_is_refused() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(written(&nested(8), Notation::GO).is_ok());
        assert!(written(&nested(9), Notation::GO).is_err());
        assert!(written(&nested(100_000), Notation::GO).is_err());
        let long = |elements: usize| format!("[{}]", vec!["1"; elements].join(","));
        assert!(written(&long(9_000), Notation::GO).is_ok());
        assert!(written(&long(30_000), Notation::GO).is_err());
        let long = vec!["[1,1,1,1]"; 19_000].join(",");
        assert!(written(&format!("[{long}]"), Notation::GO).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Some(document) = Json::parse(&bytes) {
                let _ = Canonical::of(document).map(|it| Notation::ALL.map(|notation| it.written(notation)));
            }
        }

        #[test]
        fn it_says_the_same(texts: Vec<String>, numbers: Vec<i64>, names in prop::collection::hash_set(any::<String>(), 0..6)) {
            let members: serde_json::Map<_, _> = names.into_iter().zip(texts.iter().map(|text| text.clone().into())).collect();
            let document = serde_json::json!({"texts": texts, "numbers": numbers, "members": members, "a": null});
            for notation in Notation::ALL {
                let ours = written(&document.to_string(), notation).unwrap();
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&ours).unwrap(), &document);
                prop_assert_eq!(&written(&ours, notation).unwrap(), &ours, "written twice");
            }
            let javascript = written(&document.to_string(), Notation::JAVASCRIPT).unwrap();
            prop_assert_eq!(javascript, document.to_string(), "serde_json sorts and escapes alike");
        }
    }
}
