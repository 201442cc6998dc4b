//! Rewriting of generated text. Each rewrite has to find what it is for: a new version of the generator is then noticed.

/// The text with every `old` replaced.
pub(crate) fn all(text: &str, old: &str, new: &str) -> Result<String, String> {
    if text.contains(old) { Ok(text.replace(old, new)) } else { Err(missed(old)) }
}

/// The text with lines changed by `change`, of which some has to.
pub(crate) fn lines(text: &str, what: &str, change: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut changed = false;
    let mut new = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match change(line) {
            Some(line) => {
                changed = true;
                new.push_str(&line);
            }
            None => new.push_str(line),
        }
    }
    if changed { Ok(new) } else { Err(missed(what)) }
}

pub(crate) fn missed(what: &str) -> String {
    format!("the generated code has no '{what}' any more; change the rewriting to fit the new generator")
}
