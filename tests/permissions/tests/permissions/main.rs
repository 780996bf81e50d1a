//! The roles of the templates, as far as no log of calls is needed, and the comparison with a log: what it finds when something
//! is wrong. The comparison with the calls of all tests is `make test`'s last step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod comparison;
mod roles;

use std::sync::LazyLock;

use permissions::reference::Reference;
use permissions::template::{Template, venv};
use permissions::{TEMPLATES, table};

/// Translating one takes seconds.
static TRANSLATED: LazyLock<Vec<Template>> =
    LazyLock::new(|| TEMPLATES.iter().map(|path| Template::read(path).unwrap()).collect());
static REFERENCE: LazyLock<Reference> = LazyLock::new(|| Reference::read(&venv().unwrap()).unwrap());

fn templates() -> Vec<Template> {
    TRANSLATED.clone()
}

/// Brought up to date by `UPDATE_EXPECT=1 cargo test --workspace --test permissions`.
#[test]
fn the_table_of_permissions_is_what_the_templates_say() {
    let page = table::page(&templates()).unwrap();
    expect_test::expect_file!["../../../../docs/permissions.md"].assert_eq(&page);
}
