//! The public declarations of generated code, one a line: what a change of the API is seen by.

/// Swift's: everything public, cases of enumerations, and nothing of the generator's own.
pub(crate) fn swift(text: &str) -> String {
    let mut in_enum = false;
    let mut api = String::new();
    for line in text.lines() {
        if !line.is_empty() && !line.starts_with([' ', '}']) {
            // That of errors has `public` on a line of its own.
            in_enum = line.starts_with("public enum ") || line.starts_with("enum ");
        }
        let line = line.trim();
        const OWN: [&str; 5] = ["uniffi", "buf:", "static func lift", "static func lower", "RustBuffer"];
        let is_public = (line.starts_with("public ") || in_enum && line.starts_with("enum "))
            && !OWN.iter().any(|own| line.contains(own));
        let is_case = in_enum && line.starts_with("case ") && !line.starts_with("case .") && !line.contains(':');
        let is_case_with_fields = in_enum && line.starts_with("case ") && line.ends_with('(');
        // What a case holds stands behind its documentation.
        let field = line.strip_prefix("*/").filter(|field| in_enum && field.contains(": "));
        if is_public || is_case || is_case_with_fields {
            declare(&mut api, line);
        } else if let Some(field) = field {
            declare(&mut api, field);
        }
    }
    api
}

/// Kotlin's: everything that is not private or internal, and nothing of the generator's own.
pub(crate) fn kotlin(text: &str) -> String {
    const STARTS: [&str; 14] = [
        "@Throws",
        "fun `",
        "open class",
        "class ",
        "data class",
        "sealed class",
        "enum class",
        "object ",
        "val `",
        "var `",
        "open val",
        "constructor(",
        "public interface",
        "override fun `",
    ];
    let mut api = String::new();
    let mut is_hidden = true;
    for line in text.lines() {
        if !line.is_empty() && !line.starts_with([' ', '}', ')', '@', '{', '/']) {
            is_hidden = ["internal ", "private ", "@PublishedApi"].iter().any(|start| line.starts_with(start))
                || line.contains("Uniffi")
                || line.contains("FfiConverter")
                || line.contains("RustBuffer");
        }
        let line = line.trim();
        let is_named = STARTS.iter().any(|start| line.starts_with(start));
        let is_entry = line.strip_suffix([',', ';']).is_some_and(|name| !name.is_empty() && is_constant(name));
        if !is_hidden && (is_named || is_entry) && !line.contains("Uniffi") {
            declare(&mut api, line);
        }
    }
    api
}

fn is_constant(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
}

fn declare(api: &mut String, line: &str) {
    let line = line.split_once(" {").map_or(line, |(declared, _)| declared);
    api.push_str(&line.split_whitespace().collect::<Vec<_>>().join(" "));
    api.push('\n');
}
