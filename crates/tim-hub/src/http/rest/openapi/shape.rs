//! Shapes of values: JSON schemas as the fields of calls and answers have them.

use serde_json::Value;
use tim_proto::{GroupId, UserId};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{
    AllOfBuilder, AnyOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};

use crate::http::rest::body::MAX_FRACTION;

/// A schema.
pub(super) type Shape = RefOr<Schema>;

/// A field of an object.
pub(in crate::http::rest) struct Field {
    name: &'static str,
    is_needed: bool,
    shape: Shape,
}

/// A field that has to be there.
pub(super) const fn need(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        is_needed: true,
        shape,
    }
}

/// A field of an answer that is there sometimes.
pub(super) const fn part(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        is_needed: false,
        shape,
    }
}

/// A field of a call that may be missing or null.
pub(super) fn may(name: &'static str, shape: Shape) -> Field {
    part(name, or_null(shape))
}

fn or_null(shape: Shape) -> Shape {
    let with_null = |kind: &SchemaType| match kind {
        SchemaType::Type(kind) => Some(SchemaType::from_iter([kind.clone(), Type::Null])),
        _ => None,
    };
    match shape {
        RefOr::T(Schema::Object(mut object)) if with_null(&object.schema_type).is_some() => {
            object.schema_type = with_null(&object.schema_type).unwrap_or_default();
            if let Some(words) = &mut object.enum_values {
                words.push(Value::Null);
            }
            Schema::Object(object).into()
        }
        RefOr::T(Schema::Array(mut array)) if with_null(&array.schema_type).is_some() => {
            array.schema_type = with_null(&array.schema_type).unwrap_or_default();
            Schema::Array(array).into()
        }
        shape => any_of([shape, of(Type::Null).into()]),
    }
}

/// A field of a call that may be missing, null, or an empty string.
pub(super) fn can(name: &'static str, shape: Shape) -> Field {
    let nothing = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some([Value::Null, "".into()]));
    part(name, any_of([shape, nothing.into()]))
}

/// A field of a call that counts only if another one is missing.
pub(super) fn without(name: &'static str) -> Field {
    part(name, of(Type::Null).into())
}

fn of(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

/// An object with these fields, and any others.
pub(super) fn object(fields: impl IntoIterator<Item = Field>) -> Shape {
    let mut object = of(Type::Object);
    for Field {
        name,
        is_needed,
        shape,
    } in fields
    {
        object = object.property(name, shape);
        if is_needed {
            object = object.required(name);
        }
    }
    object.into()
}

/// A shape that is each of these.
pub(super) fn all(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    let all = shapes.into_iter().fold(AllOfBuilder::new(), AllOfBuilder::item);
    Schema::from(all.build()).into()
}

/// One of these.
pub(super) fn one_of(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    let one = shapes.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item);
    Schema::from(one.build()).into()
}

/// One of these, or several.
pub(super) fn any_of(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    let any = shapes.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
    Schema::from(any.build()).into()
}

/// Anything.
pub(super) fn anything() -> Shape {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
}

/// A list of at most so many.
pub(super) fn list(items: Shape, max: usize) -> Shape {
    ArrayBuilder::new().items(items).max_items(Some(max)).into()
}

/// A list of at least one, and at most so many.
pub(super) fn some(items: Shape, max: usize) -> Shape {
    let array = ArrayBuilder::new().items(items);
    array.min_items(Some(1)).max_items(Some(max)).into()
}

/// A list of an answer.
pub(super) fn rows(items: Shape) -> Shape {
    ArrayBuilder::new().items(items).into()
}

/// Any string.
pub(super) fn text() -> Shape {
    of(Type::String).into()
}

/// A string that is not empty.
pub(super) fn some_text() -> Shape {
    of(Type::String).min_length(Some(1)).into()
}

/// A string of at least and at most so many bytes. JSON schemas count characters, of which it has no more; a keyword of our own has the
/// bytes.
pub(super) fn bytes(min: usize, max: usize) -> Shape {
    within(min, max).into()
}

fn within(min: usize, max: usize) -> ObjectBuilder {
    let bytes = ExtensionsBuilder::new().add("x-max-bytes", max).build();
    let text = of(Type::String).max_length(Some(max));
    text.min_length(Some(min).filter(|min| *min > 0))
        .description(Some(format!("At most {max} bytes in UTF-8.")))
        .extensions(Some(bytes))
}

/// A name that is shown: no control characters, line ends or changes of the reading direction.
pub(super) fn shown_name(min: usize, max: usize) -> Shape {
    let plain = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$";
    within(min, max).pattern(Some(plain)).into()
}

/// A string of this pattern.
pub(super) fn pattern(pattern: &str) -> Shape {
    of(Type::String).pattern(Some(pattern)).into()
}

/// One of these words.
pub(super) fn word(words: impl IntoIterator<Item = &'static str>) -> Shape {
    of(Type::String).enum_values(Some(words)).into()
}

/// A whole number of an answer.
pub(super) fn integer() -> Shape {
    of(Type::Integer).minimum(Some(0)).into()
}

/// A fraction, which may be negative.
pub(super) fn fraction() -> Shape {
    let number = SchemaType::from_iter([Type::Number, Type::String]);
    let decimal = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$";
    ObjectBuilder::new()
        .schema_type(number)
        .pattern(Some(decimal))
        .max_length(Some(MAX_FRACTION))
        .into()
}

/// One of these whole numbers, in an answer.
pub(super) fn one_number(numbers: impl IntoIterator<Item = u32>) -> Shape {
    of(Type::Integer).enum_values(Some(numbers)).into()
}

/// A whole number of a call, or a string of its digits.
fn number_within(min: u64, max: u64) -> Shape {
    let either = SchemaType::from_iter([Type::Integer, Type::String]);
    let number = ObjectBuilder::new().schema_type(either);
    let number = number.minimum(Some(min)).maximum(Some(max));
    number.pattern(Some(format!("^{}$", digits(max)))).into()
}

/// One of two numbers of a call, or a string of it.
pub(super) fn one_or_two() -> Shape {
    let either = SchemaType::from_iter([Type::Integer, Type::String]);
    let number = ObjectBuilder::new().schema_type(either);
    let number = number.minimum(Some(1)).maximum(Some(2));
    number.pattern(Some("^0*[12]$")).into()
}

/// The pattern of the digits of all whole numbers up to this one.
pub(super) fn digits(max: u64) -> String {
    format!("0*({}|0)", positive_digits(max))
}

/// Those of the positive ones, without zeros before them.
fn positive_digits(max: u64) -> String {
    let text = max.to_string();
    let mut ways = vec![text.clone()];
    for (at, digit) in text.char_indices() {
        let (before, behind) = (text.get(..at).unwrap_or_default(), text.len() - at - 1);
        let least = u32::from(at == 0);
        let lower = digit.to_digit(10).and_then(|digit| digit.checked_sub(1));
        if let Some(lower) = lower.filter(|lower| *lower >= least) {
            let behind = match behind {
                0 => String::new(),
                behind => format!("[0-9]{{{behind}}}"),
            };
            ways.push(format!("{before}[{least}-{lower}]{behind}"));
        }
    }
    if let Some(behind) = text.len().checked_sub(2) {
        ways.push(format!("[1-9][0-9]{{0,{behind}}}"));
    }
    ways.join("|")
}

/// A whole number that is not 0, or a string of its digits.
pub(super) fn positive() -> Shape {
    let either = SchemaType::from_iter([Type::Integer, Type::String]);
    let number = ObjectBuilder::new().schema_type(either).minimum(Some(1));
    let digits = format!("^0*({})$", positive_digits(u64::MAX));
    number.maximum(Some(u64::MAX)).pattern(Some(digits)).into()
}

/// A whole number up to this one, or a string of its digits.
pub(super) fn number_up_to(max: u64) -> Shape {
    number_within(0, max)
}

/// A whole number up to this one, which cannot be a string.
pub(super) fn plain_number(max: u32) -> Shape {
    of(Type::Integer).minimum(Some(0)).maximum(Some(max)).into()
}

/// A number or a boolean.
pub(super) fn plain() -> Shape {
    let kinds = SchemaType::from_iter([Type::Number, Type::Boolean]);
    ObjectBuilder::new().schema_type(kinds).into()
}

/// A shape that has a name.
pub(super) fn shared(name: &str) -> Shape {
    Ref::from_schema_name(name).into()
}

/// A whole number of 64 bits.
pub(super) fn number() -> Shape {
    shared("Number")
}

/// One of 32 bits.
pub(super) fn number32() -> Shape {
    shared("Number32")
}

/// A flag.
pub(super) fn flag() -> Shape {
    shared("Flag")
}

/// A flag that is set.
pub(super) fn is_set() -> Shape {
    written(true)
}

/// A flag with this value, in all spellings.
fn written(flag: bool) -> Shape {
    let word = if flag { "true" } else { "false" };
    any_of([
        one_number([u32::from(flag)]),
        of(Type::Boolean).enum_values(Some([flag])).into(),
        of(Type::String)
            .enum_values(Some([u32::from(flag).to_string(), word.to_owned()]))
            .into(),
    ])
}

/// The id of a user.
pub(super) fn user() -> Shape {
    shared("UserId")
}

/// The id of a group.
pub(super) fn group() -> Shape {
    shared("GroupId")
}

/// What a failed call is answered with.
pub(super) fn failure() -> Shape {
    shared("Failure")
}

/// An element of a message.
pub(super) fn element() -> Shape {
    shared("Element")
}

fn id(max: usize, description: &str) -> Shape {
    let id = of(Type::String).min_length(Some(1)).max_length(Some(max));
    let printable = "^[!-~]([ -~]*[!-~])?$";
    id.pattern(Some(printable)).description(Some(description)).into()
}

/// The shapes that have names.
pub(super) fn named() -> Vec<(&'static str, Shape)> {
    let user = "A user: printable ASCII without spaces at its ends, and not @TIM#SYSTEM.";
    let group = "A group: printable ASCII without spaces at its ends.";
    vec![
        ("Number", number_within(0, u64::MAX)),
        ("Number32", number_within(0, u32::MAX.into())),
        ("Flag", any_of([written(false), written(true)])),
        ("UserId", id(UserId::MAX_LEN, user)),
        ("GroupId", id(GroupId::MAX_LEN, group)),
        ("Failure", failed()),
    ]
}

fn failed() -> Shape {
    let code = of(Type::Integer).minimum(Some(1)).maximum(Some(u32::MAX));
    object([
        need("ActionStatus", word(["FAIL"])),
        need("ErrorCode", code.into()),
        need("ErrorInfo", some_text()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_numbers_up_to_the_largest() {
        assert_eq!(digits(2), "0*(2|[1-1]|0)");
        assert_eq!(
            digits(255),
            "0*(255|[1-1][0-9]{2}|2[0-4][0-9]{1}|25[0-4]|[1-9][0-9]{0,1}|0)"
        );
        assert_eq!(digits(100), "0*(100|[1-9][0-9]{0,1}|0)");
    }
}
