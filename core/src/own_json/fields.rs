//! Reading structs field by field into their place.
//!
//! What serde derives holds every field apart until all are there, and takes all of them
//! down again at each mistake: for the two dozen fields of a webhook that is a lot of
//! code. Here a struct begins blank, and what it lacks in the end is a mistake.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// Implements `Deserialize` for a struct that has a function `blank`. Fields have the
/// names of their JSON. `required` are those that must be there; each of the `optional`
/// ones stays blank without. `unknown` is `skipped` or `refused`. For one that
/// messages hold too, which are without names, all fields are named `in_order`: that in
/// which they are declared.
macro_rules! read_in_place {
    (
        $type:ident, unknown $unknown:ident,
        required { $($required:ident),* $(,)? },
        optional { $($optional:ident $(by $put:path)?),* $(,)? }
        $(, in_order { $($in_order:ident),* $(,)? })? $(,)?
    ) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                #[expect(non_camel_case_types, reason = "named as the fields are")]
                enum Field { $($required,)* $($optional,)* }
                const NAMES: &[&str] = &[$(stringify!($required),)* $(stringify!($optional),)*];

                struct InPlace;

                impl<'de> serde::de::Visitor<'de> for InPlace {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    #[allow(non_upper_case_globals, reason = "named as the fields are")]
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$type, A::Error> {
                        use $crate::own_json::fields;
                        $(const $required: usize = Field::$required as usize;)*
                        $(const $optional: usize = Field::$optional as usize;)*
                        let mut new = $type::blank();
                        let mut missing = fields::all(&[$(stringify!($required)),*]);
                        while let Some(field) = fields::next(&mut map, NAMES)? {
                            fields::found(&mut missing, field);
                            match field {
                                $($required => fields::put(&mut map, &mut new.$required)?,)*
                                $($optional => read_in_place!(@put map, new.$optional $(, $put)?)?,)*
                                _ => fields::$unknown(&mut map)?,
                            }
                        }
                        if missing == 0 { Ok(new) } else { Err(fields::incomplete()) }
                    }

                    $(fn visit_seq<A: serde::de::SeqAccess<'de>>(
                        self,
                        mut list: A,
                    ) -> Result<$type, A::Error> {
                        use $crate::own_json::fields;
                        let mut new = $type::blank();
                        $(fields::put_next(&mut list, &mut new.$in_order)?;)*
                        Ok(new)
                    })?
                }

                from.deserialize_struct(stringify!($type), NAMES, InPlace)
            }
        }
    };
    (@put $map:ident, $place:expr) => { fields::put(&mut $map, &mut $place) };
    (@put $map:ident, $place:expr, $put:path) => { $put(&mut $map, &mut $place) };
}

pub(crate) use read_in_place;

/// Reads the value that stands next into its place.
#[inline(never)]
pub(crate) fn put<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
    place: &mut T,
) -> Result<(), A::Error> {
    *place = map.next_value()?;
    Ok(())
}

/// Reads the value that stands next in a list into its place.
#[inline(never)]
pub(crate) fn put_next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    list: &mut A,
    place: &mut T,
) -> Result<(), A::Error> {
    *place = list.next_element()?.ok_or_else(incomplete)?;
    Ok(())
}

/// [`put`] for a field whose explicit `null` is told from its absence.
pub(crate) fn put_given<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    map: &mut A,
    place: &mut Option<T>,
) -> Result<(), A::Error> {
    *place = Some(map.next_value()?);
    Ok(())
}

/// A bit for each of the names.
pub(crate) fn all(names: &[&str]) -> u32 {
    (0..names.len()).fold(0, |bits, at| bits | bit(at))
}

/// Takes the field's bit away.
pub(crate) fn found(missing: &mut u32, field: usize) {
    *missing &= !bit(field);
}

fn bit(field: usize) -> u32 {
    u32::try_from(field)
        .ok()
        .and_then(|field| 1_u32.checked_shl(field))
        .unwrap_or(0)
}

/// Which of `names` comes next, or their number for another name; `None` at the end.
pub(crate) fn next<'de, A: MapAccess<'de>>(
    map: &mut A,
    names: &'static [&'static str],
) -> Result<Option<usize>, A::Error> {
    map.next_key_seed(PlaceIn(names))
}

/// Passes over a field that is not known, as a later release may write it.
pub(crate) fn skipped<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// A field that is not known is a mistake.
pub(crate) fn refused<'de, A: MapAccess<'de>>(_: &mut A) -> Result<(), A::Error> {
    Err(Error::custom("a field that is not known"))
}

pub(crate) fn incomplete<E: Error>() -> E {
    E::custom("a field is missing")
}

struct PlaceIn(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for PlaceIn {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<usize, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for PlaceIn {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        let place = self.0.iter().position(|known| *known == name);
        Ok(place.unwrap_or(self.0.len()))
    }
}
