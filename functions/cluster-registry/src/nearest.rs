//! "Did you mean".

use ports::{PortError, Table};
use runtime::records::{Acknowledgement, ClusterRecord, TakeRequest};

use crate::refusal::Stop;

/// The known word that is most like `given`, if one is like it at all: at most a third of its letters differ.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&word.to_ascii_lowercase(), &given), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min()
        .map(|(_, word)| word)
}

/// The refusal of a request about a cluster that does not exist.
///
/// # Errors
/// The table could not be read.
pub async fn no_cluster(table: &impl Table, path: &str, name: &str) -> Result<Stop, PortError> {
    let items = table.query(ClusterRecord::PARTITION).await?;
    let names = items.iter().filter(|item| !Acknowledgement::is_one(item) && !TakeRequest::is_one(item));
    let names = names.map(|item| item.key.sk.as_str());
    let problem = match nearest(name, names) {
        Some(known) => format!("no cluster named `{name}`; did you mean `{known}`?"),
        None => format!("no cluster named `{name}`"),
    };
    Ok(Stop::one(path, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_alike_is_offered() {
        let known = ["put", "validate", "acknowledge"];
        let cases = [
            ("putt", Some("put")),
            ("Put", Some("put")),
            ("pout", Some("put")),
            ("vlaidate", Some("validate")),
            ("acknowlege", Some("acknowledge")),
            ("create", None),
            ("", None),
            ("p", None),
        ];
        for (given, expected) in cases {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }
}
