//! Reading.

use super::Unfit;
use serde::{
    Deserialize,
    de::{
        DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
        VariantAccess, Visitor, value::StrDeserializer,
    },
};
use std::borrow::Cow;

/// What `text` holds.
///
/// # Errors
/// When it holds something else.
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Unfit> {
    let mut reader = Reader { rest: text };
    let value = T::deserialize(&mut reader)?;
    // A byte that there is not would be the end.
    if reader.next().is_none() {
        Ok(value)
    } else {
        Err(Unfit)
    }
}

struct Reader<'de> {
    rest: &'de str,
}

impl<'de> Reader<'de> {
    /// The next byte that is no blank.
    #[inline(never)]
    fn next(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.bytes().next()
    }

    #[inline(never)]
    fn eats(&mut self, byte: u8) -> bool {
        let found = self.next() == Some(byte);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    fn eat(&mut self, byte: u8) -> Result<(), Unfit> {
        if self.eats(byte) { Ok(()) } else { Err(Unfit) }
    }

    /// All up to the first byte that `ends` it.
    #[inline(never)]
    fn until(&mut self, ends: fn(u8) -> bool) -> &'de str {
        let end = self.rest.bytes().position(ends);
        let (word, rest) = self
            .rest
            .split_at_checked(end.unwrap_or(self.rest.len()))
            .unwrap_or_default();
        self.rest = rest;
        word
    }

    /// A number, `true`, `false` or `null`.
    #[inline(never)]
    fn word(&mut self) -> &'de str {
        self.next();
        self.until(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t'))
    }

    #[inline(never)]
    fn unsigned(&mut self) -> Result<u64, Unfit> {
        self.word().parse().map_err(|_| Unfit)
    }

    #[inline(never)]
    fn signed(&mut self) -> Result<i64, Unfit> {
        self.word().parse().map_err(|_| Unfit)
    }

    #[inline(never)]
    fn fraction(&mut self) -> Result<f64, Unfit> {
        serde_json::from_str(self.word()).map_err(|_| Unfit)
    }

    #[inline(never)]
    fn string(&mut self) -> Result<Cow<'de, str>, Unfit> {
        self.next();
        let from = self.rest;
        let mut escaped = false;
        self.eat(b'"')?;
        loop {
            self.until(|byte| matches!(byte, b'"' | b'\\'));
            if self.rest.starts_with('"') {
                break;
            }
            // What follows the backslash is no end, whatever it is.
            let mut rest = self.rest.chars();
            rest.next();
            rest.next().ok_or(Unfit)?;
            self.rest = rest.as_str();
            escaped = true;
        }
        self.eat(b'"')?;
        let quoted = from
            .get(..from.len().saturating_sub(self.rest.len()))
            .ok_or(Unfit)?;
        if escaped {
            return serde_json::from_str(quoted)
                .map(Cow::Owned)
                .map_err(|_| Unfit);
        }
        let plain = quoted.get(1..quoted.len().saturating_sub(1));
        plain.map(Cow::Borrowed).ok_or(Unfit)
    }

    /// Leaves out a value of whatever kind.
    #[inline(never)]
    fn skip(&mut self) -> Result<(), Unfit> {
        let mut depth = 0_u32;
        loop {
            match self.next().ok_or(Unfit)? {
                b'"' => {
                    self.string()?;
                }
                opening @ (b'[' | b'{') => {
                    self.eat(opening)?;
                    depth = depth.saturating_add(1);
                }
                closing @ (b']' | b'}') => {
                    self.eat(closing)?;
                    depth = depth.checked_sub(1).ok_or(Unfit)?;
                }
                between @ (b',' | b':') if depth > 0 => self.eat(between)?,
                _ => {
                    if self.word().is_empty() {
                        return Err(Unfit);
                    }
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unfit> {
        self.eat(b'[')?;
        let list = visitor.visit_seq(Entries {
            reader: self,
            first: true,
        })?;
        self.eat(b']')?;
        Ok(list)
    }

    fn object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Unfit> {
        self.eat(b'{')?;
        let object = visitor.visit_map(Entries {
            reader: self,
            first: true,
        })?;
        self.eat(b'}')?;
        Ok(object)
    }
}

macro_rules! numbers {
    ($read:ident, $visit:ident: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            visitor.$visit(self.$read()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unfit;

    numbers!(unsigned, visit_u64: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    numbers!(signed, visit_i64: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    numbers!(fraction, visit_f64: deserialize_f32 deserialize_f64);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.next().ok_or(Unfit)? {
            b'"' => self.deserialize_str(visitor),
            b'[' => self.list(visitor),
            b'{' => self.object(visitor),
            b't' | b'f' => self.deserialize_bool(visitor),
            b'n' => self.deserialize_unit(visitor),
            _ => self.deserialize_f64(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.word() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Unfit),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_str(&text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_string(self.string()?.into_owned())
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unfit> {
        Err(Unfit)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unfit> {
        Err(Unfit)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if self.next() == Some(b'n') {
            self.deserialize_unit(visitor)
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.word() {
            "null" => visitor.visit_unit(),
            _ => Err(Unfit),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.object(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.object(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        if !self.eats(b'{') {
            let name = self.string()?;
            let variant: StrDeserializer<'_, Unfit> = (*name).into_deserializer();
            return visitor.visit_enum(variant);
        }
        let variant = visitor.visit_enum(&mut *self)?;
        self.eat(b'}')?;
        Ok(variant)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_str(&self.string()?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.skip()?;
        visitor.visit_unit()
    }
}

/// The entries of a list or the members of an object.
struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    first: bool,
}

impl Entries<'_, '_> {
    /// Whether there is one more.
    #[inline(never)]
    fn more(&mut self, end: u8) -> Result<bool, Unfit> {
        if self.reader.next() == Some(end) {
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.eat(b',')?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Entries<'_, 'de> {
    type Error = Unfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unfit> {
        if self.more(b']')? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Unfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unfit> {
        if self.more(b'}')? {
            seed.deserialize(&mut *self.reader).map(Some)
        } else {
            Ok(None)
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unfit> {
        self.reader.eat(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> EnumAccess<'de> for &mut Reader<'de> {
    type Error = Unfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Unfit> {
        let variant = seed.deserialize(&mut *self)?;
        self.eat(b':')?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Reader<'de> {
    type Error = Unfit;

    fn unit_variant(self) -> Result<(), Unfit> {
        Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Unfit> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.list(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.object(visitor)
    }
}
