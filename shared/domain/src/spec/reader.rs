//! Walks a JSON value into typed fields and keeps every problem with its path, so that one answer names them all.
//!
//! A section of the spec says of each field whether it is [`Fields::required`], [`Fields::optional`] or has a default
//! ([`Fields::or`]), and which function reads it. A function that gives nothing has left a problem.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::problem::{Problem, nearest, shown, step, type_of};
use crate::names::Malformed;

/// How strictly a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As it was put: everything that is not right is a problem.
    Put,
    /// As it was stored, perhaps by another version: unknown fields, `null` in place of nothing, counts, limits and what
    /// one field says of another are let pass; the types hold.
    Stored,
}

/// So many unknown fields of one object are named; the others are counted. An answer must stay smaller than Lambda's 6 MB.
const UNKNOWN_NAMED: usize = 50;

/// The walk: where it is and what it found.
pub(super) struct Reader {
    mode: Mode,
    path: String,
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(mode: Mode) -> Self {
        Self { mode, path: String::new(), problems: Vec::new() }
    }

    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    fn strict(&self) -> bool {
        self.mode == Mode::Put
    }

    /// Notes a problem with the value that is being read.
    pub(super) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(Problem { path: self.path.clone(), problem: problem.into() });
    }

    fn wrong_type(&mut self, wanted: &str, value: &Value) {
        self.problem(format!("must be {wanted}, not {}", type_of(value)));
    }

    fn inside<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let outside = self.path.len();
        if !self.path.is_empty() && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        let read = read(self);
        self.path.truncate(outside);
        read
    }
}

/// An object of the spec.
pub(super) trait Section: Sized {
    /// Reads the fields, each asked for once.
    fn read(fields: &mut Fields<'_, '_>) -> Option<Self>;
}

/// The fields of one object.
pub(super) struct Fields<'v, 'r> {
    map: &'v Map<String, Value>,
    reader: &'r mut Reader,
    known: Vec<&'static str>,
}

impl Fields<'_, '_> {
    /// A field that must be given.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value, &mut Reader) -> Option<T>,
    ) -> Option<T> {
        self.known.push(name);
        let value = self.map.get(name);
        self.reader.inside(name, |reader| match value {
            None => {
                reader.problem("is required");
                None
            }
            Some(Value::Null) => {
                reader.problem("is required and must not be null");
                None
            }
            Some(value) => read(value, reader),
        })
    }

    /// A field that may be left out. The outer option is nothing where it is given and wrong.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value, &mut Reader) -> Option<T>,
    ) -> Option<Option<T>> {
        self.known.push(name);
        let value = self.map.get(name);
        self.reader.inside(name, |reader| match value {
            None => Some(None),
            Some(Value::Null) if reader.strict() => {
                reader.problem("must not be null: leave the field out");
                None
            }
            Some(Value::Null) => Some(None),
            Some(value) => read(value, reader).map(Some),
        })
    }

    /// A field with a default.
    pub(super) fn or<T>(
        &mut self,
        name: &'static str,
        default: impl FnOnce() -> T,
        read: impl FnOnce(&Value, &mut Reader) -> Option<T>,
    ) -> Option<T> {
        self.optional(name, read).map(|value| value.unwrap_or_else(default))
    }

    /// Notes what is wrong between fields, at `at` inside this object (empty: the object itself). Not for stored values:
    /// such a rule may be younger than they are.
    pub(super) fn require(&mut self, good: bool, at: &str, problem: impl FnOnce() -> String) {
        if good || !self.reader.strict() {
            return;
        }
        let problem = problem();
        if at.is_empty() {
            self.reader.problem(problem);
        } else {
            self.reader.inside(at, |reader| reader.problem(problem));
        }
    }

    fn refuse_unknown(&mut self) {
        if !self.reader.strict() {
            return;
        }
        let known = &self.known;
        let mut unknown: Vec<_> = self.map.keys().filter(|key| !known.contains(&key.as_str())).collect();
        unknown.sort();
        let more = unknown.len().saturating_sub(UNKNOWN_NAMED);
        for key in unknown.into_iter().take(UNKNOWN_NAMED) {
            let problem = match nearest(key, known) {
                Some(near) => format!("unknown field; did you mean `{near}`?"),
                None => format!("unknown field; known here: `{}`", known.join("`, `")),
            };
            self.reader.inside(&step(key), |reader| reader.problem(problem));
        }
        if more > 0 {
            self.reader.problem(format!("has {more} more unknown fields"));
        }
    }
}

/// Reads an object.
pub(super) fn section<S: Section>(value: &Value, reader: &mut Reader) -> Option<S> {
    let Value::Object(map) = value else {
        reader.wrong_type("an object", value);
        return None;
    };
    let mut fields = Fields { map, reader, known: Vec::new() };
    let section = S::read(&mut fields);
    fields.refuse_unknown();
    section
}

/// Reads `true` or `false`.
pub(super) fn boolean(value: &Value, reader: &mut Reader) -> Option<bool> {
    if !value.is_boolean() {
        reader.wrong_type("true or false", value);
    }
    value.as_bool()
}

/// Reads a whole number within limits.
pub(super) fn integer<N: TryFrom<u64>>(limits: RangeInclusive<u64>) -> impl Fn(&Value, &mut Reader) -> Option<N> {
    move |value, reader| {
        let wanted = || format!("an integer from {} to {}", limits.start(), limits.end());
        let Value::Number(number) = value else {
            reader.wrong_type(&wanted(), value);
            return None;
        };
        let within = number.as_u64().filter(|number| !reader.strict() || limits.contains(number));
        let read = within.and_then(|number| N::try_from(number).ok());
        if read.is_none() {
            reader.problem(format!("must be {}, not {}", wanted(), shown(value)));
        }
        read
    }
}

fn as_text<'v>(value: &'v Value, reader: &mut Reader) -> Option<&'v str> {
    if !value.is_string() {
        reader.wrong_type("text", value);
    }
    value.as_str()
}

/// Reads one of the text types of [`crate::names`].
pub(super) fn text<T: for<'a> TryFrom<&'a str, Error = Malformed>>(value: &Value, reader: &mut Reader) -> Option<T> {
    match T::try_from(as_text(value, reader)?) {
        Ok(text) => Some(text),
        Err(malformed) if malformed.may_show_value() => {
            reader.problem(format!("{malformed}, not {}", shown(value)));
            None
        }
        Err(malformed) => {
            reader.problem(malformed.to_string());
            None
        }
    }
}

/// Reads text through a function whose error is the whole problem.
pub(super) fn parsed<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&Value, &mut Reader) -> Option<T> {
    move |value, reader| match parse(as_text(value, reader)?) {
        Ok(parsed) => Some(parsed),
        Err(problem) => {
            reader.problem(problem);
            None
        }
    }
}

/// One of a few words.
pub(super) trait Choice: Copy + 'static {
    /// Every choice, in the order in which a problem lists them.
    const ALL: &'static [Self];
    /// The word for it.
    fn word(self) -> &'static str;
}

/// Reads one of a few words.
pub(super) fn choice<C: Choice>(value: &Value, reader: &mut Reader) -> Option<C> {
    let words: Vec<_> = C::ALL.iter().map(|choice| format!("`{}`", choice.word())).collect();
    let wanted = match words.as_slice() {
        [words @ .., last] if !words.is_empty() => format!("{} or {last}", words.join(", ")),
        words => words.concat(),
    };
    let Value::String(text) = value else {
        reader.wrong_type(&wanted, value);
        return None;
    };
    let chosen = C::ALL.iter().copied().find(|choice| choice.word() == text);
    if chosen.is_none() {
        reader.problem(format!("must be {wanted}, not {}", shown(value)));
    }
    chosen
}

/// Reads a list. No two items may have the same text in any of the fields `unique`; an empty name there means items that are
/// texts themselves.
pub(super) fn list<T, R: Fn(&Value, &mut Reader) -> Option<T>>(
    sizes: RangeInclusive<usize>,
    unique: &'static [&'static str],
    read: R,
) -> impl Fn(&Value, &mut Reader) -> Option<Vec<T>> {
    move |value, reader| {
        let Value::Array(items) = value else {
            reader.wrong_type("a list", value);
            return None;
        };
        if reader.strict() && !sizes.contains(&items.len()) {
            reader.problem(match (items.len(), sizes.start()) {
                (0, 1) => "must not be empty".to_owned(),
                (given, _) => format!("must hold {} to {} items, not {given}", sizes.start(), sizes.end()),
            });
        }
        // What is over the limit is not walked: a put of a million items must not get a million problems.
        let mut all = Some(Vec::with_capacity(items.len().min(*sizes.end())));
        let walked = if reader.strict() { *sizes.end() } else { items.len() };
        for (index, item) in items.iter().take(walked).enumerate() {
            let item_read = reader.inside(&format!("[{index}]"), |reader| {
                let item_read = if item.is_null() {
                    reader.problem("must not be null");
                    None
                } else {
                    read(item, reader)
                };
                refuse_repeats(items, index, unique, reader);
                item_read
            });
            all = all.zip(item_read).map(|(mut all, item)| {
                all.push(item);
                all
            });
        }
        all
    }
}

fn refuse_repeats<'v>(items: &'v [Value], index: usize, unique: &[&str], reader: &mut Reader) {
    if !reader.strict() {
        return;
    }
    for &field in unique {
        let key = |item: &'v Value| if field.is_empty() { item.as_str() } else { item.get(field)?.as_str() };
        let Some(given) = items.get(index).and_then(key) else { continue };
        let Some(first) = items.iter().take(index).position(|item| key(item) == Some(given)) else { continue };
        if field.is_empty() {
            reader.problem(format!("is the same as item {first}"));
        } else {
            reader.inside(field, |reader| reader.problem(format!("is the same as in item {first}")));
        }
    }
}
