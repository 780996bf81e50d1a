//! `Cargo.toml`, as far as cargo does not tell what stands in it: written form, lints and profiles.

/// A section's entries, `key` and `value` as written. Comments and what follows a wrapped value are left out.
#[must_use]
pub fn section<'a>(text: &'a str, header: &str) -> Vec<(&'a str, &'a str)> {
    text.lines()
        .skip_while(|line| line.trim() != format!("[{header}]"))
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect()
}

/// The headers of a text's sections, `dev-dependencies` for `[dev-dependencies]`.
#[must_use]
pub fn headers(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']')).collect()
}
